"""What a lab says about itself, as plain JSON values. The field names are for other programs: they stay."""

from collections.abc import Iterable
from dataclasses import asdict

from vpc_cni.lab.check import CheckReport, RowResult
from vpc_cni.lab.cloud.records import Interface
from vpc_cni.lab.faults import ActiveFault
from vpc_cni.lab.nodes.node import Node
from vpc_cni.lab.nodes.pods import Pod
from vpc_cni.lab.world import World

Json = dict[str, object]


async def describe_world(world: World) -> Json:
    """Return the document of `lab status --json`."""
    counters = await world.fabric.counters()
    return {
        "name": world.options.name,
        "run_dir": str(world.paths.root),
        "log_path": str(world.paths.log_file),
        "vpc_cidr": world.options.vpc_cidr,
        "vpc_id": world.vpc_id,
        "region": world.cloud.settings.region,
        "endpoints": asdict(world.servers.endpoints),
        "nodes": [describe_node(world, node, counters.spoofed) for node in world.nodes.values()],
        "pods": [describe_pod(world, pod) for pod in world.pods()],
        "faults": [describe_fault(fault) for fault in world.faults.active()],
        "dropped_unmapped": counters.unmapped,
        "kubernetes": await world.cluster.describe() if world.cluster is not None else None,
    }


def describe_node(world: World, node: Node, spoofed: object = None) -> Json:
    """Return one node; paths are usable by other processes of the same user while the lab is up."""
    drops = spoofed if isinstance(spoofed, dict) else {}
    return {
        "name": node.name,
        "instance_id": node.facts.instance_id,
        "instance_type": node.facts.instance_type,
        "subnet_id": node.facts.subnet_id,
        "address": str(node.facts.primary.ip),
        "public_address": str(node.facts.public_address) if node.facts.public_address else None,
        "netns_path": str(world.folder.outside_path(node.facts.instance_id)),
        "plugin_dir": str(node.paths.plugin_dir),
        "conflist_path": str(node.paths.conflist),
        "socket_path": str(node.paths.socket),
        "run_dir": str(node.paths.run_dir),
        "cache_dir": str(node.paths.cache_dir),
        "agent_log_path": str(node.paths.agent_log),
        "agent_pid": node.agent.pid if node.agent is not None else None,
        "agent_restarts": node.agent.restarts if node.agent is not None else 0,
        "agent_supervised": node.agent.supervise if node.agent is not None else False,
        "enis": [describe_eni(eni, drops.get(eni.eni_id, 0)) for eni in world.enis_of(node)],
        "pods": len(node.pods),
    }


def describe_eni(eni: Interface, spoofed_packets: int = 0) -> Json:
    return {
        "eni_id": eni.eni_id,
        "device_number": eni.attachment.device_index if eni.attachment else None,
        "mac": eni.mac,
        "primary_address": str(eni.primary),
        "addresses": [str(address) for address in eni.secondary],
        "prefixes": [str(prefix) for prefix in eni.prefixes],
        "spoofed_packets": spoofed_packets,
    }


def describe_pod(world: World, pod: Pod) -> Json:
    eni = world.eni_of(pod)
    return {
        "name": pod.name,
        "node": pod.node,
        "address": str(pod.address),
        "eni_id": eni.eni_id if eni else None,
        "device_number": eni.attachment.device_index if eni and eni.attachment else None,
        "netns_path": str(world.folder.outside_path(pod.netns)),
        "container_id": pod.attachment.container_id,
        "ifname": pod.attachment.ifname,
        "add_ms": round(pod.add_milliseconds, 2),
    }


def describe_fault(fault: ActiveFault) -> Json:
    return {"number": fault.number, "kind": fault.kind, "details": dict(fault.details)}


def describe_report(report: CheckReport) -> Json:
    """Return the document of `lab check --json`."""
    return {
        "passed": report.passed,
        "seconds": round(report.seconds, 3),
        "problems": list(report.problems),
        "rows": [_describe_row(row) for row in report.rows],
    }


def _describe_row(result: RowResult) -> Json:
    row = result.row
    return {
        "title": row.title,
        "note": row.note,
        "source": row.source.name,
        "target": row.target.name,
        "dialled": str(row.dialled),
        "passed": result.passed,
        "probes": [
            {
                "protocol": str(probe.protocol),
                "passed": probe.passed,
                "ms": round(probe.milliseconds, 2),
                "detail": probe.detail,
            }
            for probe in result.results
        ],
    }


def describe_pods(world: World, pods: Iterable[Pod]) -> list[Json]:
    return [describe_pod(world, pod) for pod in pods]
