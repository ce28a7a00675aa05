"""What goes with the old version, from plain forms of both and from managedFields."""

from typing import Any

import pytest

from vpc_cni.cluster import Inventory, find_removals
from vpc_cni.cluster.installed import find_image_set, plain_form
from vpc_cni.manifests import (
    ImageSet,
    Registry,
    RenderOptions,
    packaged_catalogue,
    parse_addon_version,
    plan_images,
    render,
)

AGENT = 'k:{"name":"a"}'
ABOVE = '.spec.template.spec.containers[name="a"]'


def daemon_set(*managed: dict[str, Any], **container: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "a", **container}]}}}
    metadata: dict[str, Any] = {"name": "aws-node", "namespace": "kube-system", "managedFields": list(managed)}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


def manages(manager: str, **container: Any) -> dict[str, Any]:
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {AGENT: {".": {}, "f:name": {}, **container}}}}}}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields}


def port(number: int) -> dict[str, Any]:
    return {"containerPort": number, "protocol": "TCP"}


def test_what_the_old_version_made_goes_whoever_owns_it_and_whatever_it_holds() -> None:
    live = daemon_set(manages("kubectl", **{"f:workingDir": {}}), workingDir="/mine")
    assert find_removals(live, daemon_set(workingDir="/theirs"), daemon_set()) == (f"{ABOVE}.workingDir",)


def test_what_no_version_made_stays() -> None:
    live = daemon_set(manages("kubectl", **{"f:workingDir": {}}), workingDir="/mine")
    assert find_removals(live, daemon_set(), daemon_set()) == ()
    assert find_removals(live, None, daemon_set()) == ()


def test_what_is_gone_already_does_not_go() -> None:
    assert find_removals(daemon_set(), daemon_set(workingDir="/theirs"), daemon_set()) == ()


def test_defaults_that_nobody_owns_stay() -> None:
    live = daemon_set(manages("kubectl"), terminationMessagePath="/dev/termination-log")
    assert find_removals(live, daemon_set(terminationMessagePath="/old"), daemon_set()) == ()


def test_items_of_others_stay_in_a_list_that_the_new_version_lacks() -> None:
    keys = {f'k:{{"containerPort":{number},"protocol":"TCP"}}': {".": {}} for number in (1, 2)}
    live = daemon_set(manages("kubectl", **{"f:ports": keys}), ports=[port(1), port(2)])
    found = find_removals(live, daemon_set(ports=[port(1)]), daemon_set())
    assert found == (f'{ABOVE}.ports[containerPort=1,protocol="TCP"]',)


@pytest.mark.parametrize("image_set", list(ImageSet))
@pytest.mark.parametrize("version", [str(each.version) for each in packaged_catalogue().profiles])
def test_an_installation_without_settings_is_its_own_plain_form(version: str, image_set: ImageSet) -> None:
    catalogue = packaged_catalogue()
    profile = catalogue.find(parse_addon_version(version))
    live = Inventory(render(profile, RenderOptions(plan_images(profile, image_set, Registry("a.example.com")))).objects)
    base, notes = plain_form(live, catalogue, catalogue.profiles[0])
    assert (find_image_set(live), notes) == (image_set, ())
    assert [
        found
        for each, plain in zip(live.objects, base.objects, strict=True)
        for found in find_removals(each, plain, each)
    ] == []
