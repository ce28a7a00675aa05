import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpc_cni.agent.http import HttpFace, LoopBridge, Reply
from vpc_cni.errors import ConfigurationError, HostError


def fail() -> Reply:
    raise ValueError("secret detail")


def busy() -> Reply:
    raise HostError("the loop hangs", hint="see /livez")


@pytest.fixture
def face() -> Iterator[HttpFace]:
    routes = {
        "/v1/enis": lambda: Reply.of_json({"TotalIPs": 3}),
        "/livez": lambda: Reply.of_text("ok"),
        "/fail": fail,
        "/busy": busy,
    }
    served = HttpFace("127.0.0.1:0", routes, name="test")
    served.start()
    yield served
    served.close()


def get(face: HttpFace, path: str) -> tuple[int, str]:
    host, port = face.address  # type: ignore[misc]
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_route_answers_with_its_status_and_body(face: HttpFace) -> None:
    assert get(face, "/livez") == (200, "ok\n")
    assert json.loads(get(face, "/v1/enis?verbose=1")[1]) == {"TotalIPs": 3}


def test_the_root_and_unknown_introspection_paths_list_the_commands(face: HttpFace) -> None:
    for path in ("/", "/v1/nothing"):
        status, body = get(face, path)
        assert status == 200
        assert "/v1/enis" in json.loads(body)["AvailableCommands"]


def test_another_unknown_path_is_404(face: HttpFace) -> None:
    assert get(face, "/etc/passwd")[0] == 404


def test_a_failing_route_is_500_without_details(face: HttpFace) -> None:
    status, body = get(face, "/fail")
    assert status == 500
    assert "secret" not in body


def test_a_hanging_loop_is_503(face: HttpFace) -> None:
    assert get(face, "/busy")[0] == 503


def test_other_methods_are_refused(face: HttpFace) -> None:
    host, port = face.address  # type: ignore[misc]
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("POST", "/livez", body=b"x")
    assert connection.getresponse().status == 501
    connection.close()


def test_a_unix_socket_is_private_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "introspect.sock"
    path.write_text("stale")
    served = HttpFace(f"unix:{path}", {"/livez": lambda: Reply.of_text("ok")}, name="test")
    served.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b"200" in client.recv(1000)
    served.close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("bind", ["nonsense", "127.0.0.1:port", "127.0.0.1:99999"])
def test_a_bad_address_is_a_configuration_error(bind: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        HttpFace(bind, {}, name="test")


def test_a_taken_address_is_a_host_error(face: HttpFace) -> None:
    _, port = face.address  # type: ignore[misc]
    with pytest.raises(HostError, match="another agent"):
        HttpFace(f"127.0.0.1:{port}", {}, name="test")


def test_the_bridge_runs_on_the_loop_and_hands_errors_back() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    bridge = LoopBridge(loop)

    assert bridge.call(threading.get_ident) == thread.ident
    with pytest.raises(ZeroDivisionError):
        bridge.call(lambda: 1 // 0)  # type: ignore[return-value]

    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_clients_that_say_nothing_take_few_threads(face: HttpFace) -> None:
    host, port = face.address  # type: ignore[misc]
    before = threading.active_count()
    silent = [socket.create_connection((host, port), timeout=5) for _ in range(60)]
    try:
        # Each connection that is served has a thread and a timer; those beyond the bound are closed at once.
        closed = [client for client in silent if _is_closed(client)]
        assert len(closed) >= 60 - 16
        assert threading.active_count() - before <= 2 * 16
    finally:
        for client in silent:
            client.close()


def test_a_client_that_hangs_up_leaves_no_trace(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answered = threading.Event()
    waits = threading.Event()

    def answer_late() -> Reply:
        waits.wait(5)
        answered.set()
        return Reply.of_text("late" * 100_000)

    late = HttpFace(f"unix:{tmp_path}/sock", {"/late": answer_late}, name="late")
    late.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "sock"))
        client.sendall(b"GET /late HTTP/1.0\r\n\r\n")
    waits.set()
    assert answered.wait(5)
    late.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "process_request" in thread.name:
            thread.join(5)
    assert capfd.readouterr().err == ""


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.05)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
