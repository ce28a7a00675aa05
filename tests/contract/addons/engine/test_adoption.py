"""Clusters with the reference's manifests, applied with kubectl, that are taken over with this project's images."""

import json
from typing import Any

import pytest

from vpc_cni.cluster.inventory import ADDON_OBJECTS, Reference
from vpc_cni.manifests import ImageSet, Manifest, find_changes, strip_server_fields

OLD, NEW = "v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1"
VERSIONS = (OLD, NEW, "v1.20.4-eksbuild.1")
LEFT = (
    '.spec.template.spec.volumes[name="xtables-lock"]',
    '.spec.template.spec.initContainers[name="aws-vpc-cni-init"].securityContext.privileged',
)
POLICY_AGENT = '.spec.template.spec.containers[name="aws-eks-nodeagent"]'


def objects(site: Any) -> dict[Reference, Manifest]:
    """Return the live objects that this project's images need, as the profile makes them."""
    found = {each: site.api.get(each) for each in ADDON_OBJECTS}
    # The policy agent's definition is the reference's: it may hold what others made, so it is left alone.
    return {
        reference: strip_server_fields(each)
        for reference, each in found.items()
        if each is not None and "policyendpoints" not in reference.name
    }


def fresh(site: Any) -> dict[Reference, Manifest]:
    """Return what a new installation comes to, and clean up after it."""
    assert site.create().issues == ()
    made = objects(site)
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
    return made


def assert_same(found: dict[Reference, Manifest], wanted: dict[Reference, Manifest]) -> None:
    """Nothing more, nothing less; variables and the like in any order, since live ones keep their place."""
    assert found.keys() == wanted.keys()
    assert [change for each in found for change in find_changes(wanted[each], found[each])] == []


def container_names(site: Any) -> list[str]:
    return [each["name"] for each in site.daemon_set()["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_overwriting_ends_with_exactly_the_objects_of_the_profile(own_site: Any, version: str) -> None:
    wanted = fresh(own_site)
    own_site.kubectl_apply_manifest(version)
    generation = own_site.daemon_set()["metadata"]["generation"]
    assert own_site.create("OVERWRITE").issues == ()
    assert_same(objects(own_site), wanted)
    assert own_site.daemon_set()["metadata"]["generation"] == generation + 1, "pods roll once"
    before = own_site.daemon_set()["metadata"]["resourceVersion"]
    assert own_site.update("NONE").issues == ()
    assert own_site.daemon_set()["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ["NONE", "PRESERVE"])
def test_a_creation_that_may_not_overwrite_names_what_would_go(own_site: Any, version: str, mode: str) -> None:
    own_site.kubectl_apply_manifest(version)
    before = own_site.daemon_set()["metadata"]["resourceVersion"]
    done = own_site.create(mode)
    (issue,) = done.issues
    lines = issue.message.splitlines()
    for path in (*LEFT, *([] if version == OLD else [POLICY_AGENT])):
        assert any(each.startswith(f"DaemonSet.apps aws-node - {path}") for each in lines), path
    assert own_site.daemon_set()["metadata"]["resourceVersion"] == before


def test_preserve_leaves_what_others_own_of_the_old_version(own_site: Any) -> None:
    own_site.kubectl_apply_manifest(NEW)
    assert own_site.update("PRESERVE").issues == ()
    assert container_names(own_site) == ["aws-node", "aws-eks-nodeagent"]
    assert own_site.container("aws-vpc-cni-init")["securityContext"]["privileged"]
    assert own_site.update("OVERWRITE").issues == ()
    assert container_names(own_site) == ["aws-node"]


def test_settings_that_others_added_survive_an_adoption(own_site: Any) -> None:
    own_site.kubectl_apply_manifest(NEW)
    own_site.set_env("WARM_IP_TARGET=7", "AWS_VPC_K8S_CNI_EXTERNALSNAT=true")
    sidecar = {"name": "sidecar", "image": "a.example.com/b"}
    pod = {"containers": [sidecar], "nodeSelector": {"mine": "yes"}}
    own_site.patch("daemonset", "aws-node", {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {"spec": pod}}})
    # Of what goes, an edited part goes too.
    own_site.patch_container({"args": ["--mine"]}, "aws-eks-nodeagent")
    assert own_site.create("OVERWRITE").issues == ()
    assert sorted(container_names(own_site)) == ["aws-node", "sidecar"]
    live = own_site.daemon_set()
    assert live["spec"]["template"]["spec"]["nodeSelector"]["mine"] == "yes"
    assert live["metadata"]["labels"]["a"] == "b"
    assert own_site.env("WARM_IP_TARGET")["value"] == "7"
    assert own_site.env("AWS_VPC_K8S_CNI_EXTERNALSNAT")["value"] == "false"


def test_what_the_reference_shares_with_kubectl_goes_at_a_later_update_too(own_site: Any, site: Any) -> None:
    """Adopted with the reference's images, each field has two owners: dropping it gives up ours only."""
    wanted = fresh(own_site)
    site.kubectl_apply_manifest(NEW)
    assert site.create("OVERWRITE").issues == ()
    assert {"eks", "kubectl-client-side-apply"} <= site.owners()
    assert any(POLICY_AGENT in each for each in own_site.update("NONE").issues[0].message.splitlines())
    assert own_site.update("OVERWRITE").issues == ()
    assert_same(objects(own_site), wanted)


def test_a_volume_of_the_old_version_that_a_sidecar_mounts_is_an_issue_and_nothing_is_applied(own_site: Any) -> None:
    own_site.kubectl_apply_manifest(NEW)
    mounts = [{"mountPath": "/lock", "name": "xtables-lock"}]
    sidecar = {"name": "sidecar", "image": "a.example.com/b", "volumeMounts": mounts}
    own_site.patch("daemonset", "aws-node", {"spec": {"template": {"spec": {"containers": [sidecar]}}}})
    before = own_site.daemon_set()["metadata"]["resourceVersion"]
    done = own_site.create("OVERWRITE")
    assert [each.code for each in done.issues] == ["UnsupportedAddonModification"]
    assert "xtables-lock" in done.issues[0].message
    assert own_site.daemon_set()["metadata"]["resourceVersion"] == before


def test_a_selector_of_ones_own_is_found_before_anything_is_rewritten(own_site: Any) -> None:
    own_site.kubectl_apply_manifest(NEW)
    live = own_site.daemon_set()
    own_site.kubectl("delete", "daemonset/aws-node", "-nkube-system")
    for labels in (live["spec"]["selector"]["matchLabels"], live["spec"]["template"]["metadata"]["labels"]):
        labels["mine"] = "yes"
    live["metadata"] = {"name": "aws-node", "namespace": "kube-system"}
    file = own_site.folder / "selector.json"
    file.write_text(json.dumps(live))
    own_site.kubectl("create", "-f", str(file))
    before = own_site.daemon_set()["metadata"]["resourceVersion"]
    done = own_site.create("OVERWRITE")
    assert [each.code for each in done.issues] == ["UnsupportedAddonModification"]
    assert "immutable" in done.issues[0].message
    assert own_site.daemon_set()["metadata"]["resourceVersion"] == before


def test_keys_of_a_newer_config_map_go_on_the_way_back(own_site: Any) -> None:
    own_site.kubectl_apply_manifest("v1.16.0-eksbuild.1")
    assert own_site.create("OVERWRITE", version="v1.15.1-eksbuild.1").issues == ()
    data = own_site.server.get("configmap", "amazon-vpc-cni")["data"]
    assert "branch-eni-cooldown" not in data


@pytest.mark.parametrize("image_set", list(ImageSet))
def test_images_of_no_known_version_are_adopted_too(own_site: Any, image_set: ImageSet) -> None:
    wanted = fresh(own_site)
    own_site.kubectl_apply_manifest(NEW, image_set)
    own_site.kubectl("set", "image", "ds/aws-node", "-nkube-system", "aws-node=old.example.com/cni@sha256:" + "a" * 64)
    assert own_site.create("OVERWRITE").issues == ()
    assert_same(objects(own_site), wanted)
