"""What boto3 makes of the answers of EKS, from a server that gives them in the form of the API."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from vpc_cni.self_managed import EksAnswer, EksVerdict
from vpc_cni.self_managed.eks import ask_eks

ADDON = {"addonName": "vpc-cni", "addonVersion": "v1.16.2-eksbuild.1", "status": "ACTIVE", "createdAt": 1709294400.0}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str, dict[str, Any]], EksAnswer]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    servers: list[ThreadingHTTPServer] = []

    def ask_server(status: int, error: str, body: dict[str, Any]) -> EksAnswer:
        class Eks(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/clusters/my-cluster/addons/vpc-cni"
                text = json.dumps(body).encode()
                self.send_response(status)
                if error:
                    self.send_header("x-amzn-ErrorType", error)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Eks)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return ask_eks("my-cluster", region="us-west-2", endpoint_url=f"http://127.0.0.1:{server.server_port}")

    yield ask_server
    for each in servers:
        each.shutdown()
        each.server_close()


def test_the_record_of_an_addon(ask: Any) -> None:
    answer = ask(200, "", {"addon": ADDON})
    assert (answer.verdict, answer.addon["addonVersion"]) == (EksVerdict.HAS_ADDON, "v1.16.2-eksbuild.1")


@pytest.mark.parametrize(
    ("status", "error", "message", "verdict"),
    [
        (404, "ResourceNotFoundException", "No addon: vpc-cni found in cluster: my-cluster", EksVerdict.NO_ADDON),
        (404, "ResourceNotFoundException", "No cluster found for name: my-cluster.", EksVerdict.NO_CLUSTER),
        (403, "AccessDeniedException", "User: x is not authorized to perform: eks:DescribeAddon", EksVerdict.FAILED),
        (403, "ExpiredTokenException", "The security token included in the request is expired", EksVerdict.FAILED),
        (429, "ThrottlingException", "Rate exceeded", EksVerdict.FAILED),
        (404, "", "not found", EksVerdict.FAILED),
        (500, "ServerException", "internal", EksVerdict.FAILED),
    ],
)
def test_errors(ask: Any, status: int, error: str, message: str, verdict: EksVerdict) -> None:
    answer = ask(status, error, {"message": message})
    assert answer.verdict is verdict
    assert message in answer.reason


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    answer = ask_eks("my-cluster", region="us-west-2", endpoint_url="http://127.0.0.1:9")
    assert answer.verdict is EksVerdict.FAILED
