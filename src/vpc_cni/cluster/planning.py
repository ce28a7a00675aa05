"""Plans an apply of one object: which fields it would change, whose they are, and what each mode writes. Pure.

What the outcome means is told by :mod:`~vpc_cni.cluster.applying`.
"""

from collections.abc import Iterable, Iterator

from vpc_cni.cluster.applying import Claim, Contest, FieldPlan, ObjectPlan
from vpc_cni.cluster.conflicts import collides
from vpc_cni.cluster.fields import ABSENT, find_field, is_within, with_field, without_field
from vpc_cni.cluster.laying import Clash, find_clashes, lay, without_doubles
from vpc_cni.cluster.owners import NOBODY, Owned, find_owned, owners_of
from vpc_cni.cluster.rewriting import find_rewrites
from vpc_cni.cluster.spelling import spell_as_live
from vpc_cni.manifests import Change, Manifest, find_changes, name_of, strip_server_fields


def plan_object(
    live: Manifest | None,
    wanted: Manifest,
    merged: Manifest | None,
    manager: str,
    removals: tuple[str, ...] = (),
) -> ObjectPlan:
    """Return what an apply does to one object.

    Args:
        live: with its ``managedFields``; None when there is none.
        merged: what a forced dry run of the apply, or of the rewrite before it, returned; None when none could be had,
            then it is told without.
        manager: who applies. What it owns is never contested, however it came to own it.
        removals: fields of the old version that go (:func:`~vpc_cni.cluster.removals.find_removals`).
    """
    if live is None:
        return ObjectPlan(name_of(wanted), True, wanted, wanted)
    wanted = spell_as_live(wanted, live)
    single: Manifest = without_doubles(live)
    before = strip_server_fields(single)
    owned = find_owned(live)
    after = lay(single, wanted, manager, removals) if merged is None else merged
    changes = find_changes(before, strip_server_fields(after))
    fields = _changed_fields(changes, owned, _contenders(owned, manager), tuple(find_clashes(single, wanted)), before)
    contested = tuple(each for each in fields if each.claim is Claim.CONTESTED)
    contests = tuple(sorted({Contest(one.path, one.manager) for each in contested for one in each.contenders}))
    return ObjectPlan(
        name_of(live),
        False,
        wanted,
        _preserving(wanted, single, contested, contests, _mine(owned, manager)),
        tuple(sorted((*fields, *_foreign_fields(before, wanted, owned, fields, manager)), key=lambda one: one.path)),
        contests,
        tuple(find_rewrites(live, wanted, manager, removals)),
        removals,
        tuple(path for path in removals if not any(_overlap(each.path, path) for each in contested)),
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
    barred = tuple(_barred(clashes, contenders))
    found = []
    for change in changes:
        against = (
            *(each for each in contenders if collides(change, each.path, before)),
            *(each for path, each in barred if is_within(change.path, path)),
        )
        claim = Claim.CONTESTED if against else Claim.FREE
        owners = owners_of(change.path, owned)
        found.append(FieldPlan(change.path, claim, owners, change.before, change.after, tuple(dict.fromkeys(against))))
    return tuple(found)


def _barred(clashes: Iterable[Clash], contenders: tuple[Owned, ...]) -> Iterator[tuple[str, Owned]]:
    """Yield what is kept out, and whose field does so: a live member of two that exclude each other."""
    for clash in clashes:
        lives = tuple(f"{clash.path}.{name}" for name in clash.live)
        for each in contenders:
            if any(is_within(each.path, live) for live in lives):
                yield from ((f"{clash.path}.{name}", each) for name in clash.wanted)


def _overlap(one: str, other: str) -> bool:
    return is_within(one, other) or is_within(other, one)


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
    contested: Iterable[FieldPlan],
    contests: Iterable[Contest],
    mine: tuple[Owned, ...],
) -> Manifest:
    """Return the manifest that leaves contested fields as they are live."""
    contested = tuple(contested)
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
