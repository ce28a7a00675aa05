"""What a runtime asks while no agent runs: DELs succeed and are performed before the successor's first ADD."""

import time

from fault_agent import NewAgent
from fault_runtime import Sandbox
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

PODS = 20


def test_recorded_dels_are_performed_before_the_first_add(lab: Lab, peer: Netns, new_agent: NewAgent) -> None:
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "2", "IP_COOLDOWN_PERIOD": "2"}), peer)
    stage.run()
    pods = [stage.add(Sandbox.create(f"web-{number}")) for number in range(PODS)]
    kept, ended = pods[: PODS // 2], pods[PODS // 2 :]
    stage.agent.kill()
    for sandbox in ended:
        stage.begin_delete(sandbox).result()
    recorded_at = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert len(list((stage.agent.run_dir / "spool").iterdir())) == len(ended)

    # A start that dies after the last replay has served nobody: the ADD that knocks all the time finds no listener.
    stage.agent.start(crash_at=f"{Step.SPOOL_REPLAYED}:{len(ended)}")
    early = Sandbox.create("early")
    knocking = stage.begin_add(early)
    stage.await_death()
    journal = stage.agent.journal()
    assert {key.container_id for key in journal.adds} == {sandbox.container_id for sandbox in kept}
    assert knocking.exception() is not None
    stage.delete(early)

    stage.run()
    # They rest since their DELs, not since the replay.
    for cooling in stage.agent.status()["pool"]["cooling_until"]:
        assert cooling["boottime_seconds"] <= recorded_at + 2.0
    stage.add(Sandbox.create("late"))
    for sandbox in ended:
        sandbox.netns.close()
    stage.settle()


def test_a_del_of_an_overtaken_sandbox_recorded_while_away_spares_the_new_one(
    lab: Lab, peer: Netns, new_agent: NewAgent
) -> None:
    """The pod is re-created under its name after the restart, and the DEL of before is replayed."""
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "2", "IP_COOLDOWN_PERIOD": "1"}), peer)
    stage.run()
    old = stage.add()
    stage.agent.kill()
    stage.begin_delete(old).result()
    stage.run()
    new = stage.add()
    stage.begin_delete(old).result()
    assert stage.book.living() == [new]
    old.netns.close()
    stage.settle()
