"""Bytes that no client sends, over real sockets: each gets an answer below 500, and the service goes on."""

import json
import random
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_site import Site
from test_api_signatures import claim, send, sign

from vpc_cni.addons.api import Bounds

BODY_MAX_BYTES = Bounds().body_bytes


def signed(site: Site, method: str, target: str, body: bytes = b"") -> Any:
    return send(site, method, target, body, sign(site, method, target, body))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"addonName":"\\ud800"}',
        b'{"addonName":"a\\u0000b"}',
        b'{"\\u0000":1}',
        b'{"addonName":NaN}',
        b'{"addonName":' + b"9" * 5000 + b"}",
        b'{"addonName":1e999}',
        b'{"a":' * 2000,
        b"[" * 100_000,
        b'{"x":' * 30 + b"1" + b"}" * 30,
        b'{"addonName":"vpc-cni","tags":{"\\udfff":""}}',
        b'{"addonName":"vpc-cni","tags":["x"]}',
        b'{"addonName":"vpc-cni","podIdentityAssociations":{}}',
        b'{"addonName":"vpc-cni","podIdentityAssociations":["x"]}',
        b'{"addonName":"vpc-cni","podIdentityAssociations":[null]}',
        b'{"addonName":"vpc-cni","namespaceConfig":"kube-system"}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_bodies_that_are_no_request(site: Site, cluster: str, body: bytes) -> None:
    status, code, _ = signed(site, "POST", f"/clusters/{cluster}/addons", body)
    assert (status, code) == (400, "InvalidParameterException")
    arn = f"arn%3Aaws%3Aeks%3Aus-west-2%3A111122223333%3Acluster%2F{cluster}"
    status, code, _ = signed(site, "POST", f"/tags/{arn}", body)
    assert (status, code) == (400, "BadRequestException")


def test_a_body_that_is_too_large(site: Site, cluster: str) -> None:
    target = f"/clusters/{cluster}/addons"
    body = b'{"addonName":"vpc-cni"}'.ljust(BODY_MAX_BYTES)
    assert signed(site, "POST", target, body)[0] == 200
    status, code, answer = send(site, "POST", target, body + b" ")
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert json.loads(answer) == {"message": f"A request's body has up to {BODY_MAX_BYTES} bytes"}


def test_a_body_in_chunks_is_bounded_too(site: Site) -> None:
    address = urlsplit(site.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        head = f"POST /clusters HTTP/1.1\r\nHost: x\r\nAuthorization: {claim()}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(BODY_MAX_BYTES // 0x10000 + 1):
            connection.sendall(chunk)
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/", 404, "UnknownOperationException"),
        ("/clusters/", 404, "UnknownOperationException"),
        ("/clusters//addons", 404, "UnknownOperationException"),
        ("/clusters/a/b/c/d/e", 404, "UnknownOperationException"),
        ("/tags/", 404, "UnknownOperationException"),
        ("/clusters/%ff/addons/vpc-cni", 400, "InvalidParameterException"),
        ("/clusters/a%00b/addons/vpc-cni", 400, "InvalidParameterException"),
        ("/clusters/%ff", 400, "ClientException"),
        ("/clusters/a%0Ab/addons/vpc-cni", 404, "ResourceNotFoundException"),
        ("/clusters/a%2Fb/addons/vpc-cni", 404, "ResourceNotFoundException"),
        ("/clusters/%2e%2e/addons/vpc-cni", 404, "ResourceNotFoundException"),
        ("/clusters?nextToken=%ff", 400, "InvalidParameterException"),
        ("/clusters?maxResults=", 400, "InvalidParameterException"),
        ("/clusters?maxResults=%D9%A1", 400, "InvalidParameterException"),
        ("/clusters?&&=&maxResults=1&maxResults=x", 400, "InvalidParameterException"),
        ("/addons/configuration-schemas", 400, "InvalidParameterException"),
        ("/addons/supported-versions?kubernetesVersion=" + "9" * 5000 + ".1", 200, None),
        ("/tags/arn:aws:eks:us-west-2:111122223333:cluster/nowhere", 404, "NotFoundException"),
        ("/tags/x%00", 400, "BadRequestException"),
    ],
)
def test_targets(site: Site, target: str, status: int, code: str | None) -> None:
    assert signed(site, "GET", target)[:2] == (status, code)


def test_other_methods(site: Site) -> None:
    for method in ("HEAD", "PUT", "PATCH", "OPTIONS", "TRACE"):
        status, code, _ = signed(site, method, "/clusters")
        assert (status, code) == (404, "UnknownOperationException")


def test_a_boolean_that_is_none(site: Site, cluster: str) -> None:
    site.client().create_addon(clusterName=cluster, addonName="vpc-cni")
    site.end_work()
    target = f"/clusters/{cluster}/addons/vpc-cni?preserve="
    for text in ("", "True", "1", "yes"):
        status, code, body = signed(site, "DELETE", target + text)
        assert (status, code) == (400, "InvalidParameterException")
        assert json.loads(body)["message"] == "preserve must be true or false"


def test_nonsense_on_the_socket(site: Site) -> None:
    """Whatever arrives: an answer below 500, or a closed connection; afterwards the service answers as before."""
    chance = random.Random(4)  # noqa: S311 - repeatable
    address = urlsplit(site.url)
    for _ in range(150):
        head = chance.choice([b"", b"GET ", b"POST /clusters HTTP/1.1\r\n", b"DELETE /tags/%"])
        noise = head + chance.randbytes(chance.randrange(1, 200)) + b"\r\n\r\n"
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            try:
                answer = connection.recv(65536)
            except ConnectionResetError:
                continue
        assert not answer or answer.split(b" ", 2)[1] < b"500", answer[:200]
    assert "clusters" in site.client().list_clusters()
