"""What `plan` foretells is what the service then does, field by field."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cluster.fields import ABSENT, find_field
from vpc_cni.manifests import (
    ImageSet,
    RenderOptions,
    encode_yaml,
    packaged_catalogue,
    parse_addon_version,
    parse_registry,
    plan_images,
    render,
)

OLD, NEW = "v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1"
ENV = '.spec.template.spec.containers[name="aws-node"].env'
TIMEOUT = ("--timeout", "30")
OWN = ("--registry", "registry.example.com", "--image-set", "own")
MODES = ("NONE", "OVERWRITE", "PRESERVE")
# Live edits as people make them, by what kubectl gets.
EDITS = (
    ("set", "env", "daemonset/aws-node", "-c", "aws-node", "AWS_VPC_K8S_CNI_EXTERNALSNAT=true"),
    ("set", "env", "daemonset/aws-node", "-c", "aws-node", "WARM_IP_TARGET=5"),
    ("set", "env", "daemonset/aws-node", "-c", "aws-node", "AWS_VPC_ENI_MTU-"),
    ("set", "resources", "daemonset/aws-node", "-c", "aws-node", "--requests=cpu=50m"),
    ("set", "image", "daemonset/aws-node", "aws-node=registry.example.com/amazon-k8s-cni:v1.12.6"),
    ("label", "daemonset/aws-node", "team=network", "--overwrite"),
    ("annotate", "serviceaccount/aws-node", "owner=me", "--overwrite"),
    ("patch", "daemonset/aws-node", "--type=json", '-p=[{"op":"remove","path":"/spec/template/spec/tolerations"}]'),
)
VALUES = ({}, {"env": {"WARM_IP_TARGET": "7"}}, {"env": {"AWS_VPC_K8S_CNI_EXTERNALSNAT": "true"}})


def install(operator: Any) -> None:
    done = operator.run("create", "--version", OLD, *TIMEOUT)
    assert done.status == 0, done.err


def fields(document: Any, kind: str = "DaemonSet.apps") -> dict[str, Any]:
    (found,) = [each for each in document["objects"] if each["name"].startswith(kind)]
    return {each["path"]: each for each in found["fields"]}


def test_owner_live_target_and_outcomes_of_a_field(operator: Any) -> None:
    install(operator)
    operator.kubectl("-n", "kube-system", *EDITS[0])
    document = operator.run("plan", "--json", "--version", NEW).document
    field = fields(document)[f'{ENV}[name="AWS_VPC_K8S_CNI_EXTERNALSNAT"].value']
    assert (field["live"], field["target"], field["default"]) == ("true", "false", "false")
    assert "kubectl-set" in field["owners"]
    assert field["outcomes"] == {"NONE": "conflict", "OVERWRITE": "set", "PRESERVE": "kept"}
    assert document["refused"] == {"NONE": True, "OVERWRITE": False, "PRESERVE": False}
    assert document["steps"] == [NEW]
    done = operator.run("plan", "--version", NEW, "--exit-code")
    assert done.status == 8
    assert "refused as a whole: 1 conflicts" in done.out


def test_nothing_to_do_is_no_difference(operator: Any) -> None:
    install(operator)
    done = operator.run("plan", "--exit-code")
    assert done.status == 0, done.out
    assert "no difference" in done.out


def test_plan_changes_nothing(operator: Any) -> None:
    install(operator)
    before = operator.kubectl("get", "daemonset", "aws-node", "-n", "kube-system", "-o", "jsonpath={.metadata}")
    operator.run("plan", "--version", NEW, "--role-arn", "arn:aws:iam::111122223333:role/other")
    after = operator.kubectl("get", "daemonset", "aws-node", "-n", "kube-system", "-o", "jsonpath={.metadata}")
    assert after == before


def test_a_cluster_without_the_addon_needs_the_registry_to_be_named(operator: Any) -> None:
    assert operator.run("plan").status == 2
    document = operator.run("plan", "--json", *OWN).document
    assert all(each["is_new"] for each in document["objects"])
    assert document["steps"] == [NEW]


def test_an_adoption_of_the_references_manifests_tells_what_goes(operator: Any, tmp_path: Path) -> None:
    profile = packaged_catalogue().find(parse_addon_version(NEW))
    images = plan_images(profile, ImageSet.AWS, parse_registry("old.example.com"))
    file = tmp_path / "aws-k8s-cni.yaml"
    file.write_text(encode_yaml(render(profile, RenderOptions(images)).objects))
    operator.kubectl("apply", "-f", str(file))
    plan = operator.run("plan", "--json", "--version", NEW, *OWN).document
    going = {path for path, each in fields(plan).items() if each["outcomes"]["OVERWRITE"] == "removed"}
    assert '.spec.template.spec.containers[name="aws-eks-nodeagent"]' in going
    assert {fields(plan)[path]["outcomes"]["NONE"] for path in going} == {"conflict"}
    done = operator.run("create", "--version", NEW, "--resolve-conflicts", "OVERWRITE", *TIMEOUT)
    assert done.status == 0, done.err
    live = operator.site.server.get("daemonset", "aws-node")
    assert {path for path in going if find_field(live, path) is not ABSENT} == set()
    assert operator.run("plan", "--exit-code").status == 0


@pytest.mark.parametrize("seed", range(3))
def test_what_plan_foretold_is_what_happened(operator: Any, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    install(operator)
    for edit in chance.sample(EDITS, 3):
        operator.kubectl("-n", "kube-system", *edit)
    values = tmp_path / "values.json"
    values.write_text(json.dumps(chance.choice(VALUES)))
    options = ("--version", NEW, "--values", str(values))
    mode = chance.choice(MODES)
    plan = operator.run("plan", "--json", *options).document
    done = operator.run("update", "--json", "--resolve-conflicts", mode, *options, *TIMEOUT)
    assert (done.status == 3) is plan["refused"][mode], (mode, done.err)
    if done.status == 3:
        told = {line.split(" - ")[1] for line in plan["conflicts"]}
        assert {each["path"] for each in done.document["conflicts"]} == told
    live = operator.site.server.get("daemonset", "aws-node")
    for path, field in fields(plan).items():
        wanted = field["target"] if field["outcomes"][mode] in ("set", "removed") else field["live"]
        now = find_field(live, path)
        assert (None if now is ABSENT else now) == wanted, (mode, path, field)
