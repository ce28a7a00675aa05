"""Settings that a change took away, and what to apply so that they are there again. Pure.

What configuration values cannot say is applied beside EKS, under a field manager of our own. It stays until EKS
overwrites it: later updates conflict with it under NONE, and keep it under PRESERVE.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vpc_cni.cluster import Inventory
from vpc_cni.cluster.fields import find_field, with_field
from vpc_cni.cluster.inventory import reference_of
from vpc_cni.manifests import Manifest, name_of
from vpc_cni.self_managed.kept import Setting

# Not labels, arguments and images: those say which version it is.
_OURS_TO_SET = re.compile(
    r"\.env\[[^]]*\]$|\.env\[[^]]*\]\.valueFrom\b|\.(resources|tolerations|affinity|nodeSelector|timeoutSeconds)\b|^\.data\b"
)


@dataclass(frozen=True, slots=True)
class Lost:
    """A setting that was there before a change; ``now`` is its value after it, None for nothing."""

    setting: Setting
    now: Any


def find_lost(settings: Iterable[Setting], after: Inventory) -> tuple[Lost, ...]:
    """Return the settings of before that are no more, of the kinds that operators set."""
    found = []
    for each in settings:
        live = next((one for one in after.objects if name_of(one) == each.object), None)
        if live is None or not _OURS_TO_SET.search(each.path):
            continue
        now = _value_at(live, each)
        if now != each.value:
            found.append(Lost(each, now))
    return tuple(found)


def _value_at(live: Manifest, setting: Setting) -> Any:
    """Return what is where a setting was; of a variable its text where the setting has one."""
    now = find_field(live, setting.path)
    if isinstance(now, dict) and isinstance(setting.value, str):
        return now.get("value", "")
    return now if isinstance(now, str | int | float | bool | list | dict) else None


def plan_putting_back(lost: Iterable[Lost], after: Inventory) -> tuple[Manifest, ...]:
    """Return what to apply: of each object only the fields that were lost."""
    made: dict[str, Manifest] = {}
    for each in lost:
        live = next(one for one in after.objects if name_of(one) == each.setting.object)
        head = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": _identity(live)}
        key = str(reference_of(live))
        made[key] = with_field(made.get(key, head), *_field(each.setting))
    return tuple(made.values())


def _field(setting: Setting) -> tuple[str, Any]:
    if ".env[" in setting.path and isinstance(setting.value, str):
        return f"{setting.path}.value", setting.value
    return setting.path, setting.value


def _identity(live: Manifest) -> Manifest:
    return {key: value for key, value in live["metadata"].items() if key in ("name", "namespace")}
