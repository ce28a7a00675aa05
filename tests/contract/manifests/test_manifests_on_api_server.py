"""A real API server accepts what is rendered, stores it as rendered, and shows it as the seed's commands expect."""

import subprocess
from typing import Any

import pytest

from vpc_cni.manifests import (
    ImageSet,
    Manifest,
    Registry,
    RenderOptions,
    encode_yaml,
    find_changes,
    find_region,
    name_of,
    packaged_catalogue,
    parse_addon_version,
    plan_images,
    read_configuration,
    render,
    strip_server_fields,
)

CATALOGUE = packaged_catalogue()
OFFICIAL = find_region("us-west-2").registry


def rendered(version: str, image_set: ImageSet, values: dict[str, Any] | None = None) -> tuple[Manifest, ...]:
    profile = CATALOGUE.find(parse_addon_version(version))
    registry = OFFICIAL if image_set is ImageSet.AWS else Registry("mirror.example.com", "team")
    assert registry is not None
    options = RenderOptions(plan_images(profile, image_set, registry), read_configuration(values or {}, profile))
    return render(profile, options).objects


@pytest.mark.parametrize("image_set", ImageSet)
@pytest.mark.parametrize("version", [str(profile.version) for profile in CATALOGUE.profiles])
def test_every_version_is_accepted(api_server: Any, version: str, image_set: ImageSet) -> None:
    objects = rendered(version, image_set)
    done = api_server.apply(encode_yaml(objects), "--dry-run=server", "--output=name")
    assert len(done.stdout.splitlines()) == len(objects)
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("image_set", ImageSet)
def test_what_is_stored_is_what_was_rendered(api_server: Any, image_set: ImageSet) -> None:
    values = {"resources": {"requests": {"cpu": "0.025", "memory": "1024Mi"}}, "env": {"WARM_IP_TARGET": ""}}
    objects = rendered("v1.16.2", image_set, values)
    api_server.apply(encode_yaml(objects))
    for manifest in objects:
        live = strip_server_fields(api_server.get(manifest["kind"], manifest["metadata"]["name"]))
        assert find_changes(live, manifest, declared_only=True) == (), str(name_of(manifest))
        assert "managedFields" not in live["metadata"]


def test_one_installation_follows_another_under_the_same_selector(api_server: Any) -> None:
    for version, image_set in (("v1.12.6-eksbuild.2", ImageSet.AWS), ("v1.16.2", ImageSet.OWN)):
        api_server.apply(encode_yaml(rendered(version, image_set)))
        described = api_server.kubectl("describe", "daemonset", "aws-node", "--namespace", "kube-system").stdout
        shown = subprocess.run(
            ["/bin/sh", "-c", "grep amazon-k8s-cni: | cut -d : -f 3"],
            input=described,
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout == f"{version}\n"


def test_definitions_are_served(api_server: Any) -> None:
    # No object of theirs is made: an API server of Kubernetes 1.20 that a later Go compiled dies of the first one.
    api_server.apply(encode_yaml(rendered("v1.16.2", ImageSet.AWS)))
    for name in ("eniconfigs.crd.k8s.amazonaws.com", "policyendpoints.networking.k8s.aws"):
        definition = f"customresourcedefinition/{name}"
        api_server.kubectl("wait", "--for=condition=Established", definition, "--timeout=20s")
    served = api_server.kubectl("api-resources", "--output=name").stdout.split()
    assert {"eniconfigs.crd.k8s.amazonaws.com", "policyendpoints.networking.k8s.aws"} <= set(served)


@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "nodes", "yes"),
        ("get", "nodes", "no"),
        ("patch", "nodes", "no"),
        ("get", "pods", "yes"),
        ("patch", "pods", "no"),
        ("create", "events", "yes"),
        ("get", "secrets", "no"),
        ("get", "configmaps", "no"),
    ],
)
def test_the_service_account_may_do_what_the_page_on_security_says(
    api_server: Any, verb: str, resource: str, allowed: str
) -> None:
    api_server.apply(encode_yaml(rendered("v1.16.2", ImageSet.OWN)))
    account = "--as=system:serviceaccount:kube-system:aws-node"
    done = api_server.kubectl("auth", "can-i", verb, resource, account, "--namespace=default", check=False)
    assert done.stdout.strip() == allowed
