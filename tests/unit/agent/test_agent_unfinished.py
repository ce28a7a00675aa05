"""What a predecessor was giving back, met by an agent that must not change anything at EC2."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar, cast

import pytest

from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.provision import NodeFacts, Provisioner
from vpc_cni.agent.unfinished import UnfinishedSteps
from vpc_cni.ec2 import Ec2Client, NetworkInterface
from vpc_cni.errors import ThrottledError
from vpc_cni.ipam import AddressState, EniState, Pool
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.model import Eni

CIDR = IPv4Network("10.0.0.0/16")
ADDRESSES = tuple(CIDR[number] for number in range(10, 14))
GONE, KEPT, *FREE = ADDRESSES

T = TypeVar("T")


class ReadOnlyEc2:
    """EC2 as a role sees it that may describe and nothing else: any other call is an AttributeError."""

    def __init__(self) -> None:
        self.addresses = {"eni-0": ADDRESSES, "eni-1": ()}
        self.is_away = False

    def describe_network_interfaces(self, *, ids: list[str]) -> list[NetworkInterface]:
        if self.is_away:
            raise ThrottledError(
                "too many requests", operation="DescribeNetworkInterfaces", code="RequestLimitExceeded"
            )
        return [described(eni_id, self.addresses[eni_id]) for eni_id in ids]


def described(eni_id: str, addresses: tuple[IPv4Address, ...]) -> NetworkInterface:
    return NetworkInterface(
        eni_id=eni_id,
        mac="02:00:00:00:00:01",
        subnet_id="subnet-0",
        vpc_id="vpc-0",
        zone="us-west-2a",
        status="in-use",
        description="",
        interface_type="interface",
        primary_address=CIDR[4],
        addresses=addresses,
    )


class NoLinks:
    """An agent that only reads EC2 touches no link either."""

    async def set_up(self, eni: Eni) -> None:
        raise AssertionError(eni)

    def tear_down(self, eni: Eni) -> None:
        raise AssertionError(eni)


async def in_thread(call: Callable[[], T]) -> T:
    return call()


class Successor:
    """A start that finds two addresses of one ENI, and all of another ENI, on their way back."""

    def __init__(self, folder: Path) -> None:
        self.ec2 = ReadOnlyEc2()
        self.pool = Pool(30.0)
        journal = JournalFile(folder / "journal", "0e3b4c8a-8a8f-4f4b-9d3c-0a2b8f0c1d2e")
        journal.replace(journal.open().records)
        self.ledger = Ledger(self.pool, journal, reach=lambda _step: None, on_change=lambda: None)
        leaving = (CIDR[300], CIDR[301])
        self.pool.add_eni(Eni("eni-0", "02:00:00:00:00:01", 0, "subnet-0", CIDR, CIDR[4], ADDRESSES), 0.0)
        self.pool.add_eni(Eni("eni-1", "02:00:00:00:00:02", 1, "subnet-0", CIDR, CIDR[5], leaving), 0.0)
        self.ledger.intend(Ec2Operation.UNASSIGN, eni_id="eni-0", addresses=(GONE, KEPT))
        self.ledger.intend(Ec2Operation.DETACH, eni_id="eni-1", addresses=leaving)
        self.pool.begin_release((GONE, KEPT, *leaving))
        provisioner = Provisioner(
            client=cast("Ec2Client", self.ec2),
            ledger=self.ledger,
            links=NoLinks(),
            facts=NodeFacts("i-0", "vpc-0", (), {}),
            in_thread=in_thread,
            clock=lambda: 100.0,
            reach=lambda _step: None,
            on_addresses=lambda: None,
        )
        self.unfinished = UnfinishedSteps(self.ledger, provisioner, provisioning=False, described_seconds=0)
        self.unfinished.begin()


@pytest.fixture
def successor(tmp_path: Path) -> Successor:
    return Successor(tmp_path)


def test_until_descriptions_tell_what_is_in_question_serves_nobody(successor: Successor) -> None:
    assert [successor.pool.state(each) for each in (GONE, KEPT)] == [AddressState.RELEASING] * 2
    assert successor.pool.eni_state("eni-1") is EniState.DETACHING


def test_descriptions_settle_it_without_a_change_at_ec2(successor: Successor) -> None:
    successor.ec2.addresses["eni-0"] = (KEPT, *FREE)
    asyncio.run(successor.unfinished.finish())
    assert successor.pool.state(GONE) is None
    assert successor.pool.state(KEPT) is AddressState.FREE
    # Comparison with EC2 lets it go, or opens it again.
    assert successor.pool.eni_state("eni-1") is EniState.DRAINING
    assert successor.pool.addresses_of("eni-1") == ()
    assert successor.ledger.open_steps() == ()


def test_without_a_description_it_stays_in_question(successor: Successor) -> None:
    successor.ec2.is_away = True
    asyncio.run(successor.unfinished.finish())
    assert [successor.pool.state(each) for each in (GONE, KEPT)] == [AddressState.RELEASING] * 2
