"""`lab check` on a running world: what is there becomes rows, rows become packets."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from vpc_cni.errors import VpcCniError
from vpc_cni.lab.check import CheckReport, Endpoint, LabView, NodeView, PodView, expect_all, run_check
from vpc_cni.lab.check.expectations import missing_pods
from vpc_cni.lab.check.node_ports import open_node_ports
from vpc_cni.lab.check.runner import NodePort
from vpc_cni.lab.fabric import INTERNET_HOST
from vpc_cni.lab.world import INTERNET, World

# The largest instance types hold 735 pods; by then both kinds of ENI have long been used.
MAX_ADDED_PODS = 64


async def check_world(world: World, progress: Callable[[str], None]) -> CheckReport:
    """Prove that packets go where they must. Pods that are missing for it are added, and deleted afterwards."""
    before = {pod.name for pod in world.pods()}
    problems: list[str] = []
    try:
        for node_name in missing_pods(view_world(world)):
            progress(f"adding pods on {node_name} for the check")
            problems += await _complete_node(world, node_name)

        def open_ports(namespace: str, ports: Sequence[NodePort]) -> AbstractContextManager[None]:
            return open_node_ports(world.folder.get(namespace), ports)

        rows = expect_all(view_world(world))
        return await run_check(rows, world.folder.open_socket, open_ports, problems=problems)
    finally:
        added = [pod.name for pod in world.pods() if pod.name not in before]
        await world.delete_pods(added, lambda _text: None)


def view_world(world: World) -> LabView:
    """Return what a check knows of a world: EC2's view of which ENI holds which pod."""
    nodes = tuple(
        NodeView(Endpoint(node.name, node.facts.instance_id, node.facts.primary.ip), node.facts.public_address)
        for node in world.nodes.values()
    )
    pods = tuple(
        PodView(Endpoint(pod.name, pod.netns, pod.address), pod.node, world.on_secondary_eni(pod))
        for pod in world.pods()
    )
    internet = Endpoint("internet", INTERNET, INTERNET_HOST)
    return LabView(nodes, pods, internet, world.fabric.options.mtu_bytes, world.fabric.options.internet_mtu_bytes)


async def _complete_node(world: World, node_name: str) -> list[str]:
    """Add pods until the node has two on its primary and two on secondary ENIs; return why it cannot."""
    added = 0
    while node_name in (lacking := missing_pods(view_world(world))):
        batch = sum(lacking[node_name])
        if added + batch > MAX_ADDED_PODS:
            primary, secondary = lacking[node_name]
            return [f"{node_name} lacks {primary} pods on its primary and {secondary} on secondary ENIs"]
        try:
            await world.add_pods(node_name, batch, None, lambda _text: None)
        except VpcCniError as err:
            return [f"{node_name} cannot add a pod: {err}"]
        added += batch
    return []
