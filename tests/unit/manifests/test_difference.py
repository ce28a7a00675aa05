"""Field-level differences between two objects, and amounts in any spelling."""

import copy
from fractions import Fraction
from typing import Any

import pytest

from vpc_cni.manifests import (
    Change,
    ChangeKind,
    ImageSet,
    Registry,
    RenderOptions,
    canonical_quantity,
    find_changes,
    name_of,
    packaged_catalogue,
    parse_addon_version,
    parse_quantity,
    plan_images,
    render,
    strip_server_fields,
)

ADDED, REMOVED, CHANGED = ChangeKind.ADDED, ChangeKind.REMOVED, ChangeKind.CHANGED


def daemon_set() -> dict[str, Any]:
    profile = packaged_catalogue().find(parse_addon_version("v1.16.2"))
    images = plan_images(profile, ImageSet.AWS, Registry("r.example.com"))
    (found,) = [each for each in render(profile, RenderOptions(images)).objects if each["kind"] == "DaemonSet"]
    return copy.deepcopy(found)


def agent_of(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


AGENT = '.spec.template.spec.containers[name="aws-node"]'


def test_equal_objects_do_not_differ() -> None:
    assert find_changes(daemon_set(), daemon_set()) == ()


def test_a_variable_is_named_as_in_conflict_messages() -> None:
    changed = daemon_set()
    agent_of(changed)["env"][0]["value"] = '{"team":"net"}'
    path = f'{AGENT}.env[name="ADDITIONAL_ENI_TAGS"].value'
    assert find_changes(daemon_set(), changed) == (Change(path, CHANGED, "{}", '{"team":"net"}'),)


def test_a_new_variable_is_one_change_wherever_it_stands() -> None:
    changed = daemon_set()
    agent_of(changed)["env"].insert(3, {"name": "WARM_IP_TARGET", "value": "5"})
    (change,) = find_changes(daemon_set(), changed)
    assert (change.path, change.kind) == (f'{AGENT}.env[name="WARM_IP_TARGET"]', ADDED)
    assert find_changes(changed, daemon_set())[0].kind is REMOVED


def test_the_order_of_keyed_lists_does_not_matter() -> None:
    changed = daemon_set()
    pod = changed["spec"]["template"]["spec"]
    pod["containers"].reverse()
    pod["volumes"].reverse()
    for container in pod["containers"]:
        container["volumeMounts"].reverse()
        container["env"].reverse()
    assert find_changes(daemon_set(), changed) == ()


def test_other_lists_are_one_value() -> None:
    changed = daemon_set()
    changed["spec"]["template"]["spec"]["containers"][1]["args"][1] = "--enable-network-policy=true"
    (change,) = find_changes(daemon_set(), changed)
    assert change.path == '.spec.template.spec.containers[name="aws-eks-nodeagent"].args'


def test_ports_are_one_by_number_and_protocol() -> None:
    before = {"ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]}
    after = {"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP", "name": "a"}]}
    assert find_changes(before, after) == (Change('.ports[containerPort=53,protocol="TCP"].name', ADDED, None, "a"),)


def test_amounts_are_compared_as_amounts() -> None:
    before = {"resources": {"requests": {"cpu": "25m", "memory": "1Gi"}, "limits": {"cpu": 1}}}
    after = {"resources": {"requests": {"cpu": "0.025", "memory": "1024Mi"}, "limits": {"cpu": "1000m"}}}
    assert find_changes(before, after) == ()
    after["resources"]["requests"]["cpu"] = "26m"
    assert find_changes(before, after) == (Change(".resources.requests.cpu", CHANGED, "25m", "26m"),)


def test_text_elsewhere_is_no_amount() -> None:
    assert find_changes({"data": {"a": "1000m"}}, {"data": {"a": "1"}})[0].kind is CHANGED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"securityContext": {}}, {}),
        ({"a": None}, {}),
        ({"a": []}, {"a": None}),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "A", "value": ""}]}),
        ({"preserveUnknownFields": False}, {}),
    ],
)
def test_what_the_api_drops_is_no_difference(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert find_changes(before, after) == ()
    assert find_changes(after, before) == ()


def test_an_empty_text_is_a_value_outside_variables() -> None:
    assert len(find_changes({"data": {"a": ""}}, {"data": {}})) == 1


def test_a_list_with_a_doubled_key_is_one_value() -> None:
    doubled = {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    assert [change.path for change in find_changes(doubled, {"env": [{"name": "A", "value": "2"}]})] == [".env"]
    assert find_changes(doubled, copy.deepcopy(doubled)) == ()


def test_keys_with_dots_and_slashes_are_quoted() -> None:
    (change,) = find_changes({"labels": {"x": "1"}}, {"labels": {"x": "1", "app.kubernetes.io/name": "a"}})
    assert change.path == '.labels."app.kubernetes.io/name"'


def test_what_only_the_live_object_has_can_be_left_out() -> None:
    live = daemon_set()
    live["spec"]["revisionHistoryLimit"] = 10
    agent_of(live)["imagePullPolicy"] = "IfNotPresent"
    agent_of(live)["env"].append({"name": "MINE", "value": "1"})
    agent_of(live)["image"] = "old"
    assert len(find_changes(live, daemon_set())) == 4
    (change,) = find_changes(live, daemon_set(), declared_only=True)
    assert change.path == f"{AGENT}.image"


def test_fields_of_the_server_are_stripped() -> None:
    live = daemon_set()
    live["metadata"] |= {
        "uid": "1",
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": "now",
        "managedFields": [{}],
        "annotations": {"deprecated.daemonset.template.generation": "1", "mine": "kept"},
    }
    live["status"] = {"numberReady": 2}
    stripped = strip_server_fields(live)
    assert find_changes(stripped, daemon_set()) == (Change(".metadata.annotations", REMOVED, {"mine": "kept"}, None),)
    assert "status" in live, "the original is left as it was"


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "kube-system"}},
            "DaemonSet.apps kube-system/a",
        ),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "c"}}, "ConfigMap c/b"),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}},
            "ClusterRole.rbac.authorization.k8s.io a",
        ),
    ],
)
def test_objects_are_named_as_in_conflict_messages(manifest: dict[str, Any], text: str) -> None:
    assert str(name_of(manifest)) == text


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("25m", Fraction(1, 40)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("1k", Fraction(1000)),
        ("1Ki", Fraction(1024)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("1e3", Fraction(1000)),
        ("12E2", Fraction(1200)),
        ("1E", Fraction(10**18)),
        ("-2", Fraction(-2)),
        ("5n", Fraction(5, 10**9)),
        (2, Fraction(2)),
        (0.25, Fraction(1, 4)),
    ],
)
def test_amounts_are_read(text: object, amount: Fraction) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize("value", ["", "m", "1 m", "1mm", "ten", True, None, [], "1ki"])
def test_other_values_are_no_amounts(value: object) -> None:
    assert parse_quantity(value) is None


@pytest.mark.parametrize(
    ("value", "text"), [("1000m", "1"), ("0.0251", "251/10000"), ("1024Ki", "1048576"), (0.1, "100m"), ("10%", "10%")]
)
def test_one_amount_has_one_spelling(value: object, text: str) -> None:
    assert canonical_quantity(value) == text
