"""A kill at every named step of a take-over and of a hand-back, in both kinds of iptables: no pod notices any."""

import json
import signal
from collections.abc import Iterator

import pytest
from fault_agent import NewAgent, Tell
from fault_runtime import Sandbox
from fault_scenarios import OF_TAKEOVER
from fault_scene import Scene, finish_command, reference_scene
from fault_truth import read_checkpoint

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 20
# Which kill of which step. A table of iptables-legacy is changed by itself, all of iptables-nft at once;
# to make chains in iptables-nft again takes two transactions, in iptables-legacy one for each table.
CLEARED = {"legacy": 2, "nft": 1}
MADE = 2
TAKING = (Step.LINK_ADOPTED, f"{Step.LINK_ADOPTED}:{PODS}", Step.TAKEOVER_NOTED)
GIVING = (
    *(f"{Step.HANDBACK_TABLE_MADE}:{number}" for number in range(1, MADE + 1)),
    Step.HANDBACK_CHECKPOINT_NOTED,
    Step.HANDBACK_CHECKPOINT_WRITTEN,
    Step.HANDBACK_NOTED,
    Step.HANDBACK_TABLE_DROPPED,
)


@pytest.fixture(params=["legacy", "nft"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scene(kind: str, lab: Lab, peer: Netns, new_agent: NewAgent) -> Iterator[Scene]:
    with reference_scene(lab, peer, new_agent, kind, PODS) as made:
        made.begin_traffic()
        yield made


@pytest.mark.alone
@pytest.mark.slow(seconds=40)
@pytest.mark.timeout(180)
def test_a_kill_at_any_step_of_a_change_of_hands_costs_nothing(scene: Scene, kind: str, tell: Tell) -> None:
    chains = scene.node.chains()
    taking = (*TAKING, *(f"{Step.TAKEOVER_TABLE_CLEARED}:{number}" for number in range(1, CLEARED[kind] + 1)))
    for number, step in enumerate(taking):
        if number:
            _be_the_reference(scene, chains)
        _take_over_with_a_kill(scene, step, kind)
    for step in GIVING:
        _hand_back_by_an_agent_with_a_kill(scene, step, chains)
    for step in GIVING:
        _hand_back_by_a_command_with_a_kill(scene, step, chains)
    kills = len(taking) + 2 * len(GIVING)
    tell(f"change of hands ({kind}, {PODS} pods, {kills} kills at named steps): {scene.finish_traffic()}")


def _be_the_reference(scene: Scene, chains: list[str]) -> None:
    """Turn the node into the reference's again, as far as its pods can tell."""
    scene.stage.agent.kill()
    assert scene.command("handback", "--yes").returncode == 0
    scene.assert_handed_back(chains)
    scene.node.forget_us(scene.stage.book.living())


def _take_over_with_a_kill(scene: Scene, step: str, kind: str) -> None:
    """What the killed agent did not do, its successor does."""
    scene.stage.agent.start(crash_at=step)
    scene.stage.await_death()
    if step.startswith((Step.TAKEOVER_NOTED, Step.TAKEOVER_TABLE_CLEARED)):
        noted = json.loads((scene.stage.agent.run_dir / "handback" / "node.json").read_text())
        assert noted["iptables"] == kind, "a hand-back needs to know where the chains were"
    scene.stage.run()
    scene.assert_ours()


def _hand_back_by_an_agent_with_a_kill(scene: Scene, step: str, chains: list[str]) -> None:
    """The agent dies while it hands back; its successor finishes, and the command that asked learns of it."""
    stage = scene.stage
    stage.agent.kill()
    stage.agent.start(crash_at=step).wait_serving()
    asking = scene.begin_command("handback", "--yes")
    stage.await_death()
    stage.agent.start()
    done = finish_command(asking)
    assert done.returncode == 0, done.stdout
    scene.await_waiting_agent()
    scene.assert_handed_back(chains)
    _take_again(scene)


def _hand_back_by_a_command_with_a_kill(scene: Scene, step: str, chains: list[str]) -> None:
    """No agent runs, ``ipam.json`` is behind, and the command dies: the next one finishes."""
    stage = scene.stage
    checkpoint = stage.agent.run_dir / "ipam.json"
    behind = checkpoint.read_bytes()
    latest = stage.add(Sandbox.create(f"latest-{step}"))
    stage.agent.kill()
    checkpoint.write_bytes(behind)  # also where the machine was so busy that the file has followed already
    killed = scene.command("handback", "--yes", VPC_CNI_CRASH_AT=step)
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    done = scene.command("handback", "--yes")
    assert done.returncode == 0, done.stdout
    scene.assert_handed_back(chains)
    assert latest.container_id in {container_id for container_id, _ in read_checkpoint(stage.agent.run_dir)}
    stage.agent.start()
    _take_again(scene)
    stage.delete(latest)


def _take_again(scene: Scene) -> None:
    assert scene.command("takeover").returncode == 0
    scene.stage.agent.wait_serving()
    scene.assert_ours()


def test_every_step_of_a_change_of_hands_is_killed_at() -> None:
    killed_at = {step.partition(":")[0] for step in (*TAKING, *GIVING)} | {str(Step.TAKEOVER_TABLE_CLEARED)}
    assert killed_at == {str(step) for step in OF_TAKEOVER}
