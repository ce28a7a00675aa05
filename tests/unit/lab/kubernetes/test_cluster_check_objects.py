"""What a check makes in the cluster, and what it understands of the answers."""

from ipaddress import IPv4Address
from typing import Any

from vpc_cni.lab.check import Endpoint, PodView
from vpc_cni.lab.check.expectations import STREAMS
from vpc_cni.lab.check.services import PATHS, Path, Policy
from vpc_cni.lab.kubernetes import check_objects

TARGET = PodView(Endpoint("node-1-abc-x", "node-1-abc-x", IPv4Address("10.0.1.9")), "node-1", secondary_eni=True)


def pod_item(name: str, **changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "node-1"},
        "status": {"podIP": "10.0.1.9", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    for part, values in changes.items():
        item[part] |= values
    return item


def test_only_pods_that_run_and_stay_are_used() -> None:
    items = [
        pod_item("b"),
        pod_item("a"),
        pod_item("first", metadata={"creationTimestamp": "2025-12-31T00:00:00Z"}),
        pod_item("leaving", metadata={"deletionTimestamp": "2026-01-01T00:00:01Z"}),
        pod_item("starting", status={"conditions": [{"type": "Ready", "status": "False"}]}),
        {"metadata": {"name": "pending"}, "spec": {}, "status": {"phase": "Pending"}},
    ]
    assert [pod.name for pod in check_objects.read_pods(items)] == ["first", "a", "b"]


def test_a_service_selects_its_target_alone_and_has_a_port_for_each_way() -> None:
    document = check_objects.service(TARGET, Policy.LOCAL)
    spec = document["spec"]
    assert spec["selector"] == {check_objects.TARGET_LABEL: "node-1-abc-x"}
    assert spec["externalTrafficPolicy"] == "Local"
    assert document["metadata"]["name"] == "node-1-secondary-local"
    assert len({port["name"] for port in spec["ports"]}) == len(spec["ports"]) == len(PATHS[Policy.LOCAL]) * 2


def test_both_services_of_a_target_lead_to_different_ports_of_it() -> None:
    ports = [
        (port["protocol"], port["targetPort"])
        for policy in PATHS
        for port in check_objects.service(TARGET, policy)["spec"]["ports"]
    ]
    assert len(ports) == len(set(ports))


def test_the_clusters_choices_are_read_back() -> None:
    document = check_objects.service(TARGET, Policy.CLUSTER)
    document["spec"]["clusterIP"] = "172.20.7.7"
    for number, port in enumerate(document["spec"]["ports"]):
        port["nodePort"] = 31000 + number
    service = check_objects.read_service(document, TARGET, Policy.CLUSTER)
    assert service.address == IPv4Address("172.20.7.7")
    assert sorted(service.node_ports.values()) == [31000 + number for number in range(len(Path) * len(STREAMS))]
    assert "10.0.1.9:20000" in check_objects.endpoints([service])


def test_a_deployment_stays_on_its_node() -> None:
    document = check_objects.deployment("node-2", 3)
    assert document["spec"]["replicas"] == 3
    assert document["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "node-2"}
    labels = document["spec"]["template"]["metadata"]["labels"]
    assert document["spec"]["selector"]["matchLabels"] == labels
