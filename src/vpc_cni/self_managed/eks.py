"""Asks EKS whether it manages the add-on. The only user of boto3."""

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from vpc_cni.self_managed.detection import EksAnswer, EksVerdict, judge_eks_error

_TIMEOUT_SECONDS = 10
_ADDON = "vpc-cni"


def ask_eks(cluster_name: str, *, region: str = "", endpoint_url: str = "") -> EksAnswer:
    """Call DescribeAddon with the credentials that the AWS command line would use; never raises for an answer.

    Args:
        region, endpoint_url: empty for those of the AWS configuration.
    """
    try:
        client = boto3.client(
            "eks",
            region_name=region or None,
            endpoint_url=endpoint_url or None,
            config=Config(connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS),
        )
        return EksAnswer(
            EksVerdict.HAS_ADDON, addon=client.describe_addon(clusterName=cluster_name, addonName=_ADDON)["addon"]
        )
    except ClientError as err:
        error = err.response.get("Error", {})
        return judge_eks_error(str(error.get("Code", "")), str(error.get("Message", "")))
    except (BotoCoreError, ValueError) as err:
        return EksAnswer(EksVerdict.FAILED, str(err))
