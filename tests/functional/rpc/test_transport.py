"""Real unix sockets and real descriptors: nothing leaks, whatever arrives."""

import array
import asyncio
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpc_cni.errors import CallerError, HostError
from vpc_cni.rpc import (
    PassedDescriptors,
    Progress,
    Request,
    Result,
    check_peer,
    encode_frame,
    encode_progress,
    encode_request,
    encode_result,
    exchange,
    get_peer,
    open_listener,
    receive_request,
    send_frame,
    wait_peer_gone,
)
from vpc_cni.rpc.frames import MAX_CONFIG_BYTES, VERSION, Frame
from vpc_cni.rpc.messages import request_fields
from vpc_cni.rpc.transport import MAX_DESCRIPTORS

REQUEST = Request("ADD", b"{}", "c", "/n", "eth0")


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection; both ends non-blocking at the first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture
def netlink() -> Iterator[int]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        yield sock.fileno()


@pytest.fixture
def namespace() -> Iterator[int]:
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def by_letter(netlink: int, namespace: int, pair: tuple[socket.socket, socket.socket]) -> Iterator[dict[str, int]]:
    """Right and wrong descriptors: netlink and unix Socket, network and Mount namespace, File."""
    mounts, file = os.open("/proc/self/ns/mnt", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
    yield {"s": netlink, "n": namespace, "m": mounts, "f": file, "u": pair[0].fileno()}
    os.close(mounts)
    os.close(file)


def send(sock: socket.socket, data: bytes, fds: list[int]) -> None:
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def receive(sock: socket.socket, timeout_seconds: float = 5) -> tuple[Request, PassedDescriptors]:
    return asyncio.run(receive_request(sock, timeout_seconds=timeout_seconds))


def with_kinds(kinds: str) -> bytes:
    return encode_request(Request("ADD", b"{}", descriptors=kinds))


# ---- requests and their descriptors


def test_descriptors_arrive_close_on_exec_and_are_usable(pair, netlink, namespace):
    send(pair[1], with_kinds("sn"), [netlink, namespace])
    request, descriptors = receive(pair[0])
    with descriptors:
        assert request.descriptors == "sn"
        assert os.fstat(descriptors.namespace).st_ino == os.stat("/proc/self/ns/net").st_ino
        assert not os.get_inheritable(descriptors.namespace)
        with socket.socket(fileno=os.dup(descriptors.netlink_socket)) as sock:
            assert sock.family == socket.AF_NETLINK


def test_leaving_the_owner_closes_what_nobody_took(pair, netlink, namespace):
    before = open_fds()
    send(pair[1], with_kinds("sn"), [netlink, namespace])
    _, descriptors = receive(pair[0])
    with descriptors:
        taken = descriptors.take("s")
        assert descriptors.netlink_socket is None
        assert len(open_fds() - before) == 2
    assert len(open_fds() - before) == 1
    os.close(taken)
    descriptors.close()
    assert open_fds() == before


def test_order_is_the_letters(pair, netlink, namespace):
    send(pair[1], with_kinds("ns"), [namespace, netlink])
    with receive(pair[0])[1] as descriptors:
        assert stat.S_ISSOCK(os.fstat(descriptors.netlink_socket).st_mode)


def test_kinds_of_a_later_plugin_are_closed(pair, netlink, namespace):
    before = open_fds()
    send(pair[1], with_kinds("xsny"), [namespace, netlink, namespace, netlink])
    _, descriptors = receive(pair[0])
    assert len(open_fds() - before) == 2
    descriptors.close()
    assert open_fds() == before


@pytest.mark.parametrize(
    ("data", "names", "words"),
    [
        pytest.param(with_kinds(""), "s", "announces 0 descriptors, 1 arrived", id="not announced"),
        pytest.param(with_kinds("s"), "sn", "announces 1 descriptors, 2 arrived", id="more than announced"),
        pytest.param(with_kinds("sn"), "s", "announces 2 descriptors, 1 arrived", id="fewer than announced"),
        pytest.param(with_kinds("sn"), "", "0 arrived", id="none"),
        pytest.param(with_kinds("ss"), "ss", "repeat", id="one kind twice"),
        pytest.param(with_kinds("s"), "n", "not a NETLINK_ROUTE socket", id="namespace as socket"),
        pytest.param(with_kinds("s"), "u", "not a NETLINK_ROUTE socket", id="unix socket as netlink"),
        pytest.param(with_kinds("n"), "s", "not a network namespace", id="socket as namespace"),
        pytest.param(with_kinds("n"), "m", "not a network namespace", id="mount namespace"),
        pytest.param(with_kinds("n"), "f", "not a network namespace", id="file as namespace"),
        pytest.param(with_kinds(""), "s" * (MAX_DESCRIPTORS + 1), "more than 8 descriptors", id="too many"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "sn", "magic", id="another protocol"),
        pytest.param(encode_result(Result(0)), "sn", "where a request was expected", id="another type"),
        pytest.param(with_kinds("sn") + b"x", "sn", "bytes follow", id="trailing bytes"),
        pytest.param(
            encode_frame(Frame(1, request_fields(REQUEST), 9, VERSION + 1)), "sn", "needs a reader", id="too new"
        ),
    ],
)
def test_whatever_is_wrong_every_descriptor_is_closed(pair, by_letter, data, names, words):
    before = open_fds()
    send(pair[1], data, [by_letter[name] for name in names])
    with pytest.raises(CallerError, match=words):
        receive(pair[0])
    assert open_fds() == before


def test_a_cut_request_closes_its_descriptors(pair, netlink, namespace):
    before = open_fds()
    send(pair[1], with_kinds("sn")[:30], [netlink, namespace])
    pair[1].shutdown(socket.SHUT_WR)
    with pytest.raises(CallerError, match="closed after 30 bytes"):
        receive(pair[0])
    assert open_fds() == before


@pytest.mark.parametrize("sent", [0, 1, 12, 30])
def test_a_slow_request_is_given_up_and_its_descriptors_closed(pair, netlink, namespace, sent):
    before = open_fds()
    if sent:
        send(pair[1], with_kinds("sn")[:sent], [netlink, namespace])
    with pytest.raises(CallerError, match="no complete request within"):
        receive(pair[0], timeout_seconds=0.02)
    assert open_fds() == before


def test_cancelling_closes_the_descriptors(pair, netlink, namespace):
    async def cancelled() -> None:
        task = asyncio.create_task(receive_request(pair[0], timeout_seconds=5))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    before = open_fds()
    send(pair[1], with_kinds("sn")[:20], [netlink, namespace])
    asyncio.run(cancelled())
    assert open_fds() == before


def test_descriptors_of_later_bytes_are_not_taken(pair, netlink):
    async def receive_in_two() -> Request:
        task = asyncio.create_task(receive_request(pair[0], timeout_seconds=5))
        send(pair[1], encode_request(REQUEST)[:20], [])
        await asyncio.sleep(0.01)
        send(pair[1], encode_request(REQUEST)[20:], [netlink])
        request, descriptors = await task
        assert (descriptors.netlink_socket, descriptors.namespace) == (None, None)
        return request

    before = open_fds()
    assert asyncio.run(receive_in_two()) == REQUEST
    assert open_fds() == before


def test_a_request_in_single_bytes_and_a_large_one(pair):
    def drip(data: bytes, size: int) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: [pair[1].sendall(data[n : n + size]) for n in range(0, len(data), size)]
        )
        thread.start()
        return thread

    for request, size in ((REQUEST, 1), (Request("ADD", b"x" * MAX_CONFIG_BYTES, args="y" * 60_000), 1 << 20)):
        thread = drip(encode_request(request), size)
        assert receive(pair[0])[0] == request
        thread.join()


def test_a_flood_is_refused_without_reading_it_all(pair):
    pair[1].setblocking(False)
    pair[1].send(struct.pack("!4sBBBBI", b"vcni", 1, 1, 1, 0, 0xFFFFFFFF))
    with pytest.raises(CallerError, match="exceeds"):
        receive(pair[0])


# ---- answers and the end of a connection


def test_a_large_frame_is_sent_whole_and_a_gone_peer_is_told(pair):
    frame = encode_result(Result(0, b"x" * MAX_CONFIG_BYTES))
    received = bytearray()

    def read() -> None:
        while len(received) < len(frame):
            received.extend(pair[1].recv(1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    assert asyncio.run(send_frame(pair[0], frame, timeout_seconds=5))
    thread.join()
    assert received == frame
    pair[1].close()
    assert not asyncio.run(send_frame(pair[0], frame, timeout_seconds=5))


def test_a_peer_that_does_not_read_is_given_up(pair):
    frame = encode_result(Result(0, b"x" * MAX_CONFIG_BYTES))
    assert not asyncio.run(send_frame(pair[0], frame, timeout_seconds=0.02))


def test_a_peer_that_closes_is_noticed(pair):
    async def wait() -> bool:
        waiter = asyncio.create_task(wait_peer_gone(pair[0]))
        await asyncio.sleep(0.01)
        assert not waiter.done()
        pair[1].close()
        await asyncio.wait_for(waiter, 5)
        return True

    assert asyncio.run(wait())


# ---- the listener


def test_the_listener_is_private(tmp_path):
    path = tmp_path / "run" / "a.sock"
    with open_listener(path) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert not listener.getblocking()
        assert not listener.get_inheritable()


def test_an_open_directory_is_closed_to_others(tmp_path):
    tmp_path.chmod(0o755)
    open_listener(tmp_path / "a.sock").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = tmp_path / "a.sock"
    open_listener(path).close()
    before = open_fds()
    with open_listener(path):
        with pytest.raises(HostError, match="another agent"):
            open_listener(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert open_fds() == before


@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_not_a_socket_is_kept(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(HostError, match="not a socket"):
        open_listener(tmp_path / name)
    assert (tmp_path / name).exists()


def test_a_path_that_is_too_long_or_no_folder_is_explained(tmp_path):
    with pytest.raises(HostError, match="longer than 107 bytes"):
        open_listener(tmp_path / ("x" * 107))
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot listen"):
        open_listener(tmp_path / "file" / "a.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(HostError, match="belongs to uid 65534"):
        open_listener(folder / "a.sock")


# ---- peers


def test_a_peer_is_known(pair):
    peer = get_peer(pair[0])
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert check_peer(pair[0], uid=os.geteuid()) == peer


def test_a_peer_of_another_user_is_refused(pair):
    with pytest.raises(CallerError, match=f"of uid {os.geteuid()} may not"):
        check_peer(pair[0], uid=os.geteuid() + 1)


# ---- the client


def serve_once(path: Path, *frames: bytes) -> threading.Thread:
    listener = open_listener(path)
    listener.setblocking(True)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(1 << 16)
            for frame in frames:
                connection.sendall(frame)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_the_client_passes_progress_and_returns_the_result(tmp_path):
    states: list[str] = []
    later = encode_frame(Frame(55, ()))
    thread = serve_once(tmp_path / "a.sock", encode_progress(Progress("one")) + later, encode_result(Result(3, b"out")))
    result = exchange(tmp_path / "a.sock", REQUEST, on_progress=lambda progress: states.append(progress.state))
    thread.join()
    assert (result, states) == (Result(3, b"out"), ["one"])


@pytest.mark.parametrize("frames", [(), (encode_progress(Progress()),), (encode_result(Result(0))[:-1],)])
def test_the_client_says_when_no_result_comes(tmp_path, frames):
    thread = serve_once(tmp_path / "a.sock", *frames)
    with pytest.raises(HostError, match="without a result"):
        exchange(tmp_path / "a.sock", REQUEST)
    thread.join()


def test_the_client_says_when_nobody_is_there(tmp_path):
    with pytest.raises(HostError, match="failed") as caught:
        exchange(tmp_path / "a.sock", REQUEST)
    assert caught.value.retryable
