"""One minor version after another, up and down, through the service on a real API server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.contract.addons.server.conftest import REGION
from vpc_cni.cli import main

# A second cluster of the service, on the same API server: the only Kubernetes that both ends are offered to.
CLUSTER, KUBERNETES = "crossing", "1.27"
OLD, SEED, LATER, LATEST = "v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1", "v1.18.6-eksbuild.1", "v1.20.0-eksbuild.1"
# By minor version: what came with it. Releases in between without a profile are no steps, as nothing could deploy them.
CAME_WITH = {
    15: {"VPC_CNI_VERSION"},
    17: {"NETWORK_POLICY_ENFORCING_MODE"},
    18: {"ENABLE_SUBNET_DISCOVERY"},
    20: {"ENABLE_IMDS_ONLY_MODE", "ENABLE_MULTI_NIC"},
}
TIMEOUT = ("--timeout", "60")
Run = Callable[..., str]


@pytest.fixture(scope="module")
def crossing(site: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The service, with the second cluster registered."""
    token = tmp_path_factory.mktemp("crossing") / "token"
    token.write_text("a-token-of-tests\n")
    words = ["--state-folder", str(site.service.folder), "--kubeconfig", str(site.kubeconfig)]
    words += ["--token-file", str(token), "--eks-version", KUBERNETES]
    command = [sys.executable, "-m", "vpc_cni.cli", "addons", "register-cluster", CLUSTER, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return site.service


@pytest.fixture
def notes() -> list[str]:
    """What the commands said on standard error, in their order."""
    return []


@pytest.fixture
def run(operator: Any, crossing: Any, capsys: pytest.CaptureFixture[str], notes: list[str]) -> Iterator[Run]:
    """Run ``vpc-cni addon`` for the second cluster, and return what it prints."""

    def run_one(*words: str) -> str:
        access = ("--cluster-name", CLUSTER, "--endpoint-url", crossing.url, "--region", REGION)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["addon", words[0], *access, *words[1:]])
        printed = capsys.readouterr()
        assert not ended.value.code, printed.err
        notes.append(printed.err)
        return printed.out

    yield run_one
    if "vpc-cni" in operator.eks.list_addons(clusterName=CLUSTER)["addons"]:
        run_one("release", *TIMEOUT)


def _check(operator: Any, version: str) -> None:
    """Check objects and variables against what is known to have come with each minor version."""
    minor = int(version.split(".")[1])
    env = set(operator.env())
    for since, names in CAME_WITH.items():
        assert names & env == (names if minor >= since else set()), (version, since)
    config_map = operator.kubectl(
        "get", "configmap", "-n", "kube-system", "--field-selector=metadata.name=amazon-vpc-cni", "-o", "name"
    )
    assert bool(config_map) is (minor >= 15), version
    labels = operator.site.server.get("daemonset", "aws-node")["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == version.partition("-")[0]
    assert operator.env()["WARM_IP_TARGET"] == "5", "what somebody added stays"


def test_up_to_the_latest_and_down_again_one_minor_at_a_time(operator: Any, run: Run) -> None:
    run("create", "--version", OLD, *TIMEOUT)
    operator.set_env(WARM_IP_TARGET="5")
    _check(operator, OLD)
    ways = (
        (SEED, ["v1.15.1-eksbuild.1", SEED]),
        (LATER, ["v1.17.1-eksbuild.1", LATER]),
        ("latest", ["v1.19.6-eksbuild.7", LATEST]),
        (OLD, ["v1.19.6-eksbuild.7", LATER, "v1.17.1-eksbuild.1", SEED, "v1.15.1-eksbuild.1", OLD]),
    )
    for wish, steps in ways:
        plan = json.loads(run("plan", "--json", "--version", wish))
        assert plan["steps"] == steps
        assert plan["estimate"] is None
        assert plan["refused"]["NONE"] is False
        assert plan["deletions"] == (["ConfigMap kube-system/amazon-vpc-cni"] if wish == OLD else [])
        done = json.loads(run("update", "--json", "--version", wish, *TIMEOUT))
        assert [each["version"] for each in done["steps"]] == steps
        _check(operator, steps[-1])
    assert json.loads(run("status", "--json"))["addon"]["version"] == OLD


@pytest.fixture
def older_catalogue(tmp_path: Path) -> str:
    """The packaged catalogue as it would be if nothing were known of releases after v1.16.2."""
    text = (resources.files("vpc_cni.manifests") / "data" / "catalogue.toml").read_text()
    file = tmp_path / "older.toml"
    file.write_text(text.partition("# Releases after v1.16.2.")[0])
    return str(file)


def test_a_version_that_the_catalogue_does_not_have_is_estimated(
    operator: Any, run: Run, notes: list[str], older_catalogue: str, tmp_path: Path
) -> None:
    run("create", "--version", SEED, *TIMEOUT)
    values = tmp_path / "values.json"
    values.write_text('{"env": {"NETWORK_POLICY_ENFORCING_MODE": "standard"}}')
    words = ("--version", LATER, "--catalogue", older_catalogue)
    plan = json.loads(run("plan", "--json", *words, "--values", str(values)))
    assert (plan["estimate"]["version"], plan["estimate"]["basis"]) == (LATER, "v1.16.2")
    assert "aws-node" in str(plan["objects"])
    assert f"does not have {LATER}; this is v1.16.2" in " ".join(run("plan", *words).split())
    # EKS takes the variable in LATER, so it can be translated, though this catalogue has not heard of that.
    run("release", *TIMEOUT)
    operator.set_env(NETWORK_POLICY_ENFORCING_MODE="standard")
    adoption = json.loads(run("adopt", "--json", "--dry-run", *words))
    assert json.loads(adoption["request"]["configuration_values"]) == json.loads(values.read_text())
    assert f"does not have {LATER}; this is v1.16.2" in notes[-1]
