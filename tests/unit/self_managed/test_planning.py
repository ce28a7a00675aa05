"""What is taken over, what goes, what is mended, and what differs."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.self_managed.conftest import ROLE
from vpc_cni.cluster import Inventory
from vpc_cni.cluster.inventory import SERVICE_ACCOUNTS, Reference, find_container
from vpc_cni.cluster.rewriting import plan_rewrite
from vpc_cni.errors import CallerError, ConfigurationError, RefusedError
from vpc_cni.manifests import (
    ImageSet,
    KubernetesVersion,
    Manifest,
    Registry,
    packaged_catalogue,
    parse_addon_version,
    read_configuration,
)
from vpc_cni.self_managed import UpdatePlan, Wish, find_target, plan_update

CATALOGUE = packaged_catalogue()
Install = Callable[..., Inventory]


def wish(version: str, **fields: Any) -> Wish:
    return Wish(CATALOGUE.find(parse_addon_version(version)), **fields)


def update(live: Inventory, version: str, **fields: Any) -> UpdatePlan:
    return plan_update(live, wish(version, **fields), CATALOGUE)


def agent(plan_or_live: UpdatePlan | Inventory, name: str = "aws-node") -> Manifest:
    objects = plan_or_live.target if isinstance(plan_or_live, UpdatePlan) else plan_or_live.objects
    daemon_set = Inventory(objects).daemon_set
    assert daemon_set is not None
    found = find_container(daemon_set, name)
    assert found is not None
    return found


def env(container: Manifest) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def edited(live: Inventory, change: Callable[[Manifest], None]) -> Inventory:
    """Return an installation after somebody edited the agent's container."""
    copied = copy.deepcopy(live)
    change(agent(copied))
    return copied


def test_an_update_to_the_same_version_changes_nothing(install: Install) -> None:
    for image_set in ImageSet:
        plan = update(install("v1.16.2", image_set), "v1.16.2")
        assert [each for each in plan.changes if each.is_new or each.changes] == []
        assert (plan.removals, plan.left, plan.repairs, plan.image_set) == ((), (), (), image_set)


def test_defaults_of_the_old_version_are_no_settings(install: Install) -> None:
    plan = update(install("v1.12.6-eksbuild.2"), "v1.16.2")
    fresh = install("v1.16.2")
    assert env(agent(plan)) == env(agent(fresh))
    assert plan.carried.env == {}


def test_every_setting_is_taken_over(install: Install) -> None:
    values: dict[str, Any] = {
        "env": {"WARM_IP_TARGET": "5", "AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"},
        "init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "true"}},
        "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "livenessProbeTimeoutSeconds": 20,
        "enableWindowsIpam": "true",
        "nodeAgent": {"enableCloudWatchLogs": "true"},
    }
    plan = update(install("v1.15.1", role_arn=ROLE, **values), "v1.16.2")
    expected = install("v1.16.2", role_arn=ROLE, **values)
    assert plan.target == expected.objects
    account = Inventory(plan.target).find(Reference(SERVICE_ACCOUNTS, "aws-node"))
    assert account is not None
    assert ROLE in account["metadata"]["annotations"].values()


def test_what_is_asked_for_wins_over_what_is_live(install: Install) -> None:
    live = install("v1.15.1", env={"WARM_IP_TARGET": "5", "WARM_ENI_TARGET": "2"})
    profile = CATALOGUE.find(parse_addon_version("v1.16.2"))
    values = read_configuration({"env": {"WARM_IP_TARGET": "6"}}, profile)
    found = env(agent(update(live, "v1.16.2", configuration=values, env={"WARM_ENI_TARGET": "3"})))
    assert (found["WARM_IP_TARGET"], found["WARM_ENI_TARGET"]) == ("6", "3")


def test_a_variable_from_a_secret_is_kept_as_it_is(install: Install) -> None:
    entry = {"name": "ADDITIONAL_ENI_TAGS", "valueFrom": {"secretKeyRef": {"name": "tags", "key": "all"}}}

    def refer(container: Manifest) -> None:
        container["env"] = [each for each in container["env"] if each["name"] != entry["name"]] + [entry]

    live = edited(install("v1.15.1"), refer)
    assert env(agent(update(live, "v1.16.2")))["ADDITIONAL_ENI_TAGS"] == entry["valueFrom"]
    literal = update(live, "v1.16.2", env={"ADDITIONAL_ENI_TAGS": "{}"})
    assert env(agent(literal))["ADDITIONAL_ENI_TAGS"] == "{}"
    assert "has a valueFrom, and a value cannot be applied over it" in literal.repairs[0].reason


def test_a_default_that_was_deleted_is_noted(install: Install) -> None:
    def drop(container: Manifest) -> None:
        container["env"] = [each for each in container["env"] if each["name"] != "WARM_ENI_TARGET"]

    plan = update(edited(install("v1.16.2"), drop), "v1.16.2")
    assert any("WARM_ENI_TARGET" in note for note in plan.notes)
    assert "WARM_ENI_TARGET" in env(agent(plan))


def test_a_setting_that_is_not_built_is_refused_by_name(install: Install) -> None:
    live = install("v1.16.2", env={"ENABLE_PREFIX_DELEGATION": "true"})
    with pytest.raises(ConfigurationError, match="ENABLE_PREFIX_DELEGATION"):
        update(live, "v1.16.2", image_set=ImageSet.OWN)


def test_what_only_the_old_version_made_goes(install: Install) -> None:
    plan = update(install("v1.16.2"), "v1.16.2", image_set=ImageSet.OWN)
    assert '.spec.template.spec.containers[name="aws-eks-nodeagent"]' in plan.removals
    assert '.spec.template.spec.initContainers[name="aws-vpc-cni-init"].securityContext.privileged' in plan.removals
    assert [each.name for each in plan.left] == ["policyendpoints.networking.k8s.aws"]
    daemon_set = Inventory(plan.target).daemon_set
    assert daemon_set is not None
    live = install("v1.16.2").daemon_set
    assert live is not None
    (_guard, written) = plan_rewrite(live, daemon_set, "vpc-cni", plan.removals)
    spec = written["value"]["template"]["spec"]
    assert [each["name"] for each in spec["containers"]] == ["aws-node"]
    assert "privileged" not in spec["initContainers"][0]["securityContext"]
    assert spec["initContainers"][0]["image"] == "mirror.example.com:5000/team/amazon-k8s-cni-init:v1.16.2"


def test_keys_that_only_the_newer_version_has_go_on_the_way_back(install: Install) -> None:
    plan = update(install("v1.16.0"), "v1.15.1")
    (config_map,) = [each for each in plan.changes if each.name.kind == "ConfigMap"]
    removed = [each.path for each in config_map.changes if each.kind == "removed"]
    assert ".data.branch-eni-cooldown" in removed


def test_what_somebody_added_stays(install: Install) -> None:
    live = copy.deepcopy(install("v1.16.2"))
    assert live.daemon_set is not None
    live.daemon_set["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "a.example.com/b"})
    plan = update(live, "v1.16.2", image_set=ImageSet.OWN)
    assert not [path for path in plan.removals if "sidecar" in path]


def test_a_variable_named_twice_is_mended_with_the_last_value(install: Install) -> None:
    def repeat(container: Manifest) -> None:
        container["env"] += [{"name": "WARM_IP_TARGET", "value": "3"}, {"name": "WARM_IP_TARGET", "value": "4"}]

    plan = update(edited(install("v1.16.2"), repeat), "v1.16.2")
    assert [each.reason for each in plan.repairs] == [
        "container aws-node names WARM_IP_TARGET 2 times: the API server fails every apply",
    ]
    assert env(agent(plan))["WARM_IP_TARGET"] == "4"


def test_the_same_amount_is_spelled_as_it_is_live(install: Install) -> None:
    live = install("v1.16.2", resources={"requests": {"cpu": "1", "memory": "1Gi"}})
    profile = CATALOGUE.find(parse_addon_version("v1.16.2"))
    values = read_configuration({"resources": {"requests": {"cpu": "1000m", "memory": "2Gi"}}}, profile)
    resources = agent(update(live, "v1.16.2", configuration=values))["resources"]
    assert resources == {"requests": {"cpu": "1", "memory": "2Gi"}}


def test_a_version_outside_the_catalogue_is_compared_with_the_one_before(install: Install) -> None:
    live = edited(
        install("v1.15.1", env={"WARM_IP_TARGET": "5"}),
        lambda container: container.update(image="mirror.example.com:5000/team/amazon-k8s-cni:v1.15.9"),
    )
    plan = update(live, "v1.16.2")
    assert plan.carried.env == {"WARM_IP_TARGET": "5"}
    assert "settings are what differs from v1.15.1" in plan.notes[0]


def test_the_first_installation_needs_a_registry() -> None:
    with pytest.raises(CallerError, match="where images come from"):
        update(Inventory(), "v1.16.2")
    plan = update(Inventory(), "v1.16.2", registry=Registry("mirror.example.com"))
    assert all(each.is_new for each in plan.changes)


def test_our_images_are_not_looked_for_in_the_official_registry(install: Install) -> None:
    official = "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.15.1"
    live = edited(install("v1.15.1"), lambda container: container.update(image=official))
    assert "602401143452" in agent(update(live, "v1.16.2"))["image"]
    with pytest.raises(CallerError, match="this project's images are not in"):
        update(live, "v1.16.2", image_set=ImageSet.OWN)


def test_settings_are_told_with_what_becomes_of_them(install: Install) -> None:
    live = install("v1.12.6-eksbuild.2", env={"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "8"})
    daemon_set = copy.deepcopy(live.daemon_set) or {}
    daemon_set["metadata"]["labels"]["team"] = "network"
    pod = daemon_set["spec"]["template"]["spec"]
    pod["nodeSelector"], pod["dnsPolicy"] = {"kubernetes.io/os": "linux"}, "ClusterFirst"
    live = Inventory((*(each for each in live.objects if each["kind"] != "DaemonSet"), daemon_set))
    plan = update(live, "v1.16.2", env={"WARM_IP_TARGET": "7"})
    container = '.spec.template.spec.containers[name="aws-node"]'
    assert {each.path: each.is_kept for each in plan.settings} == {
        ".metadata.labels.team": True,
        ".spec.template.spec.nodeSelector": True,
        f'{container}.env[name="MINIMUM_IP_TARGET"]': True,
        f'{container}.env[name="WARM_IP_TARGET"]': False,
    }


def test_a_plain_installation_has_no_settings(install: Install) -> None:
    for version in ("v1.12.6-eksbuild.2", "v1.16.2"):
        assert update(install(version), "v1.16.2").settings == ()


@pytest.mark.parametrize("version", ["v1.16.0", "v1.16.0-eksbuild.1", "v1.16.1", "v1.16.1-eksbuild.1"])
@pytest.mark.parametrize("minor", [20, 23])
def test_versions_that_break_old_clusters_are_refused(version: str, minor: int) -> None:
    with pytest.raises(RefusedError, match=rf"{version} needs Kubernetes 1\.24 or later") as caught:
        find_target(CATALOGUE, parse_addon_version(version), KubernetesVersion(1, minor), Inventory())
    assert caught.value.hint == "use v1.16.2, or update the cluster first"


def test_the_target_is_the_version_that_is_named_or_the_default() -> None:
    cluster = KubernetesVersion(1, 24)
    versions = (parse_addon_version("v1.16.0"), None)
    found = [find_target(CATALOGUE, version, cluster, Inventory()) for version in versions]
    assert [(str(profile.version), notes) for profile, notes in found] == [("v1.16.0", ()), ("v1.16.2", ())]
    with pytest.raises(CallerError, match=r"v1\.16\.1 is not in the catalogue"):
        find_target(CATALOGUE, parse_addon_version("v1.16.1"), cluster, Inventory())


@pytest.mark.parametrize(
    ("running", "target"), [("v1.12.6", "v1.16.2"), ("v1.16.2", "v1.16.2"), ("v1.18.5", "v1.18.5")]
)
def test_nobody_goes_back_to_an_older_release_unasked(install: Install, running: str, target: str) -> None:
    profile, _notes = find_target(CATALOGUE, None, KubernetesVersion(1, 27), install(running))
    assert str(profile.version) == target
    named, _notes = find_target(CATALOGUE, parse_addon_version("v1.16.2"), KubernetesVersion(1, 27), install(running))
    assert str(named.version) == "v1.16.2"
