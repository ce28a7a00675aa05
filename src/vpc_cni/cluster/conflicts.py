"""Who owns the fields that an apply would change. Pure.

The API server of Kubernetes 1.20 counts conflicts rightly but names wrong fields when one manager has several. So the
list is not taken from its answer: it is what a forced dry run changes, looked up in ``managedFields``.
"""

import json
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster.applying import ObjectPlan
from vpc_cni.cluster.fields import ABSENT, find_field, is_within
from vpc_cni.manifests import Change, ChangeKind, Manifest, ObjectName


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager owns and that would change. ``operation`` is ``Apply`` or ``Update``."""

    object: ObjectName
    path: str
    manager: str
    operation: str
    live: Any
    wanted: Any

    def __str__(self) -> str:
        return (
            f"{self.object}: {self.path} is {json.dumps(self.live)}, owned by {self.manager}; "
            f"wanted {json.dumps(self.wanted)}"
        )


def find_conflicts(plan: ObjectPlan) -> tuple[Conflict, ...]:
    """Return the conflicts of an apply, sorted by path and manager: one for each field, owner and operation."""
    found = {
        (each.path, one.manager, one.operation): Conflict(
            plan.name, each.path, one.manager, one.operation, each.live, each.target
        )
        for each in plan.fields
        for one in each.contenders
    }
    return tuple(found[key] for key in sorted(found))


def collides(change: Change, path: str, before: Manifest) -> bool:
    """Whether a change takes a value from the owner of a field.

    A field that is added takes one only from who owns it with an empty value, or owns all around it as one value.
    """
    if change.kind is not ChangeKind.ADDED or change.path == path:
        return touches(change, path)
    return is_within(change.path, path) and find_field(before, path) not in (ABSENT, None, {}, [])


def touches(change: Change, path: str) -> bool:
    """Whether a field is the changed one, lies in it, or holds it as one whole."""
    return is_within(path, change.path) or is_within(change.path, path)
