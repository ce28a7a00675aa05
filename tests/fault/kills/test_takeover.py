"""A node of the reference is taken over, handed back, and handed back after a SIGKILL: no pod notices."""

from collections.abc import Iterator

import pytest
from fault_agent import NewAgent, Tell, wait_until
from fault_runtime import Sandbox
from fault_scene import Scene, reference_scene

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 20
KILLS = (Step.RESTORE_READ, Step.RESTORE_WRITTEN, Step.RESTORE_CLEANED, Step.CHECKPOINT_NOTED, Step.CHECKPOINT_WRITTEN)


@pytest.fixture(params=["legacy", "nft"])
def scene(request: pytest.FixtureRequest, lab: Lab, peer: Netns, new_agent: NewAgent) -> Iterator[Scene]:
    with reference_scene(lab, peer, new_agent, request.param, PODS) as made:
        yield made


@pytest.mark.alone
@pytest.mark.slow(seconds=20)
def test_pods_do_not_notice_who_runs_their_node(scene: Scene, tell: Tell) -> None:
    stage, pods, chains = scene.stage, scene.stage.book.living(), scene.node.chains()
    assert len(chains) >= 10
    scene.begin_traffic()

    for step in KILLS:  # taken over by an agent that is killed at each step of it
        stage.agent.start(crash_at=step)
        stage.await_death()
    stage.run()
    scene.assert_ours()

    asked = scene.command("handback", "--yes")
    assert asked.returncode == 0, asked.stdout
    scene.assert_handed_back(chains)
    wait_until(lambda: not stage.agent.is_running, 10, "end of the agent that handed back")

    stage.agent.start()  # finds the node handed back, and leaves it alone
    scene.await_waiting_agent()
    scene.assert_handed_back(chains)
    again = scene.command("takeover")
    assert again.returncode == 0, again.stdout
    stage.agent.wait_serving()
    scene.assert_ours()
    stage.add(Sandbox.create("late"))  # the book refuses an address that is given twice

    stage.agent.kill()
    alone = scene.command("handback", "--yes")
    assert alone.returncode == 0, alone.stdout
    scene.assert_handed_back(chains)
    scene.node.write_checkpoint(stage.book.living())  # the reference serves
    stage.run()  # and our agent comes back without being asked
    scene.assert_ours()
    stage.add(Sandbox.create("later"))

    figures = scene.finish_traffic()
    tell(f"takeover ({len(pods)} pods, {len(KILLS)} kills, handed back twice): {figures}")
    assert scene.inside.callers >= {str(pod.address) for pod in pods}
