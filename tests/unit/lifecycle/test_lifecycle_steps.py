"""The way across minor versions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.errors import RefusedError
from vpc_cni.lifecycle.steps import plan_steps
from vpc_cni.manifests import AddonVersion, KubernetesVersion, packaged_catalogue, parse_addon_version

CATALOGUE = packaged_catalogue()
OFFERED = [str(each) for each in CATALOGUE.listed_versions(KubernetesVersion(1, 26))]


def steps(current: str, target: str) -> list[str]:
    found = plan_steps(
        parse_addon_version(current), parse_addon_version(target), OFFERED, CATALOGUE, KubernetesVersion(1, 26)
    )
    return [str(each) for each in found]


def test_the_newest_patch_of_each_minor_is_on_the_way() -> None:
    assert steps("v1.12.6-eksbuild.2", "v1.16.2-eksbuild.1") == [
        "v1.13.4-eksbuild.1",
        "v1.14.1-eksbuild.1",
        "v1.15.5-eksbuild.1",
        "v1.16.2-eksbuild.1",
    ]


def test_down_goes_the_same_way() -> None:
    assert steps("v1.15.1-eksbuild.1", "v1.12.6-eksbuild.2") == [
        "v1.14.1-eksbuild.1",
        "v1.13.4-eksbuild.1",
        "v1.12.6-eksbuild.2",
    ]


@pytest.mark.parametrize("current", ["v1.16.0-eksbuild.1", "v1.15.0-eksbuild.2", "v1.16.2-eksbuild.1", "v1.17.1"])
def test_one_minor_is_one_step(current: str) -> None:
    assert steps(current, "v1.16.2-eksbuild.1") == ["v1.16.2-eksbuild.1"]


def test_a_version_that_does_not_run_on_the_cluster_is_no_step() -> None:
    found = plan_steps(
        AddonVersion(1, 15, 1),
        AddonVersion(1, 17, 1),
        ["v1.16.0-eksbuild.1"],
        CATALOGUE,
        KubernetesVersion(1, 23),
    )
    assert found == (AddonVersion(1, 17, 1),)


def test_before_v1_7_0_nothing_leads_to_v1_12_0() -> None:
    with pytest.raises(RefusedError):
        steps("v1.6.3", "v1.12.6-eksbuild.2")
    assert steps("v1.7.5", "v1.12.6-eksbuild.2")


@given(st.sampled_from(OFFERED), st.sampled_from(OFFERED))
def test_no_step_goes_over_a_minor_that_is_offered(current: str, target: str) -> None:
    path = [parse_addon_version(each) for each in (current, *steps(current, target))]
    minors = {parse_addon_version(each).minor for each in OFFERED}
    assert path[-1] == parse_addon_version(target)
    for before, after in itertools.pairwise(path):
        between = range(min(before.minor, after.minor) + 1, max(before.minor, after.minor))
        assert not minors & set(between)
