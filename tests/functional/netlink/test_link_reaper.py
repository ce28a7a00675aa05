"""The reaper deletes what it was given, all of it, and nothing else."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from vpc_cni.errors import KernelError
from vpc_cni.netlink import messages
from vpc_cni.netlink.netns import Netns
from vpc_cni.netlink.reaper import BATCH_LIMIT, Reaper
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.wire import Message

if TYPE_CHECKING:
    from tests.functional.netlink.conftest import Node


@dataclass
class Reports:
    """What the reaper said; ``all_gone`` is set when nothing is expected any more."""

    reports: list[list[int]] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)
    all_gone: threading.Event = field(default_factory=threading.Event)

    def receive(self, ifindexes: Sequence[int]) -> None:
        self.reports.append(list(ifindexes))
        self.expected -= set(ifindexes)
        if not self.expected:
            self.all_gone.set()


@dataclass
class Yard(Reports):
    """A namespace full of links, and a reaper that is started when the test wants it."""

    kind: type[RouteSocket] = RouteSocket
    report: Callable[[Sequence[int]], None] | None = None

    def __post_init__(self) -> None:
        self.netns = Netns.create()
        self.host = self.netns.route_socket()
        rng = random.Random(7)  # noqa: S311 - reproducible, no secret
        report = self.report or self.receive
        self.reaper = Reaper(self.netns.run(self.kind.open), report, rng=rng, gather_seconds=0.02)

    def close(self) -> None:
        self.reaper.stop()
        self.host.close()
        self.netns.close()

    def add_link(self, number: int) -> int:
        ifindex = 1000 + 2 * number
        self.host.execute(
            [
                messages.add_veth(f"a{number}", peer_name=f"b{number}", ifindex=ifindex, peer_ifindex=ifindex + 1),
                messages.set_link(ifindex, alias=f"net/{number}/eth0"),
            ]
        )
        return ifindex

    def retire(self, number: int, *, ifindex: int) -> None:
        """Do what a DEL does."""
        self.expected.add(ifindex)
        group = self.reaper.join(ifindex, f"net/{number}/eth0")
        self.host.execute([messages.set_link(ifindex, group=group)])

    def indexes(self) -> set[int]:
        return {link.ifindex for link in self.host.list_links()} - {1}


class RefusingSocket(RouteSocket):
    """A socket on which the first deletions fail, as when the kernel is out of memory."""

    refusals = 2

    def execute(self, batch: Sequence[Message]) -> dict[int, int]:
        if self.refusals and any("delete" in request.label for request in batch):
            self.refusals -= 1
            raise KernelError("delete link group: Cannot allocate memory (ENOMEM)", errno=12)
        return super().execute(batch)


class HeldSocket(RouteSocket):
    """A socket on which the kernel does not answer a deletion until it is let go."""

    asked = threading.Event()
    let_go = threading.Event()

    def execute(self, batch: Sequence[Message]) -> dict[int, int]:
        if any("delete" in request.label for request in batch):
            self.asked.set()
            self.let_go.wait(5)
        return super().execute(batch)


@pytest.fixture
def yard() -> Iterator[Yard]:
    with closing(Yard()) as made:
        yield made


@pytest.fixture
def refusing_yard() -> Iterator[Yard]:
    with closing(Yard(kind=RefusingSocket)) as made:
        yield made


def test_links_of_several_batches_go_and_others_stay(yard: Yard) -> None:
    count = BATCH_LIMIT + 10
    kept = yard.add_link(500)
    for number in range(count):
        yard.retire(number, ifindex=yard.add_link(number))
    assert yard.reaper.pending() == count
    yard.reaper.start()
    assert yard.all_gone.wait(5)
    assert yard.indexes() == {kept, kept + 1}
    assert sorted(index for report in yard.reports for index in report) == [1000 + 2 * n for n in range(count)]
    assert max(map(len, yard.reports)) <= BATCH_LIMIT
    assert yard.reaper.pending() == 0


def test_a_stranger_in_the_group_survives(yard: Yard) -> None:
    mine, stranger = yard.add_link(1), yard.add_link(2)
    yard.retire(1, ifindex=mine)
    link = yard.host.find_link(ifindex=mine)
    assert link is not None
    yard.host.execute([messages.set_link(stranger, group=link.group)])
    yard.reaper.start()
    assert yard.all_gone.wait(5)
    assert yard.indexes() == {stranger, stranger + 1}


def test_a_link_with_the_index_of_one_that_went_survives(yard: Yard) -> None:
    """The kernel may give an index again: the alias tells."""
    ifindex = yard.add_link(1)
    yard.retire(1, ifindex=ifindex)
    link = yard.host.find_link(ifindex=ifindex)
    assert link is not None
    yard.host.execute(
        [
            messages.delete_link(ifindex),
            messages.add_veth("other", peer_name="peer", ifindex=ifindex, peer_ifindex=ifindex + 1),
            messages.set_link(ifindex, group=link.group, alias="net/other/eth0"),
        ]
    )
    yard.reaper.start()
    assert yard.all_gone.wait(5)
    assert yard.indexes() == {ifindex, ifindex + 1}


def test_a_link_that_is_gone_already_is_reported(yard: Yard) -> None:
    ifindex = yard.add_link(1)
    yard.retire(1, ifindex=ifindex)
    yard.host.execute([messages.delete_link(ifindex)])
    yard.reaper.start()
    assert yard.all_gone.wait(5)
    assert yard.reports == [[ifindex]]


def test_a_link_that_never_reached_its_group_is_fetched(yard: Yard) -> None:
    """A DEL killed between its two steps: registered, but not yet in the group."""
    ifindex = yard.add_link(1)
    yard.expected.add(ifindex)
    yard.reaper.join(ifindex, "net/1/eth0")
    yard.reaper.start()
    assert yard.all_gone.wait(5)
    assert yard.indexes() == set()


def test_a_refused_deletion_is_tried_again(refusing_yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    ifindex = refusing_yard.add_link(1)
    refusing_yard.retire(1, ifindex=ifindex)
    refusing_yard.reaper.start()
    assert refusing_yard.all_gone.wait(5)
    assert refusing_yard.indexes() == set()
    assert "ENOMEM" in caplog.text


def test_progress_shows_a_batch_that_does_not_end() -> None:
    with closing(Yard(kind=HeldSocket)) as yard:
        assert yard.reaper.progress() == (False, 0)
        yard.reaper.start()
        assert yard.reaper.progress() == (True, 0)
        yard.retire(1, ifindex=yard.add_link(1))
        assert HeldSocket.asked.wait(5)
        is_there, group = yard.reaper.progress()
        assert is_there
        assert group != 0
        assert yard.reaper.progress() == (True, group)
        HeldSocket.let_go.set()
        assert yard.all_gone.wait(5)
        assert yard.reaper.progress() == (True, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_noticed() -> None:
    def forbidden(_ifindexes: Sequence[int]) -> None:
        raise ZeroDivisionError("a report that fails, which no report may")

    with closing(Yard(report=forbidden)) as yard:
        yard.reaper.start()
        yard.retire(1, ifindex=yard.add_link(1))
        deadline = time.monotonic() + 5
        while yard.reaper.progress()[0]:
            assert time.monotonic() < deadline, "the thread lives"
            time.sleep(0.01)


def test_stop_leaves_the_rest_as_it_is(yard: Yard) -> None:
    ifindex = yard.add_link(1)
    yard.retire(1, ifindex=ifindex)
    yard.reaper.stop()
    assert ifindex in yard.indexes()
    assert yard.reaper.owns(ifindex)


def test_groups_in_use_at_the_start_are_not_drawn(yard: Yard) -> None:
    taken = random.Random(7).getrandbits(31)  # noqa: S311 - what the next reaper would draw first
    yard.host.execute([messages.set_link(yard.add_link(1), group=taken)])
    rng = random.Random(7)  # noqa: S311 - reproducible, no secret
    reaper = Reaper(yard.netns.route_socket(), Reports().receive, rng=rng)
    assert reaper.join(1, "") != taken
    reaper.stop()


def test_every_link_of_a_churn_is_reported(node: "Node", capsys: pytest.CaptureFixture[str]) -> None:
    """Prints how long links take to settle; `make bench` holds the bounds, on a machine that does nothing else."""
    settled = []
    for number in (1, 2, 3):
        settled.append(settle_one(node, number))
    retired = {}
    for number in range(4, 204):
        wiring = node.wiring(number)
        wired = node.wire(wiring, node.new_pod())
        node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
        retired[wired.ifindex] = time.monotonic()
    last = 0.0
    while retired:
        ifindex = node.gone.get(timeout=5)
        last = max(last, time.monotonic() - retired.pop(ifindex))
    with capsys.disabled():
        sys.stdout.write(f"\n  settled: alone {max(settled) * 1e3:.0f} ms, in churn {last * 1e3:.0f} ms (worst)\n")


def settle_one(node: "Node", number: int) -> float:
    wiring = node.wiring(number)
    wired = node.wire(wiring, node.new_pod())
    start = time.monotonic()
    node.plane.unwire(wiring.key, wiring.address, wired.ifindex)
    node.wait_gone()
    return time.monotonic() - start
