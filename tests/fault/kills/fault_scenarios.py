"""For every step of the agent: how to get it there, and what its death must not change.

A scenario starts the agent so that it kills itself at the step, does what leads there, starts it again without, and
lets the stage judge: the interrupted work has succeeded on retry or is undone, and all views of the node agree.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping

from fault_agent import wait_until
from fault_runtime import Sandbox
from fault_stage import Stage

from vpc_cni.agent.steps import Step
from vpc_cni.ec2.retry import RetryPolicy
from vpc_cni.errors import CniCode
from vpc_cni.ipam.records import Ec2Operation
from vpc_cni.lab.runtime import PluginError

Scenario = Callable[[Stage, Step], None]

# A journal is rewritten from 128 KiB on; long container ids get there with few pods.
LONG_ID_BYTES = 100
JOURNAL_PODS = 150
# Too long for a link's alias together with network and interface.
LONGEST_ID_BYTES = 124
# An ENI younger than a minute is not given back.
ENI_LIFE_SECONDS = 75.0
# m5.xlarge: 14 secondary addresses on each ENI.
TWO_ENIS = {"WARM_IP_TARGET": "20"}
# How often a call is tried before its outcome counts as unknown.
ATTEMPTS = RetryPolicy().attempts
ONE_ADDRESS = {"WARM_IP_TARGET": "1"}


# -- ADD ------------------------------------------------------------------------------------------------------------


def add_is_repeated(stage: Stage, step: Step) -> None:
    """The agent comes back at once: the same ADD succeeds by the plugin's own tries, or fails and is asked again."""
    stage.agent.start(crash_at=step).wait_serving()
    sandbox = Sandbox.create("web-0")
    pending = stage.begin_add(sandbox)
    stage.await_death()
    stage.run()
    if pending.exception() is None:
        stage.finish_add(sandbox, pending)
    else:  # on a busy machine the agent is back too late
        stage.delete(sandbox)
        stage.add()
    stage.settle()


def add_fails_and_is_asked_again(stage: Stage, step: Step) -> None:
    """The agent stays away: the ADD fails, its DEL is recorded, and the pod gets a new sandbox."""
    stage.agent.start(crash_at=step).wait_serving()
    failed = Sandbox.create("web-0")
    pending = stage.begin_add(failed)
    stage.await_death()
    error = pending.exception()
    assert isinstance(error, PluginError), error
    assert error.code == CniCode.TRY_AGAIN_LATER
    stage.delete(failed)
    stage.run()
    stage.add()
    stage.settle()


# -- DEL ------------------------------------------------------------------------------------------------------------


def delete_is_done(stage: Stage, step: Step) -> None:
    """A DEL succeeds whatever becomes of the agent; another pod of the same name starts right after."""
    stage.agent.start(crash_at=step).wait_serving()
    kept, ended = stage.add(Sandbox.create("web-1")), stage.add()
    stage.delete(ended)
    stage.await_death()
    stage.run()
    stage.add()
    assert kept in stage.book.living()
    stage.settle()


def recorded_delete_is_replayed(stage: Stage, step: Step) -> None:
    """A DEL recorded while the agent was away is performed, even if its replay is cut off."""
    stage.run()
    sandbox = stage.add()
    stage.agent.kill()
    # The namespace stays: without it the link would be gone, and with it what there is to undo.
    stage.begin_delete(sandbox).result()
    stage.agent.start(crash_at=step)
    stage.await_death()
    stage.run()
    assert not stage.agent.status()["pods"]
    stage.settle()
    sandbox.netns.close()


# -- start, files, stop -----------------------------------------------------------------------------------------------


def start_is_repeated(stage: Stage, step: Step) -> None:
    """A start that was cut off changes nothing of what the next one finds: a pod, a half-made ADD, an ended pod.

    The namespaces of those that ended stay, so that there are links to remove; one link's alias is a digest.
    """
    stage.agent.start(crash_at=Step.ADD_HOST_WIRED + ":3").wait_serving()
    kept, ended = stage.add(Sandbox.create("kept")), stage.add(Sandbox.create("ended"))
    failed = Sandbox.create("failed")
    failed.container_id = secrets.token_hex(LONGEST_ID_BYTES)
    pending = stage.begin_add(failed)
    stage.await_death()
    assert pending.exception() is not None
    for sandbox in (failed, ended):
        stage.begin_delete(sandbox).result()
    for _ in range(2):
        stage.agent.start(crash_at=step)
        stage.await_death()
    stage.run()
    assert stage.book.living() == [kept]
    stage.settle()
    failed.netns.close()
    ended.netns.close()


def checkpoint_is_still_ours(stage: Stage, step: Step) -> None:
    """However often the agent dies while it writes ``ipam.json``, it never takes its own file for another program's."""
    stage.run()
    stage.add(Sandbox.create("first"))
    stage.settle()
    stage.agent.kill()
    for number in range(3):
        stage.agent.start(crash_at=step).wait_serving()
        stage.add(Sandbox.create(f"later-{number}"))  # other pods, another file
        stage.await_death()
    stage.run()
    stage.settle()
    assert not [line for line in stage.agent.log_lines() if "another program" in line]


def journal_is_rewritten(stage: Stage, step: Step) -> None:
    """Pods that live while the journal is rewritten are in the new one."""
    stage.agent.start(crash_at=step, IP_COOLDOWN_PERIOD="0", WARM_IP_TARGET="4").wait_serving()
    kept = stage.add(Sandbox.create("kept"))
    for number in range(JOURNAL_PODS):
        if not stage.agent.is_running:
            break
        short = Sandbox.create(f"short-{number}")
        short.container_id = secrets.token_hex(LONG_ID_BYTES)
        try:
            stage.add(short)
        except PluginError:
            assert not stage.agent.is_running
        stage.delete(short)
    stage.await_death()
    stage.run(IP_COOLDOWN_PERIOD="0", WARM_IP_TARGET="4")
    assert stage.book.living() == [kept]
    stage.settle()


def stop_is_cut_off(stage: Stage, step: Step) -> None:
    """An agent killed while it stops has asked plugins to wait for its successor: no ADD fails."""
    stage.agent.start(crash_at=step).wait_serving()
    kept = stage.add(Sandbox.create("kept"))
    stage.agent.terminate()
    stage.await_death()
    sandbox = Sandbox.create("web-0")
    pending = stage.begin_add(sandbox)
    time.sleep(2.0)  # longer than a plugin waits for an agent that has not said that it comes back
    assert not pending.done()
    stage.run()
    stage.finish_add(sandbox, pending)
    assert set(stage.book.living()) == {kept, sandbox}
    stage.settle()


# -- EC2 ------------------------------------------------------------------------------------------------------------


def pool_grows(stage: Stage, step: Step) -> None:
    """A growth that was cut off leaves neither an ENI nor an address that the pool does not know."""
    stage.agent.start(crash_at=step, **TWO_ENIS)
    stage.await_death()
    stage.run(**TWO_ENIS)
    stage.add()
    stage.settle()


def pool_gives_addresses_back(stage: Stage, step: Step) -> None:
    """Addresses that were being given back serve nobody until EC2 has said whose they are."""
    stage.run(WARM_IP_TARGET="9")
    stage.add()
    stage.settle()
    stage.agent.kill()
    stage.agent.start(crash_at=step, **ONE_ADDRESS)
    stage.await_death()
    stage.run(**ONE_ADDRESS)
    stage.add_together(6)
    stage.settle()


def leftover_is_deleted(stage: Stage, step: Step) -> None:
    """An ENI that was made and never attached is deleted, even if the clean-up is cut off."""
    stage.agent.start(crash_at=Step.CREATED, **TWO_ENIS)
    stage.await_death()
    stage.agent.start(crash_at=step, **ONE_ADDRESS)
    stage.await_death()
    stage.run(**ONE_ADDRESS)
    stage.settle()


def pool_gives_an_eni_back(stage: Stage, step: Step) -> None:
    """An ENI on its way out serves nobody; the next run finishes it."""
    _with_a_spare_eni(stage, crash_at=step)
    stage.await_death(ENI_LIFE_SECONDS)
    leaving = _leaving_enis(stage)
    stage.run(**ONE_ADDRESS)
    _assert_gone(stage, leaving)


def detach_is_under_way(stage: Stage, _step: Step) -> None:
    """The killed agent's request arrives at EC2 after its successor has looked; the slow lab's EC2 takes a second."""
    _with_a_spare_eni(stage)
    wait_until(lambda: _is_open(stage, Ec2Operation.DETACH), ENI_LIFE_SECONDS, "detach")
    stage.agent.kill()
    leaving = _leaving_enis(stage)
    stage.run(WARM_IP_TARGET="5")  # growth now: not on the ENI that is about to go
    _assert_gone(stage, leaving)


def detach_is_never_answered(stage: Stage, _step: Step) -> None:
    """EC2 detaches and no answer comes, for longer than a call is repeated: the ENI serves nobody. For its own lab."""
    _with_a_spare_eni(stage)
    stage.lab.faults.lost_answer("DetachNetworkInterface", times=ATTEMPTS + 2)
    wait_until(lambda: _is_open(stage, Ec2Operation.DETACH), ENI_LIFE_SECONDS, "detach")
    leaving = _leaving_enis(stage)
    for number in range(16):  # more than the other ENI holds, if this one came back it would be used
        stage.add(Sandbox.create(f"more-{number}"))
    _assert_gone(stage, leaving)


def _with_a_spare_eni(stage: Stage, crash_at: str = "") -> None:
    """Bring the agent to a node with an ENI that nobody needs, as soon as it is old enough."""
    stage.run(**TWO_ENIS)
    stage.settle()
    stage.add()
    stage.agent.kill()
    stage.agent.start(crash_at=crash_at, **ONE_ADDRESS)


def _is_open(stage: Stage, operation: Ec2Operation) -> bool:
    return any(step.operation is operation for step in stage.agent.journal().ec2_steps.values())


def _leaving_enis(stage: Stage) -> set[str]:
    journal = stage.agent.journal()
    leaving = {*(step.eni_id for step in journal.ec2_steps.values()), *journal.loose_enis}
    assert len(leaving) == 1, leaving
    return leaving


def _assert_gone(stage: Stage, eni_ids: set[str]) -> None:
    stage.settle(timeout_seconds=30)
    assert not eni_ids & {eni["eni_id"] for eni in stage.agent.status()["enis"]}


SCENARIOS: Mapping[Scenario, Iterable[Step]] = {
    add_is_repeated: (
        Step.ADD_ASSIGNED,
        Step.ADD_INTENT_WRITTEN,
        Step.ADD_HOST_WIRED,
        Step.ADD_WIRED,
        Step.ADD_COMMIT_WRITTEN,
    ),
    add_fails_and_is_asked_again: (
        Step.ADD_ASSIGNED,
        Step.ADD_INTENT_WRITTEN,
        Step.ADD_HOST_WIRED,
        Step.ADD_WIRED,
        Step.ADD_COMMIT_WRITTEN,
    ),
    delete_is_done: (Step.DEL_WRITTEN, Step.DEL_UNWIRED, Step.LINK_GONE, Step.LINK_GONE_WRITTEN),
    recorded_delete_is_replayed: (Step.SPOOL_TAKEN, Step.DEL_WRITTEN, Step.DEL_UNWIRED, Step.SPOOL_REPLAYED),
    start_is_repeated: (Step.RESTORE_READ, Step.RESTORE_WRITTEN, Step.RESTORE_CLEANED),
    checkpoint_is_still_ours: (Step.CHECKPOINT_NOTED, Step.CHECKPOINT_WRITTEN),
    journal_is_rewritten: (Step.COMPACTION_BEGUN, Step.JOURNAL_COMPACTED),
    stop_is_cut_off: (Step.STOP_ANNOUNCED,),
    pool_grows: (
        Step.CREATE_INTENT_WRITTEN,
        Step.CREATED,
        Step.CREATE_OUTCOME_WRITTEN,
        Step.ATTACH_INTENT_WRITTEN,
        Step.ATTACHED,
        Step.ATTACH_OUTCOME_WRITTEN,
        Step.LINK_SET_UP,
        Step.DELETE_ON_TERMINATION_SET,
        Step.ASSIGN_INTENT_WRITTEN,
        Step.ADDRESSES_ASSIGNED,
        Step.ASSIGN_OUTCOME_WRITTEN,
    ),
    pool_gives_addresses_back: (
        Step.UNASSIGN_INTENT_WRITTEN,
        Step.ADDRESSES_UNASSIGNED,
        Step.UNASSIGN_OUTCOME_WRITTEN,
    ),
    leftover_is_deleted: (Step.DELETED, Step.DELETE_OUTCOME_WRITTEN),
    pool_gives_an_eni_back: (Step.DETACH_INTENT_WRITTEN, Step.DETACHED, Step.DETACH_OUTCOME_WRITTEN),
}
# Played in a test of their own, with traffic: a node changes hands.
OF_TAKEOVER = frozenset(
    step for step in Step if step is Step.LINK_ADOPTED or step.startswith(("takeover-", "handback-"))
)
# These wait for an ENI to age, all together, in labs of their own.
SLOW = frozenset((pool_gives_an_eni_back,))
