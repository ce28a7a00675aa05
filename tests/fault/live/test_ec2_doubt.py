"""What EC2 did with a request to take addresses back is not known for a while: only those addresses wait for it."""

import time
from collections.abc import Callable

from live_cloud import connect, wait_in_line
from live_node import LiveNode, report, wait_until

StartNode = Callable[..., LiveNode]


def test_addresses_in_doubt_do_not_keep_their_eni_from_growing(start_node: StartNode) -> None:
    node = start_node(instance_type="m5.large", env={"WARM_IP_TARGET": "1", "IP_COOLDOWN_PERIOD": "0", "MAX_ENI": "1"})
    pods = [node.sandbox(f"pod-{number}") for number in range(4)]
    for pod in pods:
        assert node.call("ADD", pod).exit_code == 0
    wait_until(lambda: node.pool()["free"] == 1, 5, "one warm address")

    node.lab.faults.error("UnassignPrivateIpAddresses", "InternalError")
    for pod in pods[:2]:
        assert node.call("DEL", pod).exit_code == 0
    wait_until(lambda: "asking again" in "".join(node.log_lines()), 10, "an unassign without a certain outcome")

    started = time.monotonic()
    for number in range(4):
        outcome = node.call("ADD", node.sandbox(f"later-{number}"))
        assert outcome.exit_code == 0, outcome.answer
    seconds = time.monotonic() - started
    report(f"growth beside addresses in doubt: 4 pods in {seconds:.2f} s")
    assert seconds < 3

    node.lab.faults.clear()
    wait_in_line(node, connect(node.lab), 15)
    assert node.bugs() == []
