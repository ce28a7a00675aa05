"""create, update and delete: what is asked of EKS, what comes of it, and the record before it."""

import json
from pathlib import Path
from typing import Any

import pytest

ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
OLD, NEW = "v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1"
SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"
TIMEOUT = ("--timeout", "30")


@pytest.fixture
def values(tmp_path: Path) -> str:
    file = tmp_path / "values.yaml"
    file.write_text('env:\n  WARM_IP_TARGET: "5"\n')
    return str(file)


def install(operator: Any, *words: str) -> Any:
    done = operator.run("create", "--json", "--version", OLD, *TIMEOUT, *words)
    assert done.status == 0, done.err
    return done.document


def test_create_with_all_there_is(operator: Any, values: str) -> None:
    document = install(operator, "--role-arn", ROLE, "--values", values, "--tag", "team=net")
    assert document["outcome"] == "done"
    addon = operator.run("status", "--json").document["addon"]
    assert (addon["version"], addon["role_arn"], addon["tags"]) == (OLD, ROLE, {"team": "net"})
    assert operator.env()["WARM_IP_TARGET"] == "5"
    assert operator.run("create").status == 4


def test_the_default_version_is_created(operator: Any) -> None:
    done = operator.run("create", "--json", *TIMEOUT)
    assert (done.status, done.document["request"]["version"]) == (0, NEW)


def test_an_update_of_one_thing_sends_the_others_again(operator: Any, values: str) -> None:
    install(operator, "--role-arn", ROLE, "--values", values)
    done = operator.run("update", "--json", "--version", NEW, *TIMEOUT)
    assert done.status == 0, done.err
    addon = operator.run("status", "--json").document["addon"]
    assert (addon["version"], addon["role_arn"]) == (NEW, ROLE)
    assert "WARM_IP_TARGET" in addon["configuration_values"]
    params = operator.run("history", "--json").document["updates"][-1]["params"]
    assert set(params) == {"AddonVersion", "ServiceAccountRoleArn", "ResolveConflicts", "ConfigurationValues"}


def test_role_and_values_go_only_when_asked_for(operator: Any, values: str) -> None:
    install(operator, "--role-arn", ROLE, "--values", values)
    assert operator.run("update", "--no-role", "--reset-values", *TIMEOUT).status == 0
    addon = operator.run("status", "--json").document["addon"]
    assert (addon["role_arn"], addon["configuration_values"]) == (None, "{}")
    assert "WARM_IP_TARGET" not in operator.env()


def test_a_conflict_ends_with_its_status_and_names_the_field(operator: Any) -> None:
    install(operator)
    operator.set_env(**{SNAT: "true"})
    done = operator.run("update", "--json", "--version", NEW, *TIMEOUT)
    assert done.status == 3
    assert {
        "group": "apps",
        "kind": "DaemonSet",
        "name": "aws-node",
        "path": f'.spec.template.spec.containers[name="aws-node"].env[name="{SNAT}"].value',
    } in done.document["conflicts"]
    assert operator.env()[SNAT] == "true"
    assert operator.run("update", "--version", NEW, "--resolve-conflicts", "preserve", *TIMEOUT).status == 0
    assert operator.env()[SNAT] == "true"
    assert operator.run("update", "--resolve-conflicts", "OVERWRITE", *TIMEOUT).status == 0
    assert operator.env()[SNAT] == "false"


def test_each_change_has_a_record_of_what_was_before(operator: Any) -> None:
    install(operator, "--role-arn", ROLE)
    done = operator.run("update", "--json", "--version", NEW, *TIMEOUT)
    record = json.loads(Path(done.document["record"]).read_text())
    assert (record["eks_addon"]["addonVersion"], record["eks_addon"]["serviceAccountRoleArn"]) == (OLD, ROLE)
    assert any(each["kind"] == "DaemonSet" for each in record["objects"])
    history = operator.run("history", "--json").document
    assert [each["version"] for each in history["records"]] == [None, OLD]
    assert OLD in operator.run("history").out


def test_a_version_goes_step_by_step(operator: Any) -> None:
    done = operator.run("create", "--version", "v1.12.6", "--json", *TIMEOUT)
    assert done.status == 2, "not offered to 1.29"
    install(operator)
    assert operator.run("update", "--json", "--version", "1.16", *TIMEOUT).status == 2
    done = operator.run("update", "--json", "--version", "latest", *TIMEOUT)
    assert [each["version"] for each in done.document["steps"]] == [
        NEW,
        "v1.17.1-eksbuild.1",
        "v1.18.6-eksbuild.1",
        "v1.19.6-eksbuild.7",
        "v1.20.4-eksbuild.1",
    ]


def test_pods_that_do_not_start_end_with_a_time_out(operator: Any) -> None:
    install(operator)
    operator.controller.paused.set()
    done = operator.run("update", "--json", "--version", NEW, "--timeout", "2")
    assert (done.status, done.document["outcome"]) == (6, "under way")
    assert "add-on UPDATING" in done.err
    assert operator.run("update").status == 4, "EKS works on it"
    operator.controller.paused.clear()
    waiter = operator.eks.get_waiter("addon_active")
    waiter.wait(clusterName="my-cluster", addonName="vpc-cni", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150})


def test_delete_leaves_the_objects(operator: Any) -> None:
    install(operator)
    assert operator.run("delete", *TIMEOUT).status == 0
    assert operator.run("status", "--json").document["type"] == "self-managed"
    assert operator.run("delete", *TIMEOUT).status == 2


def test_destruction_must_be_confirmed(operator: Any) -> None:
    install(operator)
    assert operator.run("delete", "--destroy-objects", *TIMEOUT).status == 4
    assert operator.env()
    assert operator.run("delete", "--destroy-objects", "--yes", *TIMEOUT).status == 0
    assert operator.run("status", "--json").document["type"] == "absent"


def test_values_that_do_not_fit_are_refused_before_anything_is_asked(operator: Any, tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text('{"env":{"ENABLE_POD_ENI":"maybe","ENABLE_POD_EN":"true"}}')
    done = operator.run("create", "--values", str(file))
    assert done.status == 4
    assert "$.env.ENABLE_POD_EN: is not defined in the schema" in done.err
    assert operator.run("history", "--json").document["records"] == []


def test_options_that_exclude_each_other(operator: Any) -> None:
    assert operator.run("update", "--no-role", "--role-arn", ROLE).status == 2
    assert operator.run("update").status == 2, "there is no add-on"
