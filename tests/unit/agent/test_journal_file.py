import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from vpc_cni.agent.journal_file import JournalFile
from vpc_cni.errors import HostError
from vpc_cni.ipam.journal import read_journal
from vpc_cni.ipam.records import AddCommitted, AddIntent
from vpc_cni.model import Allocation, PodIdentity, SandboxKey

BOOT = "0e3b4c8a-8a8f-4f4b-9d3c-0a2b8f0c1d2e"


def intent(number: int) -> AddIntent:
    key = SandboxKey("aws-cni", f"c{number}", "eth0")
    address = IPv4Address("10.0.0.0") + number
    return AddIntent.of(Allocation(key, address, "eni-1", 0, PodIdentity("default", f"pod-{number}"), 0), "eni0")


def opened(path: Path) -> JournalFile:
    journal = JournalFile(path, BOOT)
    journal.replace(journal.open().records)
    return journal


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let writes behave as on a full file system: the part that fits is written, the rest is refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def compact(journal: JournalFile) -> None:
    while journal.compact_slice(1.0):
        pass


def test_what_was_appended_is_read_by_the_next_process(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    journal.append(intent(1))
    journal.append(AddCommitted.of(intent(1).key, 7, "aa", "bb"))
    journal.close()
    assert opened(tmp_path / "journal").state.adds[intent(1).key].committed is not None


@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_record_that_does_not_fit_leaves_no_trace(tmp_path: Path, room: int) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(intent(1))
    size = path.stat().st_size
    with file_size_limit(size + room), pytest.raises(HostError, match="free space"):
        journal.append(intent(2))
    assert path.stat().st_size == size
    assert intent(2).key not in journal.state.adds
    assert journal.problem

    journal.append(intent(3))

    assert journal.problem == ""
    read = read_journal(path.read_bytes())
    assert read.is_intact
    assert [record for record in read.records if isinstance(record, AddIntent)] == [intent(1), intent(3)]


def test_a_compaction_without_room_is_given_up_and_the_journal_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    for number in range(300):
        journal.append(intent(number))
    with file_size_limit(4096), pytest.raises(OSError, match="space"):
        compact(journal)
    assert [entry.name for entry in tmp_path.iterdir()] == ["journal"]
    journal.append(intent(301))
    assert len(read_journal(path.read_bytes()).records) >= 301


def test_another_boot_starts_anew(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    journal.append(intent(1))
    journal.close()
    other = JournalFile(tmp_path / "journal", BOOT.replace("0e3b", "1e3b"))
    assert other.open().records == ()
    assert not other.state.adds
