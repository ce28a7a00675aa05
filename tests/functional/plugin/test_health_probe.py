"""The health probe against real sockets: flags, exit codes, words and deadlines."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vpc_cni.agent.http import HttpFace, Reply
from vpc_cni.plugin.build import PROBE_NAME, ensure_program, read_version
from vpc_cni.plugin.locate import host_architecture

HEALTHY, BAD_ARGUMENTS, NOT_CONNECTED, REQUEST_FAILED, UNHEALTHY = range(5)


@pytest.fixture(scope="module")
def binary() -> Path:
    return ensure_program(PROBE_NAME, host_architecture(), version=read_version())


@dataclass
class Probe:
    """Runs the probe with a run directory of its own; ``faces`` are the agent's pages there."""

    binary: Path
    run_dir: Path

    def __call__(self, *flags: str) -> subprocess.CompletedProcess[str]:
        environment = {"VPC_CNI_RUN_DIR": str(self.run_dir)}
        return subprocess.run(
            (self.binary, *flags), env=environment, capture_output=True, text=True, check=False, timeout=20
        )


@pytest.fixture
def probe(binary: Path, tmp_path: Path) -> Probe:
    return Probe(binary, tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[..., HttpFace]]:
    """Serve pages, as the agent does, until the end of the test."""
    faces = []

    def start(bind: str, *, livez: Reply, readyz: Reply) -> HttpFace:
        face = HttpFace(bind, {"/livez": lambda: livez, "/readyz": lambda: readyz}, name="pages")
        face.start()
        faces.append(face)
        return face

    yield start
    for face in faces:
        face.close()


OK = Reply.of_text("ok")
AWAY = Reply.of_text("not ready: the journal is full", 503)
BROKEN = Reply.of_text("internal error", 500)
# As the add-on's manifests call it, in both generations.
MANIFEST_FLAGS = [
    ("-addr=:50051", "-connect-timeout=5s", "-rpc-timeout=5s"),
    ("-addr=unix:///{run_dir}/ipamd.sock", "-connect-timeout=5s", "-rpc-timeout=5s"),
]


def in_run_dir(flags: tuple[str, ...], run_dir: Path) -> list[str]:
    return [flag.replace("/{run_dir}", str(run_dir)) for flag in flags]


@pytest.mark.parametrize("flags", MANIFEST_FLAGS, ids=["port", "socket"])
def test_an_agent_that_serves_is_healthy(probe, serve, flags):
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=OK)
    done = probe(*in_run_dir(flags, probe.run_dir))
    assert (done.returncode, done.stdout, done.stderr) == (HEALTHY, "status: SERVING\n", "")


@pytest.mark.parametrize("flags", MANIFEST_FLAGS, ids=["port", "socket"])
def test_an_agent_that_does_not_serve_says_why(probe, serve, flags):
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=AWAY)
    done = probe(*in_run_dir(flags, probe.run_dir))
    assert (done.returncode, done.stdout) == (UNHEALTHY, "")
    assert done.stderr.endswith('"NOT_SERVING"): not ready: the journal is full\n')


@pytest.mark.parametrize(
    ("service", "outcome"),
    [
        ("", UNHEALTHY),
        ("grpc.health.v1.aws-node", UNHEALTHY),
        ("readiness", UNHEALTHY),
        ("liveness", HEALTHY),
        ("other", REQUEST_FAILED),
    ],
)
def test_a_service_chooses_the_question(probe, serve, service, outcome):
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=AWAY)
    assert probe("-addr=:50051", f"-service={service}").returncode == outcome


def test_nobody_there_is_a_failed_connection(probe):
    done = probe("-addr=:50051")
    assert done.returncode == NOT_CONNECTED
    assert done.stderr == 'error: failed to connect service ":50051": No such file or directory\n'


def test_a_broken_page_is_a_failed_request(probe, serve):
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=BROKEN)
    assert probe("-addr=:50051").returncode == REQUEST_FAILED


@pytest.mark.parametrize("family", ["127.0.0.1", "localhost", ""])
def test_other_ports_are_asked_over_tcp(probe, serve, family):
    _host, port = serve("127.0.0.1:0", livez=OK, readyz=AWAY).address
    assert probe(f"-addr={family}:{port}").returncode == UNHEALTHY
    assert probe(f"-addr={family}:{port}", "-service=liveness").returncode == HEALTHY


def test_a_socket_of_another_name_is_asked_as_it_is(probe, serve):
    serve(f"unix:{probe.run_dir}/other.sock", livez=OK, readyz=OK)
    assert probe(f"-addr=unix:{probe.run_dir}/other.sock").returncode == HEALTHY


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that accepts connections and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "introspect.sock"))
        listener.listen(1)
        yield listener


def test_a_hanging_agent_is_given_up_in_time(probe, silent):
    started = time.monotonic()
    done = probe("-addr=:50051", "-rpc-timeout=300ms")
    assert done.returncode == REQUEST_FAILED
    assert "no answer in time" in done.stderr
    assert 0.25 < time.monotonic() - started < 5


def test_a_full_queue_is_waited_for_until_the_deadline(probe, silent):
    waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(8)]
    try:
        for client in waiting:
            client.connect_ex(silent.getsockname())
        done = probe("-addr=:50051", "-connect-timeout=200ms")
        assert (done.returncode, "timed out" in done.stderr) == (NOT_CONNECTED, True)
    finally:
        for client in waiting:
            client.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.", b"SSH-2.0-x\r\n", b"HTTP/1.1 \r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n", b"x" * 100_000],
    ids=["nothing", "half", "ssh", "no status", "redirect", "long"],
)
def test_what_is_no_answer_is_a_failed_request(probe, silent, answer):
    def reply() -> None:
        connection, _ = silent.accept()
        with connection:
            connection.recv(1000)
            connection.settimeout(1)
            try:
                connection.sendall(answer)
            except OSError:
                return  # the probe has read enough

    server = threading.Thread(target=reply)
    server.start()
    done = probe("-addr=:50051")
    server.join(timeout=5)
    assert done.returncode == REQUEST_FAILED
    assert len(done.stderr) < 5000


def test_a_terminal_obeys_nothing_in_the_answer(probe, serve):
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=Reply.of_text("\x1b[2Jbad\nline", 503))
    assert probe("-addr=:50051").stderr.endswith(": ?[2Jbad line\n")


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("-addr",),
        ("-addr=",),
        ("-addr=50051",),
        ("-addr=:0",),
        ("-addr=:65536",),
        ("-addr=:1x",),
        ("-addr=agent.example:80",),
        ("-addr=unix:relative",),
        ("-addr=unix:///" + "x" * 120,),
        ("-addr=:50051", "-connect-timeout=5"),
        ("-addr=:50051", "-connect-timeout=0s"),
        ("-addr=:50051", "-rpc-timeout=-1s"),
        ("-addr=:50051", "-rpc-timeout=1e3s"),
        ("-addr=:50051", "-rpc-timeout=999999h"),
        ("-addr=:50051", "-v=maybe"),
        ("-addr=:50051", "-tls"),
        ("-addr=:50051", "word"),
        ("-addr=:50051", "-"),
    ],
    ids=" ".join,
)
def test_bad_arguments_are_named(probe, flags):
    done = probe(*flags)
    assert done.returncode == BAD_ARGUMENTS
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "flags",
    [
        ("-addr", ":50051", "-connect-timeout", "5s", "-rpc-timeout", "1m30.5s"),
        ("--addr=:50051", "--rpc-timeout=100us", "-v=false"),
        ("-addr=:50051", "-user-agent=kubelet", "-service", ""),
    ],
)
def test_flags_may_be_written_in_every_form_of_go(probe, flags):
    assert probe(*flags).returncode == NOT_CONNECTED


def test_help_and_version_need_no_agent(probe):
    assert probe("-h").stdout.startswith("usage: grpc-health-probe ")
    assert probe("-version").stdout == f"{read_version()}\n"


def test_a_probe_costs_little(probe, serve):
    """Kubelet runs one every few seconds on every node: 50 of them in the time that one interpreter would need."""
    serve(f"unix:{probe.run_dir}/introspect.sock", livez=OK, readyz=OK)
    started = time.monotonic()
    for _ in range(50):
        assert probe("-addr=:50051").returncode == HEALTHY
    assert time.monotonic() - started < 5
    assert probe.binary.stat().st_size < 80_000
    assert b"/ld-" not in probe.binary.read_bytes(), "static: no library of the image is needed"
