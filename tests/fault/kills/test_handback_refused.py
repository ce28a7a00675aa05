"""A hand-back that cannot be: says why and what to do, and changes nothing; doing that leads to a hand-back."""

from collections.abc import Iterator

import pytest
from fault_agent import NewAgent, wait_until
from fault_runtime import Sandbox
from fault_scene import Scene, reference_scene
from fault_truth import read_checkpoint

from vpc_cni.ipam.journal import encode_header, encode_records, read_journal
from vpc_cni.ipam.records import AddIntent
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 3


@pytest.fixture
def scene(lab: Lab, peer: Netns, new_agent: NewAgent) -> Iterator[Scene]:
    """A node that is ours, whose agent serves."""
    with reference_scene(lab, peer, new_agent, "nft", PODS) as made:
        made.stage.run()
        made.assert_ours()
        yield made


def assert_refused(scene: Scene, *words: str, status: int = 1, says: tuple[str, ...]) -> None:
    before = read_checkpoint(scene.stage.agent.run_dir)
    done = scene.command("handback", *words)
    assert done.returncode == status, done.stdout
    assert [each for each in says if each not in done.stdout] == [], done.stdout
    assert scene.node.chains() == []
    assert scene.node.has_our_table()
    assert read_checkpoint(scene.stage.agent.run_dir) == before
    assert not (scene.stage.agent.run_dir / "handback" / "state.json").exists()


def assert_handed_back_after_a_start(scene: Scene) -> None:
    scene.stage.run()
    scene.assert_ours()
    done = scene.command("handback", "--yes")
    assert done.returncode == 0, done.stdout
    assert len(scene.node.chains()) >= 10
    assert not scene.node.has_our_table()


def test_without_a_yes_nothing_is_changed(scene: Scene) -> None:
    assert_refused(scene, status=4, says=("nothing was changed", "--yes"))
    scene.stage.settle()  # the agent serves on
    scene.stage.add(Sandbox.create("later"))


def test_a_damaged_journal_is_restored_by_a_start(scene: Scene) -> None:
    scene.stage.add(Sandbox.create("latest"))
    scene.stage.agent.kill()
    journal = scene.stage.agent.run_dir / "journal"
    whole = journal.read_bytes()
    middle = len(whole) // 2
    journal.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    assert_refused(scene, "--yes", says=("the journal is damaged", "start the agent once"))
    assert_handed_back_after_a_start(scene)


def test_pods_that_a_cut_journal_does_not_know_are_not_forgotten(scene: Scene) -> None:
    """A journal that ends early looks like one that ends: the kernel knows better."""
    scene.stage.agent.kill()
    journal = scene.stage.agent.run_dir / "journal"
    journal.write_bytes(_without_last_pod(journal.read_bytes()))
    assert_refused(scene, "--yes", says=("the journal does not know", "start the agent once"))
    assert_handed_back_after_a_start(scene)


def _without_last_pod(journal: bytes) -> bytes:
    """Cut a journal right before its last ADD begins."""
    read = read_journal(journal)
    last = max(number for number, record in enumerate(read.records) if isinstance(record, AddIntent))
    return encode_header(read.boot_id) + encode_records(read.records[:last])


def test_pods_that_another_program_has_noted_are_not_overwritten(scene: Scene) -> None:
    scene.stage.agent.kill()
    scene.node.write_checkpoint(scene.stage.book.living()[1:])
    assert_refused(scene, "--yes", says=("another program has written", "start the agent once"))
    assert_handed_back_after_a_start(scene)


def test_a_node_on_which_no_agent_has_served_has_nothing_to_give(scene: Scene) -> None:
    scene.stage.agent.kill()
    node = scene.stage.agent.run_dir / "handback" / "node.json"
    content = node.read_bytes()
    node.unlink()
    assert_refused(scene, "--yes", says=("no agent has served", "start the agent"))
    node.write_bytes(content)


def test_an_unreadable_note_names_itself(scene: Scene) -> None:
    scene.stage.agent.kill()
    (scene.stage.agent.run_dir / "handback" / "node.json").write_text("{")
    assert_refused(scene, "--yes", says=("node.json cannot be read", "remove it and start the agent"))
    (scene.stage.agent.run_dir / "handback" / "node.json").unlink()
    assert_handed_back_after_a_start(scene)


def test_an_agent_that_hands_back_and_fails_says_why(scene: Scene) -> None:
    """Its successor serves again: nothing was changed."""
    (scene.stage.agent.run_dir / "handback" / "node.json").write_text("{")
    done = scene.command("handback", "--yes")
    assert done.returncode == 1
    assert "node.json cannot be read" in done.stdout
    assert scene.node.has_our_table()
    wait_until(lambda: not scene.stage.agent.is_running, 10, "end of the agent that was asked")
    (scene.stage.agent.run_dir / "handback" / "node.json").unlink()
    assert_handed_back_after_a_start(scene)
