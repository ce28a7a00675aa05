"""Filters of describe calls: all filters must match, one value of each suffices, ``*`` and ``?`` are wildcards.

Each resource family brings a table from filter name to the texts that a record has under it. Source: EC2 user guide,
"Find your Amazon EC2 resources: filtering".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.query.parameters import Parameters
from vpc_cni.lab.cloud.records import Tags

T = TypeVar("T")
Reader = Callable[[T], Iterable[str]]

MAX_VALUES = 200


class FilterTable(Generic[T]):
    """The filters of one resource family.

    Args:
        readers: by filter name, what a record has there; ``tag:<key>``, ``tag-key`` and ``tag-value`` come with it.
        tags_of: a record's tags; without it the family knows no tag filters.
    """

    def __init__(self, readers: Mapping[str, Reader[T]], tags_of: Callable[[T], Tags] | None = None) -> None:
        self._readers = readers
        self._tags_of = tags_of

    def parse(self, parameters: Parameters) -> Callable[[T], bool]:
        """Read ``Filter.N`` and return the test that a record must pass."""
        tests = [self._test(level) for level in parameters.children("Filter")]
        return lambda record: all(test(record) for test in tests)

    def _test(self, level: Parameters) -> Callable[[T], bool]:
        level.allow("Name", "Value")
        reader = self._reader(level.required("Name"))
        values = level.texts("Value")
        if not values:
            raise errors.invalid_value(f"The filter '{level.text('Name')}' must have at least one value")
        if len(values) > MAX_VALUES:
            raise errors.CloudApiError("FilterLimitExceeded", "The maximum number of filter values is 200")
        matcher = any_of(values)
        return lambda record: any(matcher(text) for text in reader(record))

    def _reader(self, name: str) -> Reader[T]:
        if name in self._readers:
            return self._readers[name]
        if self._tags_of is not None and (reader := _tag_reader(name, self._tags_of)) is not None:
            return reader
        raise errors.invalid_value(f"The filter '{name}' is invalid")


def any_of(values: Iterable[str]) -> Callable[[str], bool]:
    """Return a test for texts that equal one value or match one with wildcards. Pure."""
    plain = {value for value in values if not set(value) & set("*?\\")}
    patterns = [_pattern(value) for value in values if value not in plain]
    return lambda text: text in plain or any(pattern.fullmatch(text) for pattern in patterns)


def always(text: str) -> Reader[object]:
    """Return a reader for what is the same for all records."""
    return lambda _: (text,)


def yes_or_no(value: bool) -> tuple[str, ...]:
    return ("true",) if value else ("false",)


def _tag_reader(name: str, tags_of: Callable[[T], Tags]) -> Reader[T] | None:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda record: (v for k, v in tags_of(record) if k == key)
    if name == "tag-key":
        return lambda record: (k for k, _ in tags_of(record))
    if name == "tag-value":
        return lambda record: (v for _, v in tags_of(record))
    return None


@lru_cache(maxsize=256)
def _pattern(value: str) -> re.Pattern[str]:
    """Translate ``*``, ``?`` and backslash escapes."""
    parts: list[str] = []
    letters = iter(value)
    for letter in letters:
        if letter == "\\":
            parts.append(re.escape(next(letters, "")))
        else:
            parts.append({"*": ".*", "?": "."}.get(letter, re.escape(letter)))
    return re.compile("".join(parts), re.DOTALL)
