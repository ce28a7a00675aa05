"""The reference's chains in both kinds of iptables: made as iptables shows them, removed without a trace."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from vpc_cni.netlink.netns import Netns

SETPRIV = ("setpriv", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs")

CALL = """
import sys
from ipaddress import IPv4Address, IPv4Network
from vpc_cni.netlink.nat import NatPlan
from vpc_cni.netlink.nftables import Nftables
from vpc_cni.netlink.xt_tables import Iptables, find_reference, remove_reference, restore_reference, used_kind
cidrs = (IPv4Network("10.0.0.0/16"), IPv4Network("100.64.0.0/10"))
plan = NatPlan("ens5", IPv4Address("10.0.0.10"), cidrs, (IPv4Network("192.168.0.0/20"),))
if sys.argv[1] == "restore":
    restore_reference(Nftables(), plan, Iptables(sys.argv[2]))
elif sys.argv[1] == "kind":
    print(used_kind())
else:
    found = find_reference(Nftables())
    remove_reference(Nftables())
    print(*sorted(found))
"""

# Rules of others, of the kinds that kube-proxy has: jumps over the reference's chains in both directions.
OTHERS = """*nat
:KUBE-SERVICES - [0:0]
:ZULU - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -s 192.0.2.1/32 -m comment --comment "counts only"
-A KUBE-SERVICES -p tcp -m tcp --dport 80 -j ZULU
-A ZULU -p tcp -j DNAT --to-destination 192.0.2.7:8080
COMMIT
*mangle
-A PREROUTING -s 192.0.2.1/32 -j MARK --set-xmark 0x4000/0x4000
COMMIT
"""

THEIRS = """*nat
:AWS-CONNMARK-CHAIN-0 - [0:0]
:AWS-SNAT-CHAIN-0 - [0:0]
-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0
-A PREROUTING -m comment --comment "AWS, CONNMARK" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
-A AWS-CONNMARK-CHAIN-0 -d 10.0.0.0/16 -m comment --comment "AWS CONNMARK CHAIN, VPC CIDR" -j RETURN
-A AWS-CONNMARK-CHAIN-0 -d 100.64.0.0/10 -m comment --comment "AWS CONNMARK CHAIN, VPC CIDR" -j RETURN
-A AWS-CONNMARK-CHAIN-0 -d 192.168.0.0/20 -m comment --comment "AWS CONNMARK CHAIN, EXCLUDED CIDR" -j RETURN
-A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80
-A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN
-A AWS-SNAT-CHAIN-0 -d 100.64.0.0/10 -m comment --comment "AWS SNAT CHAIN" -j RETURN
-A AWS-SNAT-CHAIN-0 -d 192.168.0.0/20 -m comment --comment "AWS SNAT CHAIN EXCLUSION" -j RETURN
-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL \
-j SNAT --to-source 10.0.0.10 --random-fully
COMMIT
*mangle
-A PREROUTING -i ens5 -m comment --comment "AWS, primary ENI" -m addrtype --dst-type LOCAL --limit-iface-in \
-j CONNMARK --set-xmark 0x80/0x80
-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A PREROUTING -i vlan+ -m comment --comment "AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
COMMIT
"""


class Host:
    """A namespace with rules of other programs in one kind of iptables."""

    def __init__(self, netns: Netns, kind: str) -> None:
        self.netns, self.kind = netns, kind
        self.load(OTHERS)

    def load(self, text: str) -> None:
        process = self.netns.spawn(
            [f"iptables-{self.kind}-restore", "--noflush"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _out, problem = process.communicate(text.encode(), timeout=20)
        assert process.returncode == 0, problem

    def saved(self) -> list[str]:
        """Return chains and rules, in order, without counters; chains sorted, since they have none."""
        lines = []
        for table in ("nat", "mangle"):
            text = self.netns.check_output(
                [f"iptables-{self.kind}-save", "-t", table], text=True, stderr=subprocess.DEVNULL
            )
            lines += sorted(line.partition(" [")[0] for line in text.splitlines() if line.startswith(":"))
            lines += [line for line in text.splitlines() if line.startswith("-A")]
        return lines

    def call(self, *words: str) -> str:
        """Run the code under test with CAP_NET_ADMIN alone."""
        command = [*SETPRIV, sys.executable, "-c", CALL, *words]
        return str(self.netns.check_output(command, text=True, stderr=subprocess.STDOUT)).strip()


@pytest.fixture(params=["legacy", "nft"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    netns = Netns.create()
    try:
        yield Host(netns, request.param)
    finally:
        netns.close()


def test_restored_chains_are_those_that_iptables_would_make(host: Host) -> None:
    host.load(THEIRS)
    by_iptables = host.saved()
    assert host.call("remove") == host.kind
    host.call("restore", host.kind)
    assert host.saved() == by_iptables


def test_a_restore_may_be_repeated(host: Host) -> None:
    host.call("restore", host.kind)
    once = host.saved()
    host.call("restore", host.kind)
    assert host.saved() == once


def test_removal_leaves_the_rules_of_others(host: Host) -> None:
    before = host.saved()
    host.load(THEIRS)
    assert host.call("remove") == host.kind
    assert host.saved() == before
    assert host.call("remove") == ""


def test_the_kind_that_others_use_is_seen(host: Host) -> None:
    assert host.call("kind") == host.kind


def test_a_look_makes_no_legacy_table() -> None:
    netns = Netns.create()
    try:
        host = Host.__new__(Host)
        host.netns, host.kind = netns, "legacy"
        assert host.call("remove") == ""
        assert netns.check_output(["cat", "/proc/net/ip_tables_names"], text=True) == ""
    finally:
        netns.close()
