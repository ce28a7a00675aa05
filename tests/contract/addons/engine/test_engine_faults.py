"""API servers that fail, and people who act, in the middle of an update: the end is the same, and nothing is lost."""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.addons.engine.conftest import images_of
from tests.contract.addons.engine.faulty_server import Fault, FaultyServer
from tests.contract.addons.engine.test_engine_life import ENI_CONFIG_VALUES, Interrupted, Killed, kill
from vpc_cni.addons.engine import AddonEngine
from vpc_cni.addons.model import ConflictMode
from vpc_cni.cluster.client import Cluster, Place
from vpc_cni.cluster.inventory import ADDON_OBJECTS, ENI_CONFIGS
from vpc_cni.errors import KubernetesError
from vpc_cni.manifests import ImageSet, find_changes, packaged_catalogue, strip_server_fields

OLD, NEW = "v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1"
SEED = 20240229
CHANGES = 20


def snapshot(site: Any) -> dict[str, Any]:
    found = (site.api.get(each) for each in ADDON_OBJECTS)
    live = {each["kind"] + each["metadata"]["name"]: strip_server_fields(each) for each in found if each is not None}
    return {**live, **{each["metadata"]["name"]: each["spec"] for each in site.api.list(ENI_CONFIGS)}}


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Nothing more, nothing less; items in any order, since live ones keep their place."""
    assert found.keys() == wanted.keys()
    assert [change for name in found for change in find_changes(wanted[name], found[name])] == []


@contextlib.contextmanager
def faulty_way(site: Any) -> Iterator[tuple[FaultyServer, Cluster]]:
    """Yield a server that can fail, and the cluster behind it as the engine reaches it."""
    with FaultyServer(site.server.port).running() as faulty:
        file: Path = site.folder / "faulty"
        document = {
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": {"server": faulty.url}}],
            "users": [{"name": "x", "user": {"token": "a-token-of-tests"}}],
        }
        file.write_text(json.dumps(document))
        api = Cluster(Place(file), field_manager="eks")
        try:
            yield faulty, api
        finally:
            api.close()


def install(engine: AddonEngine, api: Any, desired: Any, mode: str, previous: str) -> bool:
    """Install; return whether that was done. Whatever fails on the way, it is no issue but worth another try."""
    try:
        assert engine.install(api, desired, ConflictMode(mode), previous).issues == ()
    except KubernetesError as err:
        if not err.retryable:
            raise
        return False
    return True


@pytest.mark.timeout(120)
def test_an_update_ends_the_same_whichever_request_fails(site: Any) -> None:
    chance = random.Random(SEED)  # noqa: S311 # no secret comes of it
    wishes = ((OLD, None), (NEW, ENI_CONFIG_VALUES))
    ends = []
    for version, values in wishes:
        assert site.update("OVERWRITE", version=version, values=values).issues == ()
        ends.append(snapshot(site))
    requests, met, later = 30, 0, 0
    with faulty_way(site) as (faulty, api):
        for number in range(CHANGES):
            version, values = wishes[number % 2]
            at, fault = chance.randrange(1, requests), chance.choice(tuple(Fault))
            faulty.fail(at, fault)
            if not install(site.engine, api, site.desired(version, values), chance.choice(tuple(ConflictMode)), NEW):
                later += 1
                assert site.update(version=version, values=values).issues == ()
            met += faulty.met
            assert_same(snapshot(site), ends[number % 2])
    assert met > CHANGES // 2
    assert 0 < later < met


@pytest.mark.parametrize("fault", [Fault.CONFLICT, Fault.INTERNAL, Fault.LOST])
def test_an_adoption_ends_the_same_whichever_write_of_the_daemon_set_fails(own_site: Any, fault: Fault) -> None:
    own_site.kubectl_apply_manifest(NEW)
    with faulty_way(own_site) as (faulty, api):
        faulty.fail(10_000, fault)
        assert own_site.engine.install(api, own_site.desired(), ConflictMode.OVERWRITE, "").issues == ()
        requests, wanted = faulty.requests, snapshot(own_site)
        # Rewrite, release and apply are the last three.
        for at in range(requests - 2, requests + 1):
            own_site.kubectl("delete", "daemonset/aws-node", "-nkube-system")
            own_site.kubectl_apply_manifest(NEW)
            faulty.fail(at, fault)
            if not install(own_site.engine, api, own_site.desired(), "OVERWRITE", ""):
                assert own_site.create("OVERWRITE").issues == ()
            assert faulty.met
            assert_same(snapshot(own_site), wanted)


def test_an_adoption_that_is_killed_at_any_write_ends_as_if_it_was_not(own_site: Any) -> None:
    own_site.kubectl_apply_manifest(NEW)
    assert own_site.create("OVERWRITE").issues == ()
    wanted, at, killed = snapshot(own_site), 0, True
    while killed:
        at += 1
        own_site.kubectl("delete", "daemonset/aws-node", "-nkube-system")
        own_site.kubectl_apply_manifest(NEW)
        killed = False
        try:
            api = Interrupted(own_site.api, at, kill)
            own_site.engine.install(api, own_site.desired(), ConflictMode.OVERWRITE, "")
        except Killed:
            killed = True
            assert own_site.create("OVERWRITE").issues == ()
        assert_same(snapshot(own_site), wanted)
    assert at > len(ADDON_OBJECTS) - 1 + 2, "rewrite and release are writes too"


def make_config_map(site: Any) -> None:
    words = ("configmap", "amazon-vpc-cni", "-nkube-system", "--from-literal=enable-windows-ipam=true")
    site.kubectl("create", *words)


def delete_daemon_set(site: Any) -> None:
    site.kubectl("delete", "daemonset/aws-node", "-nkube-system")


def test_an_object_that_someone_makes_in_between_is_not_overwritten(site: Any) -> None:
    edit = Interrupted(site.api, 1, lambda: make_config_map(site))
    (issue,) = site.engine.install(edit, site.desired(), ConflictMode.NONE, "").issues
    assert issue.code == "ConfigurationConflict"
    assert issue.message.endswith("ConfigMap amazon-vpc-cni - .data.enable-windows-ipam")
    assert site.server.get("configmap", "amazon-vpc-cni")["data"]["enable-windows-ipam"] == "true"


@pytest.mark.parametrize("at", range(1, 4))
def test_an_object_that_someone_deletes_in_between_is_made_anew(own_site: Any, at: int) -> None:
    """Before the rewrite of the DaemonSet, before its ownership is released, and before its apply."""
    own_site.kubectl_apply_manifest(NEW)
    edit = Interrupted(own_site.api, len(ADDON_OBJECTS) - 2 + at, lambda: delete_daemon_set(own_site))
    assert own_site.engine.install(edit, own_site.desired(), ConflictMode.OVERWRITE, "").issues == ()
    spec = own_site.daemon_set()["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["containers"]] == ["aws-node"]


def test_a_daemon_set_that_waits_for_its_pods_to_go_is_waited_for(site: Any) -> None:
    site.create()
    site.patch("daemonset", "aws-node", {"metadata": {"finalizers": ["example.com/mine"]}})
    words = ("delete", "daemonset/aws-node", "-nkube-system", "--wait=false")
    edit = Interrupted(site.api, len(ADDON_OBJECTS), lambda: site.kubectl(*words))
    try:
        with pytest.raises(KubernetesError, match="DaemonSet aws-node is being deleted") as caught:
            site.engine.install(edit, site.desired("v1.15.1-eksbuild.1"), ConflictMode.NONE, NEW)
    finally:
        site.patch("daemonset", "aws-node", {"metadata": {"finalizers": None}}, how="merge")
    assert caught.value.retryable
    site.kubectl("wait", "--for=delete", "daemonset/aws-node", "-nkube-system", "--timeout=30s")
    assert site.update(version="v1.15.1-eksbuild.1").issues == ()


def test_a_definition_that_is_never_established_is_waited_for(site: Any) -> None:
    """Another definition has the name of the kind: ours is there and is not served."""
    name = "eniconfigs.crd.k8s.amazonaws.com"
    site.create()
    definition = site.server.get("crd", name)
    site.engine.remove(site.api, NEW, preserve=False)
    site.kubectl("wait", "--for=delete", f"crd/{name}", "--timeout=30s")
    names = {**definition["spec"]["names"], "plural": "others", "singular": "other"}
    other = {
        "apiVersion": definition["apiVersion"],
        "kind": definition["kind"],
        "metadata": {"name": "others.crd.k8s.amazonaws.com"},
        "spec": {**definition["spec"], "names": names},
    }
    file = site.folder / "other.json"
    file.write_text(json.dumps(other))
    site.kubectl("apply", "-f", str(file))
    site.kubectl("wait", "--for=condition=Established", "crd/others.crd.k8s.amazonaws.com", "--timeout=30s")
    engine = AddonEngine(packaged_catalogue(), images_of(ImageSet.AWS), sleep=lambda _: None)
    with pytest.raises(KubernetesError, match="is not established") as caught:
        engine.install(site.api, site.desired(values=ENI_CONFIG_VALUES), ConflictMode.NONE, "")
    assert caught.value.retryable
    site.kubectl("delete", "-f", str(file))
    assert site.create(values=ENI_CONFIG_VALUES).issues == ()
    assert len(site.api.list(ENI_CONFIGS)) == 1
    assert site.engine.remove(site.api, NEW, preserve=False).issues == ()
