"""Request bodies of the query protocol that EC2 and STS speak. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urlencode

EC2_API_VERSION = "2016-11-15"
STS_API_VERSION = "2011-06-15"

Parameter: TypeAlias = "str | int | bool | Sequence[Parameter] | Mapping[str, Parameter]"


def encode_query(action: str, version: str, parameters: Mapping[str, Parameter]) -> bytes:
    """Return the form-encoded body of a call.

    Keys are the names on the wire (``SecurityGroupId``, not ``Groups``). Lists are numbered from 1, structures are
    joined with dots: ``{"Tag": [{"Key": "a"}]}`` becomes ``Tag.1.Key=a``. Order is kept.
    """
    pairs = [("Action", action), ("Version", version), *_flatten("", parameters)]
    return urlencode(pairs).encode("ascii")


def _flatten(prefix: str, value: Parameter) -> Iterator[tuple[str, str]]:
    match value:
        case bool():
            yield prefix, "true" if value else "false"
        case str() | int():
            yield prefix, str(value)
        case Mapping():
            for name, member in value.items():
                yield from _flatten(f"{prefix}.{name}" if prefix else name, member)
        case _:
            for number, member in enumerate(value, start=1):
                yield from _flatten(f"{prefix}.{number}", member)
