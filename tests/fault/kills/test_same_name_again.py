"""A StatefulSet's pod comes back under its name before its old sandbox is gone: the new one keeps its network."""

import random

import pytest
from fault_agent import NewAgent, Tell
from fault_runtime import Pinger, Sandbox
from fault_stage import Stage

from vpc_cni.lab.client import Lab
from vpc_cni.netlink.netns import Netns

RECREATIONS = 200
# The runtime may also destroy the old namespace first, or send the old DEL while the new ADD runs.
ORDERS = ("after the ADD", "after the ADD, namespace gone", "with the ADD")


@pytest.mark.slow(seconds=10)
def test_the_late_del_of_the_old_sandbox_spares_the_new_one(
    lab: Lab, peer: Netns, new_agent: NewAgent, seed: int, tell: Tell
) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secrets
    # Without a cooldown the old address comes back as soon as its link is gone.
    stage = Stage.set_up(lab, new_agent({"WARM_IP_TARGET": "3", "IP_COOLDOWN_PERIOD": "0"}), peer)
    stage.run()
    pinger = Pinger(peer)
    neighbour, old = stage.add(Sandbox.create("web-1")), stage.add()
    counts = dict.fromkeys(ORDERS, 0)
    for number in range(1, RECREATIONS + 1):
        order = rng.choice(ORDERS)
        counts[order] += 1
        new = Sandbox.create("web-0")
        if order == "with the ADD":
            adding, deleting = stage.begin_add(new), stage.begin_delete(old)
            stage.finish_add(new, adding)
            deleting.result()
        else:
            stage.add(new)
            if order.endswith("gone"):
                old.netns.close()
            stage.begin_delete(old).result()
        _assert_keeps_network(stage, pinger, new)
        old.netns.close()
        old = new
        if number % 50 == 0:
            stage.rerun()
            _assert_keeps_network(stage, pinger, new)
    assert pinger.reaches(neighbour.address)  # type: ignore[arg-type]
    stage.settle()
    stage.delete(old)
    stage.settle()
    pinger.close()
    tell(f"{RECREATIONS} re-creations, the old DEL came: {counts}")


def _assert_keeps_network(stage: Stage, pinger: Pinger, new: Sandbox) -> None:
    assert new.address is not None
    assert pinger.reaches(new.address), f"{new.address} is lost"
    stage.runtime.begin(stage.runtime.check, new).result()
