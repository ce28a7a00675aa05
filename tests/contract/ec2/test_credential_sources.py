"""Web identity, container credentials and the instance role, each against a server that plays the other side."""

import json
import logging
import time
from urllib.parse import urlsplit

import pytest

from vpc_cni.ec2 import is_outcome_unknown, shortage_of
from vpc_cni.ec2.failures import MALFORMED, NO_CREDENTIALS
from vpc_cni.errors import AccessDeniedError, CloudError, Shortage

ROLE = "arn:aws:iam::123456789012:role/aws-node"


def expiry(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def assumed(key: str = "ASIA1", seconds: float = 3600) -> str:
    return (
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>hush-secret</SecretAccessKey>"
        f"<SessionToken>hush-token</SessionToken><Expiration>{expiry(seconds)}</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )


def document(key: str = "ASIA1", seconds: float = 3600, **changes: object) -> str:
    fields = {"AccessKeyId": key, "SecretAccessKey": "hush-secret", "Token": "hush-token"}
    return json.dumps({**fields, "Expiration": expiry(seconds), **changes})


def signer(request) -> str:
    return request.headers["authorization"].split("Credential=")[1].split("/")[0]


def subnets(access) -> None:
    access.client.describe_subnets(ids=["subnet-1"])


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("jwt-1\n")
    return path


@pytest.fixture
def web_identity(server, token_file):
    return {
        "AWS_EC2_ENDPOINT": server.url + "/ec2",
        "AWS_ENDPOINT_URL_STS": server.url + "/sts",
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
    }


def test_web_identity_is_exchanged_once_and_signs(server, connect, say, web_identity):
    server.steps = [say.answer(200, assumed("ASIA7"))]
    access = connect({**web_identity, "AWS_ROLE_SESSION_NAME": "node-1"})
    subnets(access)
    subnets(access)
    assert server.actions() == ["AssumeRoleWithWebIdentity", "DescribeSubnets", "DescribeSubnets"]
    exchange, call, _ = server.received
    assert exchange.form == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "node-1",
        "WebIdentityToken": "jwt-1",
    }
    assert "authorization" not in exchange.headers
    assert signer(call) == "ASIA7"
    assert call.headers["x-amz-security-token"] == "hush-token"


def test_the_token_file_is_read_at_each_exchange(server, connect, say, web_identity, token_file):
    server.steps = [
        say.answer(200, assumed("ASIA1")),
        say.error("ExpiredToken", 403),
        say.answer(200, assumed("ASIA2")),
    ]
    access = connect(web_identity)
    token_file.write_text("jwt-1")
    # EC2 calls the keys expired: they are replaced and the call is repeated, once.
    access.client.describe_subnets(ids=["subnet-1"])
    assert server.actions() == ["AssumeRoleWithWebIdentity", "DescribeSubnets"] * 2
    assert [signer(request) for request in server.received[1::2]] == ["ASIA1", "ASIA2"]


def test_a_rotated_token_is_used(server, connect, say, web_identity, token_file):
    def rotate(connection, request):
        token_file.write_text("jwt-2")
        return say.error("RequestExpired")(connection, request)

    server.steps = [say.answer(200, assumed()), rotate, say.answer(200, assumed())]
    subnets(connect(web_identity))
    assert [request.form.get("WebIdentityToken") for request in server.received] == ["jwt-1", None, "jwt-2", None]


def test_keys_refused_twice_are_an_error(server, connect, say, web_identity):
    server.steps = [
        say.answer(200, assumed()), say.error("AuthFailure", 401), say.answer(200, assumed()),
        say.error("AuthFailure", 401),
    ]  # fmt: skip
    with pytest.raises(AccessDeniedError, match="clock"):
        subnets(connect(web_identity))
    assert len(server.received) == 4


def test_a_busy_identity_provider_is_asked_again(server, connect, say, web_identity, ledger):
    server.steps = [say.error("IDPCommunicationError"), say.hang_up, say.answer(200, assumed())]
    subnets(connect(web_identity))
    assert [operation for operation, _ in ledger.calls] == ["AssumeRoleWithWebIdentity"] * 3 + ["DescribeSubnets"]


def test_a_role_that_does_not_trust_us_is_named(server, connect, say, web_identity):
    server.otherwise = say.error("AccessDenied", 403)
    with pytest.raises(CloudError, match="sts:AssumeRoleWithWebIdentity") as caught:
        subnets(connect(web_identity))
    assert (caught.value.operation, caught.value.code) == ("DescribeSubnets", NO_CREDENTIALS)
    assert shortage_of(caught.value) is Shortage.DENIED
    assert len(server.received) == 1


def test_a_lost_answer_of_sts_leaves_no_doubt_about_the_call(server, connect, say, web_identity):
    server.otherwise = say.hang_up
    with pytest.raises(CloudError) as caught:
        connect(web_identity).client.assign_private_ip_addresses(eni_id="eni-1", count=1)
    assert not is_outcome_unknown(caught.value)
    assert set(server.actions()) == {"AssumeRoleWithWebIdentity"}


@pytest.mark.parametrize(
    "body",
    [
        "<R/>",
        assumed(key=""),
        assumed().replace("hush-token", "hush\nhush"),
        assumed().replace("<Expiration>2", "<Expiration>never 2"),
    ],
    ids=["none", "no key", "line break", "no time"],
)
def test_an_exchange_that_gives_no_keys_quotes_none(server, connect, say, web_identity, body):
    server.otherwise = say.answer(200, body)
    with pytest.raises(CloudError) as caught:
        subnets(connect(web_identity))
    assert isinstance(caught.value.__cause__, CloudError)
    assert caught.value.__cause__.code == MALFORMED
    assert "hush" not in str(caught.value)


def test_short_lived_keys_are_not_fetched_for_every_call(server, connect, say, web_identity):
    server.steps = [say.answer(200, assumed(seconds=60))]
    access = connect(web_identity)
    for _ in range(5):
        subnets(access)
    assert server.actions() == ["AssumeRoleWithWebIdentity"] + ["DescribeSubnets"] * 5


def test_no_secret_is_logged(server, connect, say, web_identity, caplog):
    caplog.set_level(logging.DEBUG)
    server.steps = [say.answer(200, assumed())]
    access = connect(web_identity)
    subnets(access)
    assert caplog.records  # urllib3 does log at this level
    assert "hush" not in caplog.text
    assert "jwt-1" not in caplog.text


@pytest.fixture
def pod_identity(server, token_file):
    return {
        "AWS_EC2_ENDPOINT": server.url + "/ec2",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
    }


def test_container_credentials_sign(server, connect, say, pod_identity, ledger):
    server.steps = [say.answer(200, document("ASIA9"))]
    subnets(connect({**pod_identity, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}))
    asked, call = server.received
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("GET", "/v1/credentials", "jwt-1")
    assert signer(call) == "ASIA9"
    assert ledger.calls[0] == ("ContainerCredentials", "ok")


def test_container_credentials_never_pass_a_proxy(server, connect, say, pod_identity):
    server.steps = [say.answer(200, document())]
    with pytest.raises(CloudError):  # only the EC2 call goes to the proxy, which is not there
        subnets(connect({**pod_identity, "HTTP_PROXY": "http://127.0.0.1:9"}))
    assert [request.path for request in server.received] == ["/v1/credentials"]


@pytest.mark.parametrize(
    "reply",
    [(200, "[]"), (200, "{"), (200, "{}"), (400, "no"), (500, ""), (200, document(Expiration="2030-01-01T00:00:00"))],
    ids=["list", "cut", "empty", "refused", "broken", "no time zone"],
)
def test_a_container_endpoint_that_gives_no_keys_is_an_error(server, connect, say, pod_identity, reply):
    server.otherwise = say.answer(*reply)
    with pytest.raises(CloudError) as caught:
        subnets(connect(pod_identity))
    assert isinstance(caught.value.__cause__, CloudError)
    assert caught.value.__cause__.operation == "ContainerCredentials"
    assert "hush" not in str(caught.value)


def test_a_missing_token_file_is_named(connect, pod_identity, token_file):
    token_file.unlink()
    with pytest.raises(CloudError, match="AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        subnets(connect(pod_identity))


def test_a_token_with_a_line_break_is_not_sent(server, connect, pod_identity, token_file):
    token_file.write_text("a\nX-Evil: b")
    with pytest.raises(CloudError, match="line break"):
        subnets(connect(pod_identity))
    assert server.received == []


@pytest.fixture
def instance(server):
    return {"AWS_EC2_ENDPOINT": server.url + "/ec2", "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url}


def role_service(say, body: str):
    """Play instance metadata with a role, and EC2."""
    pages = {
        "/latest/api/token": "session",
        "/latest/meta-data/iam/security-credentials/": "node-role",
        "/latest/meta-data/iam/security-credentials/node-role": body,
        "/ec2/": "<R/>",
    }

    def act(connection, request):
        page = pages.get(urlsplit(request.path).path)
        return say.answer(404 if page is None else 200, page or "")(connection, request)

    return act


def test_the_instance_role_signs(server, connect, say, instance):
    server.otherwise = role_service(say, document("ASIA5", Code="Success"))
    subnets(connect(instance))
    assert signer(server.received[-1]) == "ASIA5"
    assert server.received[1].headers["x-aws-ec2-metadata-token"] == "session"


def test_expired_keys_of_the_instance_role_are_tried_while_its_service_is_down(server, connect, say, instance):
    server.otherwise = role_service(say, document("ASIA5", seconds=-60))
    subnets(connect(instance))
    assert signer(server.received[-1]) == "ASIA5"


def test_an_instance_role_that_cannot_be_assumed_is_an_error(server, connect, say, instance):
    server.otherwise = role_service(say, json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": "no trust"}))
    with pytest.raises(CloudError, match="AssumeRoleUnauthorizedAccess"):
        subnets(connect(instance))


def test_an_instance_without_a_role_is_told_what_to_do(server, connect, say, instance):
    server.otherwise = say.answer(404)
    server.steps = [say.answer(200, "session")]
    with pytest.raises(CloudError, match="instance profile"):
        subnets(connect(instance))
