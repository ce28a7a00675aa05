"""The table of types, and versions read from images."""

from typing import Any

import pytest

from vpc_cni.errors import CallerError, RefusedError, UnknownTypeError
from vpc_cni.manifests import parse_addon_version
from vpc_cni.self_managed import (
    NOT_ASKED,
    AddonType,
    Detection,
    EksAnswer,
    EksVerdict,
    Sighting,
    detect,
    find_installed,
    judge_eks_error,
    refuse_unless_self_managed,
)

THERE, GONE, UNREADABLE = Sighting({"metadata": {}}), Sighting(), Sighting(failure="403 forbidden")
HAS = EksAnswer(EksVerdict.HAS_ADDON)
NONE = judge_eks_error("ResourceNotFoundException", "No addon: vpc-cni found in cluster: c")
EKS_FIELDS = Sighting({"metadata": {"managedFields": [{"manager": "eks"}]}})
LOCAL, ON_EKS = "v1.29.3", "v1.29.3-eks-036c24b"


@pytest.mark.parametrize(
    ("eks", "sighting", "version", "expected"),
    [
        (HAS, THERE, ON_EKS, AddonType.MANAGED),
        (HAS, GONE, ON_EKS, AddonType.MANAGED),
        (HAS, UNREADABLE, "", AddonType.MANAGED),
        (NONE, THERE, ON_EKS, AddonType.SELF_MANAGED),
        (NONE, EKS_FIELDS, ON_EKS, AddonType.SELF_MANAGED),
        (NONE, GONE, ON_EKS, AddonType.ABSENT),
        (NONE, UNREADABLE, ON_EKS, AddonType.UNKNOWN),
        (NOT_ASKED, THERE, LOCAL, AddonType.SELF_MANAGED),
        (NOT_ASKED, GONE, LOCAL, AddonType.ABSENT),
        (NOT_ASKED, THERE, ON_EKS, AddonType.UNKNOWN),
        (NOT_ASKED, GONE, ON_EKS, AddonType.UNKNOWN),
        (NOT_ASKED, EKS_FIELDS, LOCAL, AddonType.UNKNOWN),
        (NOT_ASKED, THERE, "", AddonType.UNKNOWN),
        (NOT_ASKED, UNREADABLE, LOCAL, AddonType.UNKNOWN),
    ],
)
def test_type_by_table(eks: EksAnswer, sighting: Sighting, version: str, expected: AddonType) -> None:
    assert detect(eks, sighting, version).type is expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "User: x is not authorized to perform: eks:DescribeAddon on resource: y"),
        ("ExpiredTokenException", "The security token included in the request is expired"),
        ("ThrottlingException", "Rate exceeded"),
        ("ServerException", "No addon: vpc-cni found in cluster: c"),
        ("ResourceNotFoundException", "something else that is not there"),
        ("", "Could not connect to the endpoint URL"),
    ],
)
@pytest.mark.parametrize("sighting", [THERE, GONE, UNREADABLE])
def test_every_error_but_no_such_addon_leaves_the_type_unknown(code: str, message: str, sighting: Sighting) -> None:
    detection = detect(judge_eks_error(code, message), sighting, LOCAL)
    assert detection.type is AddonType.UNKNOWN
    assert message in detection.reason


def test_a_cluster_that_eks_does_not_know_is_wrong_usage() -> None:
    answer = judge_eks_error("ResourceNotFoundException", "No cluster found for name: c.")
    with pytest.raises(CallerError, match="No cluster found"):
        detect(answer, THERE, LOCAL)


def test_an_addon_without_its_daemon_set_is_broken() -> None:
    assert detect(HAS, GONE, ON_EKS).broken
    assert not detect(HAS, THERE, ON_EKS).broken


def test_only_what_is_known_to_be_self_managed_may_change() -> None:
    refuse_unless_self_managed(Detection(AddonType.SELF_MANAGED, ""), even_if_managed=False)
    refuse_unless_self_managed(Detection(AddonType.ABSENT, ""), even_if_managed=False)
    refuse_unless_self_managed(Detection(AddonType.MANAGED, ""), even_if_managed=True)
    with pytest.raises(RefusedError):
        refuse_unless_self_managed(Detection(AddonType.MANAGED, ""), even_if_managed=False)
    with pytest.raises(UnknownTypeError):
        refuse_unless_self_managed(Detection(AddonType.UNKNOWN, ""), even_if_managed=True)


@pytest.mark.parametrize(
    ("metadata", "origin"),
    [
        ({"annotations": {"meta.helm.sh/release-name": "aws-vpc-cni"}}, "Helm"),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, "kubectl apply"),
        ({"managedFields": [{"manager": "eks"}]}, "EKS, which managed it before"),
        ({"managedFields": [{"manager": "vpc-cni"}]}, "vpc-cni"),
        ({"managedFields": [{"manager": "somebody"}], "annotations": None}, ""),
    ],
)
def test_origin(metadata: dict[str, Any], origin: str) -> None:
    assert detect(NONE, Sighting({"metadata": metadata}), ON_EKS).origin == origin


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.12.6-eksbuild.2", "v1.12.6-eksbuild.2"),
        ("localhost:5000/team/amazon-k8s-cni:v1.16.2", "v1.16.2"),
        (f"mirror.example.com:5000/cni:v1.16.2@{DIGEST}", "v1.16.2"),
        (f"mirror.example.com:5000/cni@{DIGEST}", None),
        ("mirror.example.com/amazon-k8s-cni:latest", None),
        ("not an image", None),
    ],
)
def test_version_of_the_agents_image(image: str, version: str | None) -> None:
    containers = [{"name": "aws-node", "image": image}]
    init = [{"name": "aws-vpc-cni-init", "image": "a.example.com/amazon-k8s-cni-init:v9.9.9"}]
    live = {"spec": {"template": {"spec": {"initContainers": init, "containers": containers}}}}
    assert find_installed(live).version == (parse_addon_version(version) if version else None)
