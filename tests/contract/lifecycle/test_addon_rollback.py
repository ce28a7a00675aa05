"""Rollbacks: pod identity associations as they were, whatever became of them, and records that are not taken."""

from pathlib import Path
from typing import Any

OLD, NEW = "v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1"
ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
TIMEOUT = ("--timeout", "30")


def associate(operator: Any, *roles: str) -> None:
    """Let the add-on have these associations and no others, as people do: beside the command line."""
    wished = [{"serviceAccount": "aws-node", "roleArn": f"{ROLE}-{each}"} for each in roles]
    names = {"clusterName": "my-cluster", "addonName": "vpc-cni"}
    update = operator.eks.update_addon(**names, serviceAccountRoleArn=ROLE, podIdentityAssociations=wished)
    operator.wait_for_update(update["update"]["id"])


def associated(operator: Any) -> list[str]:
    """Return the roles of the associations that the add-on owns."""
    addon = operator.eks.describe_addon(clusterName="my-cluster", addonName="vpc-cni")["addon"]
    return [_role(operator, each.rpartition("/")[2]) for each in addon.get("podIdentityAssociations") or ()]


def associations_of(operator: Any) -> list[str]:
    """Return the roles of all associations of the cluster, whoever owns them."""
    listed = operator.eks.list_pod_identity_associations(clusterName="my-cluster")["associations"]
    return [_role(operator, each["associationId"]) for each in listed]


def _role(operator: Any, identifier: str) -> str:
    found = operator.eks.describe_pod_identity_association(clusterName="my-cluster", associationId=identifier)
    return str(found["association"]["roleArn"]).removeprefix(f"{ROLE}-")


def record_of(operator: Any, *words: str) -> str:
    done = operator.run(*words, "--json", *TIMEOUT)
    assert done.status == 0, done.err
    return str(done.document["record"])


def roll_back(operator: Any, record: str) -> None:
    done = operator.run("rollback", "--record", record, "--json", *TIMEOUT)
    assert done.status == 0, done.err


def test_associations_go_with_a_version_that_takes_none(operator: Any) -> None:
    record_of(operator, "create", "--version", OLD, "--role-arn", ROLE)
    without = record_of(operator, "update", "--version", NEW)
    associate(operator, "one")
    record_of(operator, "update", "--reset-values")
    assert associated(operator) == ["one"], "an update leaves them"
    roll_back(operator, without)
    assert associations_of(operator) == []
    addon = operator.run("status", "--json").document["addon"]
    assert (addon["version"], addon["role_arn"]) == (OLD, ROLE)


def test_a_new_addon_gets_the_associations_of_a_record(operator: Any) -> None:
    record_of(operator, "create", "--version", NEW)
    associate(operator, "one")
    record = str(operator.run("backup", "--json").document["record"])
    names = {"clusterName": "my-cluster", "addonName": "vpc-cni"}
    operator.eks.delete_addon(**names)
    operator.eks.get_waiter("addon_deleted").wait(**names, WaiterConfig={"Delay": 0.2, "MaxAttempts": 150})
    done = operator.run("restore", record, "--version", NEW, "--json", *TIMEOUT)
    assert done.status == 0, done.err
    assert associated(operator) == ["one"]


def test_associations_that_outlive_the_addon_are_no_hindrance(operator: Any) -> None:
    record_of(operator, "create", "--version", NEW)
    associate(operator, "one")
    record = record_of(operator, "release")
    assert associations_of(operator) == ["one"], "a release keeps them"
    done = operator.run("restore", record, "--version", NEW, "--json", *TIMEOUT)
    assert done.status == 0, done.err
    assert associations_of(operator) == ["one"]


def test_an_older_record_is_not_taken_for_one_that_cannot_be_read(operator: Any) -> None:
    record_of(operator, "create", "--version", OLD)
    record = Path(record_of(operator, "update", "--version", NEW))
    assert operator.run("rollback", "--records", str(operator.folder / "nowhere")).status == 2
    record.write_text("half of it {")
    done = operator.run("rollback")
    assert done.status == 4
    assert str(record) in done.err
    assert operator.run("status", "--json").document["addon"]["version"] == NEW, "nothing was changed"
