"""What becomes of settings made with kubectl when an add-on is updated, row by row and mode by mode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

HEADER = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:"
SNAT = "AWS_VPC_K8S_CNI_EXTERNALSNAT"
AGENT = '.spec.template.spec.containers[name="aws-node"]'
ENV_SNAT = f'DaemonSet.apps aws-node - {AGENT}.env[name="{SNAT}"].value'
OTHER_IMAGE = "registry.example.com/somebody/cni:1"


@dataclass(frozen=True, slots=True)
class Row:
    """``edit`` is made after a plain create; ``read`` gives what it set, as it is after the update."""

    edit: Callable[[Any], None]
    read: Callable[[Any], Any]
    edited: Any
    default: Any
    conflicts: tuple[str, ...] = ()
    wish: Mapping[str, Any] | None = None


def _image(site: Any) -> Any:
    return site.container()["image"]


ROWS = {
    "a variable that the add-on has not": Row(
        lambda site: site.set_env("WARM_IP_TARGET=5"),
        lambda site: site.env("WARM_IP_TARGET")["value"],
        "5",
        "5",
    ),
    "a variable of the add-on": Row(
        lambda site: site.set_env(f"{SNAT}=true"),
        lambda site: site.env(SNAT)["value"],
        "true",
        "false",
        (ENV_SNAT,),
    ),
    "the image": Row(
        lambda site: site.kubectl("set", "image", "ds/aws-node", "-nkube-system", f"aws-node={OTHER_IMAGE}"),
        _image,
        OTHER_IMAGE,
        "mirror.example.com/team/amazon-k8s-cni:v1.16.2-eksbuild.1",
        (f"DaemonSet.apps aws-node - {AGENT}.image",),
    ),
    "resources": Row(
        lambda site: site.patch_container({"resources": {"requests": {"cpu": "50m"}}}),
        lambda site: site.container()["resources"]["requests"]["cpu"],
        "50m",
        "25m",
        (f"DaemonSet.apps aws-node - {AGENT}.resources.requests.cpu",),
    ),
    "a value that equals the default": Row(
        lambda site: site.set_env(f"{SNAT}=false"),
        lambda site: site.env(SNAT)["value"],
        "false",
        "false",
    ),
    "a variable that configuration values set too": Row(
        lambda site: site.set_env(f"{SNAT}=true"),
        lambda site: site.env(SNAT)["value"],
        "true",
        "false",
        (ENV_SNAT,),
        {"env": {SNAT: "false"}},
    ),
    "an atomic list": Row(
        lambda site: site.patch(
            "clusterrole", "aws-node", {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
        ),
        lambda site: len(site.server.get("clusterrole", "aws-node")["rules"]),
        1,
        8,
        ("ClusterRole.rbac.authorization.k8s.io aws-node - .rules",),
    ),
    "a key of the ConfigMap": Row(
        lambda site: site.patch("configmap", "amazon-vpc-cni", {"data": {"enable-windows-ipam": "true"}}),
        lambda site: site.server.get("configmap", "amazon-vpc-cni")["data"]["enable-windows-ipam"],
        "true",
        "false",
        ("ConfigMap amazon-vpc-cni - .data.enable-windows-ipam",),
    ),
    "a label with a dot in its name": Row(
        lambda site: site.kubectl(
            "label", "--overwrite", "serviceaccount/aws-node", "-nkube-system", "app.kubernetes.io/instance=mine"
        ),
        lambda site: site.server.get("serviceaccount", "aws-node")["metadata"]["labels"]["app.kubernetes.io/instance"],
        "mine",
        "aws-vpc-cni",
        ("ServiceAccount aws-node - .metadata.labels.app.kubernetes.io/instance",),
    ),
    "tolerations": Row(
        lambda site: site.patch(
            "daemonset",
            "aws-node",
            {"spec": {"template": {"spec": {"tolerations": [{"key": "mine", "operator": "Exists"}]}}}},
            how="merge",
        ),
        lambda site: [each.get("key") for each in site.daemon_set()["spec"]["template"]["spec"]["tolerations"]],
        ["mine"],
        [None],
        ("DaemonSet.apps aws-node - .spec.template.spec.tolerations",),
    ),
}


@pytest.mark.parametrize("mode", ["NONE", "OVERWRITE", "PRESERVE"])
@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_a_row_of_the_table(site: Any, row: Row, mode: str) -> None:
    assert site.create().issues == ()
    row.edit(site)
    assert row.read(site) == row.edited
    done = site.update(mode, values=row.wish)
    if mode == "NONE" and row.conflicts:
        (issue,) = done.issues
        assert (issue.code, issue.message.splitlines()) == ("ConfigurationConflict", [HEADER, *row.conflicts])
        assert row.read(site) == row.edited
    else:
        assert done.issues == ()
        assert row.read(site) == (row.edited if mode == "PRESERVE" else row.default)


def test_all_conflicts_over_all_objects_come_at_once_and_nothing_is_applied(site: Any) -> None:
    site.create()
    for name in ("a key of the ConfigMap", "an atomic list", "a variable of the add-on", "the image"):
        ROWS[name].edit(site)
    before = site.daemon_set()["metadata"]["resourceVersion"]
    (issue,) = site.update("NONE", version="v1.15.1-eksbuild.1").issues
    lines = issue.message.splitlines()
    assert lines[0] == HEADER
    assert {
        "ConfigMap amazon-vpc-cni - .data.enable-windows-ipam",
        "ClusterRole.rbac.authorization.k8s.io aws-node - .rules",
        ENV_SNAT,
        f"DaemonSet.apps aws-node - {AGENT}.image",
    } == set(lines[1:])
    assert site.daemon_set()["metadata"]["resourceVersion"] == before


def test_kept_values_conflict_again_next_time(site: Any) -> None:
    site.create()
    site.set_env(f"{SNAT}=true")
    assert site.update("PRESERVE", values={"env": {"WARM_IP_TARGET": "3"}}).issues == ()
    assert (site.env(SNAT)["value"], site.env("WARM_IP_TARGET")["value"]) == ("true", "3")
    assert [each.code for each in site.update("NONE").issues] == ["ConfigurationConflict"]
    assert site.update("OVERWRITE").issues == ()
    assert site.env(SNAT)["value"] == "false"
    assert site.update("NONE").issues == ()


@pytest.mark.parametrize("mode", ["NONE", "PRESERVE", "OVERWRITE"])
def test_a_plain_manifest_of_kubectl_is_adopted_only_by_overwriting(site: Any, mode: str) -> None:
    site.kubectl_apply_manifest()
    site.set_env("WARM_IP_TARGET=7")
    done = site.create(mode)
    if mode == "OVERWRITE":
        assert done.issues == ()
        assert _image(site).startswith("mirror.example.com/team/")
        assert site.env("WARM_IP_TARGET")["value"] == "7"
        return
    (issue,) = done.issues
    assert f"DaemonSet.apps aws-node - {AGENT}.image" in issue.message.splitlines()
    assert _image(site).startswith("old.example.com/")
    assert "eks" not in site.owners()


@pytest.mark.parametrize(
    ("mode", "conflicts", "left"), [("NONE", True, "9"), ("PRESERVE", False, "9"), ("OVERWRITE", False, None)]
)
def test_a_variable_that_the_new_version_drops_and_someone_set(
    site: Any, mode: str, conflicts: bool, left: str | None
) -> None:
    """Server-side apply would delete the variable without a word, though someone else set its value."""
    site.create(values={"env": {"WARM_IP_TARGET": "3"}})
    site.set_env("WARM_IP_TARGET=9")
    done = site.update(mode, values={})
    assert [each.code for each in done.issues] == (["ConfigurationConflict"] if conflicts else [])
    entry = site.env("WARM_IP_TARGET")
    assert (entry and entry["value"]) == left
    assert site.update("OVERWRITE", values={}).issues == ()
    assert site.env("WARM_IP_TARGET") is None
