"""An add-on in a cluster from its installation to its removal: what is applied, seen, left and deleted."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.contract.addons.engine.conftest import images_of
from vpc_cni.addons.engine import AddonEngine
from vpc_cni.addons.model import ConflictMode
from vpc_cni.cluster.inventory import (
    ADDON_OBJECTS,
    AGENT,
    CLUSTER_ROLES,
    DAEMON_SETS,
    DEFINITIONS,
    ENI_CONFIGS,
    Reference,
)
from vpc_cni.errors import KubernetesError
from vpc_cni.manifests import ImageSet, Manifest, packaged_catalogue

OLD, NEW = "v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1"
ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"
NO_REPLICAS = "The add-on is unhealthy because it doesn't have the desired number of replicas."
ENI_CONFIG_VALUES = {
    "eniConfig": {"create": True, "region": "us-west-2", "subnets": {"us-west-2a": {"id": "subnet-0a1b2c3d4e5f60718"}}}
}


class Killed(BaseException):
    """The process ends here."""


class Interrupted:
    """A cluster whose user does something else, or is no more, before the n-th write."""

    def __init__(self, api: Any, at: int, act: Callable[[], None]) -> None:
        self._api, self._left, self._act = api, at, act
        self.field_manager = api.field_manager
        self.get, self.list = api.get, api.list

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        if not dry_run:
            self._count()
        applied: Manifest = self._api.apply(manifest, force=force, dry_run=dry_run)
        return applied

    def patch_json(self, reference: Reference, operations: tuple[Mapping[str, Any], ...], **options: Any) -> Manifest:
        self._count()
        patched: Manifest = self._api.patch_json(reference, operations, **options)
        return patched

    def delete(self, reference: Reference) -> None:
        self._count()
        self._api.delete(reference)


def kill() -> None:
    raise Killed


def existing(site: Any) -> set[str]:
    return {str(each) for each in ADDON_OBJECTS if site.api.get(each) is not None}


def role_of(site: Any) -> str | None:
    annotations: dict[str, str] = site.server.get("serviceaccount", "aws-node")["metadata"].get("annotations", {})
    return annotations.get("eks.amazonaws.com/role-arn")


def test_an_installation_is_healthy_when_all_pods_are_available(own_site: Any) -> None:
    assert own_site.create().issues == ()
    assert [each.message for each in own_site.observe().issues] == [NO_REPLICAS]
    own_site.play_controller(available=1)
    assert not own_site.observe().ready
    own_site.play_controller()
    assert own_site.observe() == type(own_site.observe())(ready=True)


def test_objects_that_are_gone_are_named(own_site: Any) -> None:
    own_site.create()
    own_site.play_controller()
    own_site.kubectl("delete", "clusterrolebinding/aws-node")
    (issue,) = own_site.observe().issues
    assert issue.code == "K8sResourceNotFound"
    assert issue.resource_ids == ("ClusterRoleBinding.rbac.authorization.k8s.io aws-node",)
    own_site.update()
    assert own_site.observe().ready


def test_a_role_is_bound_as_long_as_it_is_given(site: Any) -> None:
    site.create(role_arn=ROLE)
    assert role_of(site) == ROLE
    site.update(role_arn=ROLE)
    assert role_of(site) == ROLE
    assert site.update().issues == ()
    assert role_of(site) is None


def test_custom_resources_come_and_go_with_their_definition(site: Any) -> None:
    site.kubectl("delete", "--ignore-not-found", "crd/eniconfigs.crd.k8s.amazonaws.com")
    assert site.create(values=ENI_CONFIG_VALUES).issues == ()
    assert [each["metadata"]["name"] for each in site.api.list(ENI_CONFIGS)] == ["us-west-2a"]
    assert site.update(values={}).issues == ()
    assert site.api.list(ENI_CONFIGS) == ()


def test_conflicts_are_found_though_a_definition_is_missing(site: Any) -> None:
    site.kubectl_apply_manifest()
    site.kubectl("delete", "--ignore-not-found", "crd/eniconfigs.crd.k8s.amazonaws.com")
    (issue,) = site.create("NONE", values=ENI_CONFIG_VALUES).issues
    assert "DaemonSet.apps aws-node - " in issue.message
    assert site.api.get(Reference(DEFINITIONS, "eniconfigs.crd.k8s.amazonaws.com")) is None


def test_what_a_version_has_no_more_is_deleted_if_it_is_ours(site: Any) -> None:
    site.create()
    assert site.update(version=OLD).issues == ()
    assert "ConfigMap amazon-vpc-cni" not in existing(site)
    site.kubectl("create", "configmap", "amazon-vpc-cni", "-nkube-system", "--from-literal=mine=yes")
    site.update(version=OLD)
    assert "ConfigMap amazon-vpc-cni" in existing(site)


def test_a_removal_takes_what_is_ours_and_preserve_leaves_all(site: Any) -> None:
    site.create(values=ENI_CONFIG_VALUES)
    before = existing(site)
    assert site.engine.remove(site.api, NEW, preserve=True) == type(site.update())()
    assert existing(site) == before
    site.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "kube-system"}})
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
    assert existing(site) == set()
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
    site.kubectl("delete", "configmap/x", "-nkube-system")


def test_a_removal_leaves_objects_and_custom_resources_of_others(site: Any) -> None:
    site.kubectl_apply_manifest()
    site.kubectl("delete", "configmap/amazon-vpc-cni", "-nkube-system", "--ignore-not-found")
    assert [each.code for each in site.create("NONE").issues] == ["ConfigurationConflict"]
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
    assert "DaemonSet aws-node" in existing(site)
    site.create("OVERWRITE")
    file = site.folder / "eniconfig.json"
    head = {"apiVersion": "crd.k8s.amazonaws.com/v1alpha1", "kind": "ENIConfig"}
    file.write_text(json.dumps({**head, "metadata": {"name": "mine"}, "spec": {"subnet": "subnet-1"}}))
    site.kubectl("apply", "-f", str(file))
    site.engine.remove(site.api, NEW, preserve=False)
    assert existing(site) == {"CustomResourceDefinition eniconfigs.crd.k8s.amazonaws.com"}
    site.kubectl("delete", "-f", str(file))


def test_a_user_without_rights_is_an_issue_in_the_words_of_the_api_server(site: Any) -> None:
    denied = site.log_in("a-token-of-the-agent")
    for issues in (
        site.engine.install(denied, site.desired(), ConflictMode.NONE, "").issues,
        site.engine.observe(denied, site.desired()).issues,
        site.engine.remove(denied, NEW, preserve=False).issues,
    ):
        (issue,) = issues
        assert issue.code == "AccessDenied"
        assert 'User "system:serviceaccount:kube-system:aws-node" cannot get resource' in issue.message
    denied.close()
    assert "DaemonSet aws-node" not in existing(site)


def test_an_update_that_is_killed_at_any_write_ends_as_if_it_was_not(site: Any) -> None:
    site.create(values=ENI_CONFIG_VALUES)
    site.set_env("WARM_IP_TARGET=5")
    writes = 0
    for at in range(1, 40):
        # Back and forth, so that each try has all writes to do.
        version, values = ((OLD, {}), (NEW, ENI_CONFIG_VALUES))[at % 2]
        mode = ("NONE", "OVERWRITE", "PRESERVE")[at % 3]
        api = Interrupted(site.api, at, kill)
        try:
            site.engine.install(api, site.desired(version, values), ConflictMode(mode), NEW)
        except Killed:
            assert site.update(mode, version=version, values=values).issues == ()
            writes = at
        assert len(site.api.list(ENI_CONFIGS)) == at % 2
        assert ("ConfigMap amazon-vpc-cni" in existing(site)) == bool(at % 2)
        assert site.env("WARM_IP_TARGET")["value"] == "5"
        if writes < at - 1:
            break
    assert writes >= len(ADDON_OBJECTS)


def test_a_creation_that_is_killed_at_any_write_meets_no_conflict_of_its_own(site: Any) -> None:
    for at in range(1, len(ADDON_OBJECTS) + 1):
        with pytest.raises(Killed):
            site.engine.install(Interrupted(site.api, at, kill), site.desired(), ConflictMode.NONE, "")
    assert site.create("NONE").issues == ()
    assert len(existing(site)) == len(ADDON_OBJECTS)


def test_a_removal_that_is_killed_at_any_step_is_ended_by_the_next(site: Any) -> None:
    site.create()
    for at in (1, 2, 3):
        with pytest.raises(Killed):
            site.engine.remove(Interrupted(site.api, at, kill), NEW, preserve=False)
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
    assert existing(site) == set()


@pytest.mark.parametrize(
    ("mode", "codes", "left"), [("NONE", ["ConfigurationConflict"], "50m"), ("PRESERVE", [], "50m")]
)
def test_an_edit_in_between_is_not_lost(site: Any, mode: str, codes: list[str], left: str) -> None:
    site.create()
    edit = Interrupted(
        site.api,
        len(ADDON_OBJECTS),
        lambda: site.patch_container({"resources": {"requests": {"cpu": "50m"}}}),
    )
    done = site.engine.install(edit, site.desired(values={"env": {"WARM_IP_TARGET": "2"}}), ConflictMode(mode), NEW)
    assert [each.code for each in done.issues] == codes
    assert site.container()["resources"]["requests"]["cpu"] == left


def test_an_object_that_is_going_is_not_applied_but_waited_for(site: Any) -> None:
    site.create()
    site.patch("serviceaccount", "aws-node", {"metadata": {"finalizers": ["example.com/mine"]}})
    engine = AddonEngine(packaged_catalogue(), images_of(ImageSet.AWS), sleep=lambda _: None)
    for _ in range(2):
        with pytest.raises(KubernetesError, match="ServiceAccount aws-node") as caught:
            engine.remove(site.api, NEW, preserve=False)
        assert caught.value.retryable
    with pytest.raises(KubernetesError, match="ServiceAccount aws-node") as caught:
        site.create()
    assert caught.value.retryable
    site.patch("serviceaccount", "aws-node", {"metadata": {"finalizers": None}}, how="merge")
    assert engine.remove(site.api, NEW, preserve=False).issues == ()
    assert site.create().issues == ()


def test_immutable_role_references_are_an_issue(site: Any) -> None:
    site.kubectl("create", "clusterrolebinding", "aws-node", "--clusterrole=view")
    assert [each.code for each in site.create("NONE").issues] == ["ConfigurationConflict"]
    (issue,) = site.create("OVERWRITE").issues
    assert issue.code == "UnsupportedAddonModification"
    assert site.api.get(Reference(CLUSTER_ROLES, "aws-node")) is None
    assert site.api.get(Reference(DAEMON_SETS, AGENT)) is None
