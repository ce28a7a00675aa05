"""What lies in deploy/ is what the renderer says today, and the chart's schema refuses what the agent would."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vpc_cni.manifests import find_changes, packaged_catalogue, parse_yaml
from vpc_cni.manifests._schema_check import find_problems
from vpc_cni.manifests.helm_values import chart_schema, chart_values

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
PROFILE = packaged_catalogue().default_profile()


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deploy_files", ROOT / "tools" / "deploy_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILES: dict[str, str] = load_tool().render_files()


@pytest.mark.parametrize("path", FILES)
def test_a_generated_file_is_current(path: str) -> None:
    assert (DEPLOY / path).read_text() == FILES[path], "run `make docs`"


def test_nothing_else_lies_there() -> None:
    found = {
        str(path.relative_to(DEPLOY))
        for folder in ("helm", "manifests")
        for path in (DEPLOY / folder).rglob("*")
        if path.is_file()
    }
    assert found == set(FILES)


def daemon_set(path: str) -> dict[str, Any]:
    (found,) = [each for each in parse_yaml(FILES[path], path) if each["kind"] == "DaemonSet"]
    return dict(found)


def test_partitions_differ_in_the_registry_only() -> None:
    one, other = (daemon_set(f"manifests/reference/aws-k8s-cni{name}.yaml") for name in ("", "-cn"))
    changes = find_changes(one, other)
    assert len(changes) == 3
    assert all(change.path.endswith(".image") for change in changes)
    assert all(".amazonaws.com.cn/" in change.after for change in changes)


def test_default_values_fit_the_schema() -> None:
    assert find_problems(chart_schema(PROFILE), chart_values(PROFILE)) == []
    assert parse_yaml(FILES["helm/vpc-cni/values.yaml"], "values") == [chart_values(PROFILE)]


def test_the_schema_closes_what_is_not_built() -> None:
    properties = json.loads(FILES["helm/vpc-cni/values.schema.json"])["properties"]
    assert properties["enableNetworkPolicy"]["enum"] == ["false"]
    env = properties["env"]["properties"]
    for name in ("ENABLE_PREFIX_DELEGATION", "ENABLE_POD_ENI", "ENABLE_IPv6", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"):
        assert "false" in env[name]["enum"]
        assert "true" not in env[name]["enum"]
    assert "true" in env["ENABLE_IPv4"]["enum"]
    assert "false" not in env["ENABLE_IPv4"]["enum"]
