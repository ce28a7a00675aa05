"""The pool against EC2 while the agent runs: what others changed there, and what an answer is too old to know. Pure.

EC2's answers lag. An address that was added here after the question was asked is not missing; one that was given back
a moment ago is not new. Source of the second rule: the reference waits 60 s before it believes such an answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from vpc_cni.ipam.pool import Pool
from vpc_cni.ipam.states import EniState
from vpc_cni.model import Eni

DISTRUST_SECONDS = 60.0
_OPEN = (EniState.READY, EniState.DRAINING)


@dataclass(frozen=True, slots=True)
class PoolSync:
    """How the pool must change to be as EC2 says; empty when they agree.

    ``new_enis`` need their link set up before they are added. ``gained`` and ``lost`` are addresses of known ENIs, by
    ENI id; a lost address that a pod holds becomes quarantined, never free.
    """

    new_enis: tuple[Eni, ...] = ()
    gone_enis: tuple[str, ...] = ()
    gained: tuple[tuple[str, tuple[IPv4Address, ...]], ...] = ()
    lost: tuple[IPv4Address, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new_enis or self.gone_enis or self.gained or self.lost)


def plan_sync(pool: Pool, enis: Iterable[Eni], *, asked_at: float, now: float) -> PoolSync:
    """Compare the pool with what EC2 answered to a question asked at ``asked_at``. Pure.

    ENIs that are being attached or detached are left to whoever does that. An ENI that joined after the question may
    gain addresses, since what an answer lists is there; it is not missed.
    """
    seen = {eni.eni_id: eni for eni in enis}
    open_enis = [eni_id for eni_id in pool.eni_ids() if pool.eni_state(eni_id) in _OPEN]
    known = [(eni_id, seen[eni_id]) for eni_id in open_enis if eni_id in seen]
    gained = ((eni_id, _gained(pool, eni, now)) for eni_id, eni in known)
    missing = (eni_id for eni_id in open_enis if eni_id not in seen)
    return PoolSync(
        new_enis=tuple(eni for eni in seen.values() if _is_new(pool, eni.eni_id, now)),
        gone_enis=tuple(eni_id for eni_id in missing if _was_there(pool, eni_id, asked_at)),
        gained=tuple((eni_id, addresses) for eni_id, addresses in gained if addresses),
        lost=tuple(each for eni_id, eni in known for each in _lost(pool, eni_id, eni, asked_at)),
    )


def apply_sync(pool: Pool, sync: PoolSync, now: float) -> None:
    """Carry a sync out on the pool, all but ``new_enis``."""
    for eni_id in sync.gone_enis:
        pool.remove_eni(eni_id, now)
    pool.remove_addresses(sync.lost, now)
    for eni_id, addresses in sync.gained:
        pool.add_addresses(eni_id, addresses, now)


def _was_there(pool: Pool, eni_id: str, asked_at: float) -> bool:
    since = pool.known_since(eni_id)
    return since is not None and since < asked_at


def _is_new(pool: Pool, eni_id: str, now: float) -> bool:
    return pool.eni_state(eni_id) is None and not pool.was_removed_since(eni_id, now - DISTRUST_SECONDS)


def _gained(pool: Pool, eni: Eni, now: float) -> tuple[IPv4Address, ...]:
    present = set(pool.addresses_of(eni.eni_id))
    candidates = (each for each in eni.addresses if each not in present)
    return tuple(each for each in candidates if not pool.was_removed_since(each, now - DISTRUST_SECONDS))


def _lost(pool: Pool, eni_id: str, eni: Eni, asked_at: float) -> tuple[IPv4Address, ...]:
    listed = set(eni.addresses)
    missing = (each for each in pool.addresses_of(eni_id) if each not in listed)
    return tuple(each for each in missing if pool.is_settled_at(each, asked_at))
