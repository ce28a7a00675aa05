"""What an apply would do to each field, from managedFields, without an API server."""

from typing import Any

import pytest

from vpc_cni.cluster import Claim, Mode, Outcome, plan_object
from vpc_cni.cluster.applying import ApplyPlan, ObjectPlan
from vpc_cni.cluster.fields import find_field
from vpc_cni.cluster.rewriting import plan_release, plan_rewrite

ABOVE = '.spec.template.spec.containers[name="aws-node"]'
AGENT = 'k:{"name":"aws-node"}'


def daemon_set(*managed: dict[str, Any], **container: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "aws-node", **container}]}}}
    metadata: dict[str, Any] = {"name": "aws-node", "namespace": "kube-system"}
    if managed:
        metadata |= {"managedFields": list(managed), "resourceVersion": "7"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def manages(manager: str, operation: str, container: dict[str, Any]) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {AGENT: {".": {}, "f:name": {}, **container}}}}}}
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def env_item(name: str, *fields: str) -> dict[str, Any]:
    return {"f:env": {f'k:{{"name":"{name}"}}': {field: {} for field in fields}}}


EKS = manages("eks", "Apply", {"f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}}}, "f:image": {}})
SETTER = manages("kubectl-set", "Update", env_item("A", "f:value"))


def plan(live: dict[str, Any], wanted: dict[str, Any]) -> ObjectPlan:
    return plan_object(live, wanted, None, "eks")


def outcomes(planned: ObjectPlan) -> dict[str, list[Outcome]]:
    return {each.path: [each.outcome(mode) for mode in Mode] for each in planned.fields}


def test_a_value_of_someone_else_is_contested_and_everything_else_is_free() -> None:
    planned = plan(
        daemon_set(EKS, SETTER, image="old", env=env(A="mine")), daemon_set(image="new", env=env(A="theirs"))
    )
    assert outcomes(planned) == {
        f'{ABOVE}.env[name="A"].value': [Outcome.CONFLICT, Outcome.SET, Outcome.KEPT],
        f"{ABOVE}.image": [Outcome.SET] * 3,
    }
    assert planned.preserving == daemon_set(image="new", env=[{"name": "A"}])
    assert planned.fields[0].owners == ("kubectl-set",)


def test_a_refused_change_keeps_all_fields() -> None:
    whole = ApplyPlan(
        (plan(daemon_set(EKS, SETTER, image="old", env=env(A="x")), daemon_set(image="new", env=env(A="y"))),)
    )
    found = [whole.outcome(each, Mode.NONE, creating=False) for each in whole.objects[0].fields]
    assert found == [Outcome.CONFLICT, Outcome.KEPT]
    assert whole.is_refused(Mode.PRESERVE, creating=True)
    assert not whole.is_refused(Mode.PRESERVE, creating=False)


def test_the_message_has_a_line_for_each_manager_and_field() -> None:
    owners = (SETTER, manages("helm", "Apply", env_item("A", "f:value")))
    whole = ApplyPlan((plan(daemon_set(EKS, *owners, env=env(A="x")), daemon_set(env=env(A="y"))),))
    line = f'DaemonSet.apps aws-node - {ABOVE}.env[name="A"].value'
    assert whole.conflict_message() == (
        "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\n"
        f"{line}\n{line}"
    )


def test_core_kinds_have_no_group_and_names_with_dots_no_quotes() -> None:
    fields = {"f:metadata": {"f:labels": {"f:a.example.com/b": {}}}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "aws-node", "labels": {}}}
    labelled = {**account, "metadata": {"name": "aws-node", "labels": {"a.example.com/b": "x"}}}
    managed = [{"manager": "kubectl-label", "operation": "Update", "fieldsV1": fields}]
    live = {**account, "metadata": {**labelled["metadata"], "managedFields": managed}}  # type: ignore[dict-item]
    wanted = {**account, "metadata": {"name": "aws-node", "labels": {"a.example.com/b": "y"}}}
    whole = ApplyPlan((plan(live, wanted),))
    assert whole.conflict_lines() == ("ServiceAccount aws-node - .metadata.labels.a.example.com/b",)


def test_a_dropped_item_with_a_value_of_someone_else_is_contested() -> None:
    planned = plan(daemon_set(EKS, SETTER, image="i", env=env(A="mine")), daemon_set(image="i"))
    assert [each.path for each in planned.contests] == [f'{ABOVE}.env[name="A"].value']
    assert planned.preserving == daemon_set(image="i", env=[{"name": "A"}])


def test_what_only_others_own_is_foreign() -> None:
    owner = manages("kubectl-set", "Update", env_item("MINE", ".", "f:name", "f:value"))
    planned = plan(daemon_set(EKS, owner, image="i", env=env(A="a", MINE="5")), daemon_set(image="i", env=env(A="a")))
    assert {each.claim for each in planned.fields} == {Claim.FOREIGN}
    assert outcomes(planned)[f'{ABOVE}.env[name="MINE"].value'] == [Outcome.KEPT] * 3
    assert not planned.changes


def test_values_that_exclude_each_other_are_one_contest() -> None:
    wanted = daemon_set(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}])
    live = daemon_set(EKS, SETTER, env=env(A="mine"))
    planned = plan(live, wanted)
    assert [each.path for each in planned.contests] == [f'{ABOVE}.env[name="A"].value']
    assert {each.claim for each in planned.fields} == {Claim.CONTESTED}
    assert planned.preserving == daemon_set(env=[{"name": "A"}])
    guard, replaced = plan_rewrite(live, planned.wanted, "eks")
    assert guard["value"] == "7"
    assert (
        replaced["value"]["template"]["spec"]["containers"][0]["env"]
        == wanted["spec"]["template"]["spec"]["containers"][0]["env"]
    )
    assert plan_rewrite(live, planned.preserving, "eks") == ()


@pytest.mark.parametrize("managed", [(), ({},)])
def test_what_nobody_owns_any_more_is_contested_where_it_differs(managed: tuple[dict[str, Any], ...]) -> None:
    live = daemon_set(image="old", env=env(A="same"))
    live["metadata"]["managedFields"] = list(managed)
    planned = plan(live, daemon_set(image="new", env=env(A="same")))
    assert [(each.path, each.manager) for each in planned.contests] == [(f"{ABOVE}.image", "before-first-apply")]


def test_our_own_updates_are_no_contest_and_are_released() -> None:
    live = daemon_set(EKS, manages("eks", "Update", {"f:image": {}}), image="old", env=env(A="a"))
    planned = plan(live, daemon_set(image="new", env=env(A="a")))
    assert planned.contests == ()
    assert planned.rewrites
    assert plan_release(live, "eks")[1:] == ({"op": "remove", "path": "/metadata/managedFields/1"},)


def test_a_new_object_is_written_whole_in_any_mode() -> None:
    wanted = daemon_set(image="i")
    planned = plan_object(None, wanted, None, "eks")
    assert planned.is_new
    assert [planned.manifest(mode) for mode in Mode] == [wanted] * 3
    assert find_field(planned.wanted, f"{ABOVE}.image") == "i"
