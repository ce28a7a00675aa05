"""Settings as configuration values: what is expressed, what is not, and that nothing disappears."""

from typing import Any

import pytest

from vpc_cni.cluster import Inventory
from vpc_cni.lifecycle.putting_back import find_lost, plan_putting_back
from vpc_cni.lifecycle.translation import LeftOver, Translation, translate
from vpc_cni.manifests import (
    Configuration,
    ImageSet,
    Registry,
    RenderOptions,
    packaged_catalogue,
    parse_addon_version,
    plan_images,
    read_configuration,
    render,
)
from vpc_cni.self_managed.carrying import Carried, take_over
from vpc_cni.self_managed.kept import find_settings

PROFILE = packaged_catalogue().find(parse_addon_version("v1.16.2-eksbuild.1"))
IMAGES = plan_images(PROFILE, ImageSet.AWS, Registry("registry.example.com"))
PLAIN = Inventory(render(PROFILE, RenderOptions(IMAGES)).objects)
VALUES: dict[str, Any] = {
    "affinity": {"nodeAffinity": {}},
    "enableNetworkPolicy": "true",
    "enableWindowsIpam": "true",
    "env": {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true", "WARM_IP_TARGET": "5"},
    "init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "true"}},
    "livenessProbeTimeoutSeconds": 7,
    "minimumWindowsIPTarget": 4,
    "nodeAgent": {"metricsBindAddr": "9162", "conntrackCacheCleanupPeriod": 60},
    "readinessProbeTimeoutSeconds": 8,
    "resources": {"requests": {"cpu": "50m"}},
    "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
}


def live(configuration: Configuration, **env: str) -> Inventory:
    return Inventory(render(PROFILE, RenderOptions(IMAGES, configuration, env=env)).objects)


def translated(found: Inventory) -> Translation:
    return translate(take_over(found, PLAIN), find_settings(found, PLAIN, (), ()), PROFILE)


def test_values_come_back_as_they_were_given() -> None:
    found = translated(live(read_configuration(VALUES, PROFILE)))
    assert found.values == VALUES
    assert found.left_over == ()


def test_what_was_translated_renders_to_what_was_live() -> None:
    before = live(read_configuration(VALUES, PROFILE))
    assert live(read_configuration(translated(before).values, PROFILE)) == before


def test_a_plain_installation_has_no_values() -> None:
    found = translated(PLAIN)
    assert (found.text, found.left_over) == (None, ())


@pytest.mark.parametrize(
    ("name", "value"), [("CLUSTER_NAME", "prod"), ("HTTPS_PROXY", "http://proxy"), ("MAX_ENI", "many")]
)
def test_variables_that_the_schema_refuses_are_left_over(name: str, value: str) -> None:
    (left,) = translated(live(Configuration(), **{name: value})).left_over
    assert (left.setting, left.value) == (f"aws-node: {name}", value)
    assert name in left.reason


def test_an_empty_variable_and_one_from_elsewhere_have_no_form() -> None:
    reference = {"name": "MY_ZONE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    found = translate(Carried(env={"CLUSTER_ENDPOINT": ""}, references={"aws-node": (reference,)}), (), PROFILE)
    assert found.values == {}
    assert [each.setting for each in found.left_over] == ["aws-node: CLUSTER_ENDPOINT", "aws-node: MY_ZONE"]


def test_other_fields_are_left_over() -> None:
    found = list(PLAIN.objects)
    daemon_set = found.pop()
    spec = daemon_set["spec"]["template"]["spec"]
    template = {**daemon_set["spec"]["template"], "spec": {**spec, "nodeSelector": {"pool": "a"}}}
    found.append({**daemon_set, "spec": {**daemon_set["spec"], "template": template}})
    assert translated(Inventory(tuple(found))).left_over == (
        LeftOver("DaemonSet .spec.template.spec.nodeSelector", {"pool": "a"}, "EKS has no such value"),
    )


def test_what_was_lost_is_put_back_and_nothing_else() -> None:
    before = live(read_configuration(VALUES, PROFILE), CLUSTER_NAME="prod")
    settings = find_settings(before, PLAIN, (), ())
    assert find_lost(settings, before) == ()
    lost = find_lost(settings, PLAIN)
    manifests = plan_putting_back(lost, PLAIN)
    assert {each["kind"] for each in manifests} == {"DaemonSet", "ConfigMap"}
    (daemon_set,) = [each for each in manifests if each["kind"] == "DaemonSet"]
    (agent,) = [each for each in daemon_set["spec"]["template"]["spec"]["containers"] if each["name"] == "aws-node"]
    names = {each["name"] for each in agent["env"]}
    assert names == {"AWS_VPC_K8S_CNI_EXTERNALSNAT", "WARM_IP_TARGET", "CLUSTER_NAME"}
    assert "image" not in agent
    assert set(daemon_set["metadata"]) == {"name", "namespace"}


def test_what_has_gone_altogether_is_not_put_back() -> None:
    before = live(Configuration(), CLUSTER_NAME="prod")
    assert find_lost(find_settings(before, PLAIN, (), ()), Inventory()) == ()
