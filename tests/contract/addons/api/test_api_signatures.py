"""Who may call: signatures of real clients, and requests that nobody signed, or somebody else, or long ago."""

import http.client
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore
import pytest
from api_site import ACCOUNT, KEY, REGION, SECRET, Site, running
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


def code_of(client: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client.list_clusters()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(caught.value.response["Error"]["Code"])


def send(site: Site, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
    """Send what is given and nothing else; return status, type of the exception and body."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    connection.request(method, target, body or None, dict(headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, answer.getheader("x-amzn-ErrorType"), text


def sign(
    site: Site, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> dict[str, str]:
    request = AWSRequest(method, f"{site.url}{target}", headers=dict(headers or {}), data=body)
    SigV4Auth(Credentials(KEY, SECRET), "eks", REGION).add_auth(request)
    return dict(request.headers.items())


def claim() -> str:
    """Return an Authorization header that names a key of the service, and proves nothing."""
    scope = f"{KEY}/{time.strftime('%Y%m%d', time.gmtime())}/{REGION}/eks/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


def test_requests_of_real_clients_are_accepted(site: Site) -> None:
    assert "clusters" in site.client().list_clusters()


def test_unsigned(site: Site) -> None:
    assert code_of(site.client(signature_version=botocore.UNSIGNED)) == "MissingAuthenticationTokenException"


def test_a_key_that_nobody_knows(site: Site) -> None:
    assert code_of(site.client(key="AKIAUNKNOWN")) == "UnrecognizedClientException"


def test_a_session_of_somewhere_else(site: Site) -> None:
    signed = sign(site, "GET", "/clusters", headers={"X-Amz-Security-Token": "token"})
    assert send(site, "GET", "/clusters", headers=signed)[:2] == (403, "UnrecognizedClientException")


def test_another_secret(site: Site) -> None:
    assert code_of(site.client(secret="guessed")) == "InvalidSignatureException"


def test_another_region(site: Site) -> None:
    with pytest.raises(ClientError, match="Credential should be scoped to a valid region, not 'eu-west-1'") as caught:
        site.client(region="eu-west-1").list_clusters()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_another_service(site: Site) -> None:
    request = AWSRequest("GET", f"{site.url}/clusters")
    SigV4Auth(Credentials(KEY, SECRET), "ec2", REGION).add_auth(request)
    status, code, body = send(site, "GET", "/clusters", headers=dict(request.headers.items()))
    assert (status, code) == (403, "InvalidSignatureException")
    assert json.loads(body) == {"message": "Credential should be scoped to correct service: 'eks'."}


@pytest.mark.parametrize(
    ("ahead", "start"), [(400, "Signature expired: "), (-400, "Signature not yet current: "), (100, "")]
)
def test_clocks(tmp_path: Path, ahead: float, start: str) -> None:
    """The service's clock is ahead of the client's by that many seconds."""
    with running(tmp_path, clock=lambda: time.time() + ahead) as served:
        status, code, body = send(served, "GET", "/clusters", headers=sign(served, "GET", "/clusters"))
    if not start:
        assert status == 200
    else:
        assert (status, code) == (403, "InvalidSignatureException")
        assert json.loads(body)["message"].startswith(start)


def test_what_was_signed_is_what_counts(site: Site, cluster: str) -> None:
    target, body = f"/clusters/{cluster}/addons", b'{"addonName":"vpc-cni"}'
    signed = sign(site, "POST", target, body, {"X-Amz-Content-SHA256": "0" * 64})
    assert send(site, "POST", target, body, signed)[:2] == (403, "InvalidSignatureException"), "no digest of the body"
    signed = sign(site, "POST", target, body)
    refused = (403, "InvalidSignatureException")
    assert send(site, "POST", target, body.replace(b"vpc-cni", b"vpc-cnj"), signed)[:2] == refused
    assert send(site, "POST", f"/clusters/{cluster}x/addons", body, signed)[:2] == refused
    assert send(site, "POST", f"{target}?a=b", body, signed)[:2] == refused
    assert send(site, "GET", target, body, signed)[:2] == refused
    assert send(site, "POST", target, body, {**signed, "X-Amz-Date": "20200101T000000Z"})[:2] == refused
    without_host = {**signed, "Authorization": signed["Authorization"].replace("host;", "")}
    assert send(site, "POST", target, body, without_host)[:2] == refused
    assert send(site, "POST", target, body, signed)[0] == 200


def test_headers_that_other_clients_sign_count_too(site: Site) -> None:
    """botocore signs no user agent; others do."""
    request = AWSRequest("GET", f"{site.url}/clusters")

    class Signer(SigV4Auth):
        def headers_to_sign(self, request: Any) -> Any:
            headers = super().headers_to_sign(request)
            headers["user-agent"] = "another  client"
            return headers

    Signer(Credentials(KEY, SECRET), "eks", REGION).add_auth(request)
    signed = dict(request.headers.items())
    assert "user-agent" in signed["Authorization"]
    assert send(site, "GET", "/clusters", headers={**signed, "User-Agent": "another  client"})[0] == 200
    assert send(site, "GET", "/clusters", headers={**signed, "User-Agent": "someone else"})[0] == 403


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic YTpi",
        "AWS4-HMAC-SHA256 ",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/eks/aws4_request, SignedHeaders=host",
        f"AWS4-HMAC-SHA256 Credential={KEY}, SignedHeaders=host, Signature={'0' * 64}",
    ],
)
def test_headers_that_are_no_signature(site: Site, text: str) -> None:
    status, code, body = send(site, "GET", "/clusters", headers={"Authorization": text})
    assert (status, code) == (403, "MissingAuthenticationTokenException")
    assert json.loads(body) == {"message": "Missing Authentication Token"}


def test_nothing_is_told_before_the_signature_is_good(site: Site) -> None:
    """Neither which paths exist, nor which clusters."""
    for target in ("/nothing", "/clusters/nowhere", "/clusters"):
        assert send(site, "GET", target)[:2] == (403, "MissingAuthenticationTokenException")


def test_no_secret_is_logged(site: Site, cluster: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        target = f"/clusters/{cluster}/addons"
        body = json.dumps({"addonName": "vpc-cni", "configurationValues": '{"env":{"MARKER":"hidden"}}'}).encode()
        signed = sign(site, "POST", target, body)
        status, code, _ = send(site, "POST", target, body, signed)
    assert (status, code) == (400, "InvalidParameterException")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("vpc_cni")]
    assert any("CreateAddon" in line and KEY in line and cluster in line for line in lines)
    written = "\n".join(lines)
    for hidden in (SECRET, signed["Authorization"].rpartition("=")[2], "hidden"):
        assert hidden not in written
    assert ACCOUNT not in written
