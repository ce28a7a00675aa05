"""`lab check`: what must work (pure rows), packets that prove it, and the verdict."""

from vpc_cni.lab.check.expectations import Endpoint, Expectation, LabView, NodeView, PodView, Protocol, expect_all
from vpc_cni.lab.check.probes import ProbeResult
from vpc_cni.lab.check.runner import CheckReport, RowResult, run_check

__all__ = [
    "CheckReport",
    "Endpoint",
    "Expectation",
    "LabView",
    "NodeView",
    "PodView",
    "ProbeResult",
    "Protocol",
    "RowResult",
    "expect_all",
    "run_check",
]
