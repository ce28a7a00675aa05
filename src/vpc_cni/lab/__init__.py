"""A VPC on one machine: EC2, instance metadata and packets, simulated strictly, in network namespaces.

    with Lab(nodes=2) as lab:
        pod = lab.add_pod("node-1")
        assert lab.check().passed

Public: everything listed in ``__all__``. All else is private. Needs root, or a kernel that lets users make namespaces.
"""

from vpc_cni.lab.client import Lab
from vpc_cni.lab.fault_client import LabFaults
from vpc_cni.lab.info import CallInfo, CheckSummary, EniInfo, NodeInfo, PodInfo
from vpc_cni.lab.options import LabOptions

__all__ = ["CallInfo", "CheckSummary", "EniInfo", "Lab", "LabFaults", "LabOptions", "NodeInfo", "PodInfo"]
