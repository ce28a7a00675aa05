"""How changed fields are shown to people."""

from vpc_cni.cli._change_view import change_lines, conflict_lines, shown
from vpc_cni.cluster import Conflict
from vpc_cni.manifests import Change, ChangeKind, ObjectName

REPOSITORY = "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni"
IMAGE = '.spec.template.spec.containers[name="aws-node"].image'
RULE, MORE = {"resources": ["pods"], "verbs": ["get"]}, {"verbs": ["list"], "resources": ["nodes"]}


def changed(path: str, before: object, after: object) -> list[str]:
    return list(change_lines(Change(path, ChangeKind.CHANGED, before, after)))


def test_short_values_stand_in_one_line() -> None:
    assert changed(".data.a", "1", "2") == ['~ .data.a: "1" -> "2"']
    assert list(change_lines(Change(".data.a", ChangeKind.ADDED, after="1"))) == ['+ .data.a: "1"']
    assert list(change_lines(Change(".data.a", ChangeKind.REMOVED, before="1"))) == ['- .data.a: "1"']


def test_long_values_stand_below_each_other() -> None:
    assert changed(IMAGE, f"{REPOSITORY}:v1.15.1", f"{REPOSITORY}:v1.16.2") == [
        f"~ {IMAGE}",
        f'    - "{REPOSITORY}:v1.15.1"',
        f'    + "{REPOSITORY}:v1.16.2"',
    ]


def test_of_lists_only_items_that_differ_are_shown() -> None:
    many = [{"resources": [f"r{number}"], "verbs": ["get"]} for number in range(9)]
    assert changed(".rules", [*many, RULE], [*many, MORE]) == [
        "~ .rules",
        '    - {"resources": ["pods"], "verbs": ["get"]}',
        '    + {"resources": ["nodes"], "verbs": ["list"]}',
    ]
    assert changed(".rules", many, many[::-1])[1:] == ["    in another order"]


def test_no_line_is_longer_than_a_value_and_its_path() -> None:
    long = "x" * 1000
    assert all(len(line) < 200 for line in changed(".a", long, [long]))
    assert shown(long).endswith("x…")


def test_a_variable_is_shown_by_its_value() -> None:
    assert shown({"name": "WARM_IP_TARGET", "value": "5"}) == '"5"'
    assert shown({"name": "A", "valueFrom": {}}) == '{"name": "A", "valueFrom": {}}'


def test_conflicts_are_grouped_by_object_and_owner() -> None:
    name = ObjectName("apps", "DaemonSet", "kube-system", "aws-node")
    found = [
        Conflict(name, ".metadata.labels.a", "alice", "Update", "1", "2"),
        Conflict(name, ".metadata.labels.b", "alice", "Update", "1", None),
        Conflict(name, ".spec.x", "bob", "Apply", 1, 2),
    ]
    assert list(conflict_lines(found)) == [
        "DaemonSet.apps kube-system/aws-node, owned by alice:",
        '  ~ .metadata.labels.a: "1" -> "2"',
        '  - .metadata.labels.b: "1"',
        "DaemonSet.apps kube-system/aws-node, owned by bob:",
        "  ~ .spec.x: 1 -> 2",
    ]
