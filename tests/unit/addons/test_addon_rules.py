"""Rules of requests: tables of what is let through and what is not."""

import pytest

from vpc_cni.addons import names, rules
from vpc_cni.addons.errors import ApiError
from vpc_cni.addons.model import ConflictMode, Owner
from vpc_cni.addons.rules import InputError, PodIdentity
from vpc_cni.manifests import KubernetesVersion, packaged_catalogue, parse_addon_version

CATALOGUE = packaged_catalogue()
OWNER = Owner("111122223333", "us-west-2")
ROLE = "arn:aws:iam::111122223333:role/path/Name-1_2.3@4"


@pytest.mark.parametrize("name", ["a", "0", "A-b_c", "x" * 100])
def test_names_of_clusters(name: str) -> None:
    assert rules.check_cluster_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a/b", "a\n", "ä", "x" * 101])
def test_names_that_no_cluster_has(name: str) -> None:
    with pytest.raises(InputError):
        rules.check_cluster_name(name)


def test_roles_of_the_owner() -> None:
    assert rules.check_role(ROLE, OWNER) == ROLE
    china = Owner("111122223333", "cn-north-1", "aws-cn")
    assert rules.check_role(ROLE.replace("aws", "aws-cn"), china)
    with pytest.raises(ApiError, match="Invalid Role Arn"):
        rules.check_role(ROLE, china)


@pytest.mark.parametrize("arn", ["x", ROLE.replace("role", "user"), ROLE + " ", ROLE.replace("111122223333", "1")])
def test_what_is_no_role(arn: str) -> None:
    with pytest.raises(ApiError) as caught:
        rules.check_role(arn, OWNER)
    assert caught.value.message == f"Invalid Role Arn: '{arn}'"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (None, ConflictMode.NONE),
        ("", ConflictMode.NONE),
        ("none", ConflictMode.NONE),
        ("Overwrite", ConflictMode.OVERWRITE),
        ("PRESERVE", ConflictMode.PRESERVE),
    ],
)
def test_modes_in_any_case(text: str | None, mode: ConflictMode) -> None:
    assert rules.parse_mode(text) is mode


@pytest.mark.parametrize(
    ("kubernetes", "text", "version"),
    [
        ("1.29", None, "v1.16.2-eksbuild.1"),
        ("1.23", None, "v1.16.2-eksbuild.1"),
        ("1.24", "v1.16.0-eksbuild.1", "v1.16.0-eksbuild.1"),
        ("1.27", "v1.12.6-eksbuild.1", "v1.12.6-eksbuild.1"),
    ],
)
def test_versions_that_a_cluster_gets(kubernetes: str, text: str | None, version: str) -> None:
    cluster = rules.parse_kubernetes(kubernetes)
    assert cluster is not None
    assert str(rules.choose_version(CATALOGUE, cluster, text)) == version


@pytest.mark.parametrize(
    ("kubernetes", "text"),
    [
        ("1.23", "v1.16.0-eksbuild.1"),
        ("1.28", "v1.12.6-eksbuild.1"),
        # Offered by EKS, but there is no profile to deploy it with.
        ("1.29", "v1.18.3-eksbuild.1"),
        ("1.29", "1.16.2-eksbuild.1"),
        ("1.29", "v1.16.02-eksbuild.1"),
        ("1.29", "V1.16.2-eksbuild.1"),
    ],
)
def test_versions_that_it_does_not_get(kubernetes: str, text: str) -> None:
    cluster = rules.parse_kubernetes(kubernetes)
    assert cluster is not None
    with pytest.raises(ApiError, match="Addon version specified is not supported"):
        rules.choose_version(CATALOGUE, cluster, text)


@pytest.mark.parametrize("text", ["1", "1.29.3", "v1.29", "1.29 ", "1.2900", "", "1.²"])
def test_what_is_no_version_of_kubernetes(text: str) -> None:
    assert rules.parse_kubernetes(text) is None


@pytest.mark.parametrize(
    ("current", "wished", "allowed"),
    [
        ("v1.15.1-eksbuild.1", "v1.16.2-eksbuild.1", True),
        ("v1.16.2-eksbuild.1", "v1.15.1-eksbuild.1", True),
        ("v1.16.0-eksbuild.1", "v1.16.2-eksbuild.1", True),
        ("v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1", False),
        ("v1.16.2-eksbuild.1", "v1.12.6-eksbuild.2", False),
        ("v1.16.2-eksbuild.1", "v2.16.2-eksbuild.1", False),
    ],
)
def test_steps_over_minor_versions(current: str, wished: str, allowed: bool) -> None:
    try:
        rules.check_minor_step(parse_addon_version(current), parse_addon_version(wished))
    except ApiError:
        assert not allowed
    else:
        assert allowed


def test_a_cluster_goes_one_step_up() -> None:
    current = KubernetesVersion(1, 29)
    rules.check_cluster_step(current, KubernetesVersion(1, 30))
    for wished in (current, KubernetesVersion(1, 28), KubernetesVersion(1, 31), KubernetesVersion(2, 30)):
        with pytest.raises(ApiError, match=f"from 1.29 to {wished}"):
            rules.check_cluster_step(current, wished)


def test_no_associations_are_fine_for_every_version() -> None:
    addon = CATALOGUE.addon
    assert addon is not None
    rules.check_pod_identities(addon, parse_addon_version("v1.12.6-eksbuild.1"), ())
    rules.check_pod_identities(addon, addon.pod_identity_since, (PodIdentity("aws-node", ROLE),))


def test_arns_are_read_as_they_were_made() -> None:
    made = names.addon_arn(OWNER, "prod", "vpc-cni", "uid")
    assert made == "arn:aws:eks:us-west-2:111122223333:addon/prod/vpc-cni/uid"
    found = names.parse_arn(made)
    assert found == names.Arn("aws", "eks", "us-west-2", "111122223333", "addon/prod/vpc-cni/uid")
    for text in ("", "arn:aws:eks:us-west-2:1", "arn:aws:eks:us-west-2:1:", "ARN:aws:eks:us-west-2:1:x"):
        assert names.parse_arn(text) is None


def test_ids_have_the_form_of_the_real_ones() -> None:
    assert names.association_id(bytes(16)) == "a-" + "0" * 17
    assert names.association_id(b"\xff" * 16) != names.association_id(b"\xfe" * 16)
    assert names.resource_uid(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    first = names.update_id("prod", "vpc-cni", "token", 1.0)
    assert first[14] == "3"
    assert first == names.update_id("prod", "vpc-cni", "token", 1.0)
    assert first != names.update_id("prod", "vpc-cni", "token", 2.0)
