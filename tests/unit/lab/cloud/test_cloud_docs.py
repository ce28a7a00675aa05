"""The page about the lab's cloud names every operation and every fault, and no other."""

import re
import typing
from pathlib import Path

from vpc_cni.lab.cloud.ec2.service import EC2
from vpc_cni.lab.cloud.faults import Fault
from vpc_cni.lab.cloud.sts.service import STS

PAGE = (Path(__file__).parents[4] / "docs" / "lab-cloud.md").read_text(encoding="utf-8")


def test_every_operation_is_named_and_no_other() -> None:
    table = PAGE.partition("## Operations")[2].partition("\n## ")[0].partition("\nAll of them")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted({*EC2.operations, *STS.operations})


def test_every_fault_is_named() -> None:
    for fault in typing.get_args(Fault):
        assert f"`{fault.__name__}`" in PAGE
