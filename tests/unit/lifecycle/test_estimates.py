"""Targets that the catalogue does not have: what is said of them, and what EKS's own schema decides."""

from typing import Any

import pytest

from vpc_cni.cluster import Inventory
from vpc_cni.cluster.applying import Mode
from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.lifecycle.estimates import estimate_lines
from vpc_cni.lifecycle.preflight.finding import Level
from vpc_cni.lifecycle.preflight.versions import check_values
from vpc_cni.lifecycle.records import parse_cluster
from vpc_cni.lifecycle.requests import Change
from vpc_cni.lifecycle.target import ImageChoice, Target, cluster_env, render_change
from vpc_cni.manifests import ImageSet, Manifest, find_region, packaged_catalogue

CATALOGUE = packaged_catalogue()
OFFICIAL = find_region("us-west-2").registry
UNKNOWN = "v1.23.1-eksbuild.1"
# What a later version may take, and this release has never heard of.
SCHEMA = {
    "$ref": "#/definitions/VpcCni",
    "definitions": {
        "Env": {"type": "object", "additionalProperties": False, "properties": {"NEW_SETTING": {"type": "string"}}},
        "VpcCni": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "env": {"$ref": "#/definitions/Env"},
                "nodeAgent": {"type": "object"},
                "podLabels": {"type": "object"},
            },
        },
    },
}


def target(version: str, values: str | None = None, **more: Any) -> Target:
    assert OFFICIAL is not None
    return render_change(
        Change(version, Mode.NONE, configuration_values=values),
        CATALOGUE,
        ImageChoice(ImageSet.AWS, OFFICIAL),
        "ipv4",
        **more,
    )


def agent_env(found: Target) -> dict[str, str]:
    (daemon_set,) = [each for each in found.objects if each["kind"] == "DaemonSet"]
    agent = daemon_set["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", "") for each in agent["env"]}


def test_a_version_with_a_profile_is_no_estimate() -> None:
    found = target("v1.21.2-eksbuild.2")
    assert found.estimate is None
    assert agent_env(found)["VPC_CNI_VERSION"] == "v1.21.2"


def test_a_version_without_one_says_what_it_rests_on() -> None:
    found = target(UNKNOWN)
    assert found.estimate is not None
    assert (found.estimate.version, found.estimate.basis) == (UNKNOWN, "v1.21.2")
    assert agent_env(found)["VPC_CNI_VERSION"] == "v1.23.1"
    lines = list(estimate_lines(found.estimate))
    assert lines[0] == (
        f"an estimate: the catalogue of {CATALOGUE.valid_at} does not have {UNKNOWN}; "
        "this is v1.21.2, the nearest older release that it has"
    )
    assert any("ipamd.sock" in line for line in lines)
    assert "not known: the version of the network policy agent; v1.3.5 is that of v1.21.2" in lines


def test_a_version_older_than_all_is_refused() -> None:
    with pytest.raises(CallerError):
        target("v1.10.1-eksbuild.1")


def test_eks_decides_which_values_a_version_takes() -> None:
    values = '{"env": {"NEW_SETTING": "1"}, "podLabels": {"a": "b"}, "nodeAgent": {"mode": "x"}}'
    with pytest.raises(ConfigurationError, match=r"NEW_SETTING: is not defined"):
        target(UNKNOWN, values)
    found = target(UNKNOWN, values, schema=SCHEMA)
    assert agent_env(found)["NEW_SETTING"] == "1"
    assert found.estimate is not None
    assert "what becomes of the values podLabels, nodeAgent.mode" in found.estimate.unknown
    with pytest.raises(ConfigurationError, match=r"WARM_IP_TARGET: is not defined"):
        target(UNKNOWN, '{"env": {"WARM_IP_TARGET": "5"}}', schema=SCHEMA)


@pytest.mark.parametrize(
    ("schema", "text", "level"),
    [
        (None, '{"env":{"NEW_SETTING":"1"}}', Level.SKIPPED),
        (SCHEMA, '{"env":{"NEW_SETTING":"1"}}', Level.OK),
        (SCHEMA, '{"env":{"NEW_SETTING":1}}', Level.FAILED),
        (SCHEMA, '{"resources":{}}', Level.FAILED),
    ],
)
def test_values_are_checked_before_eks_is_asked(schema: Any, text: str, level: Level) -> None:
    cluster = parse_cluster({"name": "my-cluster", "version": "1.34"})
    assert check_values("values", text, UNKNOWN, cluster, CATALOGUE, schema=schema).level is level


def live(**env: str) -> Inventory:
    entries = [{"name": name, "value": value} for name, value in env.items()]
    entries.append({"name": "VPC_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    spec = {"containers": [{"name": "aws-node", "env": entries}]}
    daemon_set: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "aws-node", "namespace": "kube-system"},
        "spec": {"template": {"spec": spec}},
    }
    return Inventory((daemon_set,))


def test_variables_that_eks_sets_out_of_the_cluster_stay() -> None:
    kept = cluster_env(live(CLUSTER_NAME="prod", ANNOTATE_POD_IP="false", WARM_IP_TARGET="5"), CATALOGUE)
    assert kept == {"CLUSTER_NAME": "prod", "ANNOTATE_POD_IP": "false"}
    env = agent_env(target("v1.20.4-eksbuild.1", '{"env": {"ANNOTATE_POD_IP": "true"}}', kept_env=kept))
    assert (env["CLUSTER_NAME"], env["ANNOTATE_POD_IP"]) == ("prod", "true")
    assert cluster_env(Inventory(), CATALOGUE) == {}
