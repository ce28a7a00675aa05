"""Slow clients, too many of them, and a database that is busy or broken."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_shapes import check_answer
from api_site import ACCOUNT, REGION, Site, running
from botocore.exceptions import ClientError
from test_api_signatures import claim, send, sign

from vpc_cni.addons.api import Bounds


def connect(site: Site) -> socket.socket:
    address = urlsplit(site.url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


UNSIGNED = b"POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
# As far as it goes it is signed with a key of the service.
HALF = UNSIGNED.replace(b"Host: x", b"Host: x\r\nAuthorization: " + claim().encode())


def test_the_body_of_a_stranger_is_not_waited_for(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(body_seconds=60.0)) as site, connect(site) as connection:
        connection.sendall(UNSIGNED)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"x-amzn-errortype: MissingAuthenticationTokenException" in answer


def test_nor_when_it_asks_for_what_is_public(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(body_seconds=60.0)) as site, connect(site) as connection:
        connection.sendall(UNSIGNED.replace(b"/clusters", b"/v1.16.2/config/master/aws-k8s-cni.yaml"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_a_body_must_arrive_in_time(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(body_seconds=0.05)) as site, connect(site) as connection:
        connection.sendall(HALF)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"x-amzn-errortype: RequestTimeoutException" in answer


def test_more_requests_than_there_is_room_for_are_turned_away(tmp_path: Path) -> None:
    with running(tmp_path, Bounds(requests=1)) as site:
        with connect(site) as slow:
            slow.sendall(HALF)
            # Until the half request has taken the only place.
            deadline = time.monotonic() + 5
            while (found := send(site, "GET", "/clusters", headers=sign(site, "GET", "/clusters")))[0] == 200:
                assert time.monotonic() < deadline
            assert found[:2] == (503, "ServiceUnavailableException")
        deadline = time.monotonic() + 5
        while send(site, "GET", "/clusters", headers=sign(site, "GET", "/clusters"))[0] != 200:
            assert time.monotonic() < deadline, "a client that went away keeps its place"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Site, sqlite3.Connection]]:
    """A site with a cluster, and somebody who can lock its database."""
    with running(tmp_path) as site, closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        site.register("my-cluster")
        yield site, other


def test_writers_that_wait_leave_readers_alone(locked: tuple[Site, sqlite3.Connection]) -> None:
    site, other = locked
    arn = f"arn%3Aaws%3Aeks%3A{REGION}%3A{ACCOUNT}%3Acluster%2Fmy-cluster"
    body, target = b'{"tags":{"a":"b"}}', f"/tags/{arn}"
    answers: list[Any] = []
    other.execute("BEGIN IMMEDIATE")
    writers = [
        threading.Thread(
            target=lambda: answers.append(send(site, "POST", target, body, sign(site, "POST", target, body)))
        )
        for _ in range(12)
    ]
    for writer in writers:
        writer.start()
    started = time.monotonic()
    for _ in range(20):
        assert send(site, "GET", "/clusters/my-cluster", headers=sign(site, "GET", "/clusters/my-cluster"))[0] == 200
    assert time.monotonic() - started < 2.0
    assert answers == []
    other.execute("ROLLBACK")
    for writer in writers:
        writer.join(timeout=20)
    assert [answer[0] for answer in answers] == [200] * 12


def test_a_broken_database_is_a_server_exception_that_tells_nothing(locked: tuple[Site, sqlite3.Connection]) -> None:
    site, other = locked
    other.execute("DROP TABLE addons")
    target = "/clusters/my-cluster/addons/vpc-cni"
    status, code, body = send(site, "GET", target, headers=sign(site, "GET", target))
    assert (status, code) == (500, "ServerException")
    message = json.loads(body)["message"]
    assert message.startswith("Internal error in request ")
    headers = {"content-type": "application/json", "x-amzn-requestid": message.split()[-1], "x-amzn-errortype": code}
    check_answer("DescribeAddon", status, headers, body)
    assert "clusters" in site.client().list_clusters(), "others go on"


def test_what_users_sent_is_not_logged_when_the_database_fails(
    locked: tuple[Site, sqlite3.Connection], caplog: pytest.LogCaptureFixture
) -> None:
    site, other = locked
    other.execute("CREATE TRIGGER full BEFORE INSERT ON addons BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    members = {"addonName": "vpc-cni", "configurationValues": '{"env":{"CLUSTER_ENDPOINT":"only-for-us"}}'}
    with pytest.raises(ClientError, match="Internal error in request"):
        site.client().create_addon(clusterName="my-cluster", **members)
    assert "disk full" in caplog.text, "the log tells what was wrong"
    assert "only-for-us" not in caplog.text
