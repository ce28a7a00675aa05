"""Whatever the fabric is and shall be: the plan leads there, and nothing is taken before it is free."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.lab.fabric import EniPort
from vpc_cni.lab.fabric.plan import AnnounceRoutes, AttachPort, DetachPort, WithdrawRoutes, plan_ports

ADDRESSES = [IPv4Network(f"10.0.1.{last}/32") for last in range(6)]
NAMES = ["ens5", "ens6", "ens7"]


@st.composite
def fabrics(draw):
    """Draw ports by id: link names are unique on the one node, and an address has at most one owner."""
    names = draw(st.permutations(NAMES))
    owners = draw(st.lists(st.integers(0, 3), min_size=len(ADDRESSES), max_size=len(ADDRESSES)))
    ports = {}
    for index in range(draw(st.integers(0, 3))):
        routed = frozenset(address for address, owner in zip(ADDRESSES, owners, strict=True) if owner == index)
        ports[f"eni-{index}"] = EniPort(
            eni_id=f"eni-{index}",
            node="i-1",
            ifname=names[index],
            mac=f"0a:00:00:00:00:0{index}",
            primary_address=IPv4Address(f"10.0.0.{index + 4}"),
            gateway=IPv4Address("10.0.0.1"),
            routed=routed,
            forwarding=draw(st.booleans()),
        )
    return ports


class Wires:
    """A fabric of values that refuses what the kernel would refuse."""

    def __init__(self, ports):
        self.links = {port.ifname: eni_id for eni_id, port in ports.items()}
        self.routes = {net: eni_id for eni_id, port in ports.items() if port.forwarding for net in port.routed}
        self.announced = {eni_id for eni_id, port in ports.items() if port.forwarding}

    def apply(self, change):
        match change:
            case DetachPort(eni_id):
                self.links = {name: owner for name, owner in self.links.items() if owner != eni_id}
                self.routes = {net: owner for net, owner in self.routes.items() if owner != eni_id}
                self.announced.discard(eni_id)
            case AttachPort(port):
                assert port.ifname not in self.links
                self.links[port.ifname] = port.eni_id
            case WithdrawRoutes(port, networks):
                for network in networks:
                    assert self.routes.pop(network) == port.eni_id
            case AnnounceRoutes(port, networks, primary):
                assert primary or port.eni_id in self.announced
                self.announced.add(port.eni_id)
                for network in networks:
                    assert network not in self.routes
                    self.routes[network] = port.eni_id


@given(fabrics(), fabrics())
def test_a_plan_leads_from_any_fabric_to_any_other(actual, desired):
    wires, wanted = Wires(actual), Wires(desired)
    for change in plan_ports(actual, desired):
        wires.apply(change)
    assert (wires.links, wires.routes, wires.announced) == (wanted.links, wanted.routes, wanted.announced)


@given(fabrics())
def test_a_fabric_as_desired_needs_no_change(ports):
    assert plan_ports(ports, {eni_id: replace(port) for eni_id, port in ports.items()}) == []
