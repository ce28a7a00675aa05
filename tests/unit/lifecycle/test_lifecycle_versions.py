"""Which version a word means, and what is told of each."""

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.lifecycle.records import OfferedVersion
from vpc_cni.lifecycle.versions import choose_version, list_versions
from vpc_cni.manifests import packaged_catalogue

BUILDS = ("v1.9.0-eksbuild.1", "v1.12.6-eksbuild.2", "v1.12.6-eksbuild.1", "v1.16.2-eksbuild.1", "v1.15.1-eksbuild.1")


def offer(version: str) -> OfferedVersion:
    return OfferedVersion(version, ("1.29",), ("1.29",) if "1.15" in version else (), ("amd64",), ("ec2",))


OFFERS = tuple(map(offer, BUILDS))


@pytest.mark.parametrize(
    ("word", "version"),
    [
        ("default", "v1.15.1-eksbuild.1"),
        ("latest", "v1.16.2-eksbuild.1"),
        ("1.12.6", "v1.12.6-eksbuild.2"),
        ("v1.12.6", "v1.12.6-eksbuild.2"),
        ("v1.12.6-eksbuild.1", "v1.12.6-eksbuild.1"),
    ],
)
def test_a_word_means_a_build(word: str, version: str) -> None:
    assert choose_version(word, OFFERS, "1.29") == version


@pytest.mark.parametrize("word", ["v1.17.0", "v1.12.6-eksbuild.9", "newest", ""])
def test_what_is_not_offered_is_refused_by_name(word: str) -> None:
    with pytest.raises(CallerError):
        choose_version(word, OFFERS, "1.29")


def test_no_version_is_the_default_of_another_cluster() -> None:
    with pytest.raises(CallerError, match=r"offered to Kubernetes 1\.30"):
        choose_version("default", OFFERS, "1.30")


def test_versions_are_ordered_by_number_and_marked() -> None:
    rows = list_versions((*OFFERS, offer("nonsense")), packaged_catalogue(), "v1.12.6-eksbuild.2", "1.29")
    assert [str(row.version) for row in rows] == [
        "v1.16.2-eksbuild.1",
        "v1.15.1-eksbuild.1",
        "v1.12.6-eksbuild.2",
        "v1.12.6-eksbuild.1",
        "v1.9.0-eksbuild.1",
    ]
    assert [str(row.version) for row in rows if row.is_default] == ["v1.15.1-eksbuild.1"]
    assert [str(row.version) for row in rows if row.is_installed] == ["v1.12.6-eksbuild.2"]
    assert rows[0].changes
    assert not rows[-1].changes


def test_a_version_that_does_not_run_on_the_cluster_has_a_warning() -> None:
    (row,) = list_versions([offer("v1.16.0-eksbuild.1")], packaged_catalogue(), kubernetes="1.23")
    assert "needs Kubernetes 1.24" in row.warning
    (row,) = list_versions([offer("v1.16.0-eksbuild.1")], packaged_catalogue(), kubernetes="1.24")
    assert row.warning == ""
