"""The add-on's objects in a cluster: which there are, who owns their fields, what stands in an apply's way, how far a
roll-out is.

All pure but ``trial`` and ``writing``, which act on a cluster that they are given, and ``client``, which is one, alone
needs lightkube and is imported where it is used. Stands below everything that
installs, updates or watches the add-on, whoever asked for it.
"""

from vpc_cni.cluster.applying import ApplyPlan, Claim, Contest, FieldPlan, Mode, ObjectPlan, Outcome
from vpc_cni.cluster.conflicts import Conflict, find_conflicts
from vpc_cni.cluster.inventory import Inventory, Reference, Resource, reference_of
from vpc_cni.cluster.planning import plan_object
from vpc_cni.cluster.removals import find_removals
from vpc_cni.cluster.repairs import Repair, find_repairs
from vpc_cni.cluster.rollout import Progress, find_troubles, judge_rollout

__all__ = [
    "ApplyPlan",
    "Claim",
    "Conflict",
    "Contest",
    "FieldPlan",
    "Inventory",
    "Mode",
    "ObjectPlan",
    "Outcome",
    "Progress",
    "Reference",
    "Repair",
    "Resource",
    "find_conflicts",
    "find_removals",
    "find_repairs",
    "find_troubles",
    "judge_rollout",
    "plan_object",
    "reference_of",
]
