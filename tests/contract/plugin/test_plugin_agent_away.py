"""The plugin when the agent is absent, hung, slow, killed or restarting. Times are those of the quick build."""

import asyncio
import os
import socket
import threading
import time

import pytest

from vpc_cni.model import SandboxKey
from vpc_cni.rpc import decode_spooled, encode_request, spool_name, write_marker
from vpc_cni.rpc.messages import Request
from vpc_cni.rpc.spool import MAX_FILE_BYTES, MAX_FILES

KEY = SandboxKey("aws-cni", "c0ffee", "eth0")


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def hang(session):
    await asyncio.sleep(30)


async def close_at_once(session):
    return


async def progress_then_close(session):
    await session.progress()


@pytest.fixture
def spool(socket_path):
    return socket_path.parent / "spool"


@pytest.fixture
def refused(socket_path):
    """A socket file that nobody listens on any more."""
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(socket_path))


@pytest.mark.parametrize(("command", "code"), [("ADD", 11), ("CHECK", 11), ("GC", 11), ("STATUS", 50)])
def test_absent_agent(plugin, command, code):
    outcome = plugin.run(command, plugin.config("1.1.0"))
    outcome.assert_error(code, str(plugin.socket), "aws-node", version="1.1.0")
    assert 0.2 < outcome.seconds < 2


@pytest.fixture
def reference_agent():
    """Something that listens where the reference's agent does."""
    with socket.create_server(("127.0.0.1", 50051)) as listener:
        yield listener


@pytest.mark.parametrize(("command", "code"), [("ADD", 11), ("CHECK", 11), ("GC", 11), ("STATUS", 50)])
def test_the_agent_of_the_reference_is_named_with_a_remedy(plugin, reference_agent, command, code):
    outcome = plugin.run(command, plugin.config("1.1.0"))
    outcome.assert_error(code, str(plugin.socket), "amazon-vpc-cni-k8s", "init container", version="1.1.0")


def test_a_del_beside_the_agent_of_the_reference_is_recorded(plugin, reference_agent, spool):
    """Any process may listen there: it must not keep pods from ending."""
    plugin.run("DEL").assert_silent_success()
    assert [path.name for path in spool.iterdir()] == [spool_name(KEY)]


def test_a_dead_socket_is_an_absent_agent(plugin, refused):
    plugin.run("ADD").assert_error(11, "refused")


@pytest.mark.parametrize(("command", "code"), [("ADD", 11), ("CHECK", 11), ("GC", 11), ("STATUS", 50)])
def test_hung_agent(plugin, agent, command, code):
    with agent(hang):
        outcome = plugin.run(command, plugin.config("1.1.0"))
    outcome.assert_error(code, "no answer in time")
    assert 0.25 < outcome.seconds < 2


def test_hung_agent_that_does_not_even_accept(plugin, socket_path):
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen(0)
        outcome = plugin.run("ADD", plugin.config(padding="x" * 1_000_000))
    outcome.assert_error(11, "does not read the request")
    assert outcome.seconds < 2


def test_full_backlog_is_waited_for_briefly(plugin, socket_path):
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(socket_path))
        listener.listen(0)
        first.connect(str(socket_path))
        outcome = plugin.run("ADD")
    outcome.assert_error(11, "temporarily unavailable")
    assert outcome.seconds < 2


def test_progress_extends_the_wait_to_the_deadline(plugin, agent):
    async def slow(session):
        await session.progress("waits for an address")
        await asyncio.sleep(0.6)
        await session.result(0, b"{}")

    with agent(slow):
        outcome = plugin.run("ADD")
    assert outcome.stdout == b"{}"
    assert outcome.seconds > 0.6


def test_the_deadline_ends_a_wait_after_progress(plugin, agent):
    async def forever(session):
        while True:
            await session.progress()
            await asyncio.sleep(0.1)

    with agent(forever):
        outcome = plugin.run("ADD")
    outcome.assert_error(11, "no result in time")
    assert 2.9 < outcome.seconds < 4.5


@pytest.mark.parametrize("broken", [close_at_once, progress_then_close])
@pytest.mark.parametrize("command", ["ADD", "CHECK"])
def test_a_killed_agent_that_comes_back_gets_the_request_again(plugin, agent, answering, command, broken):
    with agent(broken, answering) as served:
        assert plugin.run(command).exit_code == 0
    assert len(served.requests) == 2
    assert served.requests[0].config == served.requests[1].config
    assert served.requests[1].descriptors == "sn"
    assert served.requests[1].deadline_ms < served.requests[0].deadline_ms


def test_an_agent_that_always_breaks_is_given_up(plugin, agent):
    with agent(close_at_once):
        outcome = plugin.run("ADD")
    outcome.assert_error(11, "closed the connection")
    assert outcome.seconds < 2


def test_an_agent_that_never_comes_back_after_progress_is_given_up(plugin, agent, socket_path):
    async def vanish(session):
        socket_path.unlink()
        await session.progress()

    with agent(vanish):
        outcome = plugin.run("ADD")
    outcome.assert_error(11, "No such file")
    assert outcome.seconds < 2


@pytest.mark.parametrize("command", ["ADD", "CHECK", "STATUS", "GC"])
def test_a_restarting_agent_is_waited_for(plugin, agent, answering, socket_path, command):
    socket_path.parent.mkdir(mode=0o700)
    write_marker(socket_path.parent, until=boottime() + 5)
    late = agent(answering)
    timer = threading.Timer(0.5, late.__enter__)
    timer.start()
    try:
        outcome = plugin.run(command, plugin.config("1.1.0"))
    finally:
        timer.join()
        late.__exit__()
    assert outcome.exit_code == 0
    assert 0.5 < outcome.seconds < 2


@pytest.mark.parametrize(
    ("marker", "least", "most"),
    [
        pytest.param(lambda: b"%d\n" % ((boottime() + 0.6) * 1000), 0.5, 1.4, id="until its deadline"),
        pytest.param(lambda: b"%d\n" % ((boottime() + 3600) * 1000), 1.4, 2.8, id="at most so long"),
        pytest.param(lambda: b"%d\n" % ((boottime() - 1) * 1000), 0.2, 1.4, id="past"),
        pytest.param(lambda: b"99999999999999999999999\n", 0.2, 1.4, id="too long"),
        pytest.param(lambda: b"", 0.2, 1.4, id="empty"),
        pytest.param(lambda: b"99999999999", 0.2, 1.4, id="cut"),
        pytest.param(lambda: b"soon\n", 0.2, 1.4, id="not a number"),
        pytest.param(lambda: b"-5\n", 0.2, 1.4, id="negative"),
    ],
)
def test_how_long_a_marker_is_believed(plugin, socket_path, marker, least, most):
    socket_path.parent.mkdir(mode=0o700)
    (socket_path.parent / "restarting").write_bytes(marker())
    outcome = plugin.run("ADD")
    outcome.assert_error(11)
    assert least < outcome.seconds < most


# ---- DEL and its spool


@pytest.mark.parametrize("behaviour", [hang, close_at_once, progress_then_close])
def test_a_del_without_an_answer_is_recorded(plugin, agent, spool, behaviour):
    before = boottime()
    with agent(behaviour):
        outcome = plugin.run("DEL")
    outcome.assert_silent_success()
    [file] = spool.iterdir()
    assert file.name == spool_name(KEY)
    assert (spool.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    request = decode_spooled(file.read_bytes())
    assert (request.command, request.container_id, request.ifname) == ("DEL", "c0ffee", "eth0")
    assert request.config == plugin.config()
    assert before - 0.01 <= request.released_at_ms / 1000 <= boottime()


def test_a_del_does_not_wait_for_a_restart(plugin, socket_path, spool):
    socket_path.parent.mkdir(mode=0o700)
    write_marker(socket_path.parent, until=boottime() + 5)
    outcome = plugin.run("DEL")
    outcome.assert_silent_success()
    assert outcome.seconds < 1.2
    assert len(list(spool.iterdir())) == 1


def test_recording_makes_the_directories_when_no_agent_ever_ran(plugin, socket_path, spool):
    plugin.run("DEL").assert_silent_success()
    assert socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert len(list(spool.iterdir())) == 1


def test_a_repeated_del_replaces_its_record(plugin, spool):
    plugin.run("DEL").assert_silent_success()
    first = decode_spooled(next(spool.iterdir()).read_bytes())
    plugin.run("DEL").assert_silent_success()
    [file] = spool.iterdir()
    assert decode_spooled(file.read_bytes()).released_at_ms >= first.released_at_ms


@pytest.mark.parametrize(
    "key",
    [
        SandboxKey("a", "b", "eth0"),
        SandboxKey("n" * 100, "c" * 138, "e" * 15),
        SandboxKey("n" * 100, "c" * 139, "e" * 15),
        SandboxKey("n" * 255, "c" * 255, "e" * 15),
    ],
    ids=["short", "alias of 255", "alias of 256", "longest"],
)
def test_the_record_is_named_as_the_agent_names_it(plugin, spool, key):
    config = plugin.config(name=key.network_name)
    plugin.run("DEL", config, CNI_CONTAINERID=key.container_id, CNI_IFNAME=key.ifname).assert_silent_success()
    [file] = spool.iterdir()
    assert file.name == spool_name(key)


def test_a_record_equals_what_this_package_encodes(plugin, spool):
    plugin.run("DEL", CNI_ARGS=None, CNI_NETNS=None, CNI_PATH=None).assert_silent_success()
    [file] = spool.iterdir()
    data = file.read_bytes()
    at = decode_spooled(data).released_at_ms
    expected = Request("DEL", plugin.config(), "c0ffee", ifname="eth0", shim_version="9.9.9", released_at_ms=at)
    assert data == encode_request(expected)


def test_a_large_del_is_recorded_with_what_identifies_it(plugin, spool):
    config = plugin.config("0.4.0", padding="x" * MAX_FILE_BYTES)
    plugin.run("DEL", config).assert_silent_success()
    [file] = spool.iterdir()
    assert file.stat().st_size <= MAX_FILE_BYTES
    request = decode_spooled(file.read_bytes())
    assert request.config == b'{"cniVersion":"0.4.0","name":"aws-cni"}'
    assert request.container_id == "c0ffee"


def test_a_full_spool_fails_the_del_unless_it_is_recorded_already(plugin, spool):
    plugin.run("DEL").assert_silent_success()
    for number in range(MAX_FILES - 1):
        (spool / f"{number:064x}").touch()
    plugin.run("DEL").assert_silent_success()
    plugin.run("DEL", CNI_CONTAINERID="other").assert_error(5, "full", str(plugin.socket))
    assert len(list(spool.iterdir())) == MAX_FILES


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_spool_that_others_can_write_is_not_used(plugin, socket_path, spool, mode):
    socket_path.parent.mkdir(mode=0o700)
    spool.mkdir()
    spool.chmod(mode)
    plugin.run("DEL").assert_error(5, "cannot be recorded", "0700")
    assert list(spool.iterdir()) == []


def test_a_spool_that_is_a_link_is_not_followed(plugin, socket_path, spool, tmp_path):
    socket_path.parent.mkdir(mode=0o700)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    spool.symlink_to(tmp_path / "elsewhere")
    plugin.run("DEL").assert_error(5, "cannot be recorded")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_room_for_the_spool_is_said(plugin, socket_path):
    socket_path.parent.parent.joinpath("file").touch()
    config = plugin.config(agentSocket=str(socket_path.parent.parent / "file" / "a.sock"))
    plugin.run("DEL", config).assert_error(5, "cannot be recorded", "Not a directory")


def test_a_socket_of_another_user_is_not_trusted(plugin, socket_path, spool):
    socket_path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        os.seteuid(65534)  # the kernel records who listens
        try:
            listener.listen()
        finally:
            os.seteuid(0)
        plugin.run("ADD").assert_error(11, "another user")
        plugin.run("DEL").assert_silent_success()
    assert len(list(spool.iterdir())) == 1
