"""An ENI whose link is not there (yet) when an agent starts: the others serve, and it serves when its link comes."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from live_node import LiveNode, report, wait_until

StartNode = Callable[..., LiveNode]

OTHER_MAC = "02:00:00:00:0e:0e"
# An agent waits up to 30 s for the link of an ENI that has just been attached.
START_SECONDS = 10.0


def eni_row(node: LiveNode, eni_id: str) -> Any:
    return next(eni for eni in node.status()["enis"] if eni["eni_id"] == eni_id)


def link_of(node: LiveNode, mac: str) -> str:
    """Return the name of the link with a hardware address."""
    [line] = [line for line in node.run("ip", "-o", "link").splitlines() if mac in line]
    return line.split(":")[1].split("@")[0].strip()


def test_an_eni_without_link_delays_no_start_and_serves_when_its_link_comes(start_node: StartNode) -> None:
    node = start_node(instance_type="t3.small", env={"WARM_ENI_TARGET": "0", "IP_COOLDOWN_PERIOD": "0"})
    for number in range(5):  # 3 on the first ENI
        assert node.call("ADD", node.sandbox(f"pod-{number}")).exit_code == 0
    [second] = [eni for eni in node.status()["enis"] if eni["device_number"] == 1]
    held, link = node.pod_addresses(), link_of(node, second["mac"])
    assert second["assigned"] == 2

    # The kernel's link of this ENI cannot be found by its hardware address, as if it were not there.
    node.run("ip", "link", "set", link, "address", OTHER_MAC)
    started = time.monotonic()
    node.lab.restart_agent(node.name)
    wait_until(lambda: node.get("/readyz")[0] == 200, 40, "a start without the link")
    seconds = time.monotonic() - started
    report(f"start with an ENI without link: ready {seconds:.2f} s after the restart")
    assert seconds < START_SECONDS
    assert eni_row(node, second["eni_id"])["state"] == "draining"
    assert node.pod_addresses() == held, "pods keep what they have"
    assert node.pool()["quarantined"] == 0
    newcomer = node.call("ADD", node.sandbox("newcomer"))  # not on the ENI that is closed
    assert newcomer.exit_code == 0, newcomer.answer
    assert eni_row(node, second["eni_id"])["assigned"] == 2

    node.run("ip", "link", "set", link, "address", second["mac"])
    opened = wait_until(lambda: eni_row(node, second["eni_id"])["state"] == "ready", 5, "the ENI with its link")
    report(f"its link is there: open {opened:.2f} s later")
    assert node.call("ADD", node.sandbox("after")).exit_code == 0
    assert node.bugs() == []


@pytest.mark.slow(seconds=40)
def test_a_link_that_stays_away_does_not_slow_the_comparison_of_the_rest(start_node: StartNode) -> None:
    node = start_node(
        instance_type="t3.small",
        env={"WARM_ENI_TARGET": "0", "IP_COOLDOWN_PERIOD": "0", "VPC_CNI_RECONCILE_SECONDS": "1"},
    )
    for number in range(5):
        assert node.call("ADD", node.sandbox(f"pod-{number}")).exit_code == 0
    [second] = [eni for eni in node.status()["enis"] if eni["device_number"] == 1]
    link = link_of(node, second["mac"])
    node.run("ip", "link", "set", link, "address", OTHER_MAC)
    node.lab.restart_agent(node.name)
    wait_until(lambda: node.get("/readyz")[0] == 200, 40, "a start without the link")

    def looks() -> float:
        return sum(
            count
            for name, count in node.metrics().items()
            if name.startswith("awscni_aws_api_latency_ms_count") and "DescribeNetworkInterfaces" in name
        )

    # The first wait began with the start; the next one begins with a comparison.
    wait_until(lambda: any("cannot be used yet" in line for line in node.log_lines()), 40, "the end of the first wait")
    before = looks()
    seconds = wait_until(lambda: looks() >= before + 5, 15, "comparisons with EC2 while a link is awaited")
    assert eni_row(node, second["eni_id"])["state"] == "draining"
    report(f"5 comparisons in {seconds:.1f} s beside a link that stays away")
