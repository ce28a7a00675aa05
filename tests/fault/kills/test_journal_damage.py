"""A journal that someone has cut or scribbled on: pods keep what they have, and nothing is given twice."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from fault_agent import NewAgent, wait_until
from fault_runtime import Sandbox
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.ipam.journal import FRAME_BYTES, HEADER_BYTES
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

Damage = Callable[[bytes, random.Random], bytes]


def _flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


DAMAGES: Mapping[str, Damage] = {
    "a byte of the header": lambda data, rng: _flip(data, rng.randrange(HEADER_BYTES)),
    "a byte of the first frame": lambda data, rng: _flip(data, HEADER_BYTES + rng.randrange(FRAME_BYTES)),
    "a byte of the first record": lambda data, _: _flip(data, HEADER_BYTES + FRAME_BYTES + 2),
    "a byte anywhere": lambda data, rng: _flip(data, rng.randrange(len(data))),
    "ten bytes anywhere": lambda data, rng: _scribble(data, rng, 10),
    "the last byte is missing": lambda data, _: data[:-1],
    "the second half is missing": lambda data, _: data[: len(data) // 2],
    "only the header is left": lambda data, _: data[:HEADER_BYTES],
    "half a header is left": lambda data, _: data[: HEADER_BYTES // 2],
    "nothing is left": lambda _data, _rng: b"",
    "noise": lambda _, rng: rng.randbytes(500),
}


def _scribble(data: bytes, rng: random.Random, count: int) -> bytes:
    for _ in range(count):
        data = _flip(data, rng.randrange(len(data)))
    return data


@pytest.mark.slow(seconds=15)
def test_pods_keep_their_addresses_whatever_happens_to_the_journal(
    lab: Lab, peer: Netns, new_agent: NewAgent, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secrets
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    stage.add(Sandbox.create("oldest"))
    for number, (name, damage) in enumerate(DAMAGES.items()):
        stage.add(Sandbox.create(f"before-{number}"))
        cooling = stage.add(Sandbox.create(f"cooling-{number}"))
        stage.delete(cooling)
        stage.agent.kill()
        journal = stage.agent.run_dir / "journal"
        journal.write_bytes(damage(journal.read_bytes(), rng))
        stage.run()
        _assert_keeps(stage, name)
        # The book raises when one of these has the address of a pod of before.
        stage.delete(stage.add(Sandbox.create(f"after-{number}")))
        stage.delete(rng.choice(stage.book.living()))
    stage.settle(timeout_seconds=15)


def _assert_keeps(stage: Stage, damage: str) -> None:
    held = {(pod["container_id"], pod["address"]) for pod in stage.agent.status()["pods"]}
    assert held == {(sandbox.container_id, str(sandbox.address)) for sandbox in stage.book.living()}, damage


@pytest.mark.parametrize("crashes", [0, 1], ids=["at once", "after a start that was cut off"])
def test_addresses_of_lost_records_rest_for_a_cooldown(
    lab: Lab, peer: Netns, new_agent: NewAgent, crashes: int
) -> None:
    """Also when the first start after the damage dies: what it could not read must not be forgotten."""
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "2"}), peer)
    stage.run()
    stage.add()
    stage.settle()
    stage.agent.kill()
    _flip_first_record(stage.agent.run_dir / "journal")
    for _ in range(crashes):
        stage.agent.start(crash_at=Step.RESTORE_READ)
        stage.await_death()
    stage.run()
    quarantined = {each["reason"] for each in stage.agent.status()["pool"]["quarantine"]}
    assert quarantined == {"UnknownPast"}
    assert (stage.agent.run_dir / "journal.damaged").exists()
    wait_until(lambda: not stage.agent.status()["pool"]["quarantine"], 10, "end of the quarantine")
    stage.settle()


def test_a_journal_without_content_is_no_reason_to_skip_a_cooldown(lab: Lab, peer: Netns, new_agent: NewAgent) -> None:
    """No pod is left that would show that the node had any."""
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "2"}), peer)
    stage.run()
    stage.delete(stage.add())
    wait_until(lambda: not _waits_for_link(stage), 5, "end of the link")
    stage.agent.kill()
    (stage.agent.run_dir / "journal").write_bytes(b"")
    stage.run()
    assert {each["reason"] for each in stage.agent.status()["pool"]["quarantine"]} == {"UnknownPast"}
    stage.settle()


def _waits_for_link(stage: Stage) -> bool:
    return any(each["waits_for_link"] for each in stage.agent.status()["pool"]["cooling_until"])


def _flip_first_record(journal: Path) -> None:
    journal.write_bytes(_flip(journal.read_bytes(), HEADER_BYTES + FRAME_BYTES + 2))
