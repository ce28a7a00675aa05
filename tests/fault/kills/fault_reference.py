"""A node in the layout of the reference: its chains as iptables loads them, its file, links without alias."""

import json
import subprocess
from collections.abc import Iterable

from fault_agent import NodeAgent
from fault_runtime import Sandbox

from vpc_cni.netlink.netns import Netns

_RULES = """*nat
:AWS-CONNMARK-CHAIN-0 - [0:0]
:AWS-SNAT-CHAIN-0 - [0:0]
-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0
-A PREROUTING -m comment --comment "AWS, CONNMARK" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
{connmark_returns}
-A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80
{snat_returns}
-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL \
-j SNAT --to-source {address} --random-fully
COMMIT
*mangle
-A PREROUTING -i {ifname} -m comment --comment "AWS, primary ENI" -m addrtype --dst-type LOCAL --limit-iface-in \
-j CONNMARK --set-xmark 0x80/0x80
-A PREROUTING -i eni+ -m comment --comment "AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
-A PREROUTING -i vlan+ -m comment --comment "AWS, primary ENI" -j CONNMARK --restore-mark --nfmask 0x80 --ctmask 0x80
COMMIT
"""
_RETURN = '-A AWS-{chain}-CHAIN-0 -d {cidr} -m comment --comment "{words}" -j RETURN'


class ReferenceNode:
    """A node whose agent has served and has ended; ``kind`` is legacy or nft."""

    def __init__(self, agent: NodeAgent, netns: Netns, kind: str) -> None:
        self._agent, self._netns, self._kind = agent, netns, kind

    def set_up(self, sandboxes: Iterable[Sandbox]) -> None:
        """Turn what our agent left into what the reference would have: nothing of ours stays.

        Chains first: pods that talk already do not notice.
        """
        run_dir = self._agent.run_dir
        plan = json.loads((run_dir / "handback" / "node.json").read_text())["plan"]
        self._load(plan)
        self.run("nft", "delete", "table", "ip", "vpc-cni")
        self.forget_us(sandboxes)

    def forget_us(self, sandboxes: Iterable[Sandbox]) -> None:
        """Remove what our agent knows and wrote on links, and write the file, as if the reference had run for long."""
        run_dir = self._agent.run_dir
        for link in json.loads(self.run("ip", "-j", "link", "show", "type", "veth")):
            self.run("ip", "link", "set", link["ifname"], "alias", "")
        for path in (run_dir / "journal", run_dir / "handback" / "node.json", run_dir / "restarting"):
            path.unlink(missing_ok=True)
        self.write_checkpoint(sandboxes)

    def _load(self, plan: dict[str, object]) -> None:
        cidrs = plan["vpc_cidrs"]
        assert isinstance(cidrs, list)

        def returns(chain: str, words: str) -> str:
            return "\n".join(_RETURN.format(chain=chain, cidr=cidr, words=words) for cidr in cidrs)

        text = _RULES.format(
            connmark_returns=returns("CONNMARK", "AWS CONNMARK CHAIN, VPC CIDR"),
            snat_returns=returns("SNAT", "AWS SNAT CHAIN"),
            address=plan["primary_address"],
            ifname=plan["primary_ifname"],
        )
        process = self._netns.spawn([f"iptables-{self._kind}-restore", "--noflush"], stdin=subprocess.PIPE)
        process.communicate(text.encode(), timeout=20)
        assert process.returncode == 0

    def write_checkpoint(self, sandboxes: Iterable[Sandbox]) -> None:
        """Write ipam.json as the reference does."""
        allocations = [
            {
                "networkName": "aws-cni",
                "containerID": sandbox.container_id,
                "ifName": "eth0",
                "ipv4": str(sandbox.address),
                "allocationTimestamp": 1_700_000_000_000_000_000,
                "metadata": {"k8sPodNamespace": "faults", "k8sPodName": sandbox.pod, "interfacesCount": 1},
            }
            for sandbox in sandboxes
        ]
        document = {"version": "vpc-cni-ipam/1", "allocations": allocations}
        (self._agent.run_dir / "ipam.json").write_text(json.dumps(document))

    def chains(self) -> list[str]:
        """Return the reference's rules of both tables in order, without counters."""
        found = []
        for table in ("nat", "mangle"):
            text = self.run(f"iptables-{self._kind}-save", "-t", table)
            found += [line for line in text.splitlines() if line.startswith("-A") and "AWS" in line]
        return found

    def has_our_table(self) -> bool:
        return "table ip vpc-cni" in self.run("nft", "list", "tables")

    def run(self, *command: str) -> str:
        """Run a program in the node."""
        return str(self._netns.check_output(command, text=True, stderr=subprocess.DEVNULL))
