"""YAML in and out; the only user of PyYAML. Pure.

Every text that some reader could take for anything but text is quoted: readers differ (``1e3`` is text to PyYAML and
a number to kubectl), and an environment variable that became a number is refused by the API server.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from vpc_cni.errors import CallerError

# Texts that no YAML reader takes for a number, a boolean, null, a date or syntax.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key; no anchors, since Kubernetes objects are trees."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)


def encode_yaml(objects: Iterable[Mapping[str, Any]], comment: str = "") -> str:
    """Return documents as one text, keys in the order of the mappings; ``comment`` stands above the first one."""
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "".join(f"---\n{encode_document(document)}" for document in objects)


def encode_document(document: object) -> str:
    """Return one value without a document mark, ending with a newline."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096, allow_unicode=True
    )
    return text.removesuffix("...\n")


def parse_yaml(text: str, origin: str) -> list[Any]:
    """Read all documents of a YAML (or JSON) text, empty ones left out; ``origin`` names the text in messages.

    Raises:
        CallerError: the text is no YAML.
    """
    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    # The last two: a day such as 2001-99-99, and brackets within brackets by the thousand.
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise CallerError(f"{origin} is neither YAML nor JSON: {err}") from err
