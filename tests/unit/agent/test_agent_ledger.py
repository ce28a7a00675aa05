"""The ledger over a long time: what is over leaves memory and file, what may still matter stays."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.ledger import Ledger
from vpc_cni.ipam import Pool
from vpc_cni.ipam.journal import read_journal
from vpc_cni.ipam.journal_state import JournalState, fold
from vpc_cni.ipam.pool import REMOVAL_MEMORY_SECONDS
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.model import Eni, PodIdentity, SandboxKey

BOOT = "0e3b4c8a-8a8f-4f4b-9d3c-0a2b8f0c1d2e"
CIDR = IPv4Network("10.0.0.0/16")
ADDRESSES = tuple(IPv4Address("10.0.0.10") + number for number in range(8))
COOLDOWN = 30.0


class Node:
    """A ledger on a real file; the folder outlives it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal"
        self.journal = JournalFile(self.path, BOOT)
        self.journal.replace(self.journal.open().records)
        self.pool = Pool(COOLDOWN)
        self.pool.add_eni(Eni("eni-0", "02:00:00:00:00:01", 0, "subnet-0", CIDR, CIDR[4], ADDRESSES), 0.0)
        self.ledger = Ledger(self.pool, self.journal, reach=lambda _step: None, on_change=lambda: None)

    def live_and_die(self, number: int, now: float) -> None:
        """Let a pod come and go, its link included."""
        key = SandboxKey("aws-cni", f"c{number}", "eth0")
        assert self.ledger.assign(key, PodIdentity(), f"veth{number}", now, 0) is not None
        self.ledger.release(key, now)
        self.ledger.link_gone(key)

    def give_back(self, address: IPv4Address, now: float) -> None:
        self.pool.begin_release([address])
        token = self.ledger.intend(Ec2Operation.UNASSIGN, eni_id="eni-0", addresses=(address,))
        self.ledger.conclude(token, Ec2Operation.UNASSIGN, eni_id="eni-0", addresses=(address,))
        self.pool.remove_addresses([address], now)

    def compact(self) -> None:
        while self.journal.wants_compaction():
            self.journal.compact_slice(0.0)

    def on_disk(self) -> JournalState:
        return fold(read_journal(self.path.read_bytes()).records)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_months_of_pods_leave_nothing_behind(node: Node) -> None:
    for number in range(600):
        now = 10.0 * number
        node.live_and_die(number, now)
        node.ledger.forget_ended(now)
        assert len(node.journal.state.coolings) <= COOLDOWN / 10 + 1
    node.ledger.forget_ended(10_000.0)
    assert len(node.journal.state) == 0


def test_an_address_in_its_cooldown_is_not_forgotten(node: Node) -> None:
    node.live_and_die(1, now=100.0)
    node.ledger.forget_ended(100.0 + COOLDOWN - 0.1)
    assert len(node.journal.state.coolings) == 1


def test_what_ec2_took_back_is_remembered_only_while_its_answers_may_be_late(node: Node) -> None:
    node.give_back(ADDRESSES[0], now=100.0)
    for now in (100.0, 160.0, 100.0 + REMOVAL_MEMORY_SECONDS - 1):
        node.ledger.forget_ended(now)
        assert list(node.journal.state.given_back) == [ADDRESSES[0]]
    assert not node.journal.wants_compaction()
    node.ledger.forget_ended(100.0 + REMOVAL_MEMORY_SECONDS)
    node.compact()
    assert node.on_disk().given_back == {}, "a successor would give it back once more"


def test_after_a_restart_it_is_remembered_for_as_long_again(node: Node, tmp_path: Path) -> None:
    node.give_back(ADDRESSES[0], now=100.0)
    successor = Node(tmp_path)
    for now in (500.0, 500.0 + REMOVAL_MEMORY_SECONDS - 1):
        successor.ledger.forget_ended(now)
        assert list(successor.journal.state.given_back) == [ADDRESSES[0]]
    successor.ledger.forget_ended(500.0 + REMOVAL_MEMORY_SECONDS)
    assert successor.journal.state.given_back == {}


def test_an_address_that_comes_and_goes_again_is_remembered_from_the_last_time_on(node: Node) -> None:
    node.give_back(ADDRESSES[0], now=100.0)
    node.ledger.forget_ended(100.0)
    token = node.ledger.intend(Ec2Operation.ASSIGN, eni_id="eni-0", count=1)
    node.ledger.conclude(token, Ec2Operation.ASSIGN, eni_id="eni-0", addresses=ADDRESSES[:1])
    node.pool.add_addresses("eni-0", ADDRESSES[:1], 150.0)
    node.give_back(ADDRESSES[0], now=200.0)
    node.ledger.forget_ended(100.0 + REMOVAL_MEMORY_SECONDS)
    assert list(node.journal.state.given_back) == [ADDRESSES[0]]


def test_a_step_whose_answer_was_lost_is_closed_by_a_later_look_only(node: Node) -> None:
    lost = node.ledger.intend(Ec2Operation.CREATE, count=3, subnet_id="subnet-0")
    running = node.ledger.intend(Ec2Operation.ATTACH, eni_id="eni-1")
    node.ledger.remember_unanswered(lost, now=100.0)
    node.ledger.close_unanswered(asked_at=100.0)
    assert [step.token for step in node.ledger.open_steps()] == [lost, running]
    node.ledger.close_unanswered(asked_at=100.1)
    assert [step.token for step in node.ledger.open_steps()] == [running]
    assert list(node.on_disk().ec2_steps) == [running]
