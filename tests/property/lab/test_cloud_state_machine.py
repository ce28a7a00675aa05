"""Random sequences of operations on the cloud keep its books: addresses, limits, free counts, events, failed calls."""

from collections import Counter
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from vpc_cni.lab.cloud import (
    Cloud,
    CloudApiError,
    CloudSettings,
    ManualClock,
    addresses,
    instances,
    interfaces,
    networks,
    tags,
)
from vpc_cni.lab.cloud.addresses import Order4, Order6
from vpc_cni.lab.cloud.events import AddressesAssigned, AddressesUnassigned, EniAttached, EniDetached, Event
from vpc_cni.lab.cloud.interfaces import InterfaceRequest
from vpc_cni.lab.cloud.records import AttachmentStatus, Interface, Network, ReservationKind

# Small enough to run out of everything within a few steps.
CIDRS = (IPv4Network("10.0.0.0/26"), IPv4Network("10.0.1.0/28"))
SIX = IPv6Network("2001:db8:1000::/64")
SMALL = st.integers(0, 4)
OFFSETS = st.integers(0, 63)


class RouteMirror:
    """What a packet fabric would route, from events alone."""

    def __init__(self) -> None:
        self.routes: dict[str, set[Network]] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case EniAttached(eni, _):
                self.routes[eni.eni_id] = set(eni.networks())
            case EniDetached(eni, _):
                del self.routes[eni.eni_id]
            case AddressesAssigned(eni, networks_) if eni.eni_id in self.routes:
                self.routes[eni.eni_id] |= set(networks_)
            case AddressesUnassigned(eni, networks_) if eni.eni_id in self.routes:
                self.routes[eni.eni_id] -= set(networks_)


class CloudMachine(RuleBasedStateMachine):
    enis = Bundle("enis")
    nodes = Bundle("nodes")
    reserved = Bundle("reserved")

    @initialize(seed=st.integers(0, 2**16), seconds=st.sampled_from([0.0, 5.0]))
    def start(self, seed: int, seconds: float) -> None:
        self.clock = ManualClock()
        lags = CloudSettings(attach_seconds=seconds, detach_seconds=seconds)
        self.cloud = Cloud(lags, clock=self.clock, seed=seed)
        self.mirror = RouteMirror()
        self.cloud.subscribe(self.mirror)
        vpc = networks.create_vpc(self.cloud, IPv4Network("10.0.0.0/16"), ipv6=True)
        self.subnets = [
            networks.create_subnet(self.cloud, vpc.vpc_id, cidr, ipv6_cidr=six).subnet_id
            for cidr, six in zip(CIDRS, (SIX, None), strict=True)
        ]

    def attempt(self, work: Any) -> Any:
        """Do something that may be refused; a refusal must leave no trace."""
        before = self.everything()
        try:
            return work()
        except CloudApiError:
            assert self.everything() == before
            return None

    def everything(self) -> Any:
        cloud = self.cloud
        cloud.now()
        books = [(space.used(), space.prefixes(), space.free_count) for space in cloud.spaces.values()]
        tables = (cloud.interfaces, cloud.instances, cloud.reservations, cloud.tags)
        return books, [table.items() for table in tables], {k: set(v) for k, v in self.mirror.routes.items()}

    @rule(target=nodes, which=st.integers(0, 1), kind=st.sampled_from(["t3.small", "m5.large", "p4d.24xlarge"]))
    def start_instance(self, which: int, kind: str) -> Any:
        request = instances.simple_request(self.subnets[which], kind)
        started = self.attempt(lambda: instances.run(self.cloud, request))
        return multiple(started.instance_id) if started else multiple()

    @rule(node=consumes(nodes))
    def end_instance(self, node: str) -> None:
        instances.terminate(self.cloud, node)

    @rule(target=enis, which=st.integers(0, 1), count=SMALL, blocks=st.integers(0, 2), six=st.integers(0, 1))
    def create_eni(self, which: int, count: int, blocks: int, six: int) -> Any:
        request = InterfaceRequest(
            self.subnets[which],
            ipv4=Order4(count=count, prefix_count=blocks),
            ipv6=Order6(count=six),
            tags={"a": "b"},
        )
        made = self.attempt(lambda: interfaces.create(self.cloud, request))
        return multiple(made.eni_id) if made else multiple()

    @rule(eni=enis)
    def delete_eni(self, eni: str) -> None:
        self.attempt(lambda: interfaces.delete(self.cloud, eni))

    @rule(eni=enis, node=nodes, index=st.integers(0, 4), card=st.integers(0, 4), together=st.booleans())
    def attach(self, eni: str, node: str, index: int, card: int, together: bool) -> None:
        self.attempt(
            lambda: interfaces.attach(
                self.cloud, eni, node, index, card_index=card if together else 0, delete_on_termination=together
            )
        )

    @rule(eni=enis)
    def detach(self, eni: str) -> None:
        found = self.cloud.interfaces.get(eni)
        attachment_id = found.attachment.attachment_id if found and found.attachment else "eni-attach-0"
        self.attempt(lambda: interfaces.detach(self.cloud, attachment_id))

    @rule(eni=enis, count=SMALL, blocks=st.integers(0, 2), count6=SMALL, blocks6=st.integers(0, 1))
    def assign_some(self, eni: str, count: int, blocks: int, count6: int, blocks6: int) -> None:
        self.attempt(lambda: addresses.assign(self.cloud, eni, Order4(count=count, prefix_count=blocks)))
        self.attempt(lambda: addresses.assign6(self.cloud, eni, Order6(count=count6, prefix_count=blocks6)))

    @rule(eni=enis, offsets=st.lists(OFFSETS, min_size=1, max_size=3), move=st.booleans())
    def assign_named(self, eni: str, offsets: list[int], move: bool) -> None:
        named = tuple(CIDRS[0].network_address + offset for offset in offsets)
        self.attempt(lambda: addresses.assign(self.cloud, eni, Order4(addresses=named), allow_reassignment=move))

    @rule(eni=enis, block=st.integers(0, 3))
    def assign_named_block(self, eni: str, block: int) -> None:
        prefix = list(CIDRS[0].subnets(new_prefix=28))[block]
        self.attempt(lambda: addresses.assign(self.cloud, eni, Order4(prefixes=(prefix,))))

    @rule(eni=enis, data=st.data())
    def unassign(self, eni: str, data: st.DataObject) -> None:
        found = self.cloud.interfaces.get(eni)
        if found is None:
            return
        gone = data.draw(st.lists(st.sampled_from([found.primary, *found.secondary]), max_size=3))
        blocks = data.draw(st.lists(st.sampled_from(found.prefixes), max_size=1)) if found.prefixes else []
        self.attempt(lambda: addresses.unassign(self.cloud, eni, gone, blocks))

    @rule(eni=enis, every=st.booleans())
    def unassign6(self, eni: str, every: bool) -> None:
        found = self.cloud.interfaces.get(eni)
        if found is not None:
            blocks = found.ipv6_prefixes if every else ()
            addresses.unassign6(self.cloud, eni, found.ipv6[:1], blocks)

    @rule(target=reserved, block=st.integers(0, 3), kind=st.sampled_from(ReservationKind))
    def reserve(self, block: int, kind: ReservationKind) -> Any:
        cidr = list(CIDRS[0].subnets(new_prefix=28))[block]
        made = self.attempt(lambda: networks.create_reservation(self.cloud, self.subnets[0], cidr, kind))
        return multiple(made.reservation_id) if made else multiple()

    @rule(reservation=consumes(reserved))
    def unreserve(self, reservation: str) -> None:
        networks.delete_reservation(self.cloud, reservation)

    @rule(eni=enis, key=st.sampled_from(["a", "b", "aws:c"]))
    def tag(self, eni: str, key: str) -> None:
        self.attempt(lambda: tags.create(self.cloud, [eni], {key: "x"}))

    @rule(seconds=st.sampled_from([1.0, 5.0, 700.0, 4000.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.cloud.now()

    @invariant()
    def no_address_has_two_owners(self) -> None:
        owners: Counter[Network] = Counter()
        for eni in self.cloud.interfaces.values():
            owners.update(eni.networks())
        assert not [network for network, count in owners.items() if count > 1]
        singles = [network for network in owners if network.prefixlen in {32, 128}]
        blocks = [network for network in owners if network.prefixlen in {28, 80}]
        for single in singles:
            assert not any(single.version == block.version and single.subnet_of(block) for block in blocks)

    @invariant()
    def the_index_of_owners_agrees(self) -> None:
        for eni in self.cloud.interfaces.values():
            for network in eni.networks():
                owner = self.cloud.eni_of_address(eni.vpc_id, network.network_address)
                assert owner is not None
                assert owner.eni_id == eni.eni_id

    @invariant()
    def books_agree_with_interfaces(self) -> None:
        for subnet_id, space in self.cloud.spaces.items():
            mine = [eni for eni in self.cloud.interfaces.values() if eni.subnet_id == subnet_id]
            used = {address for eni in mine for address in (eni.primary, *eni.secondary)}
            prefixes = {prefix for eni in mine for prefix in eni.prefixes}
            assert (space.used(), space.prefixes()) == (used, prefixes)
            assert space.free_count == space.cidr.num_addresses - 5 - len(used) - 16 * len(prefixes)
            assert not used & fixed(space.cidr)

    @invariant()
    def limits_hold(self) -> None:
        for instance in self.cloud.instances.values():
            kind = self.cloud.type_of(instance)
            mine = self.cloud.interfaces_of(instance.instance_id)
            places = [(eni.attachment.card_index, eni.attachment.device_index) for eni in mine if eni.attachment]
            assert len(mine) <= kind.total_enis
            assert len(set(places)) == len(places)
            for card, count in Counter(card for card, _ in places).items():
                assert count <= kind.network_cards[card].max_enis
            assert all(within_type(eni, kind.ipv4_per_eni, kind.ipv6_per_eni) for eni in mine)

    @invariant()
    def events_tell_all_routes(self) -> None:
        attached = {
            eni.eni_id: set(eni.networks())
            for eni in self.cloud.interfaces.values()
            if eni.attachment and eni.attachment.status is not AttachmentStatus.DETACHING
        }
        assert self.mirror.routes == attached

    @invariant()
    def only_living_resources_have_tags(self) -> None:
        for resource_id, _ in self.cloud.tags.items():
            tags.require(self.cloud, resource_id)


def fixed(cidr: IPv4Network) -> set[IPv4Address]:
    return {*(cidr.network_address + n for n in range(4)), cidr.broadcast_address}


def within_type(eni: Interface, ipv4: int, ipv6: int) -> bool:
    return eni.ipv4_slots <= ipv4 and eni.ipv6_slots <= ipv6


TestCloudMachine = CloudMachine.TestCase
TestCloudMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
