"""How the lab's cloud behaves when nothing is broken: place, lags, latencies, request budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class Bucket:
    """A request budget: ``capacity`` calls at once, ``refill_per_second`` after that."""

    capacity: float
    refill_per_second: float


# EC2's defaults for an account. Source: "Request throttling for the Amazon EC2 API", EC2 developer guide.
AWS_READ_BUCKET = Bucket(100, 20)
AWS_WRITE_BUCKET = Bucket(50, 5)


# The range for benchmarks (RFC 2544): never on the real internet.
PUBLIC_POOL = IPv4Network("198.18.0.0/15")


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """All fields may be changed while the cloud runs (``Cloud.configure``), but for the place.

    Args:
        describe_lag_seconds: EC2's describe calls show the state of that long ago; other calls see the truth.
        metadata_lag_seconds: the same for instance metadata.
        attach_seconds: how long an attachment stays ``attaching``; likewise ``detach_seconds``.
        latency_seconds: by operation name or pattern (``Describe*``, ``*``); the longest pattern that fits wins.
        read_bucket: budget of non-mutating calls; None is unlimited. Likewise ``write_bucket``.
        session_seconds: upper bound of every credential's life, for expiry within a test; None keeps AWS's rules.
        verify_signatures: refuse requests whose signature does not fit; off, the key alone names the caller.
        public_pool: where public addresses come from.
    """

    account_id: str = "123456789012"
    region: str = "us-west-2"
    zone_letters: str = "abc"
    describe_lag_seconds: float = 0.0
    metadata_lag_seconds: float = 0.0
    attach_seconds: float = 0.0
    detach_seconds: float = 0.0
    latency_seconds: Mapping[str, float] = field(default_factory=dict)
    read_bucket: Bucket | None = None
    write_bucket: Bucket | None = None
    session_seconds: float | None = None
    verify_signatures: bool = True
    public_pool: IPv4Network = PUBLIC_POOL

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(self.region + letter for letter in self.zone_letters)
