"""``vpc-cni node status`` against a real HTTP server on a unix socket and on TCP."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vpc_cni.cli import main
from vpc_cni.cli._introspection import AgentAddress, fetch_json, parse_agent_address
from vpc_cni.cli._status import Status, check_status
from vpc_cni.cli._status_view import format_duration
from vpc_cni.cli.node import show
from vpc_cni.errors import CallerError, HostError


def status_document() -> Status:
    """One node with a problem of every kind."""
    return {
        "node": {
            "instance_id": "i-0abc",
            "instance_type": "m5.large",
            "availability_zone": "eu-west-1a",
            "agent_version": "0.1.0",
            "uptime_seconds": 3900.4,
            "ready": False,
            "reasons": ["EC2 refuses CreateNetworkInterface"],
        },
        "enis": [
            {
                "eni_id": "eni-0123456789abcdef0",
                "device_number": 0,
                "mac": "02:00:00:00:00:01",
                "subnet_id": "subnet-0a1",
                "primary_address": "10.0.1.7",
                "state": "ready",
                "total": 9,
                "assigned": 5,
                "cooling": 2,
                "free": 1,
                "quarantined": 1,
            }
        ],
        "pods": [
            {
                "namespace": "default",
                "name": "web-0",
                "container_id": "f" * 64,
                "ifname": "eth0",
                "address": "10.0.1.20",
                "eni_id": "eni-0123456789abcdef0",
                "since": "2026-01-01T00:00:00Z",
            }
        ],
        "pool": {
            "total": 9,
            "assigned": 5,
            "cooling": 2,
            "free": 1,
            "quarantined": 1,
            "waiting": 3,
            "targets": {"WARM_ENI_TARGET": 1, "max_pods": None},
            "explanation": ["8 addresses short of the target"],
            "actions": ["create an ENI with 9 addresses"],
            "quarantine": [{"address": "10.0.1.21", "reason": "unknown-link", "detail": "eni1234 [red] carries it"}],
        },
        "errors": [
            {
                "at": "2026-01-01T00:00:01Z",
                "operation": "CreateNetworkInterface",
                "code": "UnauthorizedOperation",
                "message": "not allowed [/bold]",
                "hint": "add ec2:CreateNetworkInterface to the node role",
            }
        ],
        "spool": 4,
    }


def printed(document: Status, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - closed with the process
    show(document, console)
    return console.export_text()


class UnixHttpServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


Serve = Callable[[int, bytes], None]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[Path, Serve]]:
    """A server on a socket; the second part sets its answer."""
    answer: dict[str, Any] = {"status": 200, "body": b"{}"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"] if self.path == "/v1/status" else 404)
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_args: object) -> None:
            pass

        def address_string(self) -> str:
            return "peer"

    path = tmp_path / "introspect.sock"
    server = UnixHttpServer(str(path), Handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield path, lambda status, body: answer.update(status=status, body=body)
    server.shutdown()
    thread.join()
    server.server_close()


def test_everything_that_is_wrong_is_shown() -> None:
    text = printed(status_document())
    for expected in (
        "i-0abc (m5.large, eu-west-1a)  agent 0.1.0, up 1 h 5 min, not ready",
        "EC2 refuses CreateNetworkInterface",
        "9 addresses: 5 assigned, 1 free, 2 cooling, 1 in quarantine, 3 pods waiting for an address",
        "4 recorded DELs to replay",
        "WARM_ENI_TARGET=1, max_pods=-",
        "8 addresses short of the target",
        "doing: create an ENI with 9 addresses",
        "eni-0123456789abcdef0",
        "web-0",
        "eni1234 [red] carries it",
        "not allowed [/bold]",
        "do: add ec2:CreateNetworkInterface to the node role",
    ):
        assert expected in text


def test_a_healthy_node_is_shown_without_empty_tables() -> None:
    document = status_document()
    document["node"].update(ready=True, reasons=[])
    document["pool"].update(quarantined=0, waiting=0, quarantine=[], explanation=[], actions=[])
    document.update(pods=[], errors=[], spool=0)
    text = printed(document)
    assert ", ready" in text
    for absent in ("quarantine:", "waiting", "replay", "Pods", "Quarantine", "errors"):
        assert absent not in text


def test_a_node_that_an_agent_leaves_alone_has_no_pool_of_zero_addresses() -> None:
    document = status_document()
    document["node"].update(instance_id="", instance_type="", availability_zone="", reasons=["handed back"])
    document.update(pods=[], enis=[], errors=[])
    document["pool"].update(quarantine=[])
    text = printed(document)
    assert text.startswith("node not looked at yet  agent 0.1.0, up 1 h 5 min, not ready\n  handed back")
    assert "Pool" not in text
    assert "ENIs" not in text


def test_a_narrow_terminal_loses_no_identifier() -> None:
    assert printed(status_document(), width=40) == printed(status_document(), width=200)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (86400, "1 d"), (90061, "1 d 1 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_json_is_the_agents_answer(agent: tuple[Path, Serve], capsys: pytest.CaptureFixture[str]) -> None:
    path, serve = agent
    serve(200, json.dumps(status_document() | {"new_key": 1}).encode())
    with pytest.raises(SystemExit) as ended:
        main(["node", "status", "--json", "--agent", str(path)])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == status_document() | {"new_key": 1}


def test_tables_come_from_the_same_answer(agent: tuple[Path, Serve], capsys: pytest.CaptureFixture[str]) -> None:
    path, serve = agent
    serve(200, json.dumps(status_document()).encode())
    with pytest.raises(SystemExit) as ended:
        main(["node", "status", "--agent", f"unix:{path}"])
    assert ended.value.code == 0
    assert "Pool  9 addresses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"the agent's event loop did not answer", "status 503: the agent's event loop did not answer"),
        (200, b"<html>", "is no agent of vpc-cni"),
        (200, b"[]", "lacks everything"),
        (200, b"{}", "lacks enis, errors, node, pods, pool, spool"),
    ],
)
def test_a_useless_answer_is_one_clear_error(
    agent: tuple[Path, Serve], capsys: pytest.CaptureFixture[str], status: int, body: bytes, expected: str
) -> None:
    path, serve = agent
    serve(status, body)
    with pytest.raises(SystemExit) as ended:
        main(["node", "status", "--agent", str(path)])
    assert ended.value.code == 1
    assert expected in capsys.readouterr().err


def test_missing_keys_of_rows_are_named_once() -> None:
    document = json.loads(json.dumps(status_document()))
    document["pods"] = [{"namespace": "a"}, {"namespace": "b"}]
    del document["node"]["ready"]
    with pytest.raises(HostError, match=r"lacks node.ready, pods\[\].address, pods\[\].container_id"):
        check_status(document)


def test_no_agent_says_where_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["node", "status", "--agent", str(tmp_path / "none.sock")])
    error = capsys.readouterr().err
    assert ended.value.code == 1
    assert "No such file or directory" in error
    assert "do:" in error
    assert "Traceback" not in error


def test_an_agent_on_tcp_is_reached_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}')

        thread = threading.Thread(target=answer)
        thread.start()
        assert fetch_json(parse_agent_address(f"127.0.0.1:{port}"), "/v1/status") == {"a": 1}
        thread.join()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/x.sock", AgentAddress(path="/run/x.sock")),
        ("unix:/run/x.sock", AgentAddress(path="/run/x.sock")),
        ("127.0.0.1:61679", AgentAddress(host="127.0.0.1", port=61679)),
        ("http://[::1]:61679", AgentAddress(host="::1", port=61679)),
    ],
)
def test_addresses_of_agents(text: str, address: AgentAddress) -> None:
    assert parse_agent_address(text) == address


@pytest.mark.parametrize("text", ["", "x.sock", "host", "https://host:1", "host:port", "http://host", "http://[:1"])
def test_what_is_no_address_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CallerError):
        parse_agent_address(text)
    with pytest.raises(SystemExit) as ended:
        main(["node", "status", "--agent", text])
    assert ended.value.code == 2
    assert "no address of an agent" in capsys.readouterr().err
