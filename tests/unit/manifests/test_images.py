"""Names of images, registries of regions, and which images a version needs."""

import pytest

from vpc_cni.errors import CallerError
from vpc_cni.manifests import (
    ImageReference,
    ImageSet,
    Partition,
    Registry,
    find_region,
    known_regions,
    metrics_helper_image,
    packaged_catalogue,
    parse_addon_version,
    parse_image_reference,
    parse_registry,
    plan_images,
)

PROFILE = packaged_catalogue().find(parse_addon_version("v1.16.2-eksbuild.1"))
OLD = packaged_catalogue().find(parse_addon_version("v1.12.6-eksbuild.2"))
DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.12.6-eksbuild.2",
            ImageReference("602401143452.dkr.ecr.us-west-2.amazonaws.com", "amazon-k8s-cni", "v1.12.6-eksbuild.2"),
        ),
        ("mirror:5000/amazon-k8s-cni:v1.16.2", ImageReference("mirror:5000", "amazon-k8s-cni", "v1.16.2")),
        ("mirror:5000/amazon-k8s-cni", ImageReference("mirror:5000", "amazon-k8s-cni")),
        ("localhost/team/cni:1", ImageReference("localhost", "team/cni", "1")),
        ("team/amazon-k8s-cni:v1", ImageReference("", "team/amazon-k8s-cni", "v1")),
        ("amazon-k8s-cni", ImageReference("", "amazon-k8s-cni")),
        (f"a.b/c@{DIGEST}", ImageReference("a.b", "c", "", DIGEST)),
        (f"a.b:1/c:v1@{DIGEST}", ImageReference("a.b:1", "c", "v1", DIGEST)),
    ],
)
def test_a_reference_is_read_as_runtimes_do_and_printed_the_same(text: str, expected: ImageReference) -> None:
    assert parse_image_reference(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", ":v1", "Upper/case", "a b", "https://a.b/c", "a.b/c:", "a.b/c@sha256:12", "a//b"])
def test_other_texts_are_no_references(text: str) -> None:
    with pytest.raises(CallerError, match="no image"):
        parse_image_reference(text)


@pytest.mark.parametrize("text", ["mirror.example.com", "mirror.example.com:5000/team/a", "localhost:5000", "10.0.0.7"])
def test_a_registry_may_have_a_port_and_a_folder(text: str) -> None:
    assert str(parse_registry(text)) == text


@pytest.mark.parametrize(
    "text", ["", "mirror", "https://mirror.example.com", "a.b:0", "a.b:70000", "a.b/UP", "a..b", "-a.b", "a.b:x"]
)
def test_other_texts_are_no_registries(text: str) -> None:
    with pytest.raises(CallerError, match="no registry"):
        parse_registry(text)


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("us-west-2", Partition.AWS, "602401143452.dkr.ecr.us-west-2.amazonaws.com"),
        ("il-central-1", Partition.AWS, "066635153087.dkr.ecr.il-central-1.amazonaws.com"),
        ("cn-north-1", Partition.CHINA, "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-east-1", Partition.GOV_CLOUD, "151742754352.dkr.ecr.us-gov-east-1.amazonaws.com"),
        ("us-gov-west-1", Partition.GOV_CLOUD, "013241004608.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("us-isob-east-1", Partition.ISO_B, "187977181151.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_a_region_has_its_partition_and_official_registry(region: str, partition: Partition, host: str) -> None:
    found = find_region(region)
    assert (found.partition, found.registry) == (partition, Registry(host))


def test_a_region_in_another_partition_than_believed_is_refused() -> None:
    assert find_region("cn-north-1", Partition.CHINA).partition is Partition.CHINA
    with pytest.raises(CallerError, match="lies in partition aws-cn, not in aws"):
        find_region("cn-north-1", Partition.AWS)


def test_a_region_that_is_not_in_the_table_has_no_registry() -> None:
    assert find_region("eu-east-9").registry is None
    with pytest.raises(CallerError, match="no region"):
        find_region("Frankfurt")


def test_every_region_of_the_table_is_a_region_and_accounts_have_twelve_digits() -> None:
    assert len(known_regions()) > 40
    for region in known_regions():
        registry = find_region(region).registry
        assert registry is not None
        account, _, rest = registry.host.partition(".")
        assert len(account) == 12
        assert account.isdigit()
        assert rest.startswith(f"dkr.ecr.{region}.")


def test_own_images_keep_the_names_and_the_tag_that_version_checks_read() -> None:
    images = plan_images(PROFILE, ImageSet.OWN, parse_registry("m.example.com:5000/t"))
    assert [str(image) for image in images.all] == [
        "m.example.com:5000/t/amazon-k8s-cni-init:v1.16.2-eksbuild.1",
        "m.example.com:5000/t/amazon-k8s-cni:v1.16.2-eksbuild.1",
    ]


def test_the_references_images_have_the_policy_agent_of_their_version() -> None:
    registry = Registry("r.example.com")
    assert str(plan_images(PROFILE, ImageSet.AWS, registry).policy_agent) == (
        "r.example.com/amazon/aws-network-policy-agent:v1.0.7"
    )
    assert plan_images(OLD, ImageSet.AWS, registry).policy_agent is None


def test_a_digest_pins_an_image_beside_its_tag() -> None:
    images = plan_images(PROFILE, ImageSet.OWN, Registry("r.example.com"), {"amazon-k8s-cni": DIGEST})
    assert str(images.agent) == f"r.example.com/amazon-k8s-cni:v1.16.2-eksbuild.1@{DIGEST}"
    assert images.init.digest == ""


@pytest.mark.parametrize("digests", [{"amazon-k8s-cni": "sha256:1"}, {"amazon/aws-network-policy-agent": DIGEST}])
def test_a_digest_that_cannot_be_used_is_refused(digests: dict[str, str]) -> None:
    with pytest.raises(CallerError, match="digest"):
        plan_images(PROFILE, ImageSet.OWN, Registry("r.example.com"), digests)


def test_the_metrics_helper_has_the_tag_of_the_release() -> None:
    assert str(metrics_helper_image(PROFILE, Registry("r.example.com"))) == "r.example.com/cni-metrics-helper:v1.16.2"
