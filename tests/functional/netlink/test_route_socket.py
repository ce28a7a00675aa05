"""Encoders and decoders against the real kernel: what is written is read back."""

import errno
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from vpc_cni.errors import CallerError, KernelError
from vpc_cni.netlink import messages
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import Neighbour, Route, Rule
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import IFA_F_NODAD, AddrGenMode, InetConf, NeighbourState, RouteKind, Scope

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make network namespaces")


@pytest.fixture
def left() -> Iterator[Netns]:
    with Netns.create(lo_up=True) as netns:
        yield netns


@pytest.fixture
def right() -> Iterator[Netns]:
    with Netns.create(lo_up=True) as netns:
        yield netns


@pytest.fixture
def kernel(left: Netns) -> Iterator[RouteSocket]:
    with left.route_socket() as sock:
        yield sock


def add_pair(kernel: RouteSocket, right: Netns) -> None:
    kernel.execute(
        [
            messages.add_veth(
                "left0",
                peer_name="right0",
                peer_netns_fd=right.fd,
                mac="02:00:00:00:00:01",
                peer_mac="02:00:00:00:00:02",
                mtu_bytes=9001,
                ifindex=1000,
                peer_ifindex=2000,
            ),
            messages.set_link(1000, up=True, alias="net/abc/eth0", group=77, addr_gen_mode=AddrGenMode.NONE),
            messages.add_altname(1000, "eni-0123456789abcdef0"),
        ]
    )


def test_veth_has_every_property_of_its_creating_batch(kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    link = kernel.find_link(name="left0")
    assert link is not None
    assert (link.ifindex, link.mac, link.mtu_bytes, link.kind) == (1000, "02:00:00:00:00:01", 9001, "veth")
    assert (link.alias, link.group, link.altnames) == ("net/abc/eth0", 77, ("eni-0123456789abcdef0",))
    assert link.is_up
    assert link.peer_ifindex == 2000
    with right.route_socket() as other:
        peer = other.find_link(name="right0")
    assert peer is not None
    assert (peer.ifindex, peer.mac, peer.mtu_bytes) == (2000, "02:00:00:00:00:02", 9001)


def test_links_are_found_by_index_name_and_alternative_name(kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    link = kernel.find_link(ifindex=1000)
    assert link is not None
    assert kernel.find_link(name="eni-0123456789abcdef0") == link
    assert kernel.find_link(name="nothing") is None
    assert kernel.find_link(ifindex=4711) is None
    assert kernel.links_by_index([4711, 1000, 4712]) == {1000: link}
    assert kernel.links_by_index([1000, 4712]) == {1000: link}
    assert link in kernel.list_links()


def test_no_ipv6_address_appears_without_address_generation(kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    with right.route_socket() as other:
        other.execute([messages.set_link(2000, up=True)])
    assert [a for a in kernel.list_addresses(socket.AF_INET6) if a.ifindex == 1000] == []


@pytest.mark.parametrize(("address", "flags"), [("10.0.0.1/24", 0), ("10.9.0.1/32", 0), ("fd00::1/128", IFA_F_NODAD)])
def test_addresses_are_read_back(kernel: RouteSocket, right: Netns, address: str, flags: int) -> None:
    add_pair(kernel, right)
    interface = ip_interface(address)
    kernel.execute([messages.add_address(1000, interface, flags=flags)])
    family = messages.family_of(interface)
    assert interface in [a.interface for a in kernel.list_addresses(family) if a.ifindex == 1000]
    kernel.execute([messages.delete_address(1000, interface)])
    assert interface not in [a.interface for a in kernel.list_addresses(family)]


ROUTES = {
    "link scope": Route(ip_network("10.1.0.5/32"), oif=1000, scope=Scope.LINK),
    "onlink via": Route(ip_network("10.2.0.0/28"), oif=1000, gateway=ip_address("10.1.0.5"), onlink=True),
    "default in a table": Route(ip_network("0.0.0.0/0"), 3, 1000, ip_address("10.1.0.5"), onlink=True),
    "unreachable": Route(ip_network("10.0.0.0/8"), kind=RouteKind.UNREACHABLE),
    "blackhole": Route(ip_network("10.0.0.0/9"), kind=RouteKind.BLACKHOLE, metric=20),
    "big table": Route(ip_network("10.3.0.0/16"), table=10100, oif=1000, scope=Scope.LINK),
    "ipv6": Route(ip_network("fd00:1::/80"), oif=1000, metric=1024),
    "ipv6 via": Route(ip_network("::/0"), 300, 1000, ip_address("fe80::5"), metric=1024, onlink=True),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
def test_routes_are_read_back_equal(kernel: RouteSocket, right: Netns, route: Route) -> None:
    add_pair(kernel, right)
    kernel.execute([messages.add_route(route)])
    family = messages.family_of(route.destination)
    assert route in kernel.list_routes(family)
    assert route in kernel.list_routes(family, table=route.table)
    assert kernel.list_routes(family, table=4711) == []
    kernel.execute([messages.replace_route(route)])
    kernel.execute([messages.delete_route(route)])
    assert route not in kernel.list_routes(family)


RULES = {
    "to": Rule(512, destination=ip_network("10.0.0.5/32")),
    "from": Rule(1536, table=3, source=ip_network("10.0.0.5/32")),
    "mark": Rule(1024, fwmark=0x80, fwmask=0x80),
    "iif": Rule(10, table=1000, iif="left0"),
    "ipv6": Rule(1536, table=300, source=ip_network("fd00::5/128")),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_rules_are_read_back_equal(kernel: RouteSocket, rule: Rule) -> None:
    family = messages.family_of(rule.source) if rule.source else socket.AF_INET
    kernel.execute([messages.add_rule(rule)])
    assert kernel.list_rules(family).count(rule) == 1
    again = kernel.execute([messages.add_rule(rule).tolerating(errno.EEXIST)])
    assert again == {0: errno.EEXIST}
    kernel.execute([messages.delete_rule(rule)])
    assert rule not in kernel.list_rules(family)


@pytest.mark.parametrize("address", ["169.254.1.1", "fe80::5"])
def test_neighbours_are_read_back_equal(kernel: RouteSocket, right: Netns, address: str) -> None:
    add_pair(kernel, right)
    entry = Neighbour(1000, ip_address(address), "02:00:00:00:00:09")
    kernel.execute([messages.replace_neighbour(entry)])
    found = kernel.list_neighbours(messages.family_of(entry.address))
    assert entry in found
    assert entry.state == NeighbourState.PERMANENT
    kernel.execute([messages.delete_neighbour(entry)])


def test_link_settings_are_written_without_proc(left: Netns, kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    kernel.execute([messages.set_link(1000, inet_conf={InetConf.RP_FILTER: 2, InetConf.PROXY_ARP: 1})])
    assert left.read_sysctl("net/ipv4/conf/left0/rp_filter") == "2"
    assert left.read_sysctl("net/ipv4/conf/left0/proxy_arp") == "1"
    assert [c.rp_filter for c in kernel.list_netconf() if c.ifindex == 1000] == [2]


def test_proxy_delay_is_written(left: Netns, kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    kernel.execute([messages.set_proxy_delay(1000, 0)])
    assert left.read_sysctl("net/ipv4/neigh/left0/proxy_delay") == "0"


def test_group_delete_removes_members_only(kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    kernel.execute([messages.add_link("br0", "bridge")])
    kernel.execute([messages.delete_link_group(77)])
    names = [link.name for link in kernel.list_links()]
    assert "left0" not in names
    assert "br0" in names


def test_a_failed_request_is_named_and_does_not_stop_those_behind_it(kernel: RouteSocket) -> None:
    batch = [
        messages.add_rule(RULES["to"]),
        messages.add_route(Route(ip_network("10.1.1.1/32"), oif=4711, scope=Scope.LINK)),
        messages.add_rule(RULES["from"]),
    ]
    with pytest.raises(KernelError, match=r"add route 10\.1\.1\.1/32 in table 254: .*ENODEV") as caught:
        kernel.execute(batch)
    assert caught.value.errno == errno.ENODEV
    assert {RULES["to"], RULES["from"]} <= set(kernel.list_rules())


def test_a_batch_larger_than_one_send_is_split(kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    hosts = [Route(ip_network(f"10.4.{i // 256}.{i % 256}/32"), oif=1000, scope=Scope.LINK) for i in range(3000)]
    assert kernel.execute([messages.add_route(route) for route in hosts]) == {}
    assert set(hosts) <= set(kernel.list_routes(table=254))
    failures = kernel.execute([messages.add_route(route).tolerating(errno.EEXIST) for route in hosts])
    assert failures == dict.fromkeys(range(3000), errno.EEXIST)


def test_a_descriptor_of_another_kind_is_refused_and_closed() -> None:
    one, other = socket.socketpair()
    with other:
        fd = one.detach()
        with pytest.raises(CallerError, match="not a route netlink socket"):
            RouteSocket.from_fd(fd)
        assert other.recv(1) == b""  # the far end sees it closed


def test_a_program_runs_inside(left: Netns) -> None:
    assert b"127.0.0.1" in left.check_output(["ip", "-4", "addr", "show", "lo"])
    assert os.stat("/proc/self/ns/net").st_ino != left.inode


def test_dumps_stay_whole_while_links_come_and_go(left: Netns, kernel: RouteSocket, right: Netns) -> None:
    add_pair(kernel, right)
    hosts = [Route(ip_network(f"10.5.{i // 256}.{i % 256}/32"), oif=1000, scope=Scope.LINK) for i in range(2000)]
    kernel.execute([messages.add_route(route) for route in hosts])
    stop = time.monotonic() + 0.3

    def churn() -> None:
        with RouteSocket.open() as sock:
            while time.monotonic() < stop:
                route = Route(ip_network("10.6.0.1/32"), oif=1000, scope=Scope.LINK)
                sock.execute([messages.replace_route(route), messages.delete_route(route)])

    thread = left.start_thread(churn)
    while thread.is_alive():
        assert set(hosts) <= set(kernel.list_routes(table=254))
    thread.join()


def test_links_are_listed_on_a_node_that_never_rests(left: Netns, kernel: RouteSocket) -> None:
    """No dump of so many links stays undisturbed; those that stay are all listed nevertheless."""
    pairs = [
        messages.add_veth(f"a{i}", peer_name=f"b{i}", ifindex=2 * i, peer_ifindex=2 * i + 1, queues=1)
        for i in range(100, 400)
    ]
    kernel.execute(pairs)
    stop = threading.Event()

    def churn() -> None:
        with RouteSocket.open() as sock:
            for number in itertools.count(10_000, 2):
                if stop.is_set():
                    return
                pair = messages.add_veth("x", peer_name="y", ifindex=number, peer_ifindex=number + 1, queues=1)
                sock.execute([pair, messages.delete_link(number)])

    thread = left.start_thread(churn)
    try:
        for _ in range(5):
            listed = [link.ifindex for link in kernel.list_links() if link.ifindex < 10_000]
            assert listed == [1, *range(200, 800)]
    finally:
        stop.set()
        thread.join()


def test_a_broken_dump_does_not_spoil_the_next_request(kernel: RouteSocket, right: Netns) -> None:
    """Even one that is left in the middle, with parts in the kernel that nobody has asked for yet."""
    add_pair(kernel, right)
    hosts = [Route(ip_network(f"10.7.{i // 256}.{i % 256}/32"), oif=1000, scope=Scope.LINK) for i in range(2000)]
    kernel.execute([messages.add_route(route) for route in hosts])

    def refuse(_body: bytes) -> None:
        raise KernelError("not a route", errno=errno.EBADMSG)

    with pytest.raises(KernelError, match="not a route"):
        kernel.dump(26, messages.RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0), 24, refuse)
    assert set(hosts) <= set(kernel.list_routes(table=254))
