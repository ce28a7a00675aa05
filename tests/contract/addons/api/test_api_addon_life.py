"""An add-on from create to delete with boto3; every answer is also checked against the service model."""

from datetime import UTC, datetime
from typing import Any

import pytest
from api_site import ACCOUNT, REGION, ROLE, Site
from botocore.exceptions import WaiterError

from vpc_cni.addons.model import ConflictMode, Issue, IssueCode
from vpc_cni.addons.states import End

ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}"
NAME = {"addonName": "vpc-cni"}
SNAT = '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'
CONFLICT = Issue(
    IssueCode.CONFIGURATION_CONFLICT,
    "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\n"
    'DaemonSet.apps aws-node - .spec.template.spec.containers[name="aws-node"].image',
)


def installed(site: Site, eks: Any, cluster: str, **members: Any) -> Any:
    """Create the add-on and play the worker; return what create answered."""
    created = eks.create_addon(clusterName=cluster, **NAME, **members)["addon"]
    site.end_work()
    return created


def test_create_describe_update_delete(site: Site, eks: Any, cluster: str) -> None:
    addon = eks.create_addon(
        clusterName=cluster,
        **NAME,
        addonVersion="v1.15.1-eksbuild.1",
        serviceAccountRoleArn=ROLE,
        tags={"team": "net", "empty": ""},
    )["addon"]
    assert addon["status"] == "CREATING"
    assert addon["addonVersion"] == "v1.15.1-eksbuild.1"
    assert addon["health"] == {"issues": []}
    assert addon["addonArn"].startswith(f"{ARN}:addon/{cluster}/vpc-cni/")
    assert addon["createdAt"] <= addon["modifiedAt"]
    assert abs((addon["createdAt"] - datetime.now(UTC)).total_seconds()) < 60
    assert addon["tags"] == {"team": "net", "empty": ""}
    assert site.store.leases.count() == 1
    site.end_work()
    described = eks.describe_addon(clusterName=cluster, **NAME)["addon"]
    assert described["status"] == "ACTIVE"
    assert described["modifiedAt"] >= addon["modifiedAt"]
    assert {**described, "status": "CREATING", "modifiedAt": addon["modifiedAt"]} == addon
    assert eks.list_addons(clusterName=cluster)["addons"] == ["vpc-cni"]

    update = eks.update_addon(
        clusterName=cluster,
        **NAME,
        addonVersion="v1.16.2-eksbuild.1",
        serviceAccountRoleArn=ROLE,
        resolveConflicts="PRESERVE",
        configurationValues=SNAT,
    )["update"]
    assert (update["status"], update["type"], update["errors"]) == ("InProgress", "AddonUpdate", [])
    assert [(each["type"], each["value"]) for each in update["params"]] == [
        ("AddonVersion", "v1.16.2-eksbuild.1"),
        ("ServiceAccountRoleArn", ROLE),
        ("ResolveConflicts", "PRESERVE"),
        ("ConfigurationValues", SNAT),
    ]
    # Name-based, as the published ids of real updates are.
    assert update["id"][14] == "3"
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["addonVersion"] == "v1.16.2-eksbuild.1"
    lease = site.store.leases.claim("test", 60.0, unreachable=False)
    assert lease is not None
    assert (lease.operation.mode, lease.operation.previous_version) == (ConflictMode.PRESERVE, "v1.15.1-eksbuild.1")
    site.store.leases.finish(lease, End.DONE)
    seen = eks.describe_update(name=cluster, updateId=update["id"], **NAME)["update"]
    assert seen == {**update, "status": "Successful"}
    assert eks.list_updates(name=cluster, **NAME)["updateIds"] == [update["id"]]
    assert eks.list_updates(name=cluster)["updateIds"] == []

    deleted = eks.delete_addon(clusterName=cluster, **NAME, preserve=True)["addon"]
    assert deleted["status"] == "DELETING"
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["status"] == "DELETING"
    lease = site.store.leases.claim("test", 60.0, unreachable=False)
    assert lease is not None
    assert lease.operation.preserve
    site.store.leases.finish(lease, End.DONE)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_addon(clusterName=cluster, **NAME)
    assert eks.list_addons(clusterName=cluster)["addons"] == []


def test_a_new_addon_without_a_version_gets_the_default_of_its_cluster(site: Site, eks: Any) -> None:
    for kubernetes in ("1.23", "1.29"):
        name = site.register(f"defaults-{kubernetes[2:]}", kubernetes)
        assert installed(site, eks, name)["addonVersion"] == "v1.16.2-eksbuild.1"


def test_conflicts_are_shown_in_update_and_health(site: Site, eks: Any, cluster: str) -> None:
    installed(site, eks, cluster)
    update = eks.update_addon(clusterName=cluster, **NAME, resolveConflicts="none")["update"]
    assert update["params"] == [{"type": "ResolveConflicts", "value": "NONE"}]
    site.end_work(End.REFUSED, [CONFLICT])
    seen = eks.describe_update(name=cluster, updateId=update["id"], **NAME)["update"]
    assert seen["status"] == "Failed"
    assert seen["errors"] == [{"errorCode": "ConfigurationConflict", "errorMessage": CONFLICT.message}]
    addon = eks.describe_addon(clusterName=cluster, **NAME)["addon"]
    assert addon["status"] == "UPDATE_FAILED"
    assert addon["health"]["issues"] == [{"code": "ConfigurationConflict", "message": CONFLICT.message}]


def test_codes_that_only_health_has_are_unknown_in_updates(site: Site, eks: Any, cluster: str) -> None:
    installed(site, eks, cluster)
    update = eks.update_addon(clusterName=cluster, **NAME)["update"]
    site.end_work(End.REFUSED, [Issue(IssueCode.INTERNAL_FAILURE, "broken", ("pod-1",))])
    seen = eks.describe_update(name=cluster, updateId=update["id"], **NAME)["update"]
    assert seen["errors"] == [{"errorCode": "Unknown", "errorMessage": "broken", "resourceIds": ["pod-1"]}]
    issues = eks.describe_addon(clusterName=cluster, **NAME)["addon"]["health"]["issues"]
    assert issues == [{"code": "InternalFailure", "message": "broken", "resourceIds": ["pod-1"]}]


def test_what_an_update_leaves_out_stays_but_for_the_role(site: Site, eks: Any, cluster: str) -> None:
    values = "env:\n  WARM_IP_TARGET: '5'  # as sent, with its spaces\n"
    installed(site, eks, cluster, serviceAccountRoleArn=ROLE, configurationValues=values, tags={"a": "b"})

    def update(**members: Any) -> Any:
        eks.update_addon(clusterName=cluster, **NAME, **members)
        site.end_work()
        return eks.describe_addon(clusterName=cluster, **NAME)["addon"]

    kept = update(serviceAccountRoleArn=ROLE)
    assert (kept["serviceAccountRoleArn"], kept["configurationValues"], kept["tags"]) == (ROLE, values, {"a": "b"})
    dropped = update(configurationValues="")
    assert "serviceAccountRoleArn" not in dropped
    assert dropped["configurationValues"] == values, "an empty text is no reset"
    assert update(configurationValues="{}")["configurationValues"] == "{}"
    assert update()["addonVersion"] == "v1.16.2-eksbuild.1"


def test_associations_of_an_addon_are_replaced_kept_and_removed(site: Site, eks: Any, cluster: str) -> None:
    other = f"{ROLE}2"
    identity = {"serviceAccount": "aws-node", "roleArn": ROLE}
    created = installed(site, eks, cluster, podIdentityAssociations=[identity])
    [arn] = created["podIdentityAssociations"]
    assert arn.startswith(f"{ARN}:podidentityassociation/{cluster}/a-")
    identifier = arn.rpartition("/")[2]
    assert len(identifier) == 19
    found = eks.describe_pod_identity_association(clusterName=cluster, associationId=identifier)["association"]
    assert (found["roleArn"], found["ownerArn"]) == (ROLE, created["addonArn"])

    eks.update_addon(clusterName=cluster, **NAME)
    site.end_work()
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["podIdentityAssociations"] == [arn]
    update = eks.update_addon(clusterName=cluster, **NAME, podIdentityAssociations=[{**identity, "roleArn": other}])[
        "update"
    ]
    assert [each["type"] for each in update["params"]] == ["PodIdentityAssociations"]
    site.end_work()
    found = eks.describe_pod_identity_association(clusterName=cluster, associationId=identifier)["association"]
    assert found["roleArn"] == other
    eks.update_addon(clusterName=cluster, **NAME, podIdentityAssociations=[])
    site.end_work()
    assert "podIdentityAssociations" not in eks.describe_addon(clusterName=cluster, **NAME)["addon"]
    assert eks.list_pod_identity_associations(clusterName=cluster)["associations"] == []


@pytest.mark.parametrize("preserve", [True, False])
def test_associations_stay_with_the_pods_that_stay(site: Site, eks: Any, cluster: str, preserve: bool) -> None:
    identity = {"serviceAccount": "aws-node", "roleArn": ROLE}
    [arn] = installed(site, eks, cluster, podIdentityAssociations=[identity])["podIdentityAssociations"]
    eks.delete_addon(clusterName=cluster, **NAME, preserve=preserve)
    site.end_work()
    left = eks.list_pod_identity_associations(clusterName=cluster)["associations"]
    assert [(each["associationArn"], each.get("ownerArn")) for each in left] == ([(arn, None)] if preserve else [])
    for each in left:
        eks.delete_pod_identity_association(clusterName=cluster, associationId=each["associationId"])


def test_preserve_is_taken_at_create_too(site: Site, eks: Any, cluster: str) -> None:
    """The real service refused it until the middle of 2023."""
    eks.create_addon(clusterName=cluster, **NAME, resolveConflicts="PRESERVE")
    lease = site.store.leases.claim("test", 60.0, unreachable=False)
    assert lease is not None
    assert lease.operation.mode is ConflictMode.PRESERVE
    site.store.leases.finish(lease, End.DONE)


def test_a_failed_create_is_mended_by_an_update(site: Site, eks: Any, cluster: str) -> None:
    eks.create_addon(clusterName=cluster, **NAME)
    site.end_work(End.REFUSED, [CONFLICT])
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["status"] == "CREATE_FAILED"
    with pytest.raises(eks.exceptions.ResourceInUseException):
        eks.create_addon(clusterName=cluster, **NAME)
    eks.update_addon(clusterName=cluster, **NAME, resolveConflicts="OVERWRITE")
    site.end_work()
    assert eks.describe_addon(clusterName=cluster, **NAME)["addon"]["status"] == "ACTIVE"


def test_a_deletion_may_be_asked_for_twice(site: Site, eks: Any, cluster: str) -> None:
    installed(site, eks, cluster)
    first = eks.delete_addon(clusterName=cluster, **NAME)["addon"]
    assert eks.delete_addon(clusterName=cluster, **NAME, preserve=False)["addon"] == first
    with pytest.raises(
        eks.exceptions.InvalidRequestException, match="cannot be deleted as it is currently in DELETING"
    ):
        eks.delete_addon(clusterName=cluster, **NAME, preserve=True)


def test_waiters_of_unmodified_clients(site: Site, eks: Any, cluster: str) -> None:
    at_once = {"WaiterConfig": {"Delay": 0, "MaxAttempts": 1}}
    eks.create_addon(clusterName=cluster, **NAME)
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        eks.get_waiter("addon_active").wait(clusterName=cluster, **NAME, **at_once)
    site.end_work(End.NOT_READY, [Issue(IssueCode.INSUFFICIENT_NUMBER_OF_REPLICAS, "not enough")])
    with pytest.raises(WaiterError, match="terminal failure"):
        eks.get_waiter("addon_active").wait(clusterName=cluster, **NAME, **at_once)
    eks.update_addon(clusterName=cluster, **NAME)
    site.end_work()
    eks.get_waiter("addon_active").wait(clusterName=cluster, **NAME, **at_once)
    eks.delete_addon(clusterName=cluster, **NAME)
    site.end_work()
    eks.get_waiter("addon_deleted").wait(clusterName=cluster, **NAME, **at_once)
    eks.get_waiter("cluster_active").wait(name=cluster, **at_once)
