"""Installations whose objects their operators apply themselves: looked at, backed up, compared, updated, restored.

Decisions are pure and here; what acts is in ``flow``, on a ``vpc_cni.cluster.client``. ``eks`` is the only module that
needs boto3, so it is imported where it is used and not from here.
"""

from vpc_cni.cluster.installed import Installed, find_installed
from vpc_cni.self_managed.backup import Backup, encode_backup, parse_backup, write_backup
from vpc_cni.self_managed.detection import (
    NOT_ASKED,
    AddonType,
    Detection,
    EksAnswer,
    EksVerdict,
    Sighting,
    detect,
    judge_eks_error,
)
from vpc_cni.self_managed.kept import Setting
from vpc_cni.self_managed.planning import (
    ObjectChange,
    UpdatePlan,
    Wish,
    find_target,
    plan_update,
    refuse_unless_self_managed,
)
from vpc_cni.self_managed.restoring import RestorePlan, plan_restore
from vpc_cni.self_managed.verification import Check, Evidence, Outcome, judge_probe, probe_pod, verify

__all__ = [
    "NOT_ASKED",
    "AddonType",
    "Backup",
    "Check",
    "Detection",
    "EksAnswer",
    "EksVerdict",
    "Evidence",
    "Installed",
    "ObjectChange",
    "Outcome",
    "RestorePlan",
    "Setting",
    "Sighting",
    "UpdatePlan",
    "Wish",
    "detect",
    "encode_backup",
    "find_installed",
    "find_target",
    "judge_eks_error",
    "judge_probe",
    "parse_backup",
    "plan_restore",
    "plan_update",
    "probe_pod",
    "refuse_unless_self_managed",
    "verify",
    "write_backup",
]
