"""Agreement between what was written down, EC2 and the kernel, after a restart. Pure.

A pod's network is *agreed* when a claim (journal or checkpoint), an address at EC2 and a link in the kernel say the
same. Two of three decide where that is safe; what only one of them knows is quarantined:

| claim | EC2 | link | outcome |
|---|---|---|---|
| yes | yes | yes | agreed |
| yes | yes | no | the sandbox is gone: cooldown from now, its rules are removed |
| yes | no | yes | the pod keeps it, quarantined: nobody else may get it, a DEL still works |
| yes | other ENI | yes | the same |
| yes | no | no | the sandbox is gone: remembered as cooling, in case EC2 shows the address again |
| begun only | any | any | undone: link and rules are removed, cooldown from now; the runtime asks again |
| begun only, records missing | any | serves it | as if complete: a pod may live by it, and a DEL still works |
| cooling | any | yes | still cooling; the link is removed first |
| cooling | any | no | still cooling, its link confirmed gone |
| no | yes | alias names a sandbox | adopted: kernel and EC2 agree on the owner |
| no | yes | without a name | quarantined: a pod of unknown owner |
| no | no | alias names a sandbox | the pod keeps it, quarantined |
| no | yes | no | free; with records missing, or an earlier doubt: quarantined for one cooldown |
| given back | yes | no | given back once more: EC2's description may be older than our giving back, its answer is not |

The alias is the identity of a link, its host route the address that it serves; a name alone counts only for links
without an alias, which the reference made. A link that nothing claims and that serves no address is what a DEL left
behind: it is removed, unless records are missing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from vpc_cni.ipam.pool import Pool
from vpc_cni.ipam.recorded import Claim, KernelLink, KernelView, Recorded
from vpc_cni.ipam.states import Quarantine, QuarantineReason
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey

_POD_REMEDY = "delete the pod, its successor gets another address"
_UNKNOWN_REMEDY = "it is used again when that pod has ended"


@dataclass(frozen=True, slots=True)
class Holding:
    """A sandbox that keeps its address, and its host link."""

    allocation: Allocation
    link: KernelLink


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What holds from now on, and what has to be cleaned up for it.

    Args:
        holdings: what pods hold; no address, key or link occurs twice. Those of quarantined addresses included.
        adopted: keys of holdings that only the kernel knew by name.
        coolings: cooldowns that run on or start now; disjoint from the allocations.
        quarantines: complete; a quarantine that is not listed is over.
        resolved: addresses whose recorded quarantine is over.
        releasing: addresses that EC2 still lists although it was, or may have been, asked to take them: ask again.
        remove_links: links to remove, with the sandbox that they belong to.
        remove_rules: addresses whose rules and host routes must go; before anything is handed out.
        notes: a sentence for each decision that was not plain agreement.
    """

    holdings: tuple[Holding, ...]
    adopted: tuple[SandboxKey, ...]
    coolings: tuple[Cooling, ...]
    quarantines: tuple[Quarantine, ...]
    resolved: tuple[IPv4Address, ...]
    releasing: tuple[IPv4Address, ...]
    remove_links: tuple[KernelLink, ...]
    remove_rules: tuple[IPv4Address, ...]
    notes: tuple[str, ...]

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        return tuple(holding.allocation for holding in self.holdings)


def reconcile(
    recorded: Recorded, enis: Iterable[Eni], kernel: KernelView, *, cooldown_seconds: float, now: float
) -> Reconciliation:
    """Decide what each address is, from three views of the same node. Pure; the same for any order of the inputs.

    Args:
        enis: managed ENIs as EC2 describes them.
        now: CLOCK_BOOTTIME seconds.
    """
    work = _Work(recorded, _places(enis), kernel, cooldown_seconds, now)
    work.judge_claims()
    work.judge_coolings()
    work.judge_links()
    work.judge_rest()
    return work.result()


def restore_pool(pool: Pool, enis: Iterable[Eni], outcome: Reconciliation, now: float) -> None:
    """Fill an empty pool: ENIs first, then who has what.

    Effects: ``releasing`` addresses are marked; the caller repeats their release, or cancels it in the pool.
    """
    for eni in enis:
        pool.add_eni(eni, now)
    for allocation in outcome.allocations:
        pool.restore_allocation(allocation, now)
    for cooling in outcome.coolings:
        pool.restore_cooling(cooling, now)
    for quarantine in outcome.quarantines:
        pool.quarantine(quarantine.address, quarantine.reason, quarantine.since, quarantine.detail)
    pool.begin_release(outcome.releasing)


def _places(enis: Iterable[Eni]) -> dict[IPv4Address, Eni]:
    return {address: eni for eni in enis for address in eni.addresses}


@dataclass(slots=True)
class _Work:
    """One reconciliation under way; ``links`` shrinks as links find their claim."""

    recorded: Recorded
    places: dict[IPv4Address, Eni]
    kernel: KernelView
    cooldown_seconds: float
    now: float
    links: dict[int, KernelLink] = field(default_factory=dict)
    holdings: dict[IPv4Address, Holding] = field(default_factory=dict)
    keys: set[SandboxKey] = field(default_factory=set)
    adopted: list[SandboxKey] = field(default_factory=list)
    coolings: dict[IPv4Address, Cooling] = field(default_factory=dict)
    quarantines: dict[IPv4Address, Quarantine] = field(default_factory=dict)
    remove_links: list[KernelLink] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _recorded_quarantines: dict[IPv4Address, Quarantine] = field(default_factory=dict)
    _by_alias: defaultdict[str, list[KernelLink]] = field(default_factory=lambda: defaultdict(list))
    _by_address: defaultdict[IPv4Address, list[KernelLink]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._recorded_quarantines = {quarantine.address: quarantine for quarantine in self.recorded.quarantines}
        for link in sorted(self.kernel.links, key=lambda link: link.ifindex):
            self.links[link.ifindex] = link
            self._by_alias[link.alias].append(link)
            if link.address is not None:
                self._by_address[link.address].append(link)

    # -- claims ---------------------------------------------------------------------------------------------------

    def judge_claims(self) -> None:
        claims = sorted(self.recorded.claims, key=lambda claim: (claim.allocation.address, claim.allocation.key))
        rivals: defaultdict[IPv4Address, list[tuple[Claim, KernelLink]]] = defaultdict(list)
        for claim in claims:
            link = self._take_link_of(claim)
            if link is None or not self._is_complete(claim, link):
                self._end_claim(claim, link)
            else:
                rivals[claim.allocation.address].append((claim, link))
        # A sandbox that claims several addresses has the one that its link serves.
        for address in sorted(rivals, key=lambda each: not any(link.address == each for _, link in rivals[each])):
            self._judge_rivals(address, rivals[address])

    def _is_complete(self, claim: Claim, link: KernelLink) -> bool:
        """Whether a pod may live by the claim: where records are missing, the commit may be among them."""
        return claim.is_complete or (not self.recorded.is_whole and link.address == claim.allocation.address)

    def _judge_rivals(self, address: IPv4Address, rivals: list[tuple[Claim, KernelLink]]) -> None:
        """One claim with a link is the owner; of several, the one whose link serves the address."""
        serving = [link for _, link in rivals if link.address == address]
        if len(serving) > 1:
            owners = ", ".join(str(claim.allocation.key) for claim, _ in rivals)
            self._disown(address, QuarantineReason.TWO_OWNERS, owners)
            return
        for claim, link in rivals:
            is_known_elsewhere = claim.allocation.key in self.keys
            if link in serving and is_known_elsewhere:
                self._disown(address, QuarantineReason.UNKNOWN_OWNER, f"{claim.allocation.key} has another address too")
            elif link in serving or (len(rivals) == 1 and not is_known_elsewhere):
                self._keep_claim(claim, link)
            else:
                self._end_claim(claim, link)

    def _take_link_of(self, claim: Claim) -> KernelLink | None:
        """Find the link of a claim and take it out of the unclaimed ones."""
        address = claim.allocation.address
        candidates = self._by_alias.get(claim.allocation.key.alias, []) or self._nameless(claim)
        # A sandbox that was added again has two links until the old one is removed; the old one serves no address.
        best_first = sorted(candidates, key=lambda link: (link.address != address, link.ifindex != claim.host_ifindex))
        return self._take(best_first, address)

    def _take(self, candidates: Iterable[KernelLink], address: IPv4Address) -> KernelLink | None:
        for link in candidates:
            if link.ifindex in self.links and link.address in (None, address):
                return self.links.pop(link.ifindex)
        return None

    def _nameless(self, claim: Claim) -> list[KernelLink]:
        """Links of the reference carry no alias: the route tells, or the name where the route is missing."""
        serving = [link for link in self._by_address.get(claim.allocation.address, []) if not link.alias]
        named = [each for each in self._by_alias[""] if each.name == claim.host_ifname and each.address is None]
        return serving or named

    def _keep_claim(self, claim: Claim, link: KernelLink) -> None:
        allocation, place = claim.allocation, self.places.get(claim.allocation.address)
        if place is not None and allocation.eni_id in ("", place.eni_id):
            allocation = replace(allocation, eni_id=place.eni_id, device_number=place.device_number)
        elif place is None:
            self._doubt(
                allocation.address,
                QuarantineReason.NOT_IN_EC2,
                f"{allocation.key} uses it, EC2 lists it nowhere; {_POD_REMEDY}",
            )
        else:
            detail = f"{allocation.key} uses it for {allocation.eni_id}, EC2 lists it on {place.eni_id}; {_POD_REMEDY}"
            self._doubt(allocation.address, QuarantineReason.OTHER_ENI, detail)
        self._hold(allocation, link)

    def _hold(self, allocation: Allocation, link: KernelLink) -> None:
        self.holdings[allocation.address] = Holding(allocation, link)
        self.keys.add(allocation.key)
        self.coolings.pop(allocation.address, None)

    def _end_claim(self, claim: Claim, link: KernelLink | None) -> None:
        allocation = claim.allocation
        why = "its ADD was not finished" if not claim.is_complete else "its link is gone or serves nobody"
        self.notes.append(f"{allocation.key} loses {allocation.address}: {why}")
        if link is not None:
            self.remove_links.append(link)
        until = self.now + self.cooldown_seconds
        earlier = self.coolings.get(allocation.address)
        link_gone = link is None and (earlier is None or earlier.link_gone)
        self.coolings[allocation.address] = Cooling(
            allocation.key, allocation.address, allocation.eni_id, until, link_gone
        )

    # -- coolings -------------------------------------------------------------------------------------------------

    def judge_coolings(self) -> None:
        unclaimed = dict(self.links)
        for cooling in sorted(self.recorded.coolings, key=lambda cooling: int(cooling.address)):
            if cooling.address in self.holdings or cooling.address in self.coolings:
                continue
            links = [
                link
                for link in self._by_alias.get(cooling.key.alias, [])
                if link.ifindex in unclaimed and link.address in (None, cooling.address)
            ]
            # A link without an address may have served any address of its sandbox: each waits for it.
            self.remove_links += [link for link in links if self.links.pop(link.ifindex, None) is not None]
            if links or cooling.until > self.now:
                self.coolings[cooling.address] = replace(cooling, link_gone=not links)

    # -- links that nothing claims --------------------------------------------------------------------------------

    def judge_links(self) -> None:
        left = list(self.links.values())
        serving = Counter(link.address for link in left if link.address is not None)
        named = Counter(link.alias for link in left if link.address is not None)
        for link in left:
            address = link.address
            if address is None:
                self._judge_idle(link)
            elif serving[address] > 1 or self._is_served_by_its_owner(address):
                detail = f"link {link.name} ({link.alias or 'no alias'}) serves it too"
                self._disown(address, QuarantineReason.TWO_OWNERS, detail)
            elif link.key is None or named[link.alias] > 1 or link.key in self.keys:
                self._disown(
                    address,
                    QuarantineReason.UNKNOWN_OWNER,
                    f"link {link.name} serves it for nobody known; {_UNKNOWN_REMEDY}",
                )
            else:
                self._disown(address)
                self._adopt(link, link.key, address)

    def _is_served_by_its_owner(self, address: IPv4Address) -> bool:
        holding = self.holdings.get(address)
        return holding is not None and holding.link.address == address

    def _judge_idle(self, link: KernelLink) -> None:
        if link.alias and self.recorded.is_whole:
            self.remove_links.append(link)
            self.notes.append(f"link {link.name} of {link.alias} is a remainder: it serves no address")
        else:
            self.notes.append(f"link {link.name} ({link.alias or 'no alias'}) is left alone: its address is not known")

    def _adopt(self, link: KernelLink, key: SandboxKey, address: IPv4Address) -> None:
        place = self.places.get(address)
        eni_id, device_number = (place.eni_id, place.device_number) if place is not None else ("", -1)
        self._hold(Allocation(key, address, eni_id, device_number, PodIdentity(), 0), link)
        self.adopted.append(key)
        self.notes.append(f"{key} keeps {address}: link {link.name} says so, no record does")
        if place is None:
            self._doubt(address, QuarantineReason.NOT_IN_EC2, f"{key} uses it, EC2 lists it nowhere; {_POD_REMEDY}")

    # -- the rest -------------------------------------------------------------------------------------------------

    def judge_rest(self) -> None:
        """Addresses without an owner are free, unless they may have had one a moment ago."""
        for address in sorted(self.places.keys() - self.holdings.keys() - self.coolings.keys()):
            old = self._recorded_quarantines.get(address)
            is_sure = old is None and self.recorded.is_whole
            if address in self.quarantines or address in self.recorded.given_back or is_sure:
                continue
            is_waiting = old is not None and old.reason is QuarantineReason.UNKNOWN_PAST
            since = old.since if old is not None and is_waiting else self.now
            if since + self.cooldown_seconds > self.now:
                self._doubt(address, QuarantineReason.UNKNOWN_PAST, "a pod, here or elsewhere, may have it")

    def _disown(self, address: IPv4Address, reason: QuarantineReason | None = None, detail: str = "") -> None:
        """Take the address from whoever has it; with a reason, nobody else gets it either."""
        loser = self.holdings.pop(address, None)
        if loser is not None:
            self.keys.discard(loser.allocation.key)
            self.notes.append(f"{loser.allocation.key} loses {address}: another link serves it")
        self.coolings.pop(address, None)
        self.quarantines.pop(address, None)
        if reason is not None:
            self._doubt(address, reason, detail)

    def _doubt(self, address: IPv4Address, reason: QuarantineReason, detail: str) -> None:
        old = self._recorded_quarantines.get(address)
        since = old.since if old is not None and old.reason is reason else self.now
        eni = self.places.get(address)
        self.quarantines[address] = Quarantine(address, eni.eni_id if eni is not None else "", reason, since, detail)
        self.notes.append(f"{address} is quarantined, {reason}: {detail}")

    def result(self) -> Reconciliation:
        wanted = self.holdings.keys() | self.quarantines.keys()
        busy = wanted | self.coolings.keys()
        return Reconciliation(
            holdings=tuple(self.holdings.values()),
            adopted=tuple(self.adopted),
            coolings=tuple(self.coolings.values()),
            quarantines=tuple(self.quarantines.values()),
            resolved=tuple(q.address for q in self.recorded.quarantines if q.address not in self.quarantines),
            releasing=tuple(sorted((self.recorded.releasing | self.recorded.given_back) & self.places.keys() - busy)),
            remove_links=tuple(self.remove_links),
            remove_rules=tuple(sorted(self.kernel.ruled - wanted)),
            notes=tuple(self.notes),
        )
