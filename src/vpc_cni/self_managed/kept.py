"""Settings of a live installation, and which of them an update keeps. Pure; for people, before they update.

A setting is a field of the kinds that operators set and whose value is not the plain one of the live version.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster.conflicts import touches
from vpc_cni.cluster.inventory import Inventory, reference_of
from vpc_cni.manifests import Change, ChangeKind, Manifest, ObjectName, find_changes, name_of, strip_server_fields

# Of other fields the API server fills in defaults, which nobody has set.
_SETTABLE = re.compile(
    r"\.env\[[^]]*\](\.value)?$|\.(resources|tolerations|affinity|nodeSelector|args|timeoutSeconds)\b"
    r"|\.metadata\.(labels|annotations)\b|^\.data\b"
)
_VALUE = re.compile(r"(?<=\])\.value$")


@dataclass(frozen=True, slots=True)
class Setting:
    """A field with its live value; ``is_kept`` when the update leaves that value alone."""

    object: ObjectName
    path: str
    value: Any
    is_kept: bool


def find_settings(
    live: Inventory, base: Inventory, changes: Iterable[tuple[ObjectName, Change]], removed: Iterable[str]
) -> tuple[Setting, ...]:
    """Return the settings of an installation.

    Args:
        base: the plain render of the live version.
        changes: what the update changes.
        removed: paths that it takes away from the DaemonSet.
    """
    by_object: dict[ObjectName, list[Change]] = {}
    for name, change in changes:
        by_object.setdefault(name, []).append(change)
    gone = tuple(removed)
    return tuple(
        Setting(
            name_of(each),
            _VALUE.sub("", setting.path),
            setting.after,
            not _is_changed(setting, by_object.get(name_of(each), ()), gone if each["kind"] == "DaemonSet" else ()),
        )
        for each in live.objects
        if (plain := base.find(reference_of(each))) is not None
        for setting in _set_fields(plain, each)
    )


def _set_fields(plain: Manifest, live: Manifest) -> Iterator[Change]:
    for change in find_changes(plain, strip_server_fields(live)):
        if change.kind is not ChangeKind.REMOVED and _SETTABLE.search(change.path):
            yield change


def _is_changed(setting: Change, changes: Iterable[Change], removed: Iterable[str]) -> bool:
    return any(touches(each, setting.path) for each in changes) or any(touches(setting, path) for path in removed)
