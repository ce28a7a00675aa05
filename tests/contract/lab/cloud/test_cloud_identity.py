"""Who is asking: signatures, sessions, web identity by STS and container credentials, with SDKs as clients."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ContainerProvider, Credentials, InstanceMetadataFetcher, InstanceMetadataProvider
from botocore.exceptions import ClientError
from botocore.utils import ContainerMetadataFetcher

from vpc_cni.lab.cloud import Cloud, Trust

Fetch = Callable[..., tuple[int, dict[str, str], str]]
SUBJECT = "system:serviceaccount:kube-system:aws-node"
AUDIENCE = "sts.amazonaws.com"


def client(site: Any, service: str = "ec2", **more: Any) -> Any:
    once = Config(retries={"total_max_attempts": 1, "mode": "standard"}, parameter_validation=False)
    return boto3.client(**(site.running.client_arguments(service) | {"config": once} | more))


def code_of(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def session_keys(site: Any, seconds: float) -> dict[str, str]:
    issued = site.do(lambda cloud: cloud.identities.issue("node", "s", seconds))
    return {
        "aws_access_key_id": issued.access_key_id,
        "aws_secret_access_key": issued.secret_key,
        "aws_session_token": issued.token,
    }


def test_wrong_keys_are_refused(site: Any) -> None:
    assert code_of(client(site, aws_secret_access_key="wrong").describe_vpcs) == ("AuthFailure", 401)
    assert code_of(client(site, aws_access_key_id="AKIANOBODY").describe_vpcs) == ("AuthFailure", 401)
    assert code_of(client(site, region_name="eu-west-1").describe_vpcs) == ("AuthFailure", 401)
    stolen = session_keys(site, 60.0) | {"aws_session_token": "made-up"}
    assert code_of(client(site, **stolen).describe_vpcs) == ("AuthFailure", 401)


def test_wrong_signatures_pass_where_the_lab_does_not_look(site: Any) -> None:
    site.do(lambda cloud: cloud.configure(verify_signatures=False))
    assert client(site, aws_secret_access_key="wrong").describe_vpcs()["Vpcs"]


def test_unsigned_requests_are_refused(site: Any) -> None:
    unsigned = client(site, config=Config(signature_version=botocore.UNSIGNED))
    assert code_of(unsigned.describe_vpcs) == ("MissingAuthenticationToken", 403)
    assert code_of(client(site, "sts", config=Config(signature_version=botocore.UNSIGNED)).get_caller_identity) == (
        "MissingAuthenticationToken",
        403,
    )


def test_a_session_ends_when_its_time_is_over(site: Any) -> None:
    keys = session_keys(site, 3600.0)
    assert client(site, **keys).describe_vpcs()["Vpcs"]
    keys = session_keys(site, 0.0)
    assert code_of(client(site, **keys).describe_vpcs) == ("RequestExpired", 400)
    assert code_of(client(site, "sts", **keys).get_caller_identity) == ("ExpiredToken", 403)


def test_get_requests_are_served_and_tampered_ones_are_not(site: Any, fetch: Fetch) -> None:
    admin = site.cloud.identities.admin
    request = AWSRequest("GET", f"{site.running.api_url}/?Action=DescribeVpcs&Version=2016-11-15")
    SigV4Auth(Credentials(admin.access_key_id, admin.secret_key), "ec2", "us-west-2").add_auth(request)
    headers = dict(request.headers)
    status, _, body = fetch(request.url, headers=headers)
    assert (status, "<DescribeVpcsResponse" in body) == (200, True)
    status, _, body = fetch(request.url.replace("DescribeVpcs", "DescribeSubnets"), headers=headers)
    assert (status, "<Code>AuthFailure</Code>" in body) == (401, True)


def test_caller_identity(site: Any) -> None:
    assert client(site, "sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/admin"
    role = site.do(lambda cloud: cloud.identities.create_role("node"))
    mine = client(site, "sts", **session_keys(site, 60.0)).get_caller_identity()
    assert mine["Arn"] == "arn:aws:sts::123456789012:assumed-role/node/s"
    assert mine["UserId"] == f"{role.role_id}:s"


@pytest.fixture
def trusting_role(site: Any) -> str:
    issuer = site.running.faces.issuer.url

    def create(cloud: Cloud) -> str:
        return cloud.identities.create_role("cni", Trust(issuer, (AUDIENCE,), (SUBJECT,))).arn

    return str(site.do(create))


def assume(site: Any, role_arn: str, token: str, **more: Any) -> Any:
    sts = client(site, "sts", config=Config(signature_version=botocore.UNSIGNED, parameter_validation=False))
    return sts.assume_role_with_web_identity(RoleArn=role_arn, RoleSessionName="node-1", WebIdentityToken=token, **more)


def test_web_identity_gives_working_keys(site: Any, trusting_role: str, client_of: Any) -> None:
    token = site.running.faces.issuer.token(SUBJECT, [AUDIENCE], 60)
    answer = assume(site, trusting_role, token, DurationSeconds=900)
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/cni/node-1"
    keys = answer["Credentials"]
    ec2 = client(
        site,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert ec2.describe_vpcs()["Vpcs"]
    sts, answered = client_of(site.running, "sts")
    sts.assume_role_with_web_identity(RoleArn=trusting_role, RoleSessionName="x", WebIdentityToken=token)
    sts.get_caller_identity()
    assert answered == {"AssumeRoleWithWebIdentity", "GetCallerIdentity"}


@pytest.mark.parametrize(
    ("subject", "audiences", "seconds", "code"),
    [
        ("system:serviceaccount:default:default", [AUDIENCE], 60, "AccessDenied"),
        (SUBJECT, ["somebody-else"], 60, "AccessDenied"),
        (SUBJECT, [AUDIENCE], -1, "ExpiredTokenException"),
    ],
)
def test_tokens_that_the_role_does_not_trust(  # noqa: PLR0917
    site: Any, trusting_role: str, subject: str, audiences: list[str], seconds: int, code: str
) -> None:
    token = site.running.faces.issuer.token(subject, audiences, seconds)
    assert code_of(lambda: assume(site, trusting_role, token))[0] == code


def test_forged_tokens_and_unknown_roles(site: Any, trusting_role: str) -> None:
    token = site.running.faces.issuer.token(SUBJECT, [AUDIENCE], 60)
    head, body, signature = token.split(".")
    forged = ".".join([head, body, signature[::-1]])
    assert code_of(lambda: assume(site, trusting_role, forged))[0] == "InvalidIdentityToken"
    assert code_of(lambda: assume(site, trusting_role, "no-token"))[0] == "InvalidIdentityToken"
    assert code_of(lambda: assume(site, trusting_role + "x", token))[0] == "AccessDenied"
    assert code_of(lambda: assume(site, trusting_role, token, DurationSeconds=1))[0] == "ValidationError"


def test_keys_live_as_short_as_the_settings_say(site: Any, trusting_role: str) -> None:
    site.do(lambda cloud: cloud.configure(session_seconds=0.0))
    token = site.running.faces.issuer.token(SUBJECT, [AUDIENCE], 60)
    keys = assume(site, trusting_role, token)["Credentials"]
    late = client(
        site,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert code_of(late.describe_vpcs) == ("RequestExpired", 400)


def test_container_credentials_by_an_sdk(site: Any, tmp_path: Path) -> None:
    faces = site.running.faces
    site.do(lambda _: faces.pod_identity.associate(SUBJECT, "cni"))
    token_file = tmp_path / "token"
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{site.running.api_url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
    }
    token_file.write_text(faces.issuer.token(SUBJECT, ["pods.eks.amazonaws.com"], 60))
    credentials = ContainerProvider(environment, ContainerMetadataFetcher()).load()
    keys = credentials.get_frozen_credentials()
    ec2 = client(
        site, aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key, aws_session_token=keys.token
    )
    assert ec2.describe_vpcs()["Vpcs"]


@pytest.mark.parametrize(
    ("subject", "audience", "seconds", "status"),
    [
        (SUBJECT, "sts.amazonaws.com", 60, 400),
        (SUBJECT, "pods.eks.amazonaws.com", -1, 401),
        ("system:serviceaccount:default:x", "pods.eks.amazonaws.com", 60, 404),
    ],
)
def test_container_credentials_refused(  # noqa: PLR0917
    site: Any, fetch: Fetch, subject: str, audience: str, seconds: int, status: int
) -> None:
    faces = site.running.faces
    site.do(lambda _: faces.pod_identity.associate(SUBJECT, "cni"))
    token = faces.issuer.token(subject, [audience], seconds)
    answered, _, body = fetch(f"{site.running.api_url}/v1/credentials", headers={"Authorization": token})
    assert answered == status
    assert set(json.loads(body)) == {"code", "message"}


def test_the_issuer_publishes_its_keys(site: Any, fetch: Fetch) -> None:
    _, _, body = fetch(f"{site.running.api_url}/.well-known/openid-configuration")
    assert json.loads(body)["issuer"] == site.running.faces.issuer.url
    _, _, body = fetch(f"{site.running.api_url}/openid/v1/jwks")
    assert [key["kty"] for key in json.loads(body)["keys"]] == ["EC"]


def test_role_credentials_of_an_instance_by_an_sdk(site: Any) -> None:
    site.running.metadata_of = site.instance.instance_id
    fetcher = InstanceMetadataFetcher(base_url=site.running.metadata_url, num_attempts=1)
    keys = InstanceMetadataProvider(fetcher).load().get_frozen_credentials()
    ec2 = client(
        site, aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key, aws_session_token=keys.token
    )
    assert ec2.describe_vpcs()["Vpcs"]
