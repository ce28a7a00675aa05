"""Settings survive every way between self-managed and managed, and back from a change."""

import json
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cli import main

OLD, NEW = "v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1"
ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
TIMEOUT = ("--timeout", "30")
SETTINGS = {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true", "WARM_IP_TARGET": "5", "CLUSTER_NAME": "prod"}


def install_self_managed(operator: Any, version: str = "v1.15.1") -> None:
    """Install as people do: a manifest, kubectl, then settings by hand."""
    words = ("--registry", "registry.example.com", "--version", version, "--role-arn", ROLE)
    with pytest.raises(SystemExit):
        main(["self-managed", "render", *words])
    file = operator.folder / "manifest.yaml"
    file.write_text(operator.output())
    operator.kubectl("apply", "-f", str(file))
    operator.set_env(**SETTINGS)
    patch = {"spec": {"template": {"spec": {"nodeSelector": {"pool": "a"}}}}}
    operator.kubectl("patch", "daemonset/aws-node", "-n", "kube-system", "-p", json.dumps(patch))


def env_is_kept(operator: Any) -> bool:
    return {**operator.env(), **SETTINGS} == operator.env()


def selector(operator: Any) -> Any:
    return operator.site.server.get("daemonset", "aws-node")["spec"]["template"]["spec"].get("nodeSelector")


def test_adopt_and_release_lose_no_setting(operator: Any) -> None:
    install_self_managed(operator)
    document = operator.run("adopt", "--json", "--dry-run").document
    assert document["configuration_values"] == {
        "env": {name: SETTINGS[name] for name in ("AWS_VPC_K8S_CNI_EXTERNALSNAT", "WARM_IP_TARGET")}
    }
    assert {each["setting"] for each in document["not_expressible"]} >= {"aws-node: CLUSTER_NAME"}
    done = operator.run("adopt", "--json", *TIMEOUT)
    assert (done.status, done.document["outcome"]) == (0, "done"), done.err
    status = operator.run("status", "--json").document
    assert (status["type"], status["addon"]["version"]) == ("managed", OLD)
    assert status["addon"]["role_arn"] == ROLE
    assert env_is_kept(operator)
    assert selector(operator) == {"pool": "a"}
    assert operator.run("adopt").status == 4
    done = operator.run("release", "--json", *TIMEOUT)
    assert (done.status, done.document["changed_objects"]) == (0, [])
    assert operator.run("status", "--json").document["type"] == "self-managed"
    assert env_is_kept(operator)


def test_rollback_brings_version_role_values_and_settings_of_others_back(operator: Any, tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text('{"env":{"WARM_ENI_TARGET":"2"}}')
    words = ("--version", OLD, "--role-arn", ROLE, "--values", str(values))
    assert operator.run("create", *words, *TIMEOUT).status == 0
    operator.set_env(AWS_VPC_ENI_MTU="1500")
    words = ("--version", NEW, "--no-role", "--reset-values", "--resolve-conflicts", "OVERWRITE")
    assert operator.run("update", *words, *TIMEOUT).status == 0
    assert operator.env()["AWS_VPC_ENI_MTU"] == "9001"
    done = operator.run("rollback", "--json", *TIMEOUT)
    assert done.status == 0, done.err
    addon = operator.run("status", "--json").document["addon"]
    assert (addon["version"], addon["role_arn"]) == (OLD, ROLE)
    assert addon["configuration_values"] == values.read_text()
    assert (operator.env()["WARM_ENI_TARGET"], operator.env()["AWS_VPC_ENI_MTU"]) == ("2", "1500")
    assert [each["path"] for each in done.document["put_back"]] == [
        '.spec.template.spec.containers[name="aws-node"].env[name="AWS_VPC_ENI_MTU"]'
    ]


def test_values_that_were_not_there_are_reset_by_a_rollback(operator: Any, tmp_path: Path) -> None:
    assert operator.run("create", "--version", OLD, *TIMEOUT).status == 0
    values = tmp_path / "values.json"
    values.write_text('{"env":{"WARM_ENI_TARGET":"2"}}')
    assert operator.run("update", "--values", str(values), *TIMEOUT).status == 0
    assert operator.run("rollback", *TIMEOUT).status == 0
    assert operator.env()["WARM_ENI_TARGET"] == "1"


def bind(operator: Any, *roles: str) -> None:
    """Give the add-on these associations, and no others, as another tool would."""
    wanted = [{"serviceAccount": "aws-node", "roleArn": role} for role in roles]
    operator.eks.update_addon(clusterName="my-cluster", addonName="vpc-cni", podIdentityAssociations=wanted)
    operator.eks.get_waiter("addon_active").wait(
        clusterName="my-cluster", addonName="vpc-cni", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )


def bound_roles(operator: Any) -> list[str]:
    found = operator.eks.list_pod_identity_associations(clusterName="my-cluster")["associations"]
    details = (
        operator.eks.describe_pod_identity_association(clusterName="my-cluster", associationId=each["associationId"])
        for each in found
    )
    return [each["association"]["roleArn"] for each in details]


@pytest.mark.parametrize(
    ("before", "after"), [((ROLE,), ()), ((), (ROLE,)), ((ROLE,), (f"{ROLE}Other",))], ids=["gone", "added", "changed"]
)
def test_associations_are_those_of_the_record_after_a_rollback(
    operator: Any, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    assert operator.run("create", "--version", NEW, *TIMEOUT).status == 0
    bind(operator, *before)
    assert bound_roles(operator) == list(before)
    record = operator.run("backup", "--json").document["record"]
    bind(operator, *after)
    assert bound_roles(operator) == list(after)
    done = operator.run("rollback", "--json", "--record", record, *TIMEOUT)
    assert done.status == 0, done.err
    assert bound_roles(operator) == list(before)


def test_a_record_of_another_cluster_is_refused(operator: Any, tmp_path: Path) -> None:
    assert operator.run("create", "--version", NEW, *TIMEOUT).status == 0
    record = Path(operator.run("backup", "--json").document["record"])
    other = tmp_path / record.name
    other.write_text(record.read_text().replace("addon/my-cluster/", "addon/your-cluster/"))
    done = operator.run("rollback", "--record", str(other))
    assert done.status == 4
    assert "your-cluster, not of" in done.err
    assert operator.run("rollback", "--record", str(tmp_path / "none.json")).status == 2
    other.write_text("{")
    assert operator.run("rollback", "--record", str(other)).status == 2


def test_a_backup_is_restored_onto_the_managed_addon(operator: Any) -> None:
    install_self_managed(operator)
    backup = operator.run("backup", "--json").document
    assert backup["configuration_values"]["env"]["WARM_IP_TARGET"] == "5"
    operator.kubectl("delete", "daemonset/aws-node", "-n", "kube-system")
    words = ("--resolve-conflicts", "OVERWRITE", "--role-arn", ROLE)
    assert operator.run("create", *words, *TIMEOUT).status == 0
    assert "WARM_IP_TARGET" not in operator.env()
    done = operator.run("restore", backup["record"], "--json", *TIMEOUT)
    assert (done.status, done.document["outcome"]) == (0, "done"), done.err
    assert env_is_kept(operator)
    assert selector(operator) == {"pool": "a"}
    assert operator.run("plan", "--exit-code").status in (0, 8)


def test_what_cannot_be_done_is_refused(operator: Any) -> None:
    assert operator.run("backup").status == 4
    assert operator.run("adopt").status == 4
    assert operator.run("release").status == 2
    assert operator.run("rollback").status == 2
    assert operator.run("create", *TIMEOUT).status == 0
    assert operator.run("rollback").status == 4, "the record before it has no add-on"
