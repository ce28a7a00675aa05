"""Identifiers, hardware addresses and secrets of the lab's cloud: unique, and the same for the same seed."""

import random
import string
from collections.abc import Callable


class Identifiers:
    """Draws from one seeded source. A reproducible lab matters more here than unguessable values."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._given: set[str] = set()

    def resource(self, prefix: str) -> str:
        """Return a resource id such as ``eni-0a1b...``: the prefix and 17 hex digits, as EC2's long ids."""
        return self._unique(lambda: f"{prefix}-0{self._rng.getrandbits(64):016x}")

    def mac(self) -> str:
        """Return a locally administered unicast hardware address."""
        return self._unique(lambda: ":".join(f"{octet:02x}" for octet in (0x0A, *self._rng.randbytes(5))))

    def access_key(self, prefix: str) -> str:
        """Return an access key id of 20 characters: ``AKIA`` for lasting keys, ``ASIA`` for session keys."""
        alphabet = string.ascii_uppercase + "234567"
        return self._unique(lambda: prefix + "".join(self._rng.choices(alphabet, k=16)))

    def secret(self, length: int = 40) -> str:
        return "".join(self._rng.choices(string.ascii_letters + string.digits, k=length))

    def request_id(self) -> str:
        """Return a request id in the form of a UUID; not checked for uniqueness, since every call draws one."""
        digits = f"{self._rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def _unique(self, draw: Callable[[], str]) -> str:
        while (text := draw()) in self._given:
            pass
        self._given.add(text)
        return text
