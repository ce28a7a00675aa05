"""States of live objects in which server-side apply fails or misleads, and what the engine makes of them."""

import json
from typing import Any

import pytest

SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"
AGENT = '.spec.template.spec.containers[name="aws-node"]'
NODE_NAME_LINE = f'DaemonSet.apps aws-node - {AGENT}.env[name="MY_NODE_NAME"].value'


def lines(done: Any) -> list[str]:
    (issue,) = done.issues
    assert issue.code == "ConfigurationConflict"
    return list(issue.message.splitlines()[1:])


def give_a_plain_value(site: Any) -> None:
    """Put a value where the add-on has a reference, as `kubectl edit` does."""
    site.patch_container({"env": [{"name": "MY_NODE_NAME", "value": "mine", "valueFrom": None}]})
    assert site.env("MY_NODE_NAME") == {"name": "MY_NODE_NAME", "value": "mine"}


def double(site: Any, name: str, value: str) -> None:
    """Name a variable twice, which the API server lets through and which empties all managedFields."""
    index = [each["name"] for each in site.container()["env"]].index(name)
    path = f"/spec/template/spec/containers/0/env/{index}"
    site.patch(
        "daemonset", "aws-node", [{"op": "add", "path": path, "value": {"name": name, "value": "first"}}], how="json"
    )
    entries = [each for each in site.container()["env"] if each["name"] == name]
    assert len(entries) == 2
    site.patch(
        "daemonset",
        "aws-node",
        [{"op": "replace", "path": f"/spec/template/spec/containers/0/env/{index + 1}/value", "value": value}],
        how="json",
    )


def test_a_value_in_the_place_of_a_reference(site: Any) -> None:
    site.create()
    give_a_plain_value(site)
    assert lines(site.update("NONE")) == [NODE_NAME_LINE]
    assert site.update("PRESERVE", values={"env": {"WARM_IP_TARGET": "2"}}).issues == ()
    assert site.env("MY_NODE_NAME") == {"name": "MY_NODE_NAME", "value": "mine"}
    assert site.env("WARM_IP_TARGET")["value"] == "2"
    assert site.update("OVERWRITE").issues == ()
    assert site.env("MY_NODE_NAME")["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert site.update("NONE").issues == ()


def test_a_reference_in_the_place_of_a_value(site: Any) -> None:
    site.create()
    reference = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    site.patch_container({"env": [{"name": SNAT, "value": None, "valueFrom": reference}]})
    found = lines(site.update("NONE"))
    assert all(f'env[name="{SNAT}"].valueFrom' in each for each in found)
    assert site.update("PRESERVE").issues == ()
    assert site.env(SNAT)["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
    assert site.update("OVERWRITE").issues == ()
    assert site.env(SNAT) == {"name": SNAT, "value": "false"}


@pytest.mark.parametrize(("mode", "left"), [("NONE", 2), ("PRESERVE", 1), ("OVERWRITE", 1)])
def test_a_variable_that_is_there_twice(site: Any, mode: str, left: int) -> None:
    site.create()
    double(site, SNAT, "true")
    done = site.update(mode)
    if mode == "NONE":
        assert lines(done) == [f'DaemonSet.apps aws-node - {AGENT}.env[name="{SNAT}"].value']
    else:
        assert done.issues == ()
    assert len([each for each in site.container()["env"] if each["name"] == SNAT]) == left
    assert site.env(SNAT)["value"] == ("false" if mode == "OVERWRITE" else "true")


def test_a_double_that_says_what_the_addon_says_is_mended_in_any_mode(site: Any) -> None:
    site.create()
    double(site, SNAT, "false")
    assert site.update("NONE").issues == ()
    assert len([each for each in site.container()["env"] if each["name"] == SNAT]) == 1
    assert site.update("NONE", version="v1.15.1-eksbuild.1").issues == ()


def test_emptied_managed_fields_keep_what_differs_from_being_overwritten(site: Any) -> None:
    site.create()
    site.set_env(f"{SNAT}=true", "WARM_IP_TARGET=4")
    site.patch("daemonset", "aws-node", {"metadata": {"managedFields": [{}]}}, how="merge")
    assert not site.owners()
    assert lines(site.update("NONE")) == [f'DaemonSet.apps aws-node - {AGENT}.env[name="{SNAT}"].value']
    assert site.update("PRESERVE").issues == ()
    assert site.env(SNAT)["value"] == "true"
    assert site.update("OVERWRITE").issues == ()
    assert (site.env(SNAT)["value"], site.env("WARM_IP_TARGET")["value"]) == ("false", "4")
    # Whom the API server named for all that nobody owned contests nothing that was applied since.
    assert site.update("NONE", version="v1.15.1-eksbuild.1").issues == ()


@pytest.mark.parametrize("spelling", ["1000m", "1.0", "1"])
def test_amounts_that_are_the_same_in_another_spelling(site: Any, spelling: str) -> None:
    site.create(values={"resources": {"requests": {"cpu": "1"}}})
    site.patch_container({"resources": {"limits": {"cpu": "2000m"}}})
    wish = {"resources": {"requests": {"cpu": spelling}, "limits": {"cpu": "2000m"}}}
    assert site.update("NONE", values=wish).issues == ()
    assert site.container()["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    assert site.update("NONE", values=wish).issues == ()


def test_another_kind_of_probe(site: Any) -> None:
    site.create()
    probe = {"exec": None, "tcpSocket": {"port": 50051}}
    site.patch_container({"livenessProbe": probe})
    found = lines(site.update("NONE"))
    assert found
    assert all(f"{AGENT}.livenessProbe.tcpSocket" in each for each in found)
    assert site.update("PRESERVE").issues == ()
    assert "tcpSocket" in site.container()["livenessProbe"]
    assert site.update("OVERWRITE").issues == ()
    assert {"exec"} == {"exec", "tcpSocket"} & set(site.container()["livenessProbe"])


def test_another_kind_of_volume(site: Any) -> None:
    site.create()
    volume: dict[str, Any] = {"name": "log-dir", "hostPath": None, "emptyDir": {}}
    site.patch("daemonset", "aws-node", {"spec": {"template": {"spec": {"volumes": [volume]}}}})
    assert lines(site.update("NONE"))
    assert site.update("PRESERVE").issues == ()
    volumes = site.daemon_set()["spec"]["template"]["spec"]["volumes"]
    assert {"name": "log-dir", "emptyDir": {}} in volumes
    assert site.update("OVERWRITE").issues == ()
    (found,) = [each for each in site.daemon_set()["spec"]["template"]["spec"]["volumes"] if each["name"] == "log-dir"]
    assert "hostPath" in found
    assert "emptyDir" not in found


def test_manifests_of_the_reference_are_adopted_by_this_projects_images(own_site: Any) -> None:
    """The init container of the reference is privileged, which ours may not be beside what it asks for."""
    own_site.kubectl_apply_manifest()
    found = lines(own_site.create("NONE"))
    assert any(each.endswith("securityContext.privileged") for each in found)
    assert own_site.create("OVERWRITE").issues == ()
    assert "privileged" not in own_site.container("aws-vpc-cni-init")["securityContext"]
    assert own_site.update("NONE").issues == ()


def test_fields_that_the_api_server_does_not_know_are_an_issue_and_nothing_is_applied(site: Any) -> None:
    site.create()
    before = site.daemon_set()["metadata"]["resourceVersion"]
    affinity = {"podAffinityOfTheFuture": {"a": "b"}}
    (issue,) = site.update("OVERWRITE", values={"affinity": affinity}).issues
    assert issue.code == "UnsupportedAddonModification"
    assert "podAffinityOfTheFuture" in issue.message
    assert site.daemon_set()["metadata"]["resourceVersion"] == before


def test_a_field_that_cannot_be_changed_is_an_issue_and_nothing_is_applied(site: Any) -> None:
    site.kubectl_apply_manifest()
    live = site.daemon_set()
    site.kubectl("delete", "daemonset/aws-node", "-nkube-system")
    for labels in (live["spec"]["selector"]["matchLabels"], live["spec"]["template"]["metadata"]["labels"]):
        labels["mine"] = "yes"
    live["metadata"] = {"name": "aws-node", "namespace": "kube-system"}
    file = site.folder / "selector.json"
    file.write_text(json.dumps(live))
    site.kubectl("create", "-f", str(file))
    assert any(each.endswith(" - .spec.selector") for each in lines(site.create("NONE")))
    (issue,) = site.create("OVERWRITE").issues
    assert issue.code == "UnsupportedAddonModification"
    assert "immutable" in issue.message
    assert "eks" not in site.owners()
