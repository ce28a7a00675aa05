"""Requests leave nothing to the defaults of EKS."""

from dataclasses import replace

import pytest

from vpc_cni.cluster.applying import Mode
from vpc_cni.lifecycle.records import Association, parse_addon, parse_cluster
from vpc_cni.lifecycle.requests import Change, Wanted, complete, create_members, plan_rollback, update_members

ROLE = "arn:aws:iam::111122223333:role/cni"
CURRENT = parse_addon(
    {
        "addonVersion": "v1.15.1-eksbuild.1",
        "status": "ACTIVE",
        "serviceAccountRoleArn": ROLE,
        "configurationValues": '{"env":{}}',
        "health": {"issues": []},
    }
)


def test_what_was_not_asked_for_is_sent_again() -> None:
    change = complete(Wanted(version="v1.16.2-eksbuild.1", mode=Mode.PRESERVE), CURRENT)
    assert update_members("c", change, "t") == {
        "clusterName": "c",
        "addonName": "vpc-cni",
        "addonVersion": "v1.16.2-eksbuild.1",
        "resolveConflicts": "PRESERVE",
        "clientRequestToken": "t",
        "serviceAccountRoleArn": ROLE,
        "configurationValues": '{"env":{}}',
    }


def test_a_role_is_dropped_and_values_are_reset_only_when_asked_for() -> None:
    change = complete(Wanted(role_arn="", configuration_values="{}"), CURRENT)
    members = update_members("c", change, "t")
    assert "serviceAccountRoleArn" not in members
    assert members["configurationValues"] == "{}"
    assert members["addonVersion"] == "v1.15.1-eksbuild.1"


def test_nulls_of_the_real_service_are_nothing() -> None:
    addon = parse_addon({"serviceAccountRoleArn": None, "health": None, "tags": None, "configurationValues": None})
    assert (addon.role_arn, addon.issues, addon.tags, addon.configuration_values) == ("", (), {}, None)
    assert "configurationValues" not in update_members("c", complete(Wanted(), addon), "t")


def test_tags_and_associations_are_members_of_a_creation() -> None:
    change = Change("v1", Mode.NONE, associations=(Association("aws-node", ROLE),), tags={"a": "b"})
    members = create_members("c", change, "t")
    assert members["tags"] == {"a": "b"}
    assert members["podIdentityAssociations"] == [{"serviceAccount": "aws-node", "roleArn": ROLE}]
    assert "tags" not in update_members("c", change, "t")


def test_a_cluster_tells_where_it_is() -> None:
    cluster = parse_cluster({"name": "c", "arn": "arn:aws-cn:eks:cn-north-1:111122223333:cluster/c", "version": "1.29"})
    assert (cluster.partition, cluster.region, cluster.account_id) == ("aws-cn", "cn-north-1", "111122223333")
    assert (cluster.ip_family, cluster.issuer, cluster.auto_mode) == ("ipv4", "", False)


ONE, OTHER = Association("aws-node", ROLE), Association("aws-node", f"{ROLE}-other")


@pytest.mark.parametrize(
    ("recorded", "owned", "sent"),
    [
        pytest.param((), (), None, id="none ever"),
        pytest.param((), ("arn",), (), id="added since"),
        pytest.param((ONE,), (), (ONE,), id="removed since"),
        pytest.param((OTHER,), ("arn",), (OTHER,), id="role changed since"),
        pytest.param(None, ("arn",), None, id="not known"),
        pytest.param(None, (), None, id="not known, and removed since"),
    ],
)
def test_a_rollback_brings_associations_back(
    recorded: tuple[Association, ...] | None, owned: tuple[str, ...], sent: tuple[Association, ...] | None
) -> None:
    change = plan_rollback(CURRENT, recorded, replace(CURRENT, association_arns=owned))
    assert change.associations == sent
    assert ("podIdentityAssociations" in update_members("c", change, "t")) is (sent is not None)


@pytest.mark.parametrize(
    ("recorded", "current", "sent"),
    [(None, None, None), (None, "{}", "{}"), ('{"env":{}}', None, '{"env":{}}'), ("a: 1", "b: 2", "a: 1")],
)
def test_a_rollback_leaves_no_value_of_now(recorded: str | None, current: str | None, sent: str | None) -> None:
    before, now = (replace(CURRENT, configuration_values=each) for each in (recorded, current))
    assert plan_rollback(before, (), now).configuration_values == sent


def test_a_rollback_drops_a_role_that_was_not_there() -> None:
    change = plan_rollback(replace(CURRENT, role_arn=""), (), CURRENT)
    assert "serviceAccountRoleArn" not in update_members("c", change, "t")
    assert (change.mode, change.version) == (Mode.OVERWRITE, CURRENT.version)
