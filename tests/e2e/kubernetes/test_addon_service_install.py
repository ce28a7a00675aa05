"""The add-on installed through the API on nodes without one: pods get addresses, and values reach their packets."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from addon_service import CLUSTER, Customer, restore, serving
from cluster_node import node_file
from cluster_objects import node_is_ready, running, start_pods, wait_until
from cluster_operator import name_images

from vpc_cni.lab import Lab
from vpc_cni.lab.fabric.fabric import INTERNET_HOST
from vpc_cni.lab.fabric.rules import ROUTER_TABLE
from vpc_cni.lab.kubernetes.pod_namespaces import open_pod_namespaces
from vpc_cni.lab.world import INTERNET, ROUTER
from vpc_cni.netlink.netns import Netns

VERSION = "v1.16.2-eksbuild.1"
SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"
NAMES = f"--cluster-name {CLUSTER} --addon-name vpc-cni"
PODS = {node: f"far-{node}" for node in ("node-1", "node-2")}
CONNECT_SECONDS, DROPPED_SECONDS = 5.0, 0.5
PodObject = dict[str, Any]


@pytest.fixture
def customer(addon_lab: Lab, image_archive: str, tmp_path: Path) -> Iterator[Customer]:
    """Return somebody on whose cluster there is nothing of the add-on."""
    addon_lab.kubernetes.load(name_images(image_archive, tmp_path, VERSION))
    with serving(addon_lab, tmp_path) as made:
        made.must(f"vpc-cni self-managed {made.render(VERSION)} | kubectl delete --wait=false -f -")
        wait_until(lambda: made.shell("kubectl get ds aws-node -n kube-system").status != 0, "the end of the DaemonSet")
        yield made
        restore(addon_lab, image_archive, *PODS.values())


def values(customer: Customer, **env: str) -> str:
    """Return the option that says where the lab's EC2 is, with variables for all else."""
    where = {name: customer.place[name] for name in ("AWS_EC2_ENDPOINT", "IP_COOLDOWN_PERIOD")}
    return f"--configuration-values '{json.dumps({'env': {**where, **env}})}'"


def namespace(lab: Lab, name: str) -> Netns:
    """Open the namespace of what stands beside the nodes."""
    return Netns.open(Path(lab.netns_path("node-1")).with_name(name))


def seen_source(lab: Lab, pod: PodObject, seconds: float = CONNECT_SECONDS) -> str:
    """Connect from a pod to a host outside; return the address that it sees, or nothing when no packet arrives."""
    found = open_pod_namespaces(node_file(lab, pod["spec"]["nodeName"], "/"))
    with namespace(lab, INTERNET) as internet, internet.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((str(INTERNET_HOST), 0))
        listener.listen()
        client = found[IPv4Address(pod["status"]["podIP"])].socket(socket.AF_INET, socket.SOCK_STREAM)
        for each in found.values():
            each.close()
        with client:
            client.settimeout(seconds)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                return ""
            accepted, (source, _port) = listener.accept()
            accepted.close()
            return str(source)


@contextmanager
def nat_device(lab: Lab) -> Iterator[None]:
    """Let pods through to the internet, as a translating device outside the nodes does; this one keeps the source."""
    nft = shutil.which("nft") or "nft"
    with namespace(lab, ROUTER) as router:
        said = router.check_output([nft, "-a", "-e", "insert", "rule", "inet", ROUTER_TABLE, "forward", "accept"])
        handle = said.decode().rpartition("handle ")[2].split()[0]
        try:
            yield
        finally:
            router.check_output([nft, "delete", "rule", "inet", ROUTER_TABLE, "forward", "handle", handle])


def test_an_installation_through_the_api_gives_addresses_and_its_values_reach_the_packets(customer: Customer) -> None:
    lab = customer.lab
    customer.must(f"aws eks create-addon {NAMES} --addon-version {VERSION} {values(customer)}")
    created = customer.settled()
    assert (created["status"], created["health"]["issues"]) == ("ACTIVE", [])
    wait_until(lambda: all(node_is_ready(lab, node) for node in PODS), "Ready of the nodes")

    for node, name in PODS.items():
        start_pods(lab, name, 1, node)
    pods = [running(lab, f"app={name}")[0] for name in PODS.values()]
    for pod in pods:
        node = lab.node(pod["spec"]["nodeName"])
        assert pod["status"]["podIP"] in {address for eni in node.enis for address in eni.addresses}
        assert pod["status"]["podIP"] != node.address
        assert seen_source(lab, pod) == str(node.public_address)

    customer.hurry()
    ended = customer.update(f"{NAMES} {values(customer, **{SNAT: 'true'})}")
    assert (ended["status"], ended["errors"]) == ("Successful", [])
    dropped = lab.status()["dropped_unmapped"]
    assert [seen_source(lab, pod, DROPPED_SECONDS) for pod in pods] == ["", ""], "no address of a pod is mapped"
    assert lab.status()["dropped_unmapped"] >= dropped + len(pods)
    with nat_device(lab):
        assert [seen_source(lab, pod) for pod in pods] == [pod["status"]["podIP"] for pod in pods]
