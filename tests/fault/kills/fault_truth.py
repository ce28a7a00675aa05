"""Do EC2, the pool, the journal, the kernel, ``ipam.json`` and the runtime's book say the same of a node?"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import boto3
from fault_agent import NodeAgent
from fault_runtime import Sandbox

from vpc_cni.errors import HostError
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.wiring import FROM_POD_PRIORITY, TO_POD_PRIORITY

INSTANCE_TAG = "node.k8s.amazonaws.com/instance_id"


@dataclass(frozen=True)
class KernelFindings:
    """What a node's kernel holds for pods, as text."""

    aliases: frozenset[str]
    routed: frozenset[str]
    to_pod: frozenset[str]
    from_pod: frozenset[str]
    copies: int


class Truth:
    """Compares the views of one node."""

    def __init__(self, lab: Lab, agent: NodeAgent) -> None:
        self._lab = lab
        self.last_difference = ""
        self._agent = agent
        environment = lab.environment()
        self._ec2: Any = boto3.client(
            "ec2",
            endpoint_url=environment["AWS_ENDPOINT_URL_EC2"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def settle(self, living: Iterable[Sandbox], *, timeout_seconds: float = 12.0) -> float:
        """Wait until all views agree; return the seconds that took.

        Raises:
            AssertionError: they do not; the message lists every difference.
        """
        sandboxes = list(living)
        started = time.monotonic()
        while problems := self.differences(sandboxes):
            if time.monotonic() - started > timeout_seconds:
                raise AssertionError("\n".join([f"after {timeout_seconds:g} s:", *problems]))
            self.last_difference = "; ".join(problems)
            time.sleep(0.1)
        return time.monotonic() - started

    def differences(self, living: list[Sandbox]) -> list[str]:
        """Return a sentence for each disagreement; empty when all is well."""
        try:
            return [*self._pool(living), *self._cloud(), *self._kernel(living), *self._files(living)]
        except HostError as err:
            return [f"the agent does not answer: {err}"]

    def take_from_ec2(self, address: IPv4Address | None) -> None:
        """Unassign an address behind the agent's back."""
        [eni] = [eni for eni in self._interfaces() if str(address) in _secondary(eni)]
        self._ec2.unassign_private_ip_addresses(
            NetworkInterfaceId=eni["NetworkInterfaceId"], PrivateIpAddresses=[str(address)]
        )

    # -- pool -----------------------------------------------------------------------------------------------------

    def _pool(self, living: list[Sandbox]) -> Iterator[str]:
        status = self._agent.status()
        held = {(pod["container_id"], pod["address"]) for pod in status["pods"]}
        yield from _compare("pods of the pool", held, _pairs(living))
        if status["pool"]["quarantine"]:
            yield f"quarantined: {status['pool']['quarantine']}"
        if status["spool"]:
            yield f"{status['spool']} recorded DELs wait"
        if status["pool"]["waiting"]:
            yield f"{status['pool']['waiting']} ADDs wait"
        stuck = [each for each in status["pool"]["cooling_until"] if each["waits_for_link"]]
        if stuck:
            yield f"cooling addresses that wait for a link: {stuck}"
        yield from (f"{eni['eni_id']} is {eni['state']}" for eni in status["enis"] if eni["state"] != "ready")

    # -- EC2 ------------------------------------------------------------------------------------------------------

    def _cloud(self) -> Iterator[str]:
        described = {eni["NetworkInterfaceId"]: eni for eni in self._interfaces()}
        attached = {eni_id: eni for eni_id, eni in described.items() if eni["Status"] == "in-use"}
        yield from (
            f"{eni_id} is {eni['Status']}: leaked" for eni_id, eni in described.items() if eni_id not in attached
        )
        pool = self._agent.pool_addresses()
        yield from _compare("ENIs of the pool", pool, attached)
        for eni_id in pool.keys() & attached.keys():
            yield from _compare(f"addresses of {eni_id}", pool[eni_id], _secondary(attached[eni_id]))
        for eni_id, eni in attached.items():
            if not eni["Attachment"]["DeleteOnTermination"]:
                yield f"{eni_id} would outlive its instance"

    def _interfaces(self) -> list[Any]:
        mine = self._agent.node.instance_id
        found: dict[str, Any] = {}
        for name in (f"tag:{INSTANCE_TAG}", "attachment.instance-id"):
            answer = self._ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [mine]}])
            found |= {eni["NetworkInterfaceId"]: eni for eni in answer["NetworkInterfaces"]}
        return list(found.values())

    # -- kernel ---------------------------------------------------------------------------------------------------

    def _kernel(self, living: list[Sandbox]) -> Iterator[str]:
        found = look_at_kernel(self._agent.node.netns_path)
        addresses = {str(sandbox.address) for sandbox in living}
        on_secondary = {pod["address"] for pod in self._agent.status()["pods"] if self._is_on_secondary(pod["eni_id"])}
        yield from _compare("links", found.aliases, {f"aws-cni/{each.container_id}/eth0" for each in living})
        yield from _compare("host routes", found.routed, addresses)
        yield from _compare("rules to pods", found.to_pod, addresses)
        yield from _compare("rules from pods", found.from_pod, on_secondary & addresses)
        if found.copies:
            yield f"{found.copies} rules are there twice"

    def _is_on_secondary(self, eni_id: str) -> bool:
        status = self._agent.status()
        return any(eni["eni_id"] == eni_id and eni["device_number"] > 0 for eni in status["enis"])

    # -- files ----------------------------------------------------------------------------------------------------

    def _files(self, living: list[Sandbox]) -> Iterator[str]:
        journal = self._agent.journal()
        begun = {(key.container_id, str(add.intent.address)) for key, add in journal.adds.items()}
        yield from _compare("ADDs of the journal", begun, _pairs(living))
        yield from (f"{key} has an ADD without commit" for key, add in journal.adds.items() if add.committed is None)
        yield from (f"open step in the journal: {step}" for step in journal.ec2_steps.values())
        if journal.loose_enis:
            yield f"loose ENIs in the journal: {sorted(journal.loose_enis)}"
        yield from _compare("pods of ipam.json", read_checkpoint(self._agent.run_dir), _pairs(living))


def read_checkpoint(run_dir: Path) -> set[tuple[str, str]]:
    """Return container id and address of each entry of ``ipam.json``; a word for a file that is not there yet."""
    try:
        document = json.loads((run_dir / "ipam.json").read_text())
    except FileNotFoundError:
        return {("no file", "")}
    return {(entry["containerID"], entry["ipv4"]) for entry in document["allocations"]}


def look_at_kernel(netns_path: str) -> KernelFindings:
    """Read what is there for pods: veth links, /32 routes of them, rules 512 and 1536."""
    with Netns.open(netns_path) as netns, netns.route_socket() as route:
        links = [link for link in route.list_links() if link.kind == "veth" and (link.alias or link.name[:3] == "eni")]
        indexes = {link.ifindex for link in links}
        routes = [each for each in route.list_routes() if each.oif in indexes]
        rules = [rule for rule in route.list_rules() if rule.priority in (TO_POD_PRIORITY, FROM_POD_PRIORITY)]
    to_pod = [_text(rule.destination) for rule in rules if rule.priority == TO_POD_PRIORITY]
    from_pod = [_text(rule.source) for rule in rules if rule.priority == FROM_POD_PRIORITY]
    return KernelFindings(
        aliases=frozenset(link.alias for link in links),
        routed=frozenset(_text(each.destination) for each in routes),
        to_pod=frozenset(to_pod),
        from_pod=frozenset(from_pod),
        copies=len(rules) - len(set(to_pod)) - len(set(from_pod)),
    )


def _text(network: object) -> str:
    return str(network.network_address) if isinstance(network, IPv4Network) else str(network)


def _secondary(eni: Any) -> set[str]:
    return {each["PrivateIpAddress"] for each in eni["PrivateIpAddresses"] if not each["Primary"]}


def _pairs(living: Iterable[Sandbox]) -> set[tuple[str, str]]:
    return {(sandbox.container_id, str(sandbox.address)) for sandbox in living}


def _compare(what: str, found: Iterable[object], wanted: Iterable[object]) -> Iterator[str]:
    surplus, missing = set(found) - set(wanted), set(wanted) - set(found)
    if surplus or missing:
        yield f"{what}: surplus {sorted(map(str, surplus))}, missing {sorted(map(str, missing))}"


def addresses_of(sandboxes: Iterable[Sandbox]) -> set[IPv4Address]:
    return {sandbox.address for sandbox in sandboxes if sandbox.address is not None}
