"""What an apply of the add-on's objects would do to each field, and what it must not do. Pure.

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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vpc_cni.cluster.conflicts import collides
from vpc_cni.cluster.fields import ABSENT, api_spelling, find_field, is_within, with_field, without_field
from vpc_cni.cluster.laying import Clash, find_clashes, lay, without_doubles
from vpc_cni.cluster.owners import NOBODY, Owned, find_owned, find_updates
from vpc_cni.cluster.spelling import spell_as_live
from vpc_cni.manifests import Change, ChangeKind, Manifest, ObjectName, find_changes, name_of, strip_server_fields

_HEADER = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:"
_TEMPLATE = ".spec.template.spec"

Patch = tuple[Mapping[str, Any], ...]


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
    """

    path: str
    claim: Claim
    owners: tuple[str, ...]
    live: Any = None
    target: Any = None

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
        rewrites: why no apply succeeds before the object is rewritten, for people; empty when one does.
    """

    name: ObjectName
    is_new: bool
    wanted: Manifest
    preserving: Manifest
    fields: tuple[FieldPlan, ...] = ()
    contests: tuple[Contest, ...] = ()
    rewrites: tuple[str, ...] = ()

    def manifest(self, mode: Mode) -> Manifest:
        return self.preserving if mode is Mode.PRESERVE else self.wanted

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


def plan_object(live: Manifest | None, wanted: Manifest, merged: Manifest | None, manager: str) -> ObjectPlan:
    """Return what an apply does to one object.

    Args:
        live: with its ``managedFields``; None when there is none.
        merged: what a forced dry run returned; None when none could be had, then it is told without.
        manager: who applies. What it owns is never contested, however it came to own it.
    """
    if live is None:
        return ObjectPlan(name_of(wanted), True, wanted, wanted)
    wanted = spell_as_live(wanted, live)
    single: Manifest = without_doubles(live)
    clashes = tuple(find_clashes(single, wanted))
    rewrites = tuple(find_rewrites(live, wanted, manager))
    after = lay(single, wanted, manager) if merged is None or rewrites else merged
    before = strip_server_fields(single)
    owned = find_owned(live)
    contenders = _contenders(owned, manager)
    fields = _changed_fields(find_changes(before, strip_server_fields(after)), owned, contenders, clashes, before)
    contests = {
        Contest(each.path, each.manager)
        for each in contenders
        if _is_barring(each.path, clashes)
        or any(one.claim is Claim.CONTESTED and collides(_change_of(one), each.path, before) for one in fields)
    }
    return ObjectPlan(
        name_of(live),
        False,
        wanted,
        _preserving(wanted, single, fields, contests, _mine(owned, manager)),
        tuple(sorted((*fields, *_foreign_fields(before, wanted, owned, fields, manager)), key=lambda one: one.path)),
        tuple(sorted(contests)),
        rewrites,
    )


def _mine(owned: Iterable[Owned], manager: str) -> tuple[Owned, ...]:
    return tuple(each for each in owned if each.manager == manager)


def _contenders(owned: Iterable[Owned], manager: str) -> tuple[Owned, ...]:
    """Return the fields that others can contest.

    Who is named for what nobody owned (``before-first-apply``) contests no field that we have applied since.
    """
    applied = {each.path for each in owned if each.manager == manager}
    return tuple(
        each
        for each in owned
        if not each.is_item and each.manager != manager and not (each.manager == NOBODY and each.path in applied)
    )


def _changed_fields(
    changes: Iterable[Change],
    owned: tuple[Owned, ...],
    contenders: tuple[Owned, ...],
    clashes: tuple[Clash, ...],
    before: Manifest,
) -> tuple[FieldPlan, ...]:
    found = [
        FieldPlan(
            change.path,
            Claim.CONTESTED if any(collides(change, each.path, before) for each in contenders) else Claim.FREE,
            _owners(change.path, owned),
            change.before,
            change.after,
        )
        for change in changes
    ]
    # Who keeps a live member of two that exclude each other keeps the wanted one out.
    barred = tuple(
        f"{clash.path}.{name}"
        for clash in clashes
        if any(_is_barring(each.path, (clash,)) for each in contenders)
        for name in clash.wanted
    )
    return tuple(
        replace(each, claim=Claim.CONTESTED) if any(is_within(each.path, path) for path in barred) else each
        for each in found
    )


def _is_barring(path: str, clashes: Iterable[Clash]) -> bool:
    """Whether a field is, or is in, a live member that excludes what is wanted."""
    return any(is_within(path, f"{clash.path}.{name}") for clash in clashes for name in clash.live)


def _owners(path: str, owned: Iterable[Owned]) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                each.manager
                for each in owned
                if is_within(each.path, path) or (is_within(path, each.path) and not each.is_item)
            }
        )
    )


def _change_of(one: FieldPlan) -> Change:
    if one.live is None:
        return Change(one.path, ChangeKind.ADDED, None, one.target)
    kind = ChangeKind.REMOVED if one.target is None else ChangeKind.CHANGED
    return Change(one.path, kind, one.live, one.target)


def _foreign_fields(
    before: Manifest, wanted: Manifest, owned: Iterable[Owned], changed: Iterable[FieldPlan], manager: str
) -> Iterator[FieldPlan]:
    """Yield what others own and the manifest does not name: settings that stay, and what they sent of defaults."""
    known = tuple(each.path for each in changed)
    by_path: dict[str, set[str]] = {}
    for each in owned:
        if each.manager != manager and not each.is_item:
            by_path.setdefault(each.path, set()).add(each.manager)
    for path, managers in by_path.items():
        value = find_field(before, path)
        if value is ABSENT or find_field(wanted, path) is not ABSENT or any(is_within(path, each) for each in known):
            continue
        yield FieldPlan(path, Claim.FOREIGN, tuple(sorted(managers)), value, value)


def _preserving(
    wanted: Manifest,
    live: Manifest,
    fields: Iterable[FieldPlan],
    contests: Iterable[Contest],
    mine: tuple[Owned, ...],
) -> Manifest:
    """Return the manifest that leaves contested fields as they are live."""
    contested = tuple(each for each in fields if each.claim is Claim.CONTESTED)
    left = wanted
    for path in (*(each.path for each in contested), *(each.path for each in contests)):
        if find_field(wanted, path) is not ABSENT and find_field(live, path) is not ABSENT:
            left = without_field(left, path)
    for each in contested:
        if each.live is None:
            left = without_field(left, each.path)
        elif each.target is None and find_field(wanted, each.path) is ABSENT:
            left = _with_what_was_applied(left, live, each.path, mine)
    return left


def _with_what_was_applied(wanted: Manifest, live: Manifest, path: str, mine: Iterable[Owned]) -> Manifest:
    """Put back what we had applied of an item, with its live values: an apply without it would delete the item."""
    for each in mine:
        if each.operation == "Apply" and is_within(each.path, path):
            value = find_field(live, each.path)
            if value is not ABSENT:
                wanted = with_field(wanted, each.path, {} if each.is_item else value)
    return wanted


def find_rewrites(live: Manifest, wanted: Manifest, manager: str) -> Iterator[str]:
    """Yield why an apply, forced or not, would be refused or be none of ours alone, as long as the object is live."""
    yield from _find_refusals(live, wanted)
    if find_updates(live, manager):
        yield f"{manager} has written it otherwise than by an apply"


def _find_refusals(live: Manifest, wanted: Manifest) -> Iterator[str]:
    for container in _containers(live):
        names = [each.get("name") for each in container.get("env") or ()]
        for name in sorted({each for each in names if names.count(each) > 1}):
            yield f"container {container['name']} names {name} {names.count(name)} times"
    for clash in find_clashes(without_doubles(live), wanted):
        yield f"{clash.path} has {', '.join(clash.live)}, which excludes {', '.join(clash.wanted)}"


def _containers(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    spec = find_field(manifest, _TEMPLATE)
    if isinstance(spec, Mapping):
        yield from spec.get("initContainers") or ()
        yield from spec.get("containers") or ()


def plan_rewrite(live: Manifest, wanted: Manifest, manager: str) -> Patch:
    """Return a JSON patch (RFC 6902) that makes a pod template what an apply of ``wanted`` is to make of it.

    All in one write, so that pods roll once; the apply after it changes no value and makes us the owner. It fails when
    the object has changed since it was read. Empty when the object needs none.
    """
    if not any(_find_refusals(live, wanted)):
        return ()
    laid = lay(without_doubles(live), wanted, manager)
    return (_guard(live), {"op": "replace", "path": "/spec/template/spec", "value": find_field(laid, _TEMPLATE)})


def plan_release(live: Manifest, manager: str) -> Patch:
    """Return a JSON patch that takes from a manager what it owns otherwise than by its applies, as after a rewrite.

    What it owns twice stays when an apply drops it, since the API server takes the other owner for someone else.
    """
    indices = find_updates(live, manager)
    removals = ({"op": "remove", "path": f"/metadata/managedFields/{index}"} for index in reversed(indices))
    return (_guard(live), *removals) if indices else ()


def _guard(live: Manifest) -> Mapping[str, Any]:
    version = live.get("metadata", {}).get("resourceVersion", "")
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}
