"""ADD, DEL and CHECK of pods in real namespaces."""

import errno
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import pytest

from vpc_cni.errors import KernelError
from vpc_cni.netlink import messages
from vpc_cni.netlink.check import check_pod
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.objects import Neighbour, Route, Rule
from vpc_cni.netlink.pod import PodPlane
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wire import Message
from vpc_cni.netlink.wiring import GATEWAY, pod_rules

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Node, Pod


def differences(node: "Node", pod: "Pod", number: int = 1, **wiring: object) -> list[str]:
    return check_pod(node.wiring(number, **wiring), host=node.host, pod=pod.sock)


def pod_rules_left(node: "Node") -> list[Rule]:
    return [rule for rule in node.host.list_rules() if rule.priority in {512, 1536}]


def test_pod_talks_to_its_node_and_to_other_pods(node: "Node") -> None:
    one, other = node.new_pod(), node.new_pod()
    node.wire(node.wiring(1), one)
    node.wire(node.wiring(2), other)
    assert node.talks(one.netns, node.netns, node.address)
    assert node.talks(node.netns, one.netns, IPv4Address("10.0.1.1"))
    assert node.talks(one.netns, other.netns, IPv4Address("10.0.1.2"))
    assert differences(node, one) == []


def test_the_first_packet_of_a_pod_is_answered(node: "Node") -> None:
    """Right after ADD; without care a new link drops what it sends for a moment, in one of ten cases."""
    for number in range(1, 61):
        pod = node.new_pod()
        node.wire(node.wiring(number), pod)
        assert node.talks(pod.netns, node.netns, node.address), number


def test_add_reports_what_it_made(node: "Node") -> None:
    wiring = node.wiring(1)
    wired = node.wire(wiring, pod := node.new_pod())
    link = node.host.find_link(ifindex=wired.ifindex)
    assert link is not None
    assert (link.name, link.alias, link.mac, link.mtu_bytes) == (
        wiring.host_ifname,
        wiring.key.alias,
        wired.host_mac,
        9001,
    )
    inside = pod.sock.find_link(ifindex=wired.container_ifindex)
    assert inside is not None
    assert (inside.name, inside.mac) == ("eth0", wired.container_mac)


def test_pod_of_a_secondary_eni_gets_both_rules(node: "Node") -> None:
    node.wire(node.wiring(1, route_table=3), node.new_pod())
    assert pod_rules_left(node) == list(pod_rules(IPv4Address("10.0.1.1"), 3))


def test_a_rule_of_the_addresss_former_life_is_replaced(node: "Node") -> None:
    stale = Rule(1536, table=7, source=ip_network("10.0.1.1/32"))
    node.host.execute([messages.add_rule(stale)])
    pod, wiring = node.new_pod(), node.wiring(1, route_table=3)
    wired = PodPlane(node.host, node.reaper, iter([500_000])).wire(wiring, pod=pod.sock, netns_fd=pod.netns.fd)
    assert pod_rules_left(node) == list(pod_rules(wiring.address, 3))
    node.plane.unwire(wiring.key, wiring.address, wired.ifindex)


def test_a_rule_that_a_failed_del_left_is_replaced(node: "Node") -> None:
    """The DEL ends after its first requests; the address gets a pod on another ENI."""
    wiring = node.wiring(1, route_table=3)
    lifetime = Lifetime(100)
    host = interrupted_socket(node.netns, lifetime)
    plane = PodPlane(host, node.reaper, iter(range(500_000, 500_009)))
    pod, other = node.new_pod(), node.new_pod()
    wired = plane.wire(wiring, pod=pod.sock, netns_fd=pod.netns.fd)
    lifetime.requests = 1
    with pytest.raises(InterruptedError):
        plane.unwire(wiring.key, wiring.address, wired.ifindex)
    lifetime.requests = 100
    plane.wire(
        node.wiring(1, container_id="next", host_ifname="eninext", route_table=7),
        pod=other.sock,
        netns_fd=other.netns.fd,
    )
    assert Rule(1536, table=3, source=ip_network("10.0.1.1/32")) not in node.host.list_rules()


def test_a_link_too_narrow_for_ipv6_is_wired(node: "Node") -> None:
    """Below an MTU of 1280 a link has no IPv6, as on nodes where it is switched off."""
    narrow = replace(node.wiring(1), mtu_bytes=1000)
    node.wire(narrow, pod := node.new_pod())
    assert check_pod(narrow, host=node.host, pod=pod.sock) == []
    assert node.talks(pod.netns, node.netns, node.address)


def test_neither_end_has_an_ipv6_address(node: "Node") -> None:
    wired = node.wire(node.wiring(1), pod := node.new_pod())
    assert node.talks(pod.netns, node.netns, node.address)
    assert [a for a in node.host.list_addresses(socket.AF_INET6) if a.ifindex == wired.ifindex] == []
    assert [a for a in pod.sock.list_addresses(socket.AF_INET6) if a.ifindex == wired.container_ifindex] == []


def test_a_pod_is_wired_where_the_kernel_has_no_ipv6(node: "Node") -> None:
    """Its absence is pretended: then nothing about IPv6 is asked of the host's kernel."""
    pod = node.new_pod()
    plane = PodPlane(node.host, node.reaper, iter([500_000]), ipv6=False)
    wired = plane.wire(node.wiring(1), pod=pod.sock, netns_fd=pod.netns.fd)
    assert differences(node, pod) == []
    plane.unwire(node.wiring(1).key, node.wiring(1).address, wired.ifindex)


def test_repeated_add_keeps_the_pair(node: "Node") -> None:
    pod = node.new_pod()
    first = node.wire(node.wiring(1), pod)
    assert node.wire(node.wiring(1), pod) == first
    assert node.talks(node.netns, pod.netns, IPv4Address("10.0.1.1"))
    assert differences(node, pod) == []


def test_repeated_add_with_another_address_starts_anew(node: "Node") -> None:
    pod = node.new_pod()
    node.wire(node.wiring(1), pod)
    moved = replace(node.wiring(1), address=IPv4Address("10.0.1.9"))
    node.wire(moved, pod)
    assert check_pod(moved, host=node.host, pod=pod.sock) == []
    assert [str(a.interface.ip) for a in pod.sock.list_addresses() if a.ifindex != 1] == ["10.0.1.9"]


def test_del_removes_everything_and_reports_the_link(node: "Node") -> None:
    wiring = node.wiring(1, route_table=3)
    wired = node.wire(wiring, node.new_pod())
    assert node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert pod_rules_left(node) == []
    assert node.wait_gone() == {wired.ifindex}
    assert node.link(wiring.host_ifname) is None
    assert IPv4Network("10.0.1.1/32") not in [route.destination for route in node.host.list_routes(table=254)]


def test_del_removes_all_copies_of_rules(node: "Node") -> None:
    wiring = node.wiring(1, route_table=3)
    wired = node.wire(wiring, node.new_pod())
    copies = [messages.add_rule(rule)._replace(flags=0x400) for rule in pod_rules(wiring.address, 3)] * 3
    node.host.execute(copies)
    assert len(pod_rules_left(node)) == 8
    node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert pod_rules_left(node) == []


def test_del_succeeds_when_everything_is_gone(node: "Node") -> None:
    wiring = node.wiring(1)
    wired = node.wire(wiring, node.new_pod())
    node.host.execute([messages.delete_link(wired.ifindex)])
    assert not node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert not node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert not node.plane.unwire(wiring.key, wiring.address, 0)


def test_del_succeeds_when_the_namespace_is_gone(node: "Node") -> None:
    wiring = node.wiring(1)
    wired = node.wire(wiring, pod := node.new_pod())
    pod.close()
    node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert pod_rules_left(node) == []


def test_late_del_of_the_old_sandbox_leaves_the_new_pod_alone(node: "Node") -> None:
    old = node.wiring(1, container_id="old", host_ifname="eni0123456789a")
    new = node.wiring(2, container_id="new", host_ifname="eni0123456789a")
    old_wired = node.wire(old, node.new_pod())
    node.wire(new, pod := node.new_pod())
    assert node.wait_gone() == {old_wired.ifindex}  # reaped because its name was taken over
    assert not node.plane.unwire(old.key, old.address, old_wired.ifindex)
    assert check_pod(new, host=node.host, pod=pod.sock) == []
    assert node.talks(node.netns, pod.netns, new.address)


def test_del_with_the_index_of_another_sandbox_does_not_touch_its_link(node: "Node") -> None:
    mine, other = node.wiring(1), node.wiring(2)
    wired = node.wire(mine, pod := node.new_pod())
    assert not node.plane.unwire(other.key, other.address, wired.ifindex)
    assert differences(node, pod) == []


def test_add_into_a_namespace_whose_old_interface_waits_for_the_reaper(node: "Node") -> None:
    pod = node.new_pod()
    first = node.wiring(1, container_id="first")
    wired = node.wire(first, pod)
    node.plane.unwire(first.key, first.address, wired.ifindex)
    second = node.wiring(2, container_id="second")
    node.wire(second, pod)
    assert check_pod(second, host=node.host, pod=pod.sock) == []
    assert node.wait_gone() == {wired.ifindex}


def test_add_again_right_after_del_of_the_same_sandbox(node: "Node") -> None:
    pod, wiring = node.new_pod(), node.wiring(1)
    first = node.wire(wiring, pod)
    node.plane.unwire(wiring.key, wiring.address, first.ifindex)
    second = node.wire(wiring, pod)
    assert second.ifindex != first.ifindex
    assert node.wait_gone() == {first.ifindex}
    assert differences(node, pod) == []


def test_a_host_link_of_another_kind_with_the_name_is_kept(node: "Node") -> None:
    wiring = node.wiring(1)
    node.host.execute([messages.add_link(wiring.host_ifname, "bridge")])
    with pytest.raises(KernelError, match="belongs to a bridge link") as caught:
        node.wire(wiring, node.new_pod())
    assert caught.value.errno == errno.EEXIST
    link = node.link(wiring.host_ifname)
    assert link is not None
    assert link.kind == "bridge"
    assert pod_rules_left(node) == []


def test_an_interface_of_someone_else_in_the_pod_is_kept(node: "Node") -> None:
    pod = node.new_pod()
    pod.sock.execute([messages.add_link("eth0", "bridge")])
    with pytest.raises(KernelError, match="already has an interface eth0"):
        node.wire(node.wiring(1), pod)
    assert pod.sock.find_link(name="eth0") is not None
    assert node.link(node.wiring(1).host_ifname) is None


def test_taken_indexes_are_avoided(node: "Node") -> None:
    """An index inside the pod is taken by a link of another name; then the kernel chooses."""
    pod = node.new_pod()
    pod.sock.execute([messages.add_link("br0", "bridge", ifindex=64)])
    wired = node.wire(node.wiring(1), pod)
    assert wired.container_ifindex != 64
    assert differences(node, pod) == []


@dataclass
class Lifetime:
    """How many requests a process gets done before it is killed."""

    requests: int


class InterruptedSocket(RouteSocket):
    """A socket of a process that is killed: the requests of its lifetime get through, those after do not."""

    lifetime = Lifetime(0)

    def execute(self, batch: Sequence[Message]) -> dict[int, int]:
        done = batch[: self.lifetime.requests]
        self.lifetime.requests -= len(done)
        failures = super().execute(done) if done else {}
        if len(done) < len(batch):
            raise InterruptedError
        return failures


def interrupted_socket(netns: Netns, lifetime: Lifetime) -> InterruptedSocket:
    sock = netns.run(InterruptedSocket.open)
    assert isinstance(sock, InterruptedSocket)
    sock.lifetime = lifetime
    return sock


REQUESTS_OF_ADD = 13  # 6 for the host, 7 for the pod
REQUESTS_OF_DEL = 6


@pytest.mark.parametrize("requests", range(REQUESTS_OF_ADD + 1))
def test_add_after_a_kill_at_any_request_converges(node: "Node", requests: int) -> None:
    pod, wiring, lifetime = node.new_pod(), node.wiring(1, route_table=3), Lifetime(requests)
    host, inside = (interrupted_socket(netns, lifetime) for netns in (node.netns, pod.netns))
    try:
        PodPlane(host, node.reaper, iter([500_000])).wire(wiring, pod=inside, netns_fd=pod.netns.fd)
        survived = True
    except InterruptedError:
        survived = False
    assert survived == (requests == REQUESTS_OF_ADD)
    node.wire(wiring, pod)
    assert differences(node, pod, route_table=3) == []
    assert node.talks(node.netns, pod.netns, wiring.address)


@pytest.mark.parametrize("requests", range(REQUESTS_OF_DEL))
def test_del_after_a_kill_at_any_request_converges(node: "Node", requests: int) -> None:
    wiring = node.wiring(1, route_table=3)
    wired = node.wire(wiring, node.new_pod())
    host = interrupted_socket(node.netns, Lifetime(requests))
    with pytest.raises(InterruptedError):
        PodPlane(host, node.reaper, iter([500_000])).unwire(wiring.key, wiring.address, wired.ifindex)
    node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    assert pod_rules_left(node) == []
    assert node.wait_gone() == {wired.ifindex}


def test_failed_add_undoes_its_work(node: "Node") -> None:
    pod, wiring = node.new_pod(), node.wiring(1, route_table=3)
    with node.netns.route_socket() as wrong_namespace, pytest.raises(KernelError, match="ENODEV"):
        node.plane.wire(wiring, pod=wrong_namespace, netns_fd=pod.netns.fd)
    assert pod_rules_left(node) == []
    node.wait_gone()
    assert node.link(wiring.host_ifname) is None


class Scene(NamedTuple):
    """A wired pod to break: sockets of host and pod, and the host end's index."""

    host: RouteSocket
    pod: RouteSocket
    ifindex: int


POD_NETWORK = IPv4Network("10.0.1.1/32")
BREAKS: dict[str, tuple[Callable[[Scene], object], str]] = {
    "host route": (
        lambda s: s.host.execute([messages.delete_route(Route(POD_NETWORK, oif=s.ifindex, scope=Scope.LINK))]),
        "host route 10.0.1.1/32",
    ),
    "rule to": (
        lambda s: s.host.execute([messages.delete_rule(Rule(512, destination=POD_NETWORK))]),
        "rule 512 to 10.0.1.1/32",
    ),
    "rule from": (
        lambda s: s.host.execute([messages.delete_rule(Rule(1536, 3, source=POD_NETWORK))]),
        "rule 1536 from 10.0.1.1/32",
    ),
    "alias": (
        lambda s: s.host.execute([messages.set_link(s.ifindex, alias="x/y/z")]),
        'belongs to sandbox "x/y/z"',
    ),
    "host link down": (lambda s: s.host.execute([messages.set_link(s.ifindex, up=False)]), "is down"),
    "mtu": (lambda s: s.host.execute([messages.set_link(s.ifindex, mtu_bytes=1500)]), "MTU 1500"),
    "link gone": (lambda s: s.host.execute([messages.delete_link(s.ifindex)]), "is missing"),
    "pod address": (
        lambda s: s.pod.execute([messages.delete_address(64, IPv4Interface("10.0.1.1/32"))]),
        "lacks address 10.0.1.1",
    ),
    "pod default route": (
        lambda s: s.pod.execute([messages.delete_route(Route(ip_network("0.0.0.0/0")))]),
        "pod route 0.0.0.0/0",
    ),
    "pod neighbour": (
        lambda s: s.pod.execute([messages.delete_neighbour(Neighbour(64, GATEWAY))]),
        "pod neighbour 169.254.1.1",
    ),
}


@pytest.mark.parametrize(("break_it", "words"), BREAKS.values(), ids=BREAKS.keys())
def test_check_names_what_differs_and_add_restores_it(
    node: "Node", break_it: Callable[[Scene], object], words: str
) -> None:
    pod = node.new_pod()
    wired = node.wire(node.wiring(1, route_table=3), pod)
    break_it(Scene(node.host, pod.sock, wired.ifindex))
    assert any(words in difference for difference in differences(node, pod, route_table=3))
    node.wire(node.wiring(1, route_table=3), pod)
    assert differences(node, pod, route_table=3) == []


def test_links_are_found_by_sandbox_after_a_restart(node: "Node") -> None:
    wiring = node.wiring(1)
    wired = node.wire(wiring, node.new_pod())
    for name in (wiring.host_ifname, "", "wrong"):
        link = node.plane.find_link(wiring.key, name)
        assert link is not None
        assert link.ifindex == wired.ifindex
    assert node.plane.find_link(node.wiring(2).key) is None
    assert [link.ifindex for link in node.plane.list_pod_links("eni")] == [wired.ifindex]
    assert node.plane.discard_link(wired.ifindex)
    assert node.plane.list_pod_links("eni") == []
    assert node.wait_gone() == {wired.ifindex}
    assert not node.plane.discard_link(wired.ifindex)


def test_only_links_of_pods_are_listed(node: "Node") -> None:
    old_prefix = node.wire(replace(node.wiring(1), host_ifname="abc00000001"), node.new_pod())
    node.host.execute(
        [
            messages.add_veth("eni0123456789a", peer_name="p1", ifindex=101, peer_ifindex=201),
            messages.add_veth("docker0123", peer_name="p2", ifindex=102, peer_ifindex=202),
            messages.set_link(102, alias="some/other/tool"),
            messages.add_link("eni-bridge", "bridge"),
        ]
    )
    assert {link.ifindex for link in node.plane.list_pod_links("eni")} == {old_prefix.ifindex, 101}


def test_add_and_del_times(node: "Node", capsys: pytest.CaptureFixture[str]) -> None:
    """Prints medians; asserts only that all of it works, since machines differ."""
    adds, dels, pods = [], [], []
    for number in range(1, 61):
        wiring, pod = node.wiring(number, route_table=3), node.new_pod()
        start = time.perf_counter()
        wired = node.wire(wiring, pod)
        adds.append(time.perf_counter() - start)
        pods.append((wiring, wired))
    for wiring, wired in pods:
        start = time.perf_counter()
        node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
        dels.append(time.perf_counter() - start)
    assert node.wait_gone(60) == {wired.ifindex for _, wired in pods}
    with capsys.disabled():
        sys.stdout.write(f"\n  wire {median(adds) * 1e3:.2f} ms, unwire {median(dels) * 1e3:.2f} ms (medians of 60)\n")
