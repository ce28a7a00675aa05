"""The watch against a real TLS server that breaks in every way that servers and the way to them break."""

import json
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from vpc_cni.errors import KubernetesDeniedError, VpcCniError
from vpc_cni.kube import KubeClient, Limits, Node, Watcher, own_node

Json = dict[str, Any]
PATIENCE = 10.0


class Diary:
    """What a watch tells, in order."""

    def __init__(self) -> None:
        self.entries: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.errors: list[VpcCniError] = []

    def listed(self, items: Sequence[Node]) -> None:
        self.entries.put(("listed", tuple(each.spec.unschedulable for each in items)))

    def changed(self, item: Node) -> None:
        self.entries.put(("changed", item.spec.unschedulable))

    def deleted(self, item: Node) -> None:
        self.entries.put(("deleted", item.metadata.name))

    def lost(self, error: VpcCniError) -> None:
        self.errors.append(error)
        self.entries.put(("lost", type(error).__name__))

    def resumed(self) -> None:
        self.entries.put(("resumed", None))

    def until(self, wanted: tuple[str, Any]) -> list[tuple[str, Any]]:
        """Return the entries up to the wanted one."""
        found = []
        while True:
            found.append(self.entries.get(timeout=PATIENCE))
            if found[-1] == wanted:
                return found


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def watcher(server: Any, client: KubeClient, diary: Diary, node: Callable[..., Json]) -> Iterator[Watcher[Node]]:
    server.put("nodes", node())
    server.put("nodes", node("other"))
    made = Watcher(client, own_node("node-1"), diary)
    yield made
    made.stop()


@pytest.fixture
def started(watcher: Watcher[Node], server: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    yield thread
    watcher.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the watch did not end when it was stopped"


def test_it_lists_its_own_node_alone_and_then_follows(
    started: threading.Thread, server: Any, diary: Diary, node: Callable[..., Json]
) -> None:
    assert diary.until(("resumed", None)) == [("listed", (False,)), ("resumed", None)]
    server.put("nodes", node("other", cordoned=True))
    server.put("nodes", node(cordoned=True))
    assert diary.until(("changed", True)) == [("changed", True)]
    server.drop("nodes", "node-1")
    assert diary.until(("deleted", "node-1")) == [("deleted", "node-1")]
    assert "fieldSelector=metadata.name%3Dnode-1" in server.requests("watch")[0]
    assert "resourceVersion=0" in server.requests("list")[0]


def test_a_cut_watch_goes_on_from_where_it_was(
    watcher: Watcher[Node], server: Any, diary: Diary, node: Callable[..., Json]
) -> None:
    def bookmark_then_half_a_line(handler: Any) -> None:
        handler.start_stream()
        handler.line("BOOKMARK", {"metadata": {"resourceVersion": "4321"}})
        handler.chunk(b'{"type": "MODIFIED", "obj')
        handler.cut()

    server.faults["watch"].append(bookmark_then_half_a_line)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    server.until(lambda: len(server.requests("watch")) == 2)
    assert "resourceVersion=4321" in server.requests("watch")[1]
    server.version = 5000
    server.put("nodes", node(cordoned=True))
    assert diary.until(("changed", True))[-3:-1] == [("lost", "KubernetesUnreachableError"), ("resumed", None)]
    assert len(server.requests("list")) == 1, "nothing was missed, so nothing is listed again"
    watcher.stop()
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda handler: handler.refuse(410, "Expired"), id="410 as the answer"),
        pytest.param(
            lambda handler: (
                handler.start_stream(),
                handler.line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}),
                handler.cut(),
            ),
            id="410 as a line",
        ),
        pytest.param(
            lambda handler: (handler.start_stream(), handler.chunk(b"<html>proxy</html>\n"), handler.cut()),
            id="garbage",
        ),
        pytest.param(
            lambda handler: (handler.start_stream(), handler.chunk(b"\xff\xfe{\n"), handler.cut()), id="no UTF-8"
        ),
        pytest.param(
            lambda handler: (handler.start_stream(), handler.chunk(b"[" * 15_000 + b"\n"), handler.cut()),
            id="deep nesting",
        ),
        pytest.param(
            lambda handler: (handler.start_stream(), handler.chunk(b'"' + b"x" * 30_000), handler.cut()),
            id="huge line",
        ),
        pytest.param(
            lambda handler: (handler.start_stream(), handler.line("ADDED", {"metadata": {}}), handler.cut()),
            id="no resource version",
        ),
        pytest.param(
            lambda handler: (
                handler.start_stream(),
                handler.line("INVENTED", {"metadata": {"resourceVersion": "1"}}),
                handler.cut(),
            ),
            id="unknown event",
        ),
    ],
)
def test_what_may_have_been_missed_is_listed_again(
    watcher: Watcher[Node],
    server: Any,
    diary: Diary,
    node: Callable[..., Json],
    break_it: Callable[[Any], None],
) -> None:
    server.faults["watch"].append(break_it)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    diary.until(("listed", (False,)))
    diary.until(("listed", (False,)))
    server.put("nodes", node(cordoned=True))
    diary.until(("changed", True))
    first, second = server.requests("list")
    assert "resourceVersion=0" in first
    assert "resourceVersion=0" not in second, "after a gap the server's memory is not good enough"
    watcher.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda handler: handler.cut(), id="cut before an answer"),
        pytest.param(lambda handler: (handler.start_stream(), handler.cut()), id="cut without a line"),
        pytest.param(lambda handler: handler.refuse(500, "InternalError"), id="500"),
        pytest.param(lambda handler: handler.refuse(429, "TooManyRequests"), id="429"),
        pytest.param(lambda handler: handler.answer(502, b"<html>bad gateway</html>"), id="502 of a proxy"),
        pytest.param(lambda handler: (handler.start_stream(), handler.chunk(b"")), id="ended at once"),
    ],
)
def test_a_watch_that_breaks_is_taken_up_without_listing(
    watcher: Watcher[Node],
    server: Any,
    diary: Diary,
    node: Callable[..., Json],
    break_it: Callable[[Any], None],
) -> None:
    server.faults["watch"] += [break_it, break_it]
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    diary.until(("resumed", None))
    server.put("nodes", node(cordoned=True))
    diary.until(("changed", True))
    assert len(server.requests("list")) == 1
    assert len(server.requests("watch")) == 3
    watcher.stop()
    thread.join(PATIENCE)


def test_a_watch_from_before_the_history_lists_again(
    watcher: Watcher[Node], server: Any, diary: Diary, node: Callable[..., Json]
) -> None:
    def forget(handler: Any) -> None:
        server.put("nodes", node(cordoned=True))
        server.forget_history()
        handler.cut()

    server.faults["watch"].append(forget)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    entries = diary.until(("listed", (True,)))
    assert ("changed", True) not in entries
    watcher.stop()
    thread.join(PATIENCE)


def test_silence_is_no_loss(access: Any, server: Any, diary: Diary, timing: Any, node: Callable[..., Json]) -> None:
    server.put("nodes", node())
    watcher = Watcher(KubeClient(access, timing=timing, limits=Limits(silence_seconds=0.1)), own_node("node-1"), diary)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    server.until(lambda: server.watches == 3)
    server.put("nodes", node(cordoned=True))
    diary.until(("changed", True))
    assert diary.errors == []
    assert len(server.requests("list")) == 1
    watcher.stop()
    thread.join(PATIENCE)


def test_a_missing_permission_is_told_by_name_and_asked_for_again(
    watcher: Watcher[Node], server: Any, diary: Diary
) -> None:
    server.faults["list"].append(lambda handler: handler.refuse(403, "Forbidden", 'nodes is forbidden: User "x"'))
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    diary.until(("resumed", None))
    (error,) = diary.errors
    assert isinstance(error, KubernetesDeniedError)
    assert error.hint == 'give ClusterRole aws-node the verb "list" on "nodes"'
    watcher.stop()
    thread.join(PATIENCE)


def test_a_stopped_watch_ends_though_the_server_says_nothing(started: threading.Thread, diary: Diary) -> None:
    diary.until(("resumed", None))  # the fixture asserts the rest


def test_lines_arrive_whole_however_they_are_cut_up(
    watcher: Watcher[Node], server: Any, diary: Diary, node: Callable[..., Json]
) -> None:
    def drip(handler: Any) -> None:
        document = node(cordoned=True)
        document["metadata"]["resourceVersion"] = "5000"
        text = json.dumps({"type": "MODIFIED", "object": document}).encode() + b"\n\n"
        handler.start_stream()
        for at in range(0, len(text), 7):
            handler.chunk(text[at : at + 7])
        handler.cut()

    server.faults["watch"].append(drip)
    thread = threading.Thread(target=watcher.run, daemon=True)
    thread.start()
    diary.until(("changed", True))
    server.until(lambda: len(server.requests("watch")) == 2)
    assert "resourceVersion=5000" in server.requests("watch")[1]
    watcher.stop()
    thread.join(PATIENCE)
