"""Shape and configuration files of a cluster, as far as something depends on them."""

import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.lab import LabOptions
from vpc_cni.lab.kubernetes import node_config
from vpc_cni.lab.kubernetes.cluster import is_ready
from vpc_cni.lab.kubernetes.node_config import NodeFacts
from vpc_cni.lab.kubernetes.paths import NodeFiles
from vpc_cni.lab.kubernetes.shape import ClusterShape, ProxyBackend, service_network
from vpc_cni.lab.options import PROXY_BACKENDS, encode_options, parse_options

SHAPE = ClusterShape("lab", IPv4Network("10.0.0.0/16"), IPv4Address("10.0.0.9"), 4711, ProxyBackend.NFT)
FACTS = NodeFacts("node-1", IPv4Address("10.0.0.7"), "i-0a", "t3.medium", "us-west-2a", max_pods=17)
FILES = NodeFiles(Path("/lab/nodes/node-1/kubernetes"), Path("/lab/nodes/node-1/log"))


@pytest.mark.parametrize(
    ("vpc", "services"),
    [("10.0.0.0/16", "172.20.0.0/16"), ("10.100.0.0/16", "172.20.0.0/16"), ("172.20.0.0/16", "10.100.0.0/16"),
     ("192.168.0.0/16", "10.100.0.0/16")],
)  # fmt: skip
def test_services_have_a_block_that_the_vpc_does_not_touch(vpc: str, services: str) -> None:
    assert service_network(IPv4Network(vpc)) == IPv4Network(services)
    assert not IPv4Network(vpc).overlaps(IPv4Network(services))


def test_the_options_travel_to_the_daemon() -> None:
    options = LabOptions(kubernetes=True, proxy_backend="legacy")
    assert parse_options(encode_options(options)) == options
    with pytest.raises(CallerError, match="nftables"):
        LabOptions(proxy_backend="nftables")
    assert set(PROXY_BACKENDS) == set(ProxyBackend)


def test_kubelet_takes_what_ec2_lets_the_instance_have() -> None:
    config = json.loads(node_config.kubelet_config(FACTS, FILES, SHAPE))
    assert config["maxPods"] == 17
    assert config["cgroupRoot"] == "/vpc-cni-lab/lab/node-1"
    assert config["clusterDNS"] == ["172.20.0.10"]


def test_kubelet_knows_its_instance() -> None:
    command = node_config.kubelet_command(Path("/bin/kubelet"), FACTS, FILES, names_runtime=True)
    assert "--provider-id=aws:///us-west-2a/i-0a" in command
    assert "--node-ip=10.0.0.7" in command


def test_only_old_releases_are_told_the_kind_of_runtime() -> None:
    old, new = (
        node_config.kubelet_command(Path("/bin/kubelet"), FACTS, FILES, names_runtime=old) for old in (True, False)
    )
    assert set(old) - set(new) == {"--container-runtime=remote"}


def test_a_node_is_ready_when_it_says_so() -> None:
    def node(status: str) -> dict[str, dict[str, object]]:
        return {
            "status": {"conditions": [{"type": "DiskPressure", "status": "True"}, {"type": "Ready", "status": status}]}
        }

    assert is_ready(node("True"))
    assert not is_ready(node("False"))
    assert not is_ready(node("Unknown"))
    assert not is_ready({})
