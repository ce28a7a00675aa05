"""The cloud answers at least 300 signed calls a second over raw keep-alive connections; else labs wait for EC2."""

import socket
import time
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CALLS = 300
# The machine may be busy with other tests: the best of some rounds tells what the code can do.
ROUNDS = 5


def signed_bytes(site: Any, body: str) -> bytes:
    """Return a whole signed request; it may be sent again while its date is fresh."""
    admin = site.cloud.identities.admin
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", site.running.api_url + "/", headers=headers, data=body)
    SigV4Auth(Credentials(admin.access_key_id, admin.secret_key), "ec2", "us-west-2").add_auth(request)
    sent = {**request.headers, "Host": site.running.api_url.removeprefix("http://"), "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST / HTTP/1.1\r\n{lines}\r\n{body}".encode()


def calls_a_second(site: Any, request: bytes) -> float:
    host, _, port = site.running.api_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        started = time.perf_counter()
        for _ in range(CALLS):
            connection.sendall(request)
            assert b" 200 " in answers.readline()
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            answers.read(length)
        return CALLS / (time.perf_counter() - started)


@pytest.mark.parametrize("operation", ["describe interfaces", "assign"])
def test_calls_a_second(site: Any, operation: str) -> None:
    eni_id = site.new_eni(PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.50", "Primary": False}])
    site.attach(eni_id)
    body = {
        "describe interfaces": "Action=DescribeNetworkInterfaces&Version=2016-11-15"
        f"&Filter.1.Name=attachment.instance-id&Filter.1.Value.1={site.instance.instance_id}",
        "assign": "Action=AssignPrivateIpAddresses&Version=2016-11-15"
        f"&NetworkInterfaceId={eni_id}&PrivateIpAddress.1=10.0.0.50",
    }[operation]
    request = signed_bytes(site, body)
    best = 0.0
    for _ in range(ROUNDS):
        best = max(best, calls_a_second(site, request))
        if best >= 300:
            break
    assert best >= 300
