"""``vpc-cni self-managed``: images, render and schema, without a cluster."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from vpc_cni.cli import main
from vpc_cni.manifests import parse_yaml

REGISTRY = ("--registry", "mirror.example.com:5000/team")
MIRROR = "mirror.example.com:5000/team"
ECR = "602401143452.dkr.ecr.us-west-2.amazonaws.com"
CATALOGUE = """
format = 1
valid_at = 2024-03-01
[[profile]]
release = "v9.0.0"
newest_kubernetes = "1.29"
cni_version = "0.4.0"
properties = ["env"]
[profile.env]
ENABLE_IPv4 = "true"
[profile.downward_env]
MY_NODE_NAME = "spec.nodeName"
"""


class Outcome:
    """What one command line did."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    def container(self, name: str = "aws-node") -> dict[str, Any]:
        (found,) = [each for each in parse_yaml(self.out, "output") if each["kind"] == "DaemonSet"]
        pod = found["spec"]["template"]["spec"]
        (container,) = [each for each in pod["initContainers"] + pod["containers"] if each["name"] == name]
        return dict(container)

    def env(self) -> dict[str, str]:
        return {each["name"]: each.get("value", "") for each in self.container()["env"]}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run_command(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main(["self-managed", *words])
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return run_command


def test_own_images_are_listed_for_a_mirror(run: Any) -> None:
    done = run("images", "--version", "v1.16.2-eksbuild.1", *REGISTRY)
    assert done.status == 0
    assert done.out.splitlines() == [
        f"{MIRROR}/amazon-k8s-cni-init:v1.16.2-eksbuild.1",
        f"{MIRROR}/amazon-k8s-cni:v1.16.2-eksbuild.1",
    ]


def test_the_references_images_are_listed_with_their_source(run: Any) -> None:
    done = run("images", "--version", "v1.16.2", "--image-set", "aws", "--region", "us-west-2", *REGISTRY)
    assert done.out.splitlines() == [
        f"{ECR}/amazon-k8s-cni-init:v1.16.2 {MIRROR}/amazon-k8s-cni-init:v1.16.2",
        f"{ECR}/amazon-k8s-cni:v1.16.2 {MIRROR}/amazon-k8s-cni:v1.16.2",
        f"{ECR}/amazon/aws-network-policy-agent:v1.0.7 {MIRROR}/amazon/aws-network-policy-agent:v1.0.7",
        f"{ECR}/cni-metrics-helper:v1.16.2 {MIRROR}/cni-metrics-helper:v1.16.2  # optional: the metrics helper",
    ]


def test_images_as_json(run: Any) -> None:
    document = run("images", "--image-set", "aws", "--region", "cn-north-1", "--json").document
    assert document["version"] == "v1.16.2"
    first = document["images"][0]
    assert first["image"] == "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/amazon-k8s-cni-init:v1.16.2"
    assert first["source"] is None
    assert [each["needed"] for each in document["images"]] == [True, True, True, False]


def test_the_rendered_text_is_what_is_applied(run: Any) -> None:
    done = run(
        "render", *REGISTRY, "--region", "us-gov-east-1", "--role-arn", "arn:aws-us-gov:iam::111122223333:role/R"
    )
    assert done.status == 0
    assert done.err == ""
    assert done.out.startswith("# vpc-cni v1.16.2 with this project's images")
    assert done.container()["image"] == f"{MIRROR}/amazon-k8s-cni:v1.16.2"
    account = next(each for each in parse_yaml(done.out, "out") if each["kind"] == "ServiceAccount")
    assert account["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws-us-gov:iam::111122223333:role/R"
    }


def test_json_holds_the_same_objects_as_the_text(run: Any) -> None:
    text, document = run("render", *REGISTRY).out, run("render", *REGISTRY, "--json").document
    assert document["objects"] == parse_yaml(text, "text")
    assert document["notes"] == []


def test_values_come_from_a_file_and_variables_win(run: Any, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("env:\n  WARM_IP_TARGET: '5'\n  MINIMUM_IP_TARGET: '10'\n")
    env = run(
        "render", *REGISTRY, "--values", str(values), "--env", "WARM_IP_TARGET=7", "--env", "CLUSTER_NAME=a=b"
    ).env()
    assert (env["WARM_IP_TARGET"], env["MINIMUM_IP_TARGET"], env["CLUSTER_NAME"]) == ("7", "10", "a=b")


def test_values_come_from_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"env":{"WARM_IP_TARGET":"3"}}'))
    assert run("render", *REGISTRY, "--values", "-").env()["WARM_IP_TARGET"] == "3"


def test_an_image_may_be_pinned(run: Any) -> None:
    digest = "sha256:" + "0f" * 32
    done = run("render", *REGISTRY, "--digest", f"amazon-k8s-cni={digest}")
    assert done.container()["image"] == f"{MIRROR}/amazon-k8s-cni:v1.16.2@{digest}"


def test_what_has_no_effect_goes_to_standard_error(run: Any) -> None:
    done = run("render", *REGISTRY, "--kubernetes-version", "1.33", "--env", "VPC_CNI_MAXPODS=9")
    assert done.status == 0
    assert "note: Kubernetes 1.33 is newer" in done.err
    assert "did you mean VPC_CNI_MAX_PODS?" in done.err
    assert "note:" not in done.out


def test_a_catalogue_of_ones_own(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(CATALOGUE)
    assert run("render", *REGISTRY, "--catalogue", str(file)).container()["image"].endswith("amazon-k8s-cni:v9.0.0")


def test_the_schema_is_printed(run: Any) -> None:
    document = run("schema", "--version", "v1.15.1-eksbuild.1").document
    assert document["$ref"] == "#/definitions/VpcCni"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("render",), "--registry is missing"),
        (("images", "--image-set", "aws"), "give --region, or --registry"),
        (("images", "--image-set", "aws", "--region", "eu-east-9"), "registry of eu-east-9 is not known"),
        (("images", "--image-set", "aws", "--region", "west"), "no region"),
        (("render", *REGISTRY, "--region", "cn-north-1", "--partition", "aws"), "lies in partition aws-cn"),
        (("render", "--registry", "https://a.b"), "no registry"),
        (("render", *REGISTRY, "--version", "latest"), "no version of the add-on"),
        (("render", *REGISTRY, "--version", "v1.19.2-eksbuild.1"), "without a profile"),
        (("render", *REGISTRY, "--kubernetes-version", "new"), "no version of Kubernetes"),
        (("render", *REGISTRY, "--version", "v1.16.0", "--kubernetes-version", "1.23"), "needs Kubernetes 1.24"),
        (("render", *REGISTRY, "--env", "A"), "has no NAME=VALUE"),
        (("render", *REGISTRY, "--env", "A=1", "--env", "A=2"), "names A twice"),
        (("render", *REGISTRY, "--env", "ENABLE_POD_ENI=true"), "security groups for pods are not built yet"),
        (("render", *REGISTRY, "--ip-family", "ipv6"), "IPv6 pods are not built yet"),
        (("render", *REGISTRY, "--role-arn", "R"), "is no role"),
        (("render", *REGISTRY, "--digest", "amazon-k8s-cni=sha256:1"), "no digest"),
        (("render", *REGISTRY, "--values", "/no/such/file"), "cannot read /no/such/file: No such file"),
        (("render", *REGISTRY, "--catalogue", "/no/such/file"), "cannot read /no/such/file: No such file"),
        (("render", *REGISTRY, "--image-set", "mine"), "--image-set"),
        (("render", *REGISTRY, "--unknown"), "--unknown"),
        (
            ("render", *REGISTRY, "--version", "v1.16.1", "--kubernetes-version", "1.23"),
            "v1.16.1 needs Kubernetes 1.24",
        ),
        (("frob",), "No such command 'frob'"),
        (("status", "--bogus"), "No such option: --bogus"),
        (("status", "--kubeconfig", "/no/such/file"), "kubeconfig /no/such/file cannot be read: No such file"),
        (("status", "extra"), "unexpected extra argument"),
        (("backup", "--folder"), "--folder"),
        (("diff", "--image-set", "mine"), "'mine' is not one of"),
        (("apply", "--timeout", "soon"), "Invalid value for '--timeout'"),
        (("apply", "--timeout", "-1"), "greater than or equal to 0"),
        (("verify", "--probe-image"), "--probe-image"),
        (("restore",), "Missing argument 'BACKUP'"),
        (("restore", "/no/such/file"), "cannot read /no/such/file: No such file"),
    ],
)
def test_wrong_arguments_end_with_status_2_and_a_reason(run: Any, words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.status == 2
    assert message in " ".join(done.err.split())
    assert done.out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "must be one object"),
        (b"{", "neither YAML nor JSON"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b'{"env":{"A":"1"}}', "$.env.A: is not defined in the schema"),
        (b'{"enableNetworkPolicy":"true"}', "network policy is not built yet"),
    ],
)
def test_wrong_values_end_with_status_2_and_a_reason(run: Any, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "values"
    file.write_bytes(content)
    done = run("render", *REGISTRY, "--values", str(file))
    assert done.status == 2
    assert message in done.err
