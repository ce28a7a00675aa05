"""Lists in pages: what the client asks for, and tokens that carry all that the next page needs. Pure.

A token is the key after which the next page begins, and a digest of the operation and what it is narrowed to: one of
another list is refused. Nothing is remembered for it.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from vpc_cni.addons.api.members import Query
from vpc_cni.addons.configuration import is_storable
from vpc_cni.addons.rules import InputError

PAGE_MAX = 100
_DIGEST_BYTES = 12
_TOKEN_MAX = 2048


@dataclass(frozen=True, slots=True)
class Paging:
    """One page that is asked for: up to ``limit`` items ``after`` a key, from the beginning when that is empty."""

    limit: int
    after: str
    _digest: bytes

    def token(self, next_key: str) -> str | None:
        """Return what the client gives back for the page that begins after a key; None when there is none."""
        if not next_key:
            return None
        return base64.urlsafe_b64encode(self._digest + next_key.encode()).decode()


def read_paging(query: Query, *identity: str | None) -> Paging:
    """Read ``maxResults`` and ``nextToken``.

    Args:
        identity: names of the list and all that narrows it.

    Raises:
        InputError: a number out of bounds, or a token that is not of this list.
    """
    limit = query.whole("maxResults", minimum=1, maximum=PAGE_MAX, default=PAGE_MAX)
    digest = hashlib.sha256(repr(identity).encode()).digest()[:_DIGEST_BYTES]
    token = query.text("nextToken")
    return Paging(limit, _decode(token, digest) if token else "", digest)


def _decode(token: str, digest: bytes) -> str:
    try:
        raw = base64.b64decode(token[:_TOKEN_MAX].encode(), altchars=b"-_", validate=True)
        key = raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise _foreign() from None
    if raw[:_DIGEST_BYTES] != digest or not key or not is_storable(key):
        raise _foreign()
    return key


def _foreign() -> InputError:
    return InputError("The nextToken is not one of this list")
