"""The packaged catalogue, and what is said about catalogues that users write."""

from datetime import date
from importlib import resources

import pytest

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests import packaged_catalogue, parse_addon_version, parse_catalogue, parse_kubernetes_version
from vpc_cni.manifests.schema import introduced
from vpc_cni.settings import SETTINGS

CATALOGUE = packaged_catalogue()
SETTING = {setting.name: setting for setting in SETTINGS}
TEXT = (resources.files("vpc_cni.manifests") / "data" / "catalogue.toml").read_text()

SMALL = """
format = 1
valid_at = 2024-03-01
[sources]
page = "a page"
[[profile]]
release = "v9.0.0"
builds = [2]
newest_kubernetes = "1.29"
cni_version = "0.4.0"
sources = ["page"]
"""


@pytest.mark.parametrize(
    ("version", "cni_version", "policy_agent"),
    [
        ("v1.12.6-eksbuild.2", "0.4.0", ""),
        ("v1.15.1", "0.4.0", "v1.0.4"),
        ("v1.16.0", "1.0.0", "v1.0.7"),
        ("v1.16.2-eksbuild.1", "0.4.0", "v1.0.7"),
        ("v1.16.2", "0.4.0", "v1.0.7"),
        ("v1.17.1-eksbuild.1", "0.4.0", "v1.1.0"),
        ("v1.18.6-eksbuild.1", "0.4.0", "v1.1.3"),
        ("v1.19.6-eksbuild.7", "0.4.0", "v1.2.2"),
        ("v1.20.5-eksbuild.1", "0.4.0", "v1.2.7"),
        ("v1.21.2-eksbuild.2", "0.4.0", "v1.3.5"),
    ],
)
def test_versions_are_there(version: str, cni_version: str, policy_agent: str) -> None:
    profile = CATALOGUE.find(parse_addon_version(version))
    assert str(profile.version) == version
    assert (profile.cni_version, profile.network_policy_agent) == (cni_version, policy_agent)


@pytest.mark.parametrize("kubernetes", ["1.29", "1.28", "1.27", "1.26", "1.25", "1.24", "1.23"])
def test_the_table_of_early_2024_names_one_version_for_all_clusters(kubernetes: str) -> None:
    table = CATALOGUE.newest[0]
    assert table.versions[parse_kubernetes_version(kubernetes)] == parse_addon_version("v1.16.2-eksbuild.1")


def test_tables_of_newest_versions_ascend_by_day() -> None:
    days = [table.day for table in CATALOGUE.newest]
    assert days == sorted(days)
    assert max(days) <= CATALOGUE.valid_at


@pytest.mark.parametrize("profile", CATALOGUE.profiles, ids=lambda profile: str(profile.version))
def test_defaults_of_a_profile_are_those_of_the_settings(profile) -> None:  # type: ignore[no-untyped-def]
    for name, value in {**profile.env, **profile.init_env}.items():
        setting = SETTING[name]
        if name != "VPC_CNI_VERSION":
            assert value == (setting.default if setting.manifest is None else setting.manifest), name
        assert introduced(setting) <= profile.version, name


@pytest.mark.parametrize("profile", CATALOGUE.profiles, ids=lambda profile: str(profile.version))
def test_a_profile_has_changes_and_sources(profile) -> None:  # type: ignore[no-untyped-def]
    assert profile.changes
    assert profile.sources


@pytest.mark.parametrize("version", ["v1.16.0", "v1.16.0-eksbuild.1"])
@pytest.mark.parametrize("kubernetes", ["1.23", "v1.20.2"])
def test_1_16_0_is_refused_on_old_clusters_with_a_version_that_works(version: str, kubernetes: str) -> None:
    profile = CATALOGUE.find(parse_addon_version(version))
    with pytest.raises(ConfigurationError, match=r"needs Kubernetes 1\.24 or later.*CNI version 1\.0\.0") as caught:
        CATALOGUE.check(profile, parse_kubernetes_version(kubernetes))
    assert "v1.16.2" in caught.value.hint


@pytest.mark.parametrize(
    ("version", "kubernetes"), [("v1.16.0", "1.24"), ("v1.16.2", "1.23"), ("v1.16.2", "1.20"), ("v1.12.6", "1.23")]
)
def test_other_pairs_are_allowed(version: str, kubernetes: str) -> None:
    assert CATALOGUE.check(CATALOGUE.find(parse_addon_version(version)), parse_kubernetes_version(kubernetes)) == ()


def test_the_rule_covers_1_16_1_though_it_has_no_profile() -> None:
    (restriction,) = CATALOGUE.restrictions
    concerned = [restriction.concerns(parse_addon_version(f"v1.{minor}")) for minor in ("15.9", "16.0", "16.1", "16.2")]
    assert concerned == [False, True, True, False]
    assert restriction.concerns(parse_addon_version("v1.16.1-eksbuild.3"))


def test_a_cluster_newer_than_the_catalogue_is_noted() -> None:
    profile = CATALOGUE.find(parse_addon_version("v1.12.6"))
    (note,) = CATALOGUE.check(profile, parse_kubernetes_version("1.31"))
    assert "1.31 is newer" in note


def test_a_version_that_is_only_listed_is_told_from_one_that_does_not_exist() -> None:
    with pytest.raises(CallerError, match="is listed, but without a profile"):
        CATALOGUE.find(parse_addon_version("v1.19.2-eksbuild.1"))
    with pytest.raises(CallerError, match=r"is not in the catalogue of 2026") as caught:
        CATALOGUE.find(parse_addon_version("v1.16.2-eksbuild.9"))
    assert "v1.16.2-eksbuild.1" in caught.value.hint


def test_the_newest_profile_has_no_build() -> None:
    assert str(CATALOGUE.newest_profile().version) == "v1.21.2"


def test_nobody_gets_a_later_release_than_the_default_without_asking() -> None:
    assert str(CATALOGUE.default_profile().version) == "v1.16.2"
    assert str(CATALOGUE.default_profile(parse_kubernetes_version("1.20")).version) == "v1.16.2"
    assert str(CATALOGUE.default_profile(parse_kubernetes_version("1.34")).version) == "v1.16.2"


def test_a_catalogue_without_a_default_takes_the_newest() -> None:
    newer = '[[profile]]\nrelease = "v9.0.1"\nextends = "v9.0.0"\nnewest_kubernetes = "1.30"\n'
    assert str(parse_catalogue(SMALL + newer, "mine.toml").default_profile().version) == "v9.0.1"
    fixed = 'default_release = "v9.0.0"' + SMALL + newer
    assert str(parse_catalogue(fixed, "mine.toml").default_profile().version) == "v9.0.0"


def test_a_catalogue_of_ones_own_takes_the_place_of_the_packaged_one() -> None:
    catalogue = parse_catalogue(SMALL, "mine.toml")
    assert catalogue.valid_at == date(2024, 3, 1)
    assert [str(each) for each in catalogue.profiles[0].versions] == ["v9.0.0", "v9.0.0-eksbuild.2"]


def test_a_profile_inherits_what_it_does_not_say() -> None:
    catalogue = parse_catalogue(
        SMALL + '[profile.env]\nA = "1"\nB = "2"\n[[profile]]\nrelease = "v9.0.1"\nextends = "v9.0.0"\n'
        'newest_kubernetes = "1.30"\n[profile.env]\nB = "3"\n',
        "mine.toml",
    )
    older, newer = catalogue.profiles
    assert (older.env, newer.env) == ({"A": "1", "B": "2"}, {"A": "1", "B": "3"})
    assert newer.cni_version == older.cni_version
    assert newer.builds == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "formats? 1"),
        ("format = 1", "format = ", "no TOML"),
        ('release = "v9.0.0"', 'release = "9"', "profile 1: '9' is no version"),
        ('release = "v9.0.0"', 'release = "v9.0.0-eksbuild.1"', "without a build"),
        ("builds = [2]", "builds = [0]", "builds must be a list of numbers"),
        ("builds = [2]", "bilds = [2]", "unknown field bilds"),
        ('cni_version = "0.4.0"', "", "cni_version must be a text"),
        ('newest_kubernetes = "1.29"', 'newest_kubernetes = "new"', "no version of Kubernetes"),
        ('sources = ["page"]', 'sources = ["book"]', "no such source: book"),
        ("valid_at = 2024-03-01", 'valid_at = "today"', "valid_at must be a date"),
        ("builds = [2]", 'extends = "v8.0.0"', "does not stand before it"),
        ("[[profile]]", "[[profil]]", "unknown field profil"),
        ("format = 1", 'format = 1\ndefault_release = "v9.0.1"', "default_release v9.0.1 is no release with a profile"),
        ("builds = [2]", 'traits = ["odd"]', "no such trait: odd"),
        ("builds = [2]", 'rules = [{ urls = ["/a"] }]', "a rule has verbs, and either"),
        ("builds = [2]", 'rules = [{ verbs = ["get"], groups = [""] }]', "a rule has verbs, and either"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_named(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(ConfigurationError, match=rf"mine\.toml.*{message}"):
        parse_catalogue(SMALL.replace(old, new, 1), "mine.toml")


def test_1_16_1_is_refused_on_an_old_cluster_though_it_has_no_profile() -> None:
    version = parse_addon_version("v1.16.1")
    with pytest.raises(ConfigurationError, match=r"v1\.16\.1 needs Kubernetes 1\.24 or later, the cluster has 1\.23"):
        CATALOGUE.find(version, parse_kubernetes_version("1.23"))
    with pytest.raises(CallerError, match=r"v1\.16\.1 is not in the catalogue"):
        CATALOGUE.find(version, parse_kubernetes_version("1.24"))
