"""Configuration values as requests bring them."""

import pytest

from vpc_cni.addons.configuration import TEXT_MAX, check_values, check_version_runs
from vpc_cni.addons.errors import ApiError
from vpc_cni.addons.images import ImageSource
from vpc_cni.errors import ConfigurationError
from vpc_cni.manifests import ImageSet, packaged_catalogue, parse_addon_version, parse_registry

PROFILE = packaged_catalogue().find(parse_addon_version("v1.16.2-eksbuild.1"))
IMAGES = ImageSource(ImageSet.OWN, parse_registry("registry.example.com")).plan(PROFILE, "us-west-2")
PREFIX = "ConfigurationValue provided in request is not supported: "


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " {} ",
        "---\n{}\n",
        "null",
        "# only a comment\n",
        '{"env":{"WARM_IP_TARGET":"5"}}',
        '{\n\t"env": {\n\t\t"WARM_IP_TARGET": "5"\n\t}\n}',
        "env:\n  WARM_IP_TARGET: '5'\n",
        "env: &a {WARM_IP_TARGET: '5'}\ninit: {env: {}}\n",
        '{"affinity":null}',
        '{"env":{"ENABLE_POD_ENI":""}}',
        '{"eniConfig":{"create":false,"region":"us-west-2","subnets":{"us-west-2a":{"id":"subnet-1"}}}}',
        '{"enableNetworkPolicy":"false"}',
    ],
)
def test_values_that_are_fine(text: str) -> None:
    check_values(text, PROFILE, IMAGES, "ipv4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"env":{"MAX_ENI":"1.5"}}', '[$.env.MAX_ENI: "1.5" is no whole number]'),
        ('{"livenessProbeTimeoutSeconds":"10"}', "[$.livenessProbeTimeoutSeconds: string found, integer expected]"),
        ('{"livenessProbeTimeoutSeconds":true}', "[$.livenessProbeTimeoutSeconds: boolean found, integer expected]"),
        ('{"tolerations":{}}', "[$.tolerations: object found, array expected]"),
        ('{"affinity":[]}', "[$.affinity: array found, [object, null] expected]"),
        ("env: {ANNOTATE_POD_IP: on}", "[$.env.ANNOTATE_POD_IP: boolean found, string expected]"),
    ],
)
def test_values_against_the_schema(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_values(text, PROFILE, IMAGES, "ipv4")
    assert caught.value.message == f"{PREFIX}Json schema validation failed with error: {message}"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        "--- {}\n--- {}",
        "a: &a [*a]",
        "affinity: {a: 2001-02-03}",
        "affinity: {2: b}",
        "x" * TEXT_MAX * 2,
    ],
)
def test_what_are_no_values(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_values(text, PROFILE, IMAGES, "ipv4")
    assert caught.value.message.startswith(PREFIX)
    assert "\n" not in caught.value.message


def test_aliases_are_bounded_when_written_out() -> None:
    levels = "".join(
        f"  {name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in ("ab", "bc", "cd", "de")
    )
    with pytest.raises(ApiError, match="more than 10000 values"):
        check_values(f"affinity:\n  a: &a [x]\n{levels}", PROFILE, IMAGES, "ipv4")


def test_what_is_not_built_is_named() -> None:
    with pytest.raises(ApiError, match="eniConfig: custom networking is not built yet"):
        check_values(
            '{"eniConfig":{"create":true,"region":"us-west-2","subnets":{"us-west-2a":{"id":"subnet-1"}}}}',
            PROFILE,
            IMAGES,
            "ipv4",
        )
    with pytest.raises(ApiError, match=r"cannot run here: .*ENABLE_IPv6="):
        check_version_runs(PROFILE, IMAGES, "ipv6")


def test_images_of_the_reference_come_from_the_region() -> None:
    official = ImageSource(ImageSet.AWS).plan(PROFILE, "cn-north-1")
    assert str(official.agent).startswith("918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/amazon-k8s-cni:")
    with pytest.raises(ConfigurationError, match="no registry is known"):
        ImageSource(ImageSet.OWN).plan(PROFILE, "us-west-2")
    with pytest.raises(ConfigurationError, match="no registry is known"):
        ImageSource(ImageSet.AWS).plan(PROFILE, "us-nowhere-9")
