"""`lab check` on a running world: what is there becomes rows, rows become packets.

With a Kubernetes the pods are those of Deployments, and node ports those of Services.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from vpc_cni.errors import HostError, VpcCniError
from vpc_cni.lab.check import CheckReport, Endpoint, LabView, NodeView, PodView, expect_all, run_check
from vpc_cni.lab.check.expectations import expect_direct, expect_large, missing_pods
from vpc_cni.lab.check.node_ports import open_node_ports
from vpc_cni.lab.check.runner import NodePort
from vpc_cni.lab.check.services import expect_services, service_targets
from vpc_cni.lab.fabric import INTERNET_HOST
from vpc_cni.lab.kubernetes.check_objects import RunningPod
from vpc_cni.lab.kubernetes.check_workload import CheckWorkload
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.nodes.pods import Pod
from vpc_cni.lab.world import INTERNET, World

# The largest instance types hold 735 pods; by then both kinds of ENI have long been used.
MAX_ADDED_PODS = 64
# A check is for a lab that works, and says so when it does not: it does not wait as long as an ADD may.
ADD_SECONDS = 10.0


def ignore_progress(_text: str) -> None:
    """Say nothing."""


async def check_world(world: World, progress: Callable[[str], None]) -> CheckReport:
    """Prove that packets go where they must. Pods that are missing for it are added, and deleted afterwards."""
    if world.cluster is not None:
        return await check_cluster(world, world.cluster, progress)
    extra = ExtraPods(world)
    problems: list[str] = []
    try:
        for node_name in missing_pods(view_world(world)):
            progress(f"adding pods on {node_name} for the check")
            problems += await _complete_node(world, node_name, extra)

        def open_ports(namespace: str, ports: Sequence[NodePort]) -> AbstractContextManager[None]:
            return open_node_ports(world.folder.get(namespace), ports)

        rows = expect_all(view_world(world))
        return await run_check(rows, world.folder.open_socket, open_ports, problems=problems)
    finally:
        await extra.remove()


async def check_cluster(world: World, cluster: Cluster, progress: Callable[[str], None]) -> CheckReport:
    """Ask every row with pods of Deployments, and those of Services."""
    workload = CheckWorkload(cluster)
    problems: list[str] = []
    try:
        await workload.start()
        view = await _complete_cluster(world, workload, progress, problems)
        progress(f"making Services for {len(view.pods)} pods")
        services = await workload.add_services(service_targets(view))
        await workload.open_namespaces()
        rows = [*expect_direct(view), *expect_services(view, services), *expect_large(view)]
        addresses = {pod.endpoint.namespace: pod.endpoint.address for pod in view.pods}

        async def open_socket(name: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
            if name not in addresses:
                return await world.folder.open_socket(name, family, kind, protocol)
            netns = workload.namespaces.get(addresses[name])
            if netns is None:
                raise FileNotFoundError(errno.ENOENT, f"{name} has no network any more")
            opened = netns.socket(family, kind, protocol)
            opened.setblocking(False)
            return opened

        return await run_check(rows, open_socket, open_no_ports, problems=problems)
    finally:
        progress("removing the check's pods and Services")
        await workload.remove()


async def _complete_cluster(
    world: World, workload: CheckWorkload, progress: Callable[[str], None], problems: list[str]
) -> LabView:
    """Add pods until each node has two of each kind; a node that cannot have them becomes a problem."""
    view = view_cluster(world, [])
    while lacking := missing_pods(view):
        wanted = {node: sum(counts) for node, counts in lacking.items()}
        added = len(view.pods)
        if added + sum(wanted.values()) > MAX_ADDED_PODS:
            problems += [f"{node} lacks pods for the check" for node in lacking]
            break
        progress(f"adding {sum(wanted.values())} pods")
        try:
            view = view_cluster(world, await workload.add_pods(wanted))
        except HostError as err:
            problems.append(str(err))
            return view_cluster(world, await workload.pods())
    return view


@contextmanager
def open_no_ports(_namespace: str, _ports: Sequence[NodePort]) -> Iterator[None]:
    """Do nothing: the cluster's Services have opened what is needed."""
    yield


class ExtraPods:
    """Pods that live as long as one check. One that comes too late is deleted when it comes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._names: list[str] = []
        self._deadline = asyncio.get_running_loop().time() + ADD_SECONDS

    async def add(self, node_name: str, count: int) -> str:
        """Add pods at the same time; return why that was not possible, or nothing."""
        tasks = [asyncio.create_task(self._world.add_pods(node_name, 1, None, ignore_progress)) for _ in range(count)]
        patience = max(self._deadline - asyncio.get_running_loop().time(), 0.0)
        done, late = await asyncio.wait(tasks, timeout=patience)
        for task in late:
            self._world.keep(self._remove_late(task))
        problem = f"no address within {ADD_SECONDS:g} s" if late else ""
        for task in done:
            try:
                self._names += [pod.name for pod in task.result()]
            except VpcCniError as err:
                problem = str(err)
        return problem

    async def remove(self) -> None:
        await self._world.delete_pods(self._names, ignore_progress)

    async def _remove_late(self, task: "asyncio.Task[list[Pod]]") -> None:
        with suppress(VpcCniError):
            await self._world.delete_pods([pod.name for pod in await task], ignore_progress)


def view_world(world: World) -> LabView:
    """Return what a check knows of a world: EC2's view of which ENI holds which pod."""
    pods = tuple(
        PodView(Endpoint(pod.name, pod.netns, pod.address), pod.node, world.on_secondary_eni(pod.address))
        for pod in world.pods()
    )
    return _view(world, pods)


def view_cluster(world: World, pods: Iterable[RunningPod]) -> LabView:
    """Return what a check knows of a world with pods of its cluster; each is its own namespace's name."""
    views = (
        PodView(Endpoint(pod.name, pod.name, pod.address), pod.node, world.on_secondary_eni(pod.address))
        for pod in pods
    )
    return _view(world, tuple(views))


def _view(world: World, pods: tuple[PodView, ...]) -> LabView:
    nodes = tuple(
        NodeView(Endpoint(node.name, node.facts.instance_id, node.facts.primary.ip), node.facts.public_address)
        for node in world.nodes.values()
    )
    internet = Endpoint("internet", INTERNET, INTERNET_HOST)
    return LabView(nodes, pods, internet, world.fabric.options.mtu_bytes, world.fabric.options.internet_mtu_bytes)


async def _complete_node(world: World, node_name: str, extra: ExtraPods) -> list[str]:
    """Add pods until the node has two on its primary and two on secondary ENIs; return why it cannot."""
    added = 0
    while node_name in (lacking := missing_pods(view_world(world))):
        batch = sum(lacking[node_name])
        if added + batch > MAX_ADDED_PODS:
            primary, secondary = lacking[node_name]
            return [f"{node_name} lacks {primary} pods on its primary and {secondary} on secondary ENIs"]
        problem = await extra.add(node_name, batch)
        if problem:
            return [f"{node_name} cannot add a pod for the check: {problem}"]
        added += batch
    return []
