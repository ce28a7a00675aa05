"""What comes of errors of EKS: their class, their exit status, and that nothing is changed without an answer."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from vpc_cni.cli import main

CLUSTER = {
    "name": "c",
    "arn": "arn:aws:eks:us-west-2:111122223333:cluster/c",
    "version": "1.29",
    "status": "ACTIVE",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Callable[..., int]]:
    """Run commands against an EKS that knows a cluster, and gives one error for all else."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_MAX_ATTEMPTS": "1",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(tmp_path / "none"),
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    answer: dict[str, Any] = {}

    class Eks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/clusters/c"
            status, body = (200, {"cluster": CLUSTER}) if known else (answer["status"], {"message": answer["message"]})
            text = json.dumps(body).encode()
            self.send_response(status)
            if not known:
                self.send_header("x-amzn-ErrorType", answer["error"])
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            raise AssertionError("nothing may be changed")

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Eks)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(command: str, status: int, error: str, message: str = "x") -> int:
        answer.update(status=status, error=error, message=message)
        words = ("--cluster-name", "c", "--region", "us-west-2")
        with pytest.raises(SystemExit) as ended:
            main(["addon", command, *words, "--endpoint-url", f"http://127.0.0.1:{server.server_port}"])
        return int(ended.value.code or 0)

    yield ask
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("command", ["create", "update", "delete"])
@pytest.mark.parametrize(
    ("status", "error"),
    [(403, "AccessDeniedException"), (403, "ExpiredTokenException"), (500, "ServerException"), (429, "Throttling")],
)
def test_without_an_answer_nothing_is_changed(run: Any, command: str, status: int, error: str) -> None:
    assert run(command, status, error) == 7


@pytest.mark.parametrize(
    ("status", "error", "number"),
    [
        (403, "AccessDeniedException", 1),
        (400, "InvalidParameterException", 2),
        (404, "ResourceNotFoundException", 1),
        (409, "ResourceInUseException", 4),
    ],
)
def test_errors_of_eks_have_their_exit_status(run: Any, status: int, error: str, number: int) -> None:
    assert run("versions", status, error) == number


def test_a_cluster_without_the_addon_is_told_apart_from_one_that_is_not_there(run: Any) -> None:
    assert run("update", 404, "ResourceNotFoundException", "No addon: vpc-cni found in cluster: c") == 2
    assert run("update", 404, "ResourceNotFoundException", "No cluster found for name: c.") == 2


def test_credentials_that_are_missing_are_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    words = ["addon", "versions", "--endpoint-url", "http://127.0.0.1:9"]
    for more in ([], ["--region", "us-west-2"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == 2
    assert "log in to AWS" in capsys.readouterr().err
