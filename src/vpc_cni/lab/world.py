"""The whole lab inside the daemon: cloud, wires, nodes, pods and faults, put together and taken apart.

Everything here runs on the daemon's event loop; what blocks (plugin runs, link deletion) has threads of its own.
"""

import asyncio
import logging
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.errors import CallerError
from vpc_cni.lab.cloud import Cloud, CloudSettings, instances, networks
from vpc_cni.lab.cloud.instance_types import instance_types
from vpc_cni.lab.cloud.records import Instance, Interface, Subnet
from vpc_cni.lab.fabric import Fabric, FabricOptions
from vpc_cni.lab.faults import FaultBook
from vpc_cni.lab.kubernetes.addon import AddonPlace
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.kubernetes.installer import install_addon, require_archive
from vpc_cni.lab.kubernetes.node_config import NodeFacts
from vpc_cni.lab.kubernetes.shape import CONTROL_PLANE, CONTROL_PLANE_TYPE
from vpc_cni.lab.namespaces import NetnsFolder
from vpc_cni.lab.nodes import boot
from vpc_cni.lab.nodes.agent import AgentProcess
from vpc_cni.lab.nodes.builder import NodeBuilder
from vpc_cni.lab.nodes.node import Node, subnet_interface
from vpc_cni.lab.nodes.pods import Pod
from vpc_cni.lab.options import LabOptions
from vpc_cni.lab.paths import LabPaths
from vpc_cni.lab.servers import Servers
from vpc_cni.lab.wiring import CloudWiring, link_name

log = logging.getLogger(__name__)

Progress = Callable[[str], None]

ROUTER, INTERNET = "router", "internet"
NODE_ROLE = "lab-node"
PLUGIN_THREADS = 16
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class World:
    """One running lab. Create it before the event loop has other work, `up` it, `down` it.

    Args:
        folder: an already mounted namespace folder.
    """

    def __init__(self, options: LabOptions, paths: LabPaths, folder: NetnsFolder) -> None:
        self.options = options
        self.paths = paths
        self.folder = folder
        self.nodes: dict[str, Node] = {}
        self._threads = ThreadPoolExecutor(PLUGIN_THREADS, thread_name_prefix="plugin")
        self._background: set[asyncio.Future[None]] = set()
        # Nodes whose instance is terminated, until nothing of them is left.
        self._ending: dict[str, asyncio.Future[None]] = {}
        self._pod_numbers = self._node_numbers = 0
        self.cloud = Cloud(cloud_settings(options), seed=options.seed)
        self.fabric = Fabric(folder.create(ROUTER), folder.create(INTERNET), folder.get, fabric_options(options))
        self.faults = FaultBook(self.cloud, self.fabric)
        self.servers = Servers(self.cloud, folder.get(ROUTER))
        self._builder = NodeBuilder(options, paths, folder, self.servers, self._threads)
        self.cluster = Cluster(options, paths, folder) if options.kubernetes else None
        self._wiring = CloudWiring(self.cloud, self.fabric, self._start_instance, self._end_instance, self.keep)
        self._subnets: list[Subnet] = []

    # --- up and down ----------------------------------------------------------------------------------------------

    async def up(self, progress: Progress) -> None:
        """Build the VPC, start the API servers and the nodes; returns when every agent serves."""
        if self.options.install:
            require_archive(Path(self.options.install))
        self.fabric.start()
        self._create_vpc()
        await self._settle()
        self.cloud.identities.create_role(NODE_ROLE)
        await self.servers.start(self.options.port)
        progress(f"VPC {self.options.cidr()} with EC2, metadata and STS")
        if self.cluster is not None:
            await self._start_control_plane(self.cluster, progress)
        for _ in range(self.options.nodes):
            await self.add_node(progress)
        await self._wait_for_agents(progress)
        if self.cluster is not None:
            await self.cluster.wait_ready(progress)
            if self.options.install:
                await install_addon(self.cluster, self.addon_place, Path(self.options.install), "", progress)

    async def down(self) -> None:
        """End everything that this process started; namespaces end with it."""
        if self.cluster is not None:
            await self.cluster.stop()
        await asyncio.gather(*(node.agent.discard() for node in self.nodes.values() if node.agent is not None))
        for node in self.nodes.values():
            node.pods.abandon()
        for task in self._background:
            task.cancel()
        kill_children()
        await self.servers.stop()
        await self.fabric.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.folder.close()

    # --- nodes ----------------------------------------------------------------------------------------------------

    async def add_node(self, progress: Progress, name: str = "") -> Node:
        """Start an instance, boot it and start its agent (which may take a while longer to serve).

        Args:
            name: may be that of a node whose instance was terminated; empty for a new one.

        Raises:
            CallerError: there is a node of this name, or it is none.
        """
        name = await self._free_node_name(name)
        subnet = self._subnets[len(self.nodes) % len(self._subnets)]
        instance, primary = await self._run_instance(name, self.options.instance_type, subnet, NODE_ROLE)
        node = self._builder.build(name, instance, primary, subnet)
        node.boot(init_step=not self.options.awaits_daemonset)
        self.nodes[name] = node
        if node.agent is not None:
            await node.agent.start()
        if self.cluster is not None:
            await self.cluster.add_node(kubernetes_facts(node, subnet))
        progress(f"{name}  {instance.instance_type}  {instance.instance_id}  {primary.primary}")
        return node

    async def _free_node_name(self, wanted: str) -> str:
        """Return a name that no node has, once nothing is left of an earlier one."""
        if wanted and not NODE_NAME.fullmatch(wanted):
            raise CallerError(f'"{wanted}" is no name for a node', hint="use a-z, 0-9 and -, for example node-2")
        if wanted in self.nodes:
            raise CallerError(f'node "{wanted}" exists', hint="terminate its instance first, or choose another name")
        name = wanted
        while not name or name in self.nodes:
            self._node_numbers += 1
            name = f"node-{self._node_numbers}"
        if name in self._ending:
            await self._ending[name]
        return name

    def node(self, name: str) -> Node:
        """Return a node by its name or its instance id.

        Raises:
            CallerError: there is none.
        """
        for node in self.nodes.values():
            if name in (node.name, node.facts.instance_id):
                return node
        known = ", ".join(self.nodes) or "none"
        raise CallerError(f'there is no node "{name}"', hint=f"nodes: {known}")

    def enis_of(self, node: Node) -> list[Interface]:
        return self.cloud.interfaces_of(node.facts.instance_id)

    async def _run_instance(
        self, name: str, instance_type: str, subnet: Subnet, role_name: str = ""
    ) -> tuple[Instance, Interface]:
        """Start an instance and wait until its primary ENI is wired."""
        request = instances.simple_request(subnet.subnet_id, instance_type, role_name=role_name, given={"Name": name})
        instance = instances.run(self.cloud, request)
        primary = self.cloud.interfaces_of(instance.instance_id)[0]
        await self.fabric.wait_for(lambda ports: (port := ports.get(primary.eni_id)) is not None and port.forwarding)
        return instance, primary

    async def _start_control_plane(self, cluster: Cluster, progress: Progress) -> None:
        """Start the control plane on an instance of its own, which is no node."""
        subnet = self._subnets[0]
        instance, primary = await self._run_instance(CONTROL_PLANE, CONTROL_PLANE_TYPE, subnet)
        netns = self.folder.get(instance.instance_id)
        boot.apply_instance_defaults(netns)
        boot.run_dhcp(netns, link_name(0, 0), subnet_interface(primary.primary, subnet.cidr), subnet.gateway)
        progress(f"{CONTROL_PLANE}  {instance.instance_type}  {instance.instance_id}  {primary.primary}")
        await cluster.start(instance.instance_id, primary.primary, progress)

    async def _wait_for_agents(self, progress: Progress) -> None:
        agents = [node.agent for node in self.nodes.values() if node.agent is not None]

        async def wait(agent: AgentProcess) -> None:
            await agent.wait_serving()
            progress(f"agent of {agent.node_name} serves (pid {agent.pid})")

        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(wait(agent))

    # --- pods -----------------------------------------------------------------------------------------------------

    async def add_pods(self, node_name: str | None, count: int, name: str | None, progress: Progress) -> list[Pod]:
        """Add pods to one node, or to all nodes in turn, several at a time.

        Raises:
            CallerError: no node, or the name is taken.
            VpcCniError: the first ADD that failed; the others go on and stay.
        """
        nodes = [self.node(node_name)] if node_name else list(self.nodes.values())
        if not nodes:
            raise CallerError("the lab has no nodes")
        names = [name] if name else [self._next_pod_name() for _ in range(count)]
        if name and self.find_pod(name) is not None:
            raise CallerError(f'pod "{name}" exists')

        async def add(index: int, pod_name: str) -> Pod:
            pod = await nodes[index % len(nodes)].pods.add(pod_name)
            progress(f"{pod.name}  {pod.address}  on {pod.node}  {pod.add_milliseconds:.1f} ms")
            return pod

        done = await asyncio.gather(*(add(i, each) for i, each in enumerate(names)), return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in done if isinstance(outcome, Pod)]

    async def delete_pods(self, names: Iterable[str], progress: Progress) -> None:
        """Delete pods by name.

        Raises:
            CallerError: one does not exist; none is deleted then.
        """
        chosen = [self.pod(name) for name in names]

        async def delete(pod: Pod) -> None:
            elapsed = await self.nodes[pod.node].pods.delete(pod.name)
            progress(f"{pod.name} deleted, {elapsed:.1f} ms")

        await asyncio.gather(*map(delete, chosen))

    def pod(self, name: str) -> Pod:
        pod = self.find_pod(name)
        if pod is None:
            raise CallerError(f'there is no pod "{name}"', hint="see `vpc-cni lab pod list`")
        return pod

    def find_pod(self, name: str) -> Pod | None:
        return next((pod for node in self.nodes.values() if (pod := node.pods.get(name)) is not None), None)

    def pods(self) -> list[Pod]:
        return [pod for node in self.nodes.values() for pod in node.pods]

    def eni_of(self, pod: Pod) -> Interface | None:
        """Return the ENI to which EC2 has assigned the pod's address."""
        return self.cloud.eni_of_address(self.vpc_id, pod.address)

    def on_secondary_eni(self, address: IPv4Address) -> bool:
        """Tell whether EC2 has assigned an address to another ENI than its instance's first."""
        eni = self.cloud.eni_of_address(self.vpc_id, address)
        return eni is not None and eni.attachment is not None and eni.attachment.device_index != 0

    def _next_pod_name(self) -> str:
        while True:
            self._pod_numbers += 1
            name = f"pod-{self._pod_numbers}"
            if self.find_pod(name) is None:
                return name

    # --- parts ----------------------------------------------------------------------------------------------------

    @property
    def vpc_id(self) -> str:
        return self._subnets[0].vpc_id

    @property
    def addon_place(self) -> AddonPlace:
        return AddonPlace(
            cluster_name=self.options.name,
            region=self.cloud.settings.region,
            api_endpoint=self.servers.endpoints.node_api,
            overrides=self.options.env,
        )

    def _create_vpc(self) -> None:
        vpc = networks.create_vpc(self.cloud, self.options.cidr(), given={"Name": f"lab-{self.options.name}"})
        zones = self.cloud.settings.zones
        self._subnets = [
            networks.create_subnet(self.cloud, vpc.vpc_id, cidr, zone=zone, map_public=True)
            for cidr, zone in zip(self.options.subnets(), zones, strict=False)
        ]

    def _start_instance(self, instance_id: str) -> None:
        self.folder.create(instance_id)

    def _end_instance(self, instance_id: str) -> None:
        """Follow a termination: what ran on the instance ends with it."""
        node = next((node for node in self.nodes.values() if node.facts.instance_id == instance_id), None)
        if node is None:
            self.folder.delete(instance_id)
            return
        del self.nodes[node.name]
        ending = self._ending[node.name] = self.keep(self._end_node(node))
        ending.add_done_callback(lambda _: self._ending.pop(node.name, None))

    async def _end_node(self, node: Node) -> None:
        if self.cluster is not None:
            await self.cluster.remove_node(node.name)
        if node.agent is not None:
            await node.agent.discard()
        node.pods.abandon()
        self.folder.delete(node.facts.instance_id)
        # A disk goes with its instance: the next node of this name begins without.
        await asyncio.to_thread(shutil.rmtree, node.paths.root, ignore_errors=True)

    def keep(self, work: Awaitable[None]) -> asyncio.Future[None]:
        """Do something in the background, for as long as the lab lives."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _settle(self) -> None:
        """Wait for the work that events have started."""
        while self._background:
            await asyncio.gather(*self._background)


def kill_children() -> None:
    """End the programs that this process still waits for: plugins whose agent is gone. Nobody needs their answer."""
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def kubernetes_facts(node: Node, subnet: Subnet) -> NodeFacts:
    """Return what the cluster knows of a node of the lab. Pure."""
    limits = instance_types()[node.facts.instance_type]
    return NodeFacts(
        name=node.name,
        address=node.facts.primary.ip,
        instance_id=node.facts.instance_id,
        instance_type=node.facts.instance_type,
        zone=subnet.zone,
        # Those with an address of their own, and two of the host network, as EKS counts.
        max_pods=limits.pod_addresses + 2,
    )


def cloud_settings(options: LabOptions) -> CloudSettings:
    return replace(
        CloudSettings(),
        describe_lag_seconds=options.describe_lag_seconds,
        metadata_lag_seconds=options.metadata_lag_seconds,
        attach_seconds=options.attach_seconds,
        detach_seconds=options.detach_seconds,
        latency_seconds=dict(options.latency_seconds),
    )


def fabric_options(options: LabOptions) -> FabricOptions:
    return FabricOptions(
        link_delay_seconds=options.link_delay_seconds, packet_delay_seconds=options.packet_delay_seconds
    )
