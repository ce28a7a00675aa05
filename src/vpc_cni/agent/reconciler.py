"""Compares the pool with EC2 from time to time and brings it in line.

EC2's descriptions lag behind its writes, so nothing is taken away on one look: an ENI or address must be missing in
two looks in a row (``ipam.sync`` knows which answers are too old to tell). Additions are safe and happen at once. What
pods use is never taken away: it stays with its pod, quarantined.
"""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from vpc_cni.agent.discovery import AttachedEnis
from vpc_cni.agent.errors_seen import ErrorsSeen
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.provision import CLOSED, Provisioner
from vpc_cni.ec2 import Ec2Client
from vpc_cni.errors import CloudError, KernelError
from vpc_cni.ipam import EniState
from vpc_cni.ipam.ownership import DESCRIPTION_PREFIX, INSTANCE_ID_TAG
from vpc_cni.ipam.sync import PoolSync, apply_sync, plan_sync
from vpc_cni.model import Eni

_log = logging.getLogger(__name__)

# An answer of EC2 may show the state of some seconds before the question, so it says nothing about what is younger.
# Looks that follow each other faster than that may both be too old: two of them are no proof then.
_ANSWER_LAG_SECONDS = 10.0


@dataclass(slots=True)
class Reconciler:
    """Brings the pool in line with EC2. Belongs to the loop.

    Args:
        look: reads the attached ENIs, in a worker thread.
        review: judges quarantined addresses again.
        spawn: runs work, with a name, beside everything else.
    """

    ledger: Ledger
    provisioner: Provisioner
    client: Ec2Client
    instance_id: str
    look: Callable[[], Awaitable[AttachedEnis]]
    review: Callable[[Iterable[Eni], float], None]
    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    metrics: AgentMetrics
    errors: ErrorsSeen
    clock: Callable[[], float]
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
    _opening: set[str] = field(default_factory=set)
    _gone_before: frozenset[str] = frozenset()
    _lost_before: frozenset[IPv4Address] = frozenset()
    _loose_before: frozenset[str] = field(default_factory=frozenset)

    async def run_once(self, *, provisioning: bool) -> AttachedEnis | None:
        """Look and bring in line; return what was seen, None when nothing could be seen.

        Args:
            provisioning: whether ENIs that this node left unattached may be deleted.
        """
        with self.metrics.in_progress.labels("nodeIPPoolReconcile").track_inprogress():
            try:
                asked_at = self.clock()
                seen = await self.look()
                await self._apply(seen, asked_at)
                if seen.is_ec2_word:
                    self.ledger.close_unanswered(asked_at - _ANSWER_LAG_SECONDS)
                if provisioning and seen.is_ec2_word:
                    await self._protect(seen.unprotected)
                    await self._delete_leftovers()
                    await self.provisioner.align_security_groups(seen.managed, seen.security_groups)
            except CloudError as err:
                self.metrics.errors.labels("reconcileFailedGetENIs").inc()
                self.errors.add(err.operation, err)
                _log.warning("reconcile: %s", err)
                return None
        return seen

    async def _apply(self, seen: AttachedEnis, asked_at: float) -> None:
        now, pool = self.clock(), self.ledger.pool
        sync = plan_sync(pool, seen.managed, asked_at=asked_at - _ANSWER_LAG_SECONDS, now=now)
        believed = self._believe(sync, is_ec2_word=seen.is_ec2_word)
        self._report(believed)
        apply_sync(pool, believed, now)
        # Metadata knows no tags: it cannot say which interfaces are ours to use. And while one is being created, it may
        # be that one.
        if seen.is_ec2_word and not self.provisioner.is_creating:
            for eni in sync.new_enis:
                self._take_in(eni)
        self.open_closed()
        self.review(seen.managed, now)

    def _believe(self, sync: PoolSync, *, is_ec2_word: bool) -> PoolSync:
        """Keep what was missing in this look and the one before; metadata alone takes nothing away."""
        gone, lost = frozenset(sync.gone_enis), frozenset(sync.lost)
        believed = dataclasses.replace(
            sync, gone_enis=tuple(gone & self._gone_before), lost=tuple(lost & self._lost_before)
        )
        if not is_ec2_word:
            return dataclasses.replace(sync, gone_enis=(), lost=())
        self._gone_before, self._lost_before = gone, lost
        return believed

    def _report(self, sync: PoolSync) -> None:
        pool = self.ledger.pool
        for eni_id in sync.gone_enis:
            self._count("eniReconcileDel", f"{eni_id} is not attached any more")
            self.metrics.force_removed_enis.inc()
        for eni_id, addresses in sync.gained:
            self._count("eniDataStorePoolReconcileAdd", f"{eni_id} has gained {len(addresses)} addresses")
        if sync.lost:
            in_use = sum(1 for address in sync.lost if pool.owner(address) is not None)
            self._count("eniIPPoolReconcileDel", f"EC2 has taken {len(sync.lost)} addresses, {in_use} from pods")
            self.metrics.force_removed_addresses.inc(in_use)

    def _count(self, site: str, what: str) -> None:
        self.metrics.reconciled.labels(site).inc()
        _log.info("reconcile: %s", what)

    def _take_in(self, eni: Eni) -> None:
        """Adopt an ENI that someone else attached; closed to pods until its link is set up."""
        self._count("eniReconcileAdd", f"{eni.eni_id} was attached by someone else")
        self.ledger.pool.add_eni(eni, self.clock(), state=EniState.ATTACHING)

    def open_closed(self) -> None:
        """Begin to set up the links of ENIs that were just adopted, whose link did not come in time, or has left.

        Nobody waits for it: a link that stays away is awaited for half a minute.
        """
        pool, in_hand = self.ledger.pool, self.provisioner.in_hand | self._opening
        for eni in pool.enis():
            if pool.eni_state(eni.eni_id) in CLOSED and eni.eni_id not in in_hand:
                self._opening.add(eni.eni_id)
                self.spawn(self._open(eni), f"set up {eni.eni_id}")

    async def _open(self, eni: Eni) -> None:
        try:
            await self.provisioner.open_eni(eni)
        except KernelError as err:
            self.errors.add("set up ENI", err)
            _log.warning("%s cannot be used yet: %s", eni.eni_id, err)
        finally:
            self._opening.discard(eni.eni_id)

    async def _protect(self, unprotected: Iterable[Eni]) -> None:
        """Finish what a killed run began: an ENI that it attached must go with its instance."""
        for eni in unprotected:
            if self.ledger.pool.eni_state(eni.eni_id) is EniState.READY:
                await self.provisioner.protect(eni)

    async def _delete_leftovers(self) -> None:
        """Delete ENIs that this node created and never attached, or detached and never deleted.

        Only when found in two looks in a row: one of them may be on its way to be attached.
        """
        found = await self.in_thread(self._find_leftovers)
        loose = frozenset(found) - self.provisioner.in_hand
        for eni_id in loose & self._loose_before:
            _log.info("deleting %s, which this node left unattached", eni_id)
            await self.provisioner.delete_eni(eni_id)
        self._loose_before = loose
        self._settle_loose(frozenset(found))

    def _settle_loose(self, unattached: frozenset[str]) -> None:
        """Close the journal's book on ENIs that a killed run was attaching or deleting, as EC2 shows them now."""
        if self.provisioner.is_creating:
            return
        for eni_id in self.ledger.loose_enis():
            if self.ledger.pool.eni(eni_id) is not None:
                self.ledger.found_attached(eni_id)
            elif eni_id not in unattached | self.provisioner.in_hand:
                self.ledger.found_deleted(eni_id)

    def _find_leftovers(self) -> list[str]:
        filters = {f"tag:{INSTANCE_ID_TAG}": [self.instance_id], "status": ["available"]}
        found = self.client.find_network_interfaces(filters=filters)
        return [each.eni_id for each in found if each.description.startswith(DESCRIPTION_PREFIX)]
