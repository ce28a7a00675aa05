"""How much memory the agent in its container takes."""

import os
import re

from cluster_node import read_process
from cluster_objects import start_pods
from figures_file import Figures

from vpc_cni.lab import Lab

PODS = 100
BAR_MIB = 45


def test_the_agent_is_small_with_a_hundred_pods(image_archive: str, figures: Figures) -> None:
    name = f"k8s-mem-{os.getpid() % 10000}"
    with Lab(name=name, nodes=1, instance_type="m5.4xlarge", kubernetes=True, install=image_archive) as lab:
        figures[f"pods_{PODS}_on_one_node_running_seconds"] = start_pods(lab, "many", PODS)
        found = re.search(r"^Pss: +(\d+) kB", read_process(lab, "node-1", "smaps_rollup"), re.MULTILINE)
        assert found is not None
        figures[f"agent_pss_{PODS}_pods_mib"] = int(found[1]) / 1024
        assert int(found[1]) / 1024 <= BAR_MIB
