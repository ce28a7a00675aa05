"""Managed versions of the packaged catalogue, and what is said about offers that do not fit together."""

import pytest

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import (
    AddonVersion,
    Catalogue,
    packaged_catalogue,
    parse_addon_version,
    parse_catalogue,
    parse_kubernetes_version,
)

CATALOGUE = packaged_catalogue()

MANAGED = """
format = 1
valid_at = 2024-03-01
changes = { "v9.0.0" = ["all is new"] }
[sources]
page = "a page"
[[profile]]
release = "v9.0.0"
builds = [2]
newest_kubernetes = "1.29"
cni_version = "0.4.0"
sources = ["page"]
changes = ["the base"]
[addon]
name = "vpc-cni"
type = "networking"
owner = "aws"
publisher = "eks"
namespace = "kube-system"
service_account = "aws-node"
managed_policies = ["AmazonEKS_CNI_Policy"]
pod_identity_since = "v9.0.0-eksbuild.1"
architectures = ["amd64", "arm64"]
compute_types = ["ec2"]
platform_versions = ["*"]
requires_configuration = false
requires_iam_permissions = true
sources = ["page"]
[[offer]]
versions = ["v9.0.0-eksbuild.2"]
kubernetes = ["1.28", "1.29"]
default_for = ["1.28", "1.29"]
sources = ["page"]
[[offer]]
versions = ["v9.1.0-eksbuild.1"]
kubernetes = ["1.29"]
platform_versions = ["eks.7"]
requires_configuration = true
sources = ["page"]
"""


def texts(versions: tuple[AddonVersion, ...]) -> list[str]:
    return [str(version) for version in versions]


@pytest.mark.parametrize("kubernetes", ["1.23", "1.24", "1.25", "1.26", "1.27", "1.28", "1.29"])
def test_clusters_of_the_table_of_early_2024_get_v1_16_2(kubernetes: str) -> None:
    cluster = parse_kubernetes_version(kubernetes)
    assert str(CATALOGUE.default_version(cluster)) == "v1.16.2-eksbuild.1"
    assert "v1.16.2-eksbuild.1" in texts(CATALOGUE.addon_versions(cluster))


@pytest.mark.parametrize("kubernetes", ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36"])
def test_later_clusters_get_a_version_that_is_offered_to_them(kubernetes: str) -> None:
    cluster = parse_kubernetes_version(kubernetes)
    version = CATALOGUE.default_version(cluster)
    assert version in CATALOGUE.addon_versions(cluster)
    assert version.minor >= 20


def test_versions_come_newest_first_and_can_all_be_deployed() -> None:
    deployable = CATALOGUE.addon_versions()
    assert list(deployable) == sorted(deployable, reverse=True)
    assert {str(version) for version in deployable} >= {"v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1"}
    for version in deployable:
        assert CATALOGUE.find(version).version == version


def test_v1_16_0_is_not_offered_to_old_clusters() -> None:
    offered = [texts(CATALOGUE.addon_versions(parse_kubernetes_version(each))) for each in ("1.23", "1.24")]
    assert ["v1.16.0-eksbuild.1" in versions for versions in offered] == [False, True]


def test_the_list_for_1_26_of_april_2024_is_whole() -> None:
    april_2024 = """
        v1.18.0-eksbuild.1 v1.17.1-eksbuild.1 v1.16.4-eksbuild.2 v1.16.3-eksbuild.2 v1.16.2-eksbuild.1
        v1.16.0-eksbuild.1 v1.15.5-eksbuild.1 v1.15.4-eksbuild.1 v1.15.3-eksbuild.1 v1.15.1-eksbuild.1
        v1.15.0-eksbuild.2 v1.14.1-eksbuild.1 v1.14.0-eksbuild.3 v1.13.4-eksbuild.1 v1.13.3-eksbuild.1
        v1.13.2-eksbuild.1 v1.13.0-eksbuild.1 v1.12.6-eksbuild.2 v1.12.6-eksbuild.1 v1.12.5-eksbuild.2
        v1.12.0-eksbuild.2
    """.split()  # noqa: SIM905 - as it was printed
    listed = CATALOGUE.listed_versions(parse_kubernetes_version("1.26"))
    assert texts(tuple(version for version in listed if version <= parse_addon_version(april_2024[0]))) == april_2024


def test_every_dated_table_is_among_the_offers() -> None:
    for table in CATALOGUE.newest:
        for kubernetes, version in table.versions.items():
            assert version in CATALOGUE.listed_versions(kubernetes), (table.day, kubernetes)


def test_the_add_on_is_described_as_eks_does() -> None:
    addon = CATALOGUE.addon
    assert addon is not None
    assert (addon.name, addon.type, addon.owner, addon.publisher) == ("vpc-cni", "networking", "aws", "eks")
    assert (addon.namespace, addon.service_account) == ("kube-system", "aws-node")
    offer = CATALOGUE.offer(parse_addon_version("v1.16.2-eksbuild.1"))
    assert (offer.architectures, offer.compute_types, offer.platform_versions) == (("amd64", "arm64"), ("ec2",), ("*",))
    assert (offer.requires_configuration, offer.requires_iam_permissions) == (False, True)
    assert (parse_addon_version("v1.15.4-eksbuild.1") < addon.pod_identity_since) is True


def test_each_deployable_version_says_what_changed() -> None:
    assert all(CATALOGUE.changes(version) for version in CATALOGUE.addon_versions())
    assert CATALOGUE.changes(parse_addon_version("v1.16.3-eksbuild.2")) == ()


def test_a_cluster_for_which_nothing_is_offered_has_no_default() -> None:
    with pytest.raises(CallerError, match=r"no default version for Kubernetes 1\.20") as caught:
        CATALOGUE.default_version(parse_kubernetes_version("1.20"))
    assert caught.value.hint == "it has one for " + ", ".join(f"1.{minor}" for minor in range(23, 37))
    assert CATALOGUE.addon_versions(parse_kubernetes_version("1.20")) == ()


def test_a_version_that_nobody_offers_is_named() -> None:
    with pytest.raises(CallerError, match=r"v1\.16\.2-eksbuild\.9 is not among the managed versions"):
        CATALOGUE.offer(parse_addon_version("v1.16.2-eksbuild.9"))


def test_offers_of_ones_own_catalogue() -> None:
    catalogue = parse_catalogue(MANAGED, "mine.toml")
    newest = parse_kubernetes_version("1.29")
    assert texts(catalogue.listed_versions(newest)) == ["v9.1.0-eksbuild.1", "v9.0.0-eksbuild.2"]
    assert texts(catalogue.addon_versions(newest)) == ["v9.0.0-eksbuild.2"]
    unusual = catalogue.offer(parse_addon_version("v9.1.0-eksbuild.1"))
    assert (unusual.platform_versions, unusual.requires_configuration) == (("eks.7",), True)
    assert catalogue.changes(parse_addon_version("v9.0.0-eksbuild.2")) == ("all is new",)
    with pytest.raises(CallerError, match="is listed, but without a profile"):
        catalogue.find(unusual.version)


def test_a_catalogue_for_self_managed_installations_offers_nothing() -> None:
    catalogue: Catalogue = parse_catalogue(MANAGED.partition("[addon]")[0], "mine.toml")
    assert catalogue.addon is None
    assert catalogue.addon_versions() == ()
    with pytest.raises(CallerError) as caught:
        catalogue.default_version(parse_kubernetes_version("1.29"))
    assert caught.value.hint == "it has no managed versions"


RESTRICTION = (
    '[[restriction]]\nfirst = "v9.1.0"\nlast = "v9.1.9"\noldest_kubernetes = "1.30"\nreason = "x"\nsource="page"\n'
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('versions = ["v9.1.0-eksbuild.1"]', 'versions = ["v9.1.0"]', "offer 2: versions must be managed builds"),
        ('versions = ["v9.1.0-eksbuild.1"]', "versions = []", "offer 2: versions must be managed builds"),
        ('versions = ["v9.1.0-eksbuild.1"]', 'versions = ["v9.0.0-eksbuild.2"]', "v9.0.0-eksbuild.2 is offered twice"),
        ('versions = ["v9.1.0-eksbuild.1"]', 'versions = ["v9.0.0-eksbuild.3"]', "does not list build 3"),
        ("builds = [2]", "builds = [2, 3]", "v9.0.0-eksbuild.3 lists that build"),
        ('default_for = ["1.28", "1.29"]', 'default_for = ["1.28"]', "Kubernetes 1.29 has no default version"),
        ('default_for = ["1.28", "1.29"]', 'default_for = ["1.27"]', "default of Kubernetes 1.27, but is not offered"),
        (
            'platform_versions = ["eks.7"]',
            'default_for = ["1.29"]',
            "v9.1.0-eksbuild.1 is a default, but has no profile",
        ),
        ('kubernetes = ["1.29"]', "kubernetes = []", "offer 2: kubernetes must name at least one version"),
        ('kubernetes = ["1.29"]', 'kubernetes = ["1.29", "1.29"]', "offer 2: kubernetes names something twice"),
        ('kubernetes = ["1.29"]', 'kubernetes = ["new"]', "offer 2: 'new' is no version of Kubernetes"),
        ("requires_configuration = true", 'requires_configuration = "yes"', "requires_configuration must be true or"),
        ('platform_versions = ["eks.7"]', "platform_versions = []", "platform_versions must be a list of at least one"),
        ('architectures = ["amd64", "arm64"]', 'architectures = ["x86"]', "no such architecture: x86"),
        ('architectures = ["amd64", "arm64"]', "", "addon: architectures must be a list of at least one text"),
        ('owner = "aws"', "owner = 1", "addon: owner must be a text"),
        ('owner = "aws"', 'owner = "aws"\nowned = "aws"', "addon: unknown field owned"),
        ('pod_identity_since = "v9.0.0-eksbuild.1"', 'pod_identity_since = "9"', "addon: '9' is no version"),
        ('sources = ["page"]\n[[offer]]', 'sources = ["book"]\n[[offer]]', "no such source: book"),
        ('"v9.0.0" = ["all is new"]', '"v9.0.0-eksbuild.2" = ["x"]', "changes are those of a release"),
        ('"v9.0.0" = ["all is new"]', '"v9.0.0" = "x"', "changes: v9.0.0 must be a list of texts"),
        ("[addon]", RESTRICTION + "[addon]", "v9.1.0-eksbuild.1 is offered to Kubernetes 1.29, but a restriction"),
        ("[addon]", "[other]", "offer 1: a catalogue with offers needs a table \\[addon\\]"),
    ],
)
def test_what_is_wrong_with_offers_is_named(old: str, new: str, message: str) -> None:
    assert old in MANAGED
    with pytest.raises(ConfigurationError, match=rf"mine\.toml.*{message}"):
        parse_catalogue(MANAGED.replace(old, new, 1), "mine.toml")


def test_a_cluster_has_one_default() -> None:
    second = MANAGED.replace("builds = [2]", "builds = [2, 3]").replace("v9.1.0-eksbuild.1", "v9.0.0-eksbuild.3")
    with pytest.raises(ConfigurationError, match=r"Kubernetes 1\.29 has two default versions"):
        parse_catalogue(second.replace('platform_versions = ["eks.7"]', 'default_for = ["1.29"]'), "mine.toml")
