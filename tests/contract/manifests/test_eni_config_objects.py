"""Objects of the add-on's own kind on a real API server: installed definition, made, listed, watched, changed, deleted.

An API server whose JSON of maps does not fit its compiler ends at the first such object: the server has to serve on.
"""

import json
from typing import Any

import pytest

from vpc_cni.lab.kubernetes.tooling import cache_root, find_binaries, is_outdated
from vpc_cni.manifests import (
    ImageSet,
    Registry,
    RenderOptions,
    encode_yaml,
    packaged_catalogue,
    parse_addon_version,
    plan_images,
    render,
)

_NAMES = ("us-west-2a", "us-west-2b")


def eni_config(name: str, **labels: str) -> str:
    spec = {"subnet": f"subnet-{name[-1]}", "securityGroups": ["sg-1", "sg-2"], "unknown": {"kept": [1, {"a": None}]}}
    return json.dumps(
        {
            "apiVersion": "crd.k8s.amazonaws.com/v1alpha1",
            "kind": "ENIConfig",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        }
    )


def install(api_server: Any) -> None:
    profile = packaged_catalogue().find(parse_addon_version("v1.16.2"))
    images = plan_images(profile, ImageSet.OWN, Registry("mirror.example.com", "team"))
    api_server.apply(encode_yaml(render(profile, RenderOptions(images)).objects))
    definition = "customresourcedefinition/eniconfigs.crd.k8s.amazonaws.com"
    api_server.kubectl("wait", "--for=condition=Established", definition, "--timeout=20s")


def test_objects_of_an_installation_live_and_the_server_serves_on(api_server: Any) -> None:
    found = find_binaries()
    if found is not None and is_outdated(found, cache_root()):
        pytest.skip("these programs are from before the repair: vpc-cni lab kubernetes prepare builds them anew")
    install(api_server)
    watch = api_server.start_kubectl("get", "eniconfigs", "--watch", "--output-watch-events", "--no-headers")
    for name in _NAMES:
        api_server.apply(eni_config(name))
    api_server.kubectl("label", "eniconfig", _NAMES[0], "zone=a")
    listed = json.loads(api_server.kubectl("get", "eniconfigs", "--output=json").stdout)["items"]
    assert [(each["metadata"]["name"], each["spec"]) for each in listed] == [
        (name, json.loads(eni_config(name))["spec"]) for name in _NAMES
    ]
    api_server.kubectl("delete", "eniconfig", _NAMES[1])
    seen = [watch.stdout.readline().split()[:2] for _ in range(4)]
    assert seen == [["ADDED", _NAMES[0]], ["ADDED", _NAMES[1]], ["MODIFIED", _NAMES[0]], ["DELETED", _NAMES[1]]]
    assert api_server.kubectl("get", "--raw", "/readyz").stdout == "ok"
