"""Installations whose objects their operators apply themselves: looked at, backed up, compared, updated, restored.

Decisions are pure and here; what acts is in ``flow``. ``cluster`` is the only module that needs lightkube and ``eks``
the only one that needs boto3, so both are imported where they are used and not from here.
"""

from vpc_cni.self_managed.backup import Backup, encode_backup, parse_backup, write_backup
from vpc_cni.self_managed.conflicts import Conflict, find_conflicts
from vpc_cni.self_managed.detection import (
    NOT_ASKED,
    AddonType,
    Detection,
    EksAnswer,
    EksVerdict,
    Installed,
    Sighting,
    detect,
    find_installed,
    judge_eks_error,
)
from vpc_cni.self_managed.inventory import Inventory
from vpc_cni.self_managed.planning import (
    ObjectChange,
    UpdatePlan,
    Wish,
    check_kubernetes,
    plan_update,
    refuse_unless_self_managed,
)
from vpc_cni.self_managed.restoring import RestorePlan, plan_restore
from vpc_cni.self_managed.rollout import Progress, find_troubles, judge_rollout
from vpc_cni.self_managed.verification import Check, Evidence, Outcome, judge_probe, probe_pod, verify

__all__ = [
    "NOT_ASKED",
    "AddonType",
    "Backup",
    "Check",
    "Conflict",
    "Detection",
    "EksAnswer",
    "EksVerdict",
    "Evidence",
    "Installed",
    "Inventory",
    "ObjectChange",
    "Outcome",
    "Progress",
    "RestorePlan",
    "Sighting",
    "UpdatePlan",
    "Wish",
    "check_kubernetes",
    "detect",
    "encode_backup",
    "find_conflicts",
    "find_installed",
    "find_troubles",
    "judge_eks_error",
    "judge_probe",
    "judge_rollout",
    "parse_backup",
    "plan_restore",
    "plan_update",
    "probe_pod",
    "refuse_unless_self_managed",
    "verify",
    "write_backup",
]
