"""Versions of the add-on and of Kubernetes."""

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.manifests import parse_addon_version, parse_kubernetes_version


def test_versions_are_ordered_by_number_and_a_release_comes_before_its_builds() -> None:
    ascending = ["v1.9.3", "v1.12.6-eksbuild.2", "v1.12.6-eksbuild.10", "v1.16.2", "v1.16.2-eksbuild.1", "v1.20.0"]
    shuffled = sorted(ascending)
    assert shuffled != ascending
    assert sorted(shuffled, key=parse_addon_version) == ascending


@pytest.mark.parametrize(
    ("text", "printed"),
    [("1.16.2", "v1.16.2"), ("v1.16.2", "v1.16.2"), ("v1.16.2-eksbuild.1", "v1.16.2-eksbuild.1")],
)
def test_a_version_prints_in_the_form_of_tags(text: str, printed: str) -> None:
    assert str(parse_addon_version(text)) == printed


@pytest.mark.parametrize("text", ["", "latest", "1.16", "v1.16.2-eksbuild.0", "v1.16.2-rc1", "v1.16.2-eksbuild.1 "])
def test_other_texts_are_no_versions(text: str) -> None:
    with pytest.raises(CallerError, match="no version"):
        parse_addon_version(text)


@pytest.mark.parametrize("text", ["1.29", "v1.29.3-eks-036c24b", "v1.29.0", "1.29.1+k3s1"])
def test_the_version_of_a_live_cluster_is_read(text: str) -> None:
    assert str(parse_kubernetes_version(text)) == "1.29"


@pytest.mark.parametrize("text", ["", "1", "eks-1.29", "1.29x"])
def test_other_texts_are_no_kubernetes_versions(text: str) -> None:
    with pytest.raises(CallerError):
        parse_kubernetes_version(text)
