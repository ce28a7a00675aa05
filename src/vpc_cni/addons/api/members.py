"""Members of a request: read from JSON or a query, with their types and bounds. Null and absent are the same. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from vpc_cni.addons.configuration import is_storable
from vpc_cni.addons.rules import InputError

_WHOLE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
# Deeper than any shape of the service model.
_DEPTH_MAX = 20


class Members:
    """Members of a JSON object. What is not asked for is ignored, as the service ignores unknown members."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self.values = values
        self._path = path

    def text(self, name: str, *, minimum: int = 0, maximum: int | None = None) -> str | None:
        """Return a text; None when absent.

        Raises:
            InputError: it is no text, too short or too long.
        """
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InputError(f"{self._path}{name} must be a string")
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            bounds = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
            raise InputError(f"{self._path}{name} must have {bounds} characters")
        return value

    def required(self, name: str, *, minimum: int = 1, maximum: int | None = None) -> str:
        """Return a text that must be there.

        Raises:
            InputError: it is not, or not as it must be.
        """
        value = self.text(name, minimum=minimum, maximum=maximum)
        if value is None:
            raise InputError(f"{self._path}{name} is missing")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts; None when absent. InputError when it is none."""
        value = self._list(name)
        if value is not None and not all(isinstance(each, str) for each in value):
            raise InputError(f"{self._path}{name} must be a list of strings")
        return None if value is None else tuple(value)

    def text_map(self, name: str) -> dict[str, str] | None:
        """Return a map of texts; None when absent. InputError when it is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise InputError(f"{self._path}{name} must be a map of strings")
        return value

    def inner(self, name: str) -> "Members | None":
        """Return a structure; None when absent. InputError when it is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InputError(f"{self._path}{name} must be an object")
        return Members(value, f"{self._path}{name}.")

    def structures(self, name: str) -> "tuple[Members, ...] | None":
        """Return a list of structures; None when absent. InputError when it is none."""
        value = self._list(name)
        if value is not None and not all(isinstance(each, dict) for each in value):
            raise InputError(f"{self._path}{name} must be a list of objects")
        return None if value is None else tuple(Members(each, f"{self._path}{name}.") for each in value)

    def _list(self, name: str) -> list[Any] | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            raise InputError(f"{self._path}{name} must be a list")
        return value


class Query:
    """Members in a query string: lists are repeated names, booleans are ``true`` and ``false``."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    def texts(self, name: str) -> tuple[str, ...]:
        return self._values.get(name, ())

    def text(self, name: str) -> str | None:
        """Return the text of that name; None when absent.

        Raises:
            InputError: there are several. Signatures do not cover in which order repeated names stand.
        """
        values = self._values.get(name, ())
        if len(values) > 1:
            raise InputError(f"{name} is given more than once")
        return values[0] if values else None

    def required(self, name: str) -> str:
        """Return a text that must be there; InputError when it is absent or empty."""
        value = self.text(name)
        if not value:
            raise InputError(f"{name} is missing")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; absent means false. InputError when it is none."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise InputError(f"{name} must be true or false")
        return value == "true"

    def whole(self, name: str, *, minimum: int, maximum: int, default: int) -> int:
        """Return a whole number; InputError when it is none, or outside its bounds."""
        value = self.text(name)
        if value is None:
            return default
        if not _WHOLE.fullmatch(value) or not minimum <= int(value) <= maximum:
            raise InputError(f"{name} must be a whole number from {minimum} to {maximum}")
        return int(value)


def parse_body(body: bytes) -> Members:
    """Read a request's body; an empty one has no members.

    Raises:
        InputError: it is no JSON object, or holds what cannot be stored.
    """
    if not body:
        return Members({})
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise InputError("The request's body is no JSON") from err
    if not isinstance(value, dict):
        raise InputError("The request's body must be a JSON object")
    _check_texts(value, 0)
    return Members(value)


def parse_query(text: str) -> Query:
    """Read a query string.

    Raises:
        InputError: it is not encoded as UTF-8.
    """
    values: dict[str, tuple[str, ...]] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = (decode(each.replace("+", "%20")) for each in pair.partition("="))
        values[name] = (*values.get(name, ()), value)
    return Query(values)


def decode(text: str) -> str:
    """Decode percent signs.

    Raises:
        InputError: what they stand for is no UTF-8, or cannot be stored.
    """
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as err:
        raise InputError("The request's target is not encoded as UTF-8") from err
    if not is_storable(decoded):
        raise InputError("The request's target holds characters that cannot be used")
    return decoded


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_texts(value: object, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise InputError("The request's body is nested too deeply")
    if isinstance(value, str) and not is_storable(value):
        raise InputError("The request's body holds characters that cannot be stored")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_texts(key, depth)
            _check_texts(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item, depth + 1)
