"""Session tokens of instance metadata version 2."""

from dataclasses import dataclass, field

from vpc_cni.lab.cloud.identifiers import Identifiers

LONGEST_SECONDS = 21600
TOKEN_LENGTH = 56


@dataclass(slots=True)
class Tokens:
    """Tokens by text: which instance each belongs to, and until when."""

    ids: Identifiers
    _issued: dict[str, tuple[str, float]] = field(default_factory=dict)

    def issue(self, instance_id: str, seconds: int, now: float) -> str:
        self._issued = {text: entry for text, entry in self._issued.items() if entry[1] > now}
        text = self.ids.secret(TOKEN_LENGTH)
        self._issued[text] = (instance_id, now + seconds)
        return text

    def is_valid(self, text: str, instance_id: str, now: float) -> bool:
        """True for a live token of that instance: a token taken from another one is worthless."""
        owner, until = self._issued.get(text, ("", 0.0))
        return owner == instance_id and now < until


def parse_ttl(text: str) -> int | None:
    """Read the requested life of a token; None unless it is 1 to 21,600 seconds. Pure."""
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_SECONDS:
        return None
    return int(text)
