"""Pages of describe calls: ordered by id, an opaque token says after which id the next page starts.

A token names an id, not an offset, so resources that come and go between two pages make no other one be missed or
shown twice.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.query.parameters import Parameters

T = TypeVar("T")

SMALLEST_PAGE = 5
LARGEST_PAGE = 1000


def page(
    parameters: Parameters,
    records: Iterable[T],
    key: Callable[[T], str],
    *,
    ids_name: str = "",
    largest: int = LARGEST_PAGE,
) -> tuple[list[T], str | None]:
    """Cut the page that a request asks for.

    Args:
        ids_name: the parameter that names resources; EC2 refuses it together with MaxResults.
        largest: the most that one page shows.

    Returns:
        The records in order of ``key``, and the token of the next page; None on the last one.
    """
    size = _page_size(parameters, ids_name, largest)
    after = _decode(parameters.text("NextToken"))
    rest = sorted((record for record in records if key(record) > after), key=key)
    if len(rest) <= size:
        return rest, None
    return rest[:size], _encode(key(rest[size - 1]))


def _page_size(parameters: Parameters, ids_name: str, largest: int) -> int:
    size = parameters.integer("MaxResults")
    if size is None:
        return largest
    if ids_name and ids_name in parameters:
        raise errors.invalid_combination(f"The parameter {ids_name} cannot be used with the parameter MaxResults")
    if size < SMALLEST_PAGE:
        raise errors.invalid_value(
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than {SMALLEST_PAGE}."
        )
    return min(size, largest)


def _encode(after: str) -> str:
    return base64.urlsafe_b64encode(f"after:{after}".encode()).decode()


def _decode(token: str) -> str:
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if not text.startswith("after:"):
        raise errors.CloudApiError("InvalidNextToken", "The token is invalid or has expired.")
    return text.removeprefix("after:")
