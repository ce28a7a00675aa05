"""The agent as the lab starts it, and as a DaemonSet would: uid 0 with one capability."""

from pathlib import Path

from fault_agent import NewAgent, capability_sets

from vpc_cni.lab.client import Lab

CAP_NET_ADMIN = 1 << 12  # linux/capability.h


def test_the_running_agent_has_net_admin_and_nothing_else() -> None:
    with Lab(name="kills-privileges", nodes=1) as lab:
        lab.add_pod()  # it works with that
        pid = lab.nodes[0].agent_pid
        assert pid is not None
        _assert_one_capability(pid)


def test_a_restarted_agent_gains_nothing(new_agent: NewAgent) -> None:
    agent = new_agent()
    agent.start().wait_serving()
    agent.kill()
    agent.start().wait_serving()
    _assert_one_capability(agent.pid)


def _assert_one_capability(pid: int) -> None:
    assert capability_sets(pid) == {
        "CapInh": 0,
        "CapPrm": CAP_NET_ADMIN,
        "CapEff": CAP_NET_ADMIN,
        "CapBnd": CAP_NET_ADMIN,
        "CapAmb": 0,
    }
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == ["0"] * 4
