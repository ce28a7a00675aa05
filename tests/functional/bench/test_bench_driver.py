"""The driver with real processes, and with the peer in real namespaces."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.contender import Contender
from bench.peer import PLUGIN_DIR, peer_target
from bench.spawn import Call, Chain, Outcome, run_chains
from vpc_cni.errors import HostError

needs_peer = pytest.mark.skipif(not (PLUGIN_DIR / "ptp").exists(), reason="containernetworking-plugins is missing")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Contender]:
    folder = tmp_path / "peer"
    with Contender(peer_target("0.4.0", folder), folder) as contender:
        yield contender


def _shell(tmp_path: Path, name: str, script: str) -> Call:
    stdin = tmp_path / f"{name}.sh"
    stdin.write_text(script)
    return Call("/bin/sh", {"PATH": os.defpath}, stdin, tmp_path / f"{name}.out")


def _note(call: Call, into: list[Outcome]) -> Chain:
    into.append((yield call))


def test_chain_gets_exit_status_and_output_of_its_call(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    calls = [_shell(tmp_path, "fails", "echo out; exit 7"), _shell(tmp_path, "killed", "kill -9 $$")]
    run_chains([_note(call, outcomes) for call in calls])
    assert sorted(outcome.exit_code for outcome in outcomes) == [7, 128 + 9]
    assert calls[0].stdout.read_text() == "out\n"
    assert all(outcome.started < outcome.ended for outcome in outcomes)


def test_calls_of_one_chain_follow_each_other(tmp_path: Path) -> None:
    outcomes: list[Outcome] = []

    def chain() -> Chain:
        for number in range(3):
            outcomes.append((yield _shell(tmp_path, f"call{number}", "exit 0")))

    run_chains([chain()])
    assert [a.ended <= b.started for a, b in itertools.pairwise(outcomes)] == [True, True]


def test_error_of_one_chain_leaves_no_process_behind(tmp_path: Path) -> None:
    def fails() -> Chain:
        yield _shell(tmp_path, "quick", "exit 0")
        raise HostError("as planned")

    with pytest.raises(HostError, match="as planned"):
        run_chains([fails(), _note(_shell(tmp_path, "slow", "sleep 0.1"), [])])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@needs_peer
def test_peer_wires_pods_that_answer_their_node(peer: Contender) -> None:
    peer.prepare(3)
    assert len(peer.add(3, workers=2)) == 3
    assert peer.check_reachable().startswith("10.88.")
    assert len(peer.delete(3, workers=2)) == 3
    peer.wait_links_gone()
    peer.clear()


@needs_peer
def test_churn_reports_every_pair_and_when_its_link_was_gone(peer: Contender) -> None:
    peer.prepare(4)
    before = peer.cpu_seconds()
    churn = peer.churn(4, 2, watch=True)
    assert churn.pairs == len(churn.adds) == len(churn.ended) == len(churn.settled) == 4
    assert churn.ended == sorted(churn.ended)
    assert churn.seconds >= churn.ended[-1]
    assert peer.cpu_seconds() > before


@needs_peer
def test_refused_call_is_an_error_with_the_plugins_own_words(tmp_path: Path) -> None:
    folder = tmp_path / "peer"
    with Contender(peer_target("9.9.9", folder), folder) as contender:
        contender.prepare(1)
        with pytest.raises(HostError, match="incompatible CNI versions"):
            contender.add(1)


@needs_peer
def test_nothing_is_left_when_the_contender_ends(tmp_path: Path) -> None:
    folder = tmp_path / "peer"
    with Contender(peer_target("0.4.0", folder), folder) as contender:
        contender.prepare(1)
        contender.add(1)
    assert list(folder.iterdir()) == []
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
