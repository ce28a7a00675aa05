"""What a change would do to each field of the add-on's objects, as data. Pure.

The decisions are those of :mod:`vpc_cni.cluster.applying`, by which the add-on service acts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster import Inventory
from vpc_cni.cluster.applying import ApplyPlan, Claim, FieldPlan, Mode, ObjectPlan
from vpc_cni.cluster.fields import ABSENT, find_field
from vpc_cni.cluster.inventory import reference_of
from vpc_cni.cluster.trial import Trial
from vpc_cni.lifecycle.estimates import Estimate


@dataclass(frozen=True, slots=True)
class FieldForecast:
    """One field.

    Attributes:
        owners: managers of it, a part, or all around it.
        default: of the installed version, without settings; None where there is none, or it is not known.
        live, target: None where there is nothing.
        outcomes: by mode.
        is_foreign: nobody's business: others own it and the add-on does not name it.
    """

    path: str
    owners: tuple[str, ...]
    default: Any
    live: Any
    target: Any
    outcomes: dict[str, str]
    is_foreign: bool


@dataclass(frozen=True, slots=True)
class ObjectForecast:
    """One object. ``refusal`` is what the API server says to an apply; empty when it takes it, or does not tell."""

    name: str
    is_new: bool
    fields: tuple[FieldForecast, ...]
    rewrites: tuple[str, ...]
    refusal: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """A change.

    Attributes:
        steps: versions to go through, the target last.
        deletions: objects that go.
        conflicts: lines as EKS writes them.
        refused: for each mode whether nothing at all is applied.
        estimate: what all this rests on where the catalogue does not have the version; None where it has.
    """

    steps: tuple[str, ...]
    objects: tuple[ObjectForecast, ...]
    deletions: tuple[str, ...]
    conflicts: tuple[str, ...]
    refused: dict[str, bool]
    estimate: Estimate | None = None

    @property
    def changes(self) -> bool:
        return bool(self.deletions) or any(
            each.is_new or any(not one.is_foreign for one in each.fields) for each in self.objects
        )


def forecast(
    plan: ApplyPlan,
    trials: Iterable[Trial],
    base: Inventory,
    steps: tuple[str, ...],
    *,
    creating: bool,
    estimate: Estimate | None = None,
) -> Forecast:
    """Return what a change comes to.

    Args:
        base: objects of the installed version without settings.
        creating: EKS has no add-on yet, and takes PRESERVE for NONE.
        estimate: of the objects that ``plan`` is for; None where they are those of the version.
    """
    refusals = {each.plan.name: str(each.refusal.message) for each in trials if each.refusal}
    return Forecast(
        steps=steps,
        objects=tuple(
            ObjectForecast(
                str(each.name),
                each.is_new,
                tuple(_forecast_field(plan, each, one, base, creating=creating) for one in each.fields),
                each.rewrites,
                refusals.get(each.name, ""),
            )
            for each in plan.objects
        ),
        deletions=tuple(map(str, plan.deletions)),
        conflicts=plan.conflict_lines(),
        refused={str(mode): plan.is_refused(mode, creating=creating) for mode in Mode},
        estimate=estimate,
    )


def _forecast_field(
    plan: ApplyPlan, within: ObjectPlan, one: FieldPlan, base: Inventory, *, creating: bool
) -> FieldForecast:
    default = find_field(base.find(reference_of(within.wanted)) or {}, one.path)
    return FieldForecast(
        path=one.path,
        owners=one.owners,
        default=None if default is ABSENT else default,
        live=one.live,
        target=one.target,
        outcomes={str(mode): str(plan.outcome(one, mode, creating=creating)) for mode in Mode},
        is_foreign=one.claim is Claim.FOREIGN,
    )
