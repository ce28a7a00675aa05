"""The pool against a model that remembers everything: who had which address, until when, and through which link."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule
from ipam_strategies import CIDR, make_eni

from vpc_cni.ipam import AddressState, EniState, Pool, QuarantineReason
from vpc_cni.model import Allocation, Cooling, PodIdentity, SandboxKey

COOLDOWN = 30.0
KEYS = [SandboxKey("net", f"c{i}", "eth0") for i in range(4)]
keys = st.sampled_from(KEYS)


@dataclass
class Past:
    """What the model knows of one address."""

    owner: SandboxKey | None = None
    cooling: Cooling | None = None
    doubtful: bool = False
    going_back: bool = False

    def is_over(self, now: float) -> bool:
        return self.cooling is not None and self.cooling.link_gone and self.cooling.until <= now


@dataclass
class Model:
    now: float = 100.0
    addresses: dict[IPv4Address, Past] = field(default_factory=dict)
    usable_enis: dict[str, set[IPv4Address]] = field(default_factory=dict)
    unusable_enis: dict[str, set[IPv4Address]] = field(default_factory=dict)

    def places(self) -> list[set[IPv4Address]]:
        return [*self.usable_enis.values(), *self.unusable_enis.values()]

    def may_serve(self, address: IPv4Address) -> bool:
        past = self.addresses[address]
        rested = past.cooling is None or past.is_over(self.now)
        in_place = any(address in held for held in self.usable_enis.values())
        return in_place and rested and not past.doubtful and not past.going_back and past.owner is None


class PoolMachine(RuleBasedStateMachine):
    releasing = Bundle("releasing")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(COOLDOWN)
        self.model = Model()
        self.enis = 0

    @initialize(count=st.integers(1, 4))
    def primary(self, count: int) -> None:
        self.add_eni(count, EniState.READY)

    # -- EC2 ------------------------------------------------------------------------------------------------------

    @rule(count=st.integers(0, 4), state=st.sampled_from([EniState.READY, EniState.ATTACHING]))
    @precondition(lambda self: self.enis < 4)
    def add_eni(self, count: int, state: EniState) -> None:
        number = self.enis
        self.enis += 1
        held = tuple(CIDR.network_address + 256 * (number + 1) + i for i in range(count))
        self.pool.add_eni(make_eni(number, held), self.model.now, state=state)
        places = self.model.usable_enis if state is EniState.READY else self.model.unusable_enis
        places[f"eni-{number}"] = set(held)
        self.model.addresses.update((address, Past()) for address in held)

    @rule(data=st.data(), state=st.sampled_from([EniState.READY, EniState.DRAINING]))
    @precondition(lambda self: self.enis > 0)
    def move_eni(self, data: st.DataObject, state: EniState) -> None:
        eni_id = data.draw(st.sampled_from(sorted({**self.model.usable_enis, **self.model.unusable_enis})))
        held = self.model.usable_enis.pop(eni_id, None)
        held = held if held is not None else self.model.unusable_enis.pop(eni_id)
        (self.model.usable_enis if state is EniState.READY else self.model.unusable_enis)[eni_id] = held
        self.pool.set_eni_state(eni_id, state)

    @rule(target=releasing, data=st.data())
    def begin_release(self, data: st.DataObject) -> IPv4Address | None:
        self.pool.view(self.model.now)
        free = [each for each in self.model.addresses if self.pool.state(each) is AddressState.FREE]
        if not free:
            return None
        address = data.draw(st.sampled_from(sorted(free)))
        self.pool.begin_release([address])
        self.model.addresses[address].going_back = True
        return address

    @rule(address=consumes(releasing), taken=st.booleans())
    def finish_release(self, address: IPv4Address | None, taken: bool) -> None:
        past = self.model.addresses.get(address) if address is not None else None
        if address is None or past is None:
            return
        past.going_back = False
        if taken:
            self.pool.remove_addresses([address], self.model.now)
            self._forget(address)
        else:
            self.pool.cancel_release([address])

    @rule(data=st.data())
    @precondition(lambda self: self.model.addresses)
    def ec2_takes_away(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.model.addresses)))
        past = self.model.addresses[address]
        self.pool.remove_addresses([address], self.model.now)
        if past.owner is None and (past.cooling is None or past.is_over(self.model.now)):
            self._forget(address)
            return
        for held in self.model.places():
            held.discard(address)
        past.doubtful = past.doubtful or past.owner is not None

    @rule(data=st.data(), number=st.integers(0, 200))
    @precondition(lambda self: self.enis > 0)
    def ec2_gives(self, data: st.DataObject, number: int) -> None:
        """An address, new or remembered, that is on no other ENI."""
        eni_id = data.draw(st.sampled_from(sorted({**self.model.usable_enis, **self.model.unusable_enis})))
        homeless = [each for each in self.model.addresses if not any(each in held for held in self.model.places())]
        address = data.draw(st.sampled_from([*sorted(homeless), CIDR.network_address + 5000 + number]))
        if any(address in held for held in self.model.places()):
            return
        past = self.model.addresses.get(address)
        if past is not None and past.owner is None and not past.doubtful and past.is_over(self.model.now):
            past.cooling = None
        self.pool.add_addresses(eni_id, [address], self.model.now)
        self.model.addresses.setdefault(address, Past())
        {**self.model.usable_enis, **self.model.unusable_enis}[eni_id].add(address)

    def _forget(self, address: IPv4Address) -> None:
        for held in self.model.places():
            held.discard(address)
        del self.model.addresses[address]

    # -- pods -----------------------------------------------------------------------------------------------------

    @rule(key=keys)
    def assign_again(self, key: SandboxKey) -> None:
        """Twice as likely as the rest: most of what can go wrong needs a pod."""
        self.assign(key)

    @rule(key=keys)
    def assign(self, key: SandboxKey) -> None:
        held = next((address for address, past in self.model.addresses.items() if past.owner == key), None)
        could = [address for address in self.model.addresses if self.model.may_serve(address)]
        allocation = self.pool.assign(key, PodIdentity(), self.model.now, allocated_at_ns=0)
        if held is not None:
            assert allocation is not None
            assert allocation.address == held
            return
        assert (allocation is None) == (not could)
        if allocation is not None:
            assert allocation.address in could
            past = self.model.addresses[allocation.address]
            past.owner, past.cooling = key, None

    @rule(key=keys, link_gone=st.booleans())
    def release(self, key: SandboxKey, link_gone: bool) -> None:
        held = next((address for address, past in self.model.addresses.items() if past.owner == key), None)
        cooling = self.pool.release(key, self.model.now, link_gone=link_gone)
        assert (cooling is None) == (held is None)
        if cooling is not None and held is not None:
            assert cooling == Cooling(key, held, cooling.eni_id, self.model.now + COOLDOWN, link_gone)
            self.model.addresses[held].owner = None
            self.model.addresses[held].cooling = cooling

    @rule(key=keys)
    def abandon(self, key: SandboxKey) -> None:
        held = next((past for past in self.model.addresses.values() if past.owner == key), None)
        assert self.pool.abandon(key) == (held is not None)
        if held is not None:
            held.owner = None

    @rule(key=keys)
    def confirm_link_gone(self, key: SandboxKey) -> None:
        waiting = []
        for address, past in self.model.addresses.items():
            if past.cooling is not None and past.cooling.key == key and not past.cooling.link_gone:
                cooling = past.cooling
                past.cooling = Cooling(key, address, cooling.eni_id, cooling.until, link_gone=True)
                waiting.append(address)
        assert self.pool.confirm_link_gone(key) == tuple(sorted(waiting))

    @rule(seconds=st.sampled_from([0.0, 1.0, 29.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.model.now += seconds

    # -- doubt ----------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    @precondition(lambda self: self.model.addresses)
    def quarantine(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.model.addresses)))
        if not self.model.addresses[address].going_back:
            self.pool.quarantine(address, QuarantineReason.UNKNOWN_OWNER, self.model.now)
            self.model.addresses[address].doubtful = True

    @rule(data=st.data())
    @precondition(lambda self: self.model.addresses)
    def resolve(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.model.addresses)))
        self.pool.resolve(address)
        self.model.addresses[address].doubtful = False

    @rule()
    def restart(self) -> None:
        """Everything that the pool can say about itself, given to a new pool, makes the same pool."""
        old, self.pool = self.pool, Pool(COOLDOWN)
        for eni in old.enis():
            self.pool.add_eni(make_eni(eni.device_number), self.model.now, state=old.eni_state(eni.eni_id) or "")
            self.pool.add_addresses(eni.eni_id, old.addresses_of(eni.eni_id), self.model.now)
        for allocation in old.allocations():
            self.pool.restore_allocation(allocation, self.model.now)
        for cooling in old.coolings():
            self.pool.restore_cooling(cooling, self.model.now)
        for doubt in old.quarantines():
            self.pool.quarantine(doubt.address, doubt.reason, doubt.since, doubt.detail)
        self.pool.begin_release(info.address for info in old.addresses() if info.state is AddressState.RELEASING)

    # -- always ---------------------------------------------------------------------------------------------------

    @invariant()
    def nobody_shares(self) -> None:
        allocations = self.pool.allocations()
        assert (
            len({each.address for each in allocations}) == len({each.key for each in allocations}) == len(allocations)
        )
        expected = {past.owner: address for address, past in self.model.addresses.items() if past.owner is not None}
        assert {each.key: each.address for each in allocations} == expected

    @invariant()
    def free_means_usable_by_the_model(self) -> None:
        view = self.pool.view(self.model.now)
        free = {item.address for eni in view.enis if eni.state is EniState.READY for item in eni.free}
        assert free == {address for address in self.model.addresses if self.model.may_serve(address)}

    @invariant()
    def counts_are_those_of_the_addresses(self) -> None:
        states = [info.state for info in self.pool.addresses() if info.eni_id]
        view = self.pool.view(self.model.now)
        states = [info.state for info in self.pool.addresses() if info.eni_id]
        for state, count in (
            (AddressState.ASSIGNED, sum(eni.assigned for eni in view.enis)),
            (AddressState.COOLING, sum(eni.cooling for eni in view.enis)),
            (AddressState.QUARANTINED, sum(eni.quarantined for eni in view.enis)),
            (AddressState.RELEASING, sum(eni.releasing for eni in view.enis)),
            (AddressState.FREE, sum(len(eni.free) for eni in view.enis)),
        ):
            assert states.count(state) == count

    @invariant()
    def next_ready_is_the_first_usable_cooldown(self) -> None:
        coming = [
            past.cooling.until
            for address, past in self.model.addresses.items()
            if past.cooling is not None and past.cooling.link_gone and past.cooling.until > self.model.now
            if past.owner is None and not past.doubtful
            if any(address in held for held in self.model.usable_enis.values())
        ]
        assert self.pool.next_ready_at(self.model.now) == min(coming, default=None)


PoolMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestPool = PoolMachine.TestCase


def test_order_of_confirmation_and_time_does_not_matter() -> None:
    ready: list[Allocation | None] = []
    for confirm_first in (True, False):
        pool = Pool(COOLDOWN)
        pool.add_eni(make_eni(0, (CIDR.network_address + 10,)), 0.0)
        pool.assign(KEYS[0], PodIdentity(), 0.0, allocated_at_ns=0)
        pool.release(KEYS[0], 1.0)
        if confirm_first:
            pool.confirm_link_gone(KEYS[0])
        assert pool.assign(KEYS[1], PodIdentity(), 30.9, allocated_at_ns=0) is None
        if not confirm_first:
            assert pool.assign(KEYS[1], PodIdentity(), 99.0, allocated_at_ns=0) is None
            pool.confirm_link_gone(KEYS[0])
        ready.append(pool.assign(KEYS[1], PodIdentity(), 99.0, allocated_at_ns=0))
    assert ready[0] == ready[1] is not None
