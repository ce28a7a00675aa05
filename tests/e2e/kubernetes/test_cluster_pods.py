"""A running cluster: pods of Deployments, every way a packet must go, failures of its parts."""

import json
import stat
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from cluster_ec2 import end_nodes
from cluster_objects import kubectl, list_pods, node_is_ready, pod_document, running, wait_until

from vpc_cni.errors import CallerError
from vpc_cni.lab import Lab
from vpc_cni.lab.kubernetes.images import ECHO_IMAGE, PAUSE_IMAGE
from vpc_cni.lab.kubernetes.images.archive import Image, encode_archive


def test_kubectl_sees_the_labs_nodes_with_their_instances(cluster_lab: Lab) -> None:
    nodes = json.loads(kubectl(cluster_lab, "get", "nodes", "-o=json"))["items"]
    shown = {node["metadata"]["name"]: node for node in nodes}
    for node in cluster_lab.nodes:
        assert shown[node.name]["spec"]["providerID"].endswith(f"/{node.instance_id}")
        assert shown[node.name]["status"]["addresses"][0] == {"type": "InternalIP", "address": node.address}
        assert shown[node.name]["status"]["capacity"]["pods"] == "29"
    assert set(shown) == {"node-1", "node-2"}


def test_only_the_owner_reads_the_administrators_credentials(cluster_lab: Lab) -> None:
    assert stat.S_IMODE(cluster_lab.kubernetes.kubeconfig.stat().st_mode) == 0o600


def test_every_packet_arrives(cluster_lab: Lab) -> None:
    report = cluster_lab.check()
    assert report.failures() == []
    assert {row["note"] for row in report.rows if row["title"] == "node port (Local), internet"} == {
        "primary ENI",
        "secondary ENI",
    }


# After the agent's own chains: replies of connections from outside then leave by the pod's ENI.
SPOILER = """
table ip spoiler {
  chain forget_mark {
    type filter hook prerouting priority -80; policy accept;
    iifname "eni*" meta mark set meta mark & 0xffffff7f
  }
}
"""


def test_a_lost_connection_mark_is_found_by_the_rows_that_need_it(cluster_lab: Lab) -> None:
    cluster_lab.run("node-1", ["nft", SPOILER])
    try:
        failed = cluster_lab.check().failures()
    finally:
        cluster_lab.run("node-1", ["nft", "delete table ip spoiler"])
    titles = {line.partition(" (secondary ENI)")[0] for line in failed}
    assert {"node port (Local), internet", "pod to internet (SNAT)"} <= titles
    assert all("(secondary ENI): " in line for line in failed), failed


def test_a_service_is_reached_by_name_of_its_environment(cluster_lab: Lab) -> None:
    kubectl(cluster_lab, "create", "deployment", "web", f"--image={ECHO_IMAGE}", "--replicas=2")
    kubectl(cluster_lab, "expose", "deployment", "web", "--port=80", "--target-port=8080")
    wait_until(lambda: len(running(cluster_lab, "app=web")) == 2, "Running of the servers")
    kubectl(cluster_lab, "apply", "-f=-", document=pod_document("client", ECHO_IMAGE))
    wait_until(lambda: running(cluster_lab, "app=client"), "Running of the client")
    own = running(cluster_lab, "app=client")[0]["status"]["podIP"]
    command = "echo question | nc -w 2 $WEB_SERVICE_HOST $WEB_SERVICE_PORT"
    said = kubectl(cluster_lab, "exec", "client", "--", "sh", "-c", command).split()
    assert said[0] in {pod["metadata"]["name"] for pod in running(cluster_lab, "app=web")}
    assert said[1:] == [own, "question"]
    kubectl(cluster_lab, "delete", "deployment/web", "service/web", "pod/client")


def test_an_image_from_a_file_runs_on_every_node(cluster_lab: Lab, tmp_path: Path) -> None:
    script = b"#!/bin/sh\necho started\nexec sleep 600\n"
    shell = Path("/bin/busybox").read_bytes()
    files = {"/bin/busybox": shell, "/bin/run": script}
    image = Image("example.test/own:1", files, ["/bin/run"], {"/bin/sh": "busybox", "/bin/sleep": "busybox"})
    (tmp_path / "own.tar").write_bytes(encode_archive(image))
    cluster_lab.kubernetes.load(tmp_path / "own.tar")
    for node in ("node-1", "node-2"):
        kubectl(cluster_lab, "apply", "-f=-", document=pod_document(f"own-{node}", image.name, nodeName=node))
        wait_until(lambda node=node: running(cluster_lab, f"app=own-{node}"), f"start of the image on {node}")
        assert kubectl(cluster_lab, "logs", f"own-{node}") == "started\n"
        kubectl(cluster_lab, "delete", "pod", f"own-{node}")


def test_an_archive_that_is_none_is_refused(cluster_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"missing\.tar"):
        cluster_lab.kubernetes.load(tmp_path / "missing.tar")


def test_pods_and_plugin_work_while_the_api_server_is_away(cluster_lab: Lab) -> None:
    kubectl(cluster_lab, "create", "deployment", "calm", f"--image={PAUSE_IMAGE}", "--replicas=2")
    wait_until(lambda: len(running(cluster_lab, "app=calm")) == 2, "Running of two pods")
    address = running(cluster_lab, "app=calm")[0]["status"]["podIP"]
    cluster_lab.kubernetes.stop("kube-apiserver")
    try:
        assert cluster_lab.kubernetes.kubectl("get", "nodes", "--request-timeout=2s").returncode != 0
        assert cluster_lab.kubernetes.status["control_plane"]["kube-apiserver"] is None
        pod = cluster_lab.add_pod("node-1")
        assert cluster_lab.run(pod.name, ["ping", "-c1", "-W2", address]).returncode == 0
        cluster_lab.delete_pod(pod.name)
    finally:
        cluster_lab.kubernetes.start("kube-apiserver")
    wait_until(lambda: node_is_ready(cluster_lab, "node-1"), "Ready after the API server's return")
    kubectl(cluster_lab, "delete", "deployment", "calm")


def test_a_node_that_was_switched_off_comes_back_with_its_pods(cluster_lab: Lab) -> None:
    kubectl(cluster_lab, "apply", "-f=-", document=pod_document("survivor", PAUSE_IMAGE, nodeName="node-2"))
    wait_until(lambda: running(cluster_lab, "app=survivor"), "Running of the pod")
    cluster_lab.kubernetes.switch_off("node-2")
    wait_until(lambda: not node_is_ready(cluster_lab, "node-2"), "NotReady", seconds=40)
    cluster_lab.kubernetes.switch_on("node-2")
    wait_until(lambda: node_is_ready(cluster_lab, "node-2"), "Ready again")

    def restarted() -> bool:
        pods = running(cluster_lab, "app=survivor")
        return bool(pods) and pods[0]["status"]["containerStatuses"][0]["restartCount"] == 1

    wait_until(restarted, "the pod's restart")
    kubectl(cluster_lab, "delete", "pod", "survivor")
    wait_until(lambda: not list_pods(cluster_lab, "app=survivor"), "the end of the pod")


def test_a_program_runs_inside_a_nodes_namespaces(cluster_lab: Lab) -> None:
    assert cluster_lab.kubernetes.run("node-1", ["hostname"]).stdout == "node-1\n"
    links = cluster_lab.kubernetes.run("node-1", ["ls", "/sys/class/net"]).stdout.split()
    assert "ens5" in links
    assert "nf_tables" in cluster_lab.kubernetes.run("node-1", ["iptables", "-V"]).stdout
    processes = cluster_lab.kubernetes.run("node-1", ["ps", "-eo", "comm="]).stdout.split()
    assert {"containerd", "kubelet", "kube-proxy"} <= set(processes)
    assert "kube-apiserver" not in processes


def test_a_program_of_a_node_that_dies_is_started_again(cluster_lab: Lab) -> None:
    before = cluster_lab.kubernetes.run("node-1", ["pidof", "kubelet"]).stdout
    cluster_lab.kubernetes.run("node-1", ["kill", "-9", before.strip()])
    wait_until(
        lambda: cluster_lab.kubernetes.run("node-1", ["pidof", "kubelet"]).stdout not in ("", before), "a new kubelet"
    )
    kubectl(cluster_lab, "apply", "-f=-", document=pod_document("later", PAUSE_IMAGE, nodeName="node-1"))
    wait_until(lambda: running(cluster_lab, "app=later"), "a pod by the new kubelet")
    kubectl(cluster_lab, "delete", "pod", "later")


def test_a_node_joins_and_its_termination_removes_it(cluster_lab: Lab) -> None:
    node = cluster_lab.add_node()
    assert node_is_ready(cluster_lab, node.name)
    init = next(each["init_pid"] for each in cluster_lab.kubernetes.status["nodes"] if each["name"] == node.name)
    end_nodes(cluster_lab, node.name)
    wait_until(lambda: not Path(f"/proc/{init}").exists(), "the end of the node's processes")
    wait_until(lambda: node.name not in kubectl(cluster_lab, "get", "nodes"), "the end of the Node object")


def test_services_have_a_block_beside_the_vpc(cluster_lab: Lab) -> None:
    services = IPv4Network(cluster_lab.kubernetes.status["service_cidr"])
    address = IPv4Address(kubectl(cluster_lab, "get", "service", "kubernetes", "-o=jsonpath={.spec.clusterIP}"))
    assert address in services
    assert not services.overlaps(IPv4Network(cluster_lab.options.vpc_cidr))
