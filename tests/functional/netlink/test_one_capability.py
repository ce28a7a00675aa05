"""The whole data plane in a process that has CAP_NET_ADMIN and nothing else, through descriptors of another."""

import json
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from vpc_cni.netlink.check import check_pod

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Node

SETPRIV = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs")
NET_ADMIN_ONLY = f"{1 << 12:016x}"

AGENT = """
import json, os, random, socket, sys
from ipaddress import IPv4Address, IPv4Network
from vpc_cni.model import SandboxKey
from vpc_cni.netlink import uapi
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.drift import DriftMonitor, DriftSources
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.host import NodePlane
from vpc_cni.netlink.identity import derive_mac, ifindex_source
from vpc_cni.netlink.nat import NatPlan
from vpc_cni.netlink.nftables import NatTable, Nftables
from vpc_cni.netlink.pod import PodPlane, PodWiring
from vpc_cni.netlink.reaper import Reaper
from vpc_cni.netlink.route_socket import RouteSocket

with socket.socket(fileno=int(sys.argv[1])) as caller:
    _data, (pod_fd, netns_fd), _flags, _sender = socket.recv_fds(caller, 1, 2)
gone, rng, host, desired = [], random.Random(1), RouteSocket.open(), DesiredState()
reaper = Reaper(RouteSocket.open(), gone.extend, rng=rng, gather_seconds=0.01)
plane = PodPlane(host, reaper, ifindex_source([], rng), desired)
nat = NatTable(Nftables())
nat.apply(NatPlan("lo", IPv4Address("10.0.0.10"), (IPv4Network("10.0.0.0/16"),)))
events = EventSocket.open([uapi.NFNLGRP_NFTABLES], protocol=uapi.NETLINK_NETFILTER)
monitor = DriftMonitor(host=host, desired=desired, sources=DriftSources(EventSocket.open(), events), nat=nat)
NodePlane(host, desired).ensure_mark_rule(0x80, wanted=True)
key = SandboxKey("aws-cni", "c1", "eth0")
address = IPv4Address("10.0.1.1")
macs = derive_mac(key, "host"), derive_mac(key, "container")
wiring = PodWiring(key, address, "eni00000000001", "eth0", *macs, 9001, 3)
with RouteSocket.from_fd(pod_fd) as pod:
    wired = plane.wire(wiring, pod=pod, netns_fd=netns_fd)
os.close(netns_fd)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
repairs = [repair.what for repair in monitor.step()]
print(json.dumps({"effective": status["CapEff"].strip(), "bounding": status["CapBnd"].strip(), "repairs": repairs}))
sys.stdout.flush()
sys.stdin.readline()
plane.unwire(key, address, wired.ifindex)
reaper.start()
while not gone:
    os.sched_yield()
print(json.dumps({"gone": gone == [wired.ifindex]}))
"""


def test_net_admin_alone_wires_and_unwires_a_pod(node: "Node") -> None:
    pod = node.new_pod()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        agent = node.netns.spawn(
            [*SETPRIV, sys.executable, "-c", AGENT, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        socket.send_fds(ours, [b"x"], [pod.sock.fileno(), pod.netns.fd])
        with agent:
            wired = json.loads(agent.stdout.readline())
            assert wired == {"effective": NET_ADMIN_ONLY, "bounding": NET_ADMIN_ONLY, "repairs": []}
            assert check_pod(node.wiring(1, route_table=3), host=node.host, pod=pod.sock) == []
            assert node.talks(node.netns, pod.netns, IPv4Address("10.0.1.1"))
            agent.stdin.write("go on\n")
            agent.stdin.flush()
            assert json.loads(agent.stdout.readline()) == {"gone": True}
    assert agent.returncode == 0
