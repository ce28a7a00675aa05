"""What an apply of the add-on's objects does to each field, and what it must not do, as data. Pure.

Theory of operation. An apply is planned object by object, from the live object, the wanted manifest and what a forced
dry run made of the two. Every field that would change is one of:

- **free**: ours, or nobody's. It is written, whatever the mode.
- **contested**: another manager owns it. NONE refuses the whole change, OVERWRITE writes it, PRESERVE leaves it as it
  is: the manifest that is applied then lacks it.
- **foreign**: others own it and the manifest does not name it. Nobody touches it.

Contests are found from ``managedFields``, not from the answer of the API server: Kubernetes 1.20 names wrong fields,
and none at all where an item that its applier drops goes with a value that someone else put into it.
"""

import enum
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.cluster.fields import api_spelling
from vpc_cni.cluster.owners import Owned
from vpc_cni.manifests import Manifest, ObjectName

_HEADER = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:"


class Mode(enum.StrEnum):
    """What to do with live values that others own."""

    NONE = "NONE"
    OVERWRITE = "OVERWRITE"
    PRESERVE = "PRESERVE"


class Outcome(enum.StrEnum):
    """What becomes of a field."""

    CONFLICT = "conflict"
    """Nothing: it is among the reasons for which the whole change is refused."""
    SET = "set"
    REMOVED = "removed"
    KEPT = "kept"


class Claim(enum.StrEnum):
    FREE = "free"
    CONTESTED = "contested"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, order=True)
class Contest:
    """A field that another manager owns and that would change. ``path`` is what that manager owns."""

    path: str
    manager: str


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One field that would change, or that is someone else's.

    Attributes:
        owners: managers who own it, a part of it, or all around it as one value; ascending, ours among them.
        live, target: None where there is nothing.
        contenders: what others own and would lose; empty unless it is contested.
    """

    path: str
    claim: Claim
    owners: tuple[str, ...]
    live: Any = None
    target: Any = None
    contenders: tuple[Owned, ...] = ()

    def outcome(self, mode: Mode) -> Outcome:
        """Return what becomes of the field when the change is not refused; CONFLICT when it is what refuses it."""
        if self.claim is Claim.FOREIGN or (self.claim is Claim.CONTESTED and mode is Mode.PRESERVE):
            return Outcome.KEPT
        if self.claim is Claim.CONTESTED and mode is Mode.NONE:
            return Outcome.CONFLICT
        return Outcome.REMOVED if self.target is None else Outcome.SET


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """What an apply does to one object.

    Attributes:
        is_new: there is no live object, so all of ``wanted`` is written whatever the mode.
        fields: sorted by path; empty for a new object.
        contests: sorted; one for each manager and field.
        wanted, preserving: what to apply in modes NONE and OVERWRITE, and in mode PRESERVE.
        removals, preserving_removals: fields of the old version that go, in the same modes.
        rewrites: why an apply alone would not do, for people; empty when it does.
    """

    name: ObjectName
    is_new: bool
    wanted: Manifest
    preserving: Manifest
    fields: tuple[FieldPlan, ...] = ()
    contests: tuple[Contest, ...] = ()
    rewrites: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()
    preserving_removals: tuple[str, ...] = ()

    def manifest(self, mode: Mode) -> Manifest:
        return self.preserving if mode is Mode.PRESERVE else self.wanted

    def removals_in(self, mode: Mode) -> tuple[str, ...]:
        return self.preserving_removals if mode is Mode.PRESERVE else self.removals

    @property
    def changes(self) -> bool:
        """Whether any field that is not foreign differs."""
        return self.is_new or any(each.claim is not Claim.FOREIGN for each in self.fields)


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What an apply does to all objects, in the order to apply them.

    Attributes:
        deletions: objects of ours that are no longer wanted, in the order to delete them.
    """

    objects: tuple[ObjectPlan, ...]
    deletions: tuple[ObjectName, ...] = field(default=())

    @property
    def has_conflicts(self) -> bool:
        return any(each.contests for each in self.objects)

    def is_refused(self, mode: Mode, *, creating: bool) -> bool:
        """Whether nothing at all is applied. PRESERVE is NONE when the add-on is created."""
        return self.has_conflicts and (mode is Mode.NONE or (mode is Mode.PRESERVE and creating))

    def outcome(self, each: FieldPlan, mode: Mode, *, creating: bool) -> Outcome:
        """Return what becomes of a field in the end: of all of them nothing, when one refuses the change."""
        if not self.is_refused(mode, creating=creating):
            return each.outcome(mode)
        return Outcome.CONFLICT if each.claim is Claim.CONTESTED else Outcome.KEPT

    def conflict_lines(self) -> tuple[str, ...]:
        """Return a line for each manager and field, in the order of the objects."""
        return tuple(conflict_line(each.name, contest) for each in self.objects for contest in each.contests)

    def conflict_message(self) -> str:
        """Return the message of issue ConfigurationConflict."""
        return "\n".join((_HEADER, *self.conflict_lines()))


def conflict_line(name: ObjectName, contest: Contest) -> str:
    """Return ``Kind.group name - path``; core kinds have no group, and the manager is not said."""
    kind = f"{name.kind}.{name.group}" if name.group else name.kind
    return f"{kind} {name.name} - {api_spelling(contest.path)}"
