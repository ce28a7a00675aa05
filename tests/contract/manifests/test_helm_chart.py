"""The chart through the real Helm: it lints, and renders what the renderer renders.

Skipped where no ``helm`` is in PATH; ``docs/contributing.md`` says how to get one.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.manifests import (
    ImageSet,
    RenderOptions,
    find_changes,
    name_of,
    packaged_catalogue,
    parse_registry,
    parse_yaml,
    plan_images,
    read_configuration,
    render,
)

CHART = Path(__file__).resolve().parents[3] / "deploy" / "helm" / "vpc-cni"
HELM = shutil.which("helm") or ""
REGISTRY = "mirror.example.com:5000/team"
PROFILE = packaged_catalogue().default_profile()
ROLE = "arn:aws:iam::111122223333:role/AmazonEKSVPCCNIRole"

pytestmark = pytest.mark.skipif(not HELM, reason="no helm in PATH: docs/contributing.md says how to get one")


def helm(folder: Path, command: str, *words: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run helm with values in a file, without any configuration of the user."""
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    return subprocess.run(
        [HELM, command, *words, str(CHART), "--values", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        timeout=60,
    )


def with_image(**values: Any) -> dict[str, Any]:
    return {"image": {"registry": REGISTRY}, **values}


def test_the_chart_lints(tmp_path: Path) -> None:
    done = helm(tmp_path, "lint", "--strict", values=with_image())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "role_arn"),
    [
        ({}, ""),
        ({"env": {"WARM_IP_TARGET": "5", "ADDITIONAL_ENI_TAGS": '{"team":"a b"}'}}, ROLE),
        ({"init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "true"}}, "tolerations": []}, ""),
        ({"init": {"env": {"DISABLE_TCP_EARLY_DEMUX": "T"}}, "branchENICooldown": 30}, ""),
        ({"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}}, "enableWindowsIpam": "true"}, ""),
        ({"tolerations": [{"key": "a", "operator": "Exists"}], "livenessProbeTimeoutSeconds": 20}, ""),
    ],
)
def test_helm_renders_what_the_renderer_renders(tmp_path: Path, values: dict[str, Any], role_arn: str) -> None:
    images = plan_images(PROFILE, ImageSet.OWN, parse_registry(REGISTRY))
    options = RenderOptions(images, read_configuration(values, PROFILE), role_arn=role_arn)
    expected = {str(name_of(each)): each for each in render(PROFILE, options).objects}

    done = helm(
        tmp_path,
        "template",
        "--include-crds",
        "vpc-cni",
        values=with_image(**values, serviceAccount={"roleArn": role_arn}),
    )
    assert done.returncode == 0, done.stderr
    found = {str(name_of(each)): each for each in parse_yaml(done.stdout, "helm")}

    assert set(found) == set(expected)
    for name, manifest in found.items():
        assert find_changes(expected[name], manifest) == (), name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "set image.registry"),
        (with_image(env={"ENABLE_PREFIX_DELEGATION": "true"}), "ENABLE_PREFIX_DELEGATION"),
        (with_image(env={"WARM_IP_TARGET": "five"}), "WARM_IP_TARGET"),
        (with_image(enableNetworkPolicy="true"), "enableNetworkPolicy"),
        (with_image(nodeSelector={}), "nodeSelector"),
        ({"image": {"registry": REGISTRY, "digest": "sha256:1"}}, "digest"),
    ],
)
def test_helm_refuses_what_cannot_run(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    done = helm(tmp_path, "template", "vpc-cni", values=values)
    assert done.returncode != 0
    assert message in done.stderr
