"""Lists in pieces: in a fixed order, each piece says after which key the next begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One piece. ``next`` is given back as ``after`` for the piece that follows; empty at the end."""

    items: tuple[T, ...]
    next: str = ""


def cut_page(rows: Sequence[R], limit: int, key: Callable[[R], str], item: Callable[[R], T]) -> Page[T]:
    """Make a page of up to ``limit`` rows out of one row more, which only tells that there are more. Pure."""
    kept = rows[:limit]
    return Page(tuple(item(row) for row in kept), key(kept[-1]) if len(rows) > limit else "")
