"""Owners of fields that would change, from managedFields."""

from typing import Any

import pytest

from vpc_cni.cluster import find_conflicts, plan_object
from vpc_cni.cluster.owners import owned_paths

AGENT = 'k:{"name":"aws-node"}'
ABOVE = '.spec.template.spec.containers[name="aws-node"]'


def manages(manager: str, operation: str, container: dict[str, Any]) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {AGENT: {".": {}, **container}}}}}}
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def daemon_set(*fields: dict[str, Any], **container: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "aws-node", **container}]}}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"managedFields": list(fields)}, "spec": spec}


ENV_OF_KUBECTL = manages("kubectl-set", "Update", {"f:env": {'k:{"name":"A"}': {"f:value": {}}}})


def found(live: dict[str, Any], merged: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.path, each.manager) for each in find_conflicts(plan_object(live, merged, merged, "vpc-cni"))]


def test_a_changed_value_conflicts_with_its_owner() -> None:
    live = daemon_set(ENV_OF_KUBECTL, env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}])
    merged = daemon_set(env=[{"name": "A", "value": "2"}, {"name": "B", "value": "2"}])
    assert found(live, merged) == [(f'{ABOVE}.env[name="A"].value', "kubectl-set")]


def test_the_same_value_is_no_conflict() -> None:
    live = daemon_set(ENV_OF_KUBECTL, env=[{"name": "A", "value": "1"}])
    assert found(live, live) == []


def test_a_new_item_is_no_conflict() -> None:
    live = daemon_set(ENV_OF_KUBECTL, env=[{"name": "A", "value": "1"}])
    merged = daemon_set(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}])
    assert found(live, merged) == []


def test_an_item_that_goes_conflicts_with_the_owner_of_a_part_of_it() -> None:
    live = daemon_set(ENV_OF_KUBECTL, env=[{"name": "A", "value": "1"}])
    assert found(live, daemon_set(env=[])) == [(f'{ABOVE}.env[name="A"]', "kubectl-set")]


def test_a_list_owned_as_a_whole_conflicts_as_a_whole() -> None:
    live = daemon_set(manages("kubectl", "Update", {"f:args": {}}), args=["--a"])
    assert found(live, daemon_set(args=["--b"])) == [(f"{ABOVE}.args", "kubectl")]


def test_amounts_that_are_the_same_are_no_conflict() -> None:
    owner = manages("kubectl", "Update", {"f:resources": {"f:requests": {"f:cpu": {}}}})
    live = daemon_set(owner, resources={"requests": {"cpu": "1"}})
    assert found(live, daemon_set(resources={"requests": {"cpu": "1000m"}})) == []


@pytest.mark.parametrize("operation", ["Apply", "Update"])
def test_what_is_ours_is_no_conflict_however_it_came_to_us(operation: str) -> None:
    live = daemon_set(manages("vpc-cni", operation, {"f:image": {}}), image="a")
    assert found(live, daemon_set(image="b")) == []


def test_every_owner_of_a_field_is_named() -> None:
    owners = [manages(name, "Apply", {"f:image": {}}) for name in ("one", "two")]
    assert [manager for _, manager in found(daemon_set(*owners, image="a"), daemon_set(image="b"))] == ["one", "two"]


def test_a_name_that_starts_alike_is_another_field() -> None:
    live = daemon_set(manages("kubectl", "Update", {"f:imagePullPolicy": {}}), image="a", imagePullPolicy="Always")
    assert found(live, daemon_set(image="b", imagePullPolicy="Always")) == []


def test_paths_read_as_in_differences() -> None:
    fields = {
        "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
        "f:ports": {'k:{"containerPort":61678,"protocol":"TCP"}': {".": {}, "f:name": {}}},
        "f:finalizers": {'v:"a"': {}},
    }
    assert [path for path, _ in owned_paths(fields)] == [
        '.metadata.labels."app.kubernetes.io/name"',
        '.ports[containerPort=61678,protocol="TCP"]',
        '.ports[containerPort=61678,protocol="TCP"].name',
        '.finalizers["a"]',
    ]
