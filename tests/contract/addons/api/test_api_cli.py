"""The real ``aws`` command as it is installed: commands of the user guide, and what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from api_site import KEY, REGION, ROLE, SECRET, Site

AWS = Path(sys.executable).with_name("aws")
SNAT = '{"env":{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"true"}}'


class Cli:
    """Runs ``aws eks`` against a site, in an empty home."""

    def __init__(self, site: Site, home: Path) -> None:
        self._site = site
        self.home = home

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        command = [str(AWS), "eks", *words, "--endpoint-url", self._site.url]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)

    def text(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words))


@pytest.fixture
def aws(site: Site, tmp_path: Path) -> Cli:
    return Cli(site, tmp_path)


def test_the_commands_of_the_user_guide(site: Site, aws: Cli, cluster: str) -> None:
    names = ("--cluster-name", cluster, "--addon-name", "vpc-cni")
    version = ("--addon-version", "v1.16.2-eksbuild.1")
    role = ("--service-account-role-arn", ROLE)
    created = aws.json("create-addon", *names, *version, *role)["addon"]
    assert created["status"] == "CREATING"
    asked = ("--query", "addon.addonVersion", "--output", "text")
    assert aws.text("describe-addon", *names, *asked) == "v1.16.2-eksbuild.1\n"
    site.end_work()
    values = ("--resolve-conflicts", "PRESERVE", "--configuration-values", SNAT)
    update = aws.json("update-addon", *names, *version, *role, *values)["update"]
    assert [each["type"] for each in update["params"]] == [
        "AddonVersion",
        "ServiceAccountRoleArn",
        "ResolveConflicts",
        "ConfigurationValues",
    ]
    site.end_work()
    addon = aws.json("describe-addon", *names)["addon"]
    # The order of the members is that of the user guide's example.
    assert list(addon) == [
        "addonName",
        "clusterName",
        "status",
        "addonVersion",
        "health",
        "addonArn",
        "createdAt",
        "modifiedAt",
        "serviceAccountRoleArn",
        "tags",
        "configurationValues",
    ]
    assert (addon["status"], addon["health"], addon["tags"]) == ("ACTIVE", {"issues": []}, {})
    assert addon["configurationValues"] == SNAT
    # The spelling of the user guide, and a file.
    (aws.home / "values.yaml").write_text("{}\n")
    file = f"file://{aws.home}/values.yaml"
    aws.json("update-addon", *names, *role, "--resolve-conflicts", "none", "--configuration-values", file)
    site.end_work()
    assert aws.json("describe-addon", *names)["addon"]["configurationValues"] == "{}\n"
    assert aws.text("wait", "addon-active", *names) == ""
    assert aws.json("delete-addon", *names, "--preserve")["addon"]["status"] == "DELETING"


def test_what_is_not_there(aws: Cli, cluster: str) -> None:
    done = aws.run("describe-addon", "--cluster-name", cluster, "--addon-name", "vpc-cni")
    assert done.returncode in (254, 255)
    assert done.stdout == ""
    assert done.stderr.strip() == (
        "An error occurred (ResourceNotFoundException) when calling the DescribeAddon operation: "
        f"No addon: vpc-cni found in cluster: {cluster}"
    )


def test_lists_are_paged_by_the_command(site: Site, aws: Cli) -> None:
    names = {site.register(f"cli-{number}") for number in range(5)}
    whole = aws.json("list-clusters", "--page-size", "2")["clusters"]
    assert names <= set(whole)
    part = aws.json("list-clusters", "--page-size", "1", "--max-items", "2")
    assert part["clusters"] == whole[:2]
    rest = aws.json("list-clusters", "--starting-token", part["NextToken"])
    assert rest["clusters"] == whole[2:]


def test_schema_versions_and_tags(aws: Cli, cluster: str) -> None:
    words = ("--addon-name", "vpc-cni", "--addon-version", "v1.16.2-eksbuild.1")
    found = aws.json("describe-addon-configuration", *words)
    assert json.loads(found["configurationSchema"])["description"] == "vpc-cni"
    query = "addons[].addonVersions[?compatibilities[0].defaultVersion].addonVersion"
    words = ("--addon-name", "vpc-cni", "--kubernetes-version", "1.29", "--query", query, "--output", "text")
    assert aws.text("describe-addon-versions", *words) == "v1.16.2-eksbuild.1\n"
    arn = aws.json("describe-cluster", "--name", cluster)["cluster"]["arn"]
    assert aws.text("tag-resource", "--resource-arn", arn, "--tags", "a=b,c=d") == ""
    assert aws.text("untag-resource", "--resource-arn", arn, "--tag-keys", "a", "x") == ""
    assert aws.json("list-tags-for-resource", "--resource-arn", arn) == {"tags": {"c": "d"}}


def test_a_kubeconfig_is_written(aws: Cli, cluster: str) -> None:
    aws.text("update-kubeconfig", "--name", cluster, "--kubeconfig", str(aws.home / "config"))
    written = (aws.home / "config").read_text()
    assert "server: https://10.0.0.1:6443" in written
    assert "certificate-authority-data: Q0VSVElGSUNBVEU=" in written
