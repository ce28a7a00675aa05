"""When a failed call is tried again, and after how long. Pure."""

from dataclasses import dataclass
from enum import Enum

from vpc_cni.ec2.failures import (
    IDENTITY_PROVIDER_CODES,
    MALFORMED,
    NO_CREDENTIALS,
    OUTCOME_UNKNOWN,
    OWN_BUDGET,
    SERVER_CODES,
    STOPPING,
    UNREACHABLE,
)
from vpc_cni.errors import CloudError, ThrottledError


class Repeat(Enum):
    """What repeating a request may do that one request would not."""

    SAFE = "safe"
    """Nothing: a read, a call with a client token, or one that sets a state."""

    DOUBLES = "doubles"
    """The work is done twice when the first answer was lost: repeated only when the service surely did nothing."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full jitter: each delay is uniform between zero and a ceiling that doubles with each attempt.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """

    attempts: int = 6
    base_seconds: float = 0.2
    throttled_base_seconds: float = 1.0
    ceiling_seconds: float = 15.0


def is_repeatable(error: CloudError, repeat: Repeat, settling: frozenset[str] = frozenset()) -> bool:
    """Tell whether sending the same request again is allowed and can help. Pure.

    Args:
        settling: codes that this operation gives while EC2's reads lag behind its writes (an ENI just created is
            not found by the next call); they mean that nothing was done.
    """
    if error.code in (OWN_BUDGET, NO_CREDENTIALS, STOPPING):
        return False
    if isinstance(error, ThrottledError) or error.code == UNREACHABLE or error.code in settling:
        return True
    if error.code in IDENTITY_PROVIDER_CODES:
        return True
    may_be_done = error.code in SERVER_CODES or error.code in (OUTCOME_UNKNOWN, MALFORMED) or error.retryable
    return may_be_done and repeat is Repeat.SAFE


def next_delay(
    policy: RetryPolicy, error: CloudError, *, attempt: int, chance: float, remaining_seconds: float
) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up. Pure.

    Args:
        error: a repeatable failure (see ``is_repeatable``).
        attempt: number of attempts made, from 1.
        chance: uniform in [0, 1).
        remaining_seconds: until the deadline of the call; a delay that would pass it is not worth waiting.
    """
    if attempt >= policy.attempts:
        return None
    throttled = isinstance(error, ThrottledError)
    base = policy.throttled_base_seconds if throttled else policy.base_seconds
    delay = chance * min(policy.ceiling_seconds, base * 2 ** (attempt - 1))
    return delay if delay < remaining_seconds else None
