"""Which quarantines are over, while the agent runs. Pure.

A quarantine is lifted when the views agree again. An address that lost its last known user rests for one more
cooldown, as ``UNKNOWN_PAST``: when its pod ended is not known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from vpc_cni.ipam.pool import Pool
from vpc_cni.ipam.recorded import KernelView
from vpc_cni.ipam.states import Quarantine, QuarantineReason
from vpc_cni.model import Eni

_USER_UNKNOWN = (QuarantineReason.UNKNOWN_OWNER, QuarantineReason.TWO_OWNERS)


@dataclass(frozen=True, slots=True)
class Review:
    """``resolved``: lift these. ``replaced``: go on under another reason. Both ascending by address."""

    resolved: tuple[IPv4Address, ...] = ()
    replaced: tuple[Quarantine, ...] = ()


def review_quarantines(
    pool: Pool, enis: Iterable[Eni], kernel: KernelView, *, cooldown_seconds: float, now: float
) -> Review:
    """Look at every quarantine of the pool again. Pure; the caller journals and applies the outcome.

    Args:
        enis: managed ENIs as EC2 describes them now.
        now: CLOCK_BOOTTIME seconds.
    """
    work = _Doubts(
        pool,
        places={address: eni.eni_id for eni in enis for address in eni.addresses},
        served=frozenset(link.address for link in kernel.links if link.address is not None),
        ruled=kernel.ruled,
        rested_since=now - cooldown_seconds,
    )
    doubts = sorted(pool.quarantines(), key=lambda quarantine: int(quarantine.address))
    deserted = [each for each in doubts if each.reason in _USER_UNKNOWN and each.address not in work.served]
    detail = "its last user is gone, when is not known"
    return Review(
        resolved=tuple(each.address for each in doubts if work.is_over(each)),
        replaced=tuple(
            replace(each, reason=QuarantineReason.UNKNOWN_PAST, since=now, detail=detail) for each in deserted
        ),
    )


@dataclass(frozen=True, slots=True)
class _Doubts:
    """The three views, for one look at all quarantines."""

    pool: Pool
    places: Mapping[IPv4Address, str]
    served: frozenset[IPv4Address]
    ruled: frozenset[IPv4Address]
    rested_since: float

    def is_over(self, quarantine: Quarantine) -> bool:
        address = quarantine.address
        match quarantine.reason:
            case QuarantineReason.NOT_IN_EC2 | QuarantineReason.OTHER_ENI:
                owner = self.pool.owner(address)
                # Without a pod only the cooldown is left, which goes on below the quarantine.
                return owner is None or self.places.get(address) == owner.eni_id
            case QuarantineReason.KERNEL_REFUSED:
                return address not in self.served and address not in self.ruled
            case QuarantineReason.UNKNOWN_PAST:
                return address not in self.served and quarantine.since <= self.rested_since
            case _:
                return False
