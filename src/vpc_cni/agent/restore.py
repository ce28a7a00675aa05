"""Brings pool, journal and kernel to agreement: once at start, and for quarantined addresses from time to time.

Reads three views of the node (what was written down, what EC2 gives, what the kernel has), lets the pure
``ipam.reconcile`` judge them, and carries the judgement out: pool filled, journal rewritten, remainders removed.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.agent.checkpoint_file import CheckpointFile
from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.pod_plane import PodWirer
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.errors import VpcCniError
from vpc_cni.ipam.checkpoint import decode_checkpoint, digest
from vpc_cni.ipam.doubts import review_quarantines
from vpc_cni.ipam.journal import JournalRead
from vpc_cni.ipam.reconcile import Reconciliation, reconcile, restore_pool
from vpc_cni.ipam.recorded import KernelLink, KernelView, Recorded, recorded_in_checkpoint, recorded_in_journal
from vpc_cni.ipam.restart import records_after_restart
from vpc_cni.model import MAIN_TABLE, Eni, SandboxKey
from vpc_cni.netlink.objects import Link, Route, Rule
from vpc_cni.netlink.pod import PodPlane
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.wiring import FROM_POD_PRIORITY, TO_POD_PRIORITY

_log = logging.getLogger(__name__)
# Rules are found by address; whose they were does not matter any more.
_NOBODY = SandboxKey("", "", "")


@dataclass(slots=True)
class Restorer:
    """Compares and carries out. Belongs to the loop.

    Args:
        cooldown_seconds: for addresses whose sandbox turns out to be gone.
        on_problem: told of what an operator should know: what was being done, and the error.
    """

    ledger: Ledger
    journal: JournalFile
    checkpoint: CheckpointFile
    plane: PodPlane
    wirer: PodWirer
    host: RouteSocket
    veth_prefix: str
    cooldown_seconds: float
    reach: Reach
    on_problem: Callable[[str, Exception], None]
    _taken_in: str = field(default="", init=False)
    """Digest of another program's checkpoint whose word counted."""

    def restore(self, read: JournalRead, enis: Iterable[Eni], now: float) -> Reconciliation:
        """Judge and carry out; before the first request.

        Args:
            read: what opening the journal reported.
            enis: managed ENIs as EC2 (or, failing that, metadata) describes them.
        """
        managed = tuple(enis)
        kernel = self._look_at_kernel()
        recorded = self._recorded(read, has_pods=bool(kernel.links))
        self.reach(Step.RESTORE_READ)
        outcome = reconcile(recorded, managed, kernel, cooldown_seconds=self.cooldown_seconds, now=now)
        for note in outcome.notes:
            _log.info("restore: %s", note)
        self.journal.replace(records_after_restart(outcome, self.journal.state, taken_in=self._taken_in))
        self.reach(Step.RESTORE_WRITTEN)
        restore_pool(self.ledger.pool, managed, outcome, now)
        self._clean(outcome)
        self.reach(Step.RESTORE_CLEANED)
        for holding in outcome.holdings:
            if not holding.link.alias:  # made by another implementation: give it its identity
                self.plane.adopt_link(holding.link.ifindex, holding.allocation.key)
                self.reach(Step.LINK_ADOPTED)
        self._expect_pods()
        return outcome

    def review(self, enis: Iterable[Eni], now: float) -> None:
        """Look again at quarantined addresses and lift what is settled."""
        if not self.ledger.pool.quarantines():
            return
        pool, kernel = self.ledger.pool, self._look_at_kernel()
        review = review_quarantines(pool, enis, kernel, cooldown_seconds=self.cooldown_seconds, now=now)
        ended = {*review.resolved, *(quarantine.address for quarantine in review.replaced)}
        for address in ended & kernel.ruled:
            if pool.owner(address) is None:  # no DEL could name the rules of an unknown pod
                self.plane.unwire(_NOBODY, address, 0)
        for address in review.resolved:
            _log.info("%s is no longer in doubt", address)
            self.ledger.resolve(address)
        for quarantine in review.replaced:
            self.ledger.resolve(quarantine.address)
            self.ledger.quarantine(quarantine.address, quarantine.reason, quarantine.since, quarantine.detail)

    def _look_at_kernel(self) -> KernelView:
        links = self.plane.list_pod_links(self.veth_prefix)
        return kernel_view(links, self.host.list_routes(table=MAIN_TABLE), self.host.list_rules())

    def _recorded(self, read: JournalRead, *, has_pods: bool) -> Recorded:
        """Choose whose word counts: our journal's, or a checkpoint that someone else has written since."""
        for damage in read.damage:
            _log.warning("journal: %s", damage)
        is_whole = read.is_intact and not (has_pods and not read.records)
        recorded = recorded_in_journal(self.journal.state, is_whole=is_whole)
        content = self.checkpoint.read()
        if content is None or self.journal.state.wrote_checkpoint(digest(content)):
            return recorded
        try:
            checkpoint = decode_checkpoint(content)
        except VpcCniError as err:
            kept = self.checkpoint.keep_aside(content)
            _log.error("checkpoint is left aside, and kept as %s: %s", kept, err)
            self.on_problem("read the checkpoint", err)
            return recorded
        for problem in checkpoint.problems:
            _log.warning("checkpoint, kept as %s: %s", self.checkpoint.keep_aside(content), problem)
        _log.info("taking over from another program: its checkpoint names %d pods", len(checkpoint.entries))
        self._taken_in = digest(content)
        whole = recorded_in_journal(self.journal.state, is_whole=read.is_intact)
        return recorded_in_checkpoint(checkpoint, self.veth_prefix, whole)

    def _clean(self, outcome: Reconciliation) -> None:
        """Remove rules and links that belong to nobody any more."""
        cooling_by_alias = {cooling.key.alias: cooling for cooling in outcome.coolings}
        for link in outcome.remove_links:
            cooling = cooling_by_alias.get(link.alias)
            if cooling is None or not self.wirer.unwire(cooling.key, cooling.address, link.ifindex):
                self.plane.discard_link(link.ifindex)
        for address in outcome.remove_rules:
            self.plane.unwire(_NOBODY, address, 0)

    def _expect_pods(self) -> None:
        for allocation in self.ledger.pool.allocations():
            committed = self.ledger.wired(allocation.key)
            if committed is not None:
                self.wirer.expect(allocation, committed)


def kernel_view(links: Iterable[Link], routes: Iterable[Route], rules: Iterable[Rule]) -> KernelView:
    """Return pod networking as the kernel has it. Pure."""
    pod_links = list(links)
    indexes = {link.ifindex for link in pod_links}
    by_link = {route.oif: address for route in routes if (address := _host_address(route.destination)) is not None}
    ruled = {address for rule in rules if (address := _ruled_address(rule)) is not None}
    routed = {address for oif, address in by_link.items() if oif in indexes}
    return KernelView(
        tuple(KernelLink(link.ifindex, link.name, link.alias, by_link.get(link.ifindex)) for link in pod_links),
        frozenset(ruled | routed),
    )


def _host_address(destination: object) -> IPv4Address | None:
    if isinstance(destination, IPv4Network) and destination.prefixlen == 32:
        return destination.network_address
    return None


def _ruled_address(rule: Rule) -> IPv4Address | None:
    if rule.priority == TO_POD_PRIORITY:
        return _host_address(rule.destination)
    if rule.priority == FROM_POD_PRIORITY:
        return _host_address(rule.source)
    return None
