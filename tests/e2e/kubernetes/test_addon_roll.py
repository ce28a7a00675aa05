"""Rolling the DaemonSet to another tag while pods speak and others start."""

import threading
import time
from typing import Any

import pytest
from cluster_objects import AGENTS, agent_pods, end_pods, failed_sandboxes, restarts, start_pods
from cluster_traffic import assert_nothing_lost, traffic
from figures_file import Figures

from vpc_cni.lab import Lab

NEXT_VERSION = "v1.16.2-eksbuild.1"


@pytest.mark.alone
def test_a_roll_to_another_tag_loses_nothing(
    addon_lab: Lab, pair: tuple[dict[str, Any], dict[str, Any]], figures: Figures
) -> None:
    before = {pod["metadata"]["uid"] for pod in agent_pods(addon_lab).values()}
    failed = failed_sandboxes(addon_lab)
    started = time.monotonic()
    with traffic(addon_lab, *pair) as (pings, stream):
        roll = threading.Thread(target=addon_lab.kubernetes.install, kwargs={"version": NEXT_VERSION})
        roll.start()
        batches = 0
        while roll.is_alive():
            batches += 1
            start_pods(addon_lab, f"fresh-{batches}", 4)
            end_pods(addon_lab, f"fresh-{batches}")
        roll.join()
    figures["roll_seconds"] = time.monotonic() - started
    figures["roll_pings_sent"] = pings.sent
    figures["roll_pings_lost"] = pings.lost
    figures["roll_stream_lines"] = stream.sent
    figures["roll_stream_retransmits"] = stream.retransmitted
    figures["roll_stream_longest_gap_seconds"] = stream.longest_gap_seconds
    figures["roll_pods_started"] = 4 * batches
    assert_nothing_lost(pings, stream)
    after = agent_pods(addon_lab).values()
    assert not before & {pod["metadata"]["uid"] for pod in after}
    assert {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in after} == {NEXT_VERSION}
    assert failed_sandboxes(addon_lab) == failed
    assert restarts(addon_lab, "app") == 0
    assert restarts(addon_lab, AGENTS, "kube-system") == 0
