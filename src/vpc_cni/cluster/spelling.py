"""Amounts spelled as the API server keeps them. Pure.

It stores ``1000m`` as ``1``; applying the other spelling would conflict with each owner of the field.
"""

from collections.abc import Mapping
from typing import Any

from vpc_cni.manifests import Manifest, canonical_quantity


def spell_as_live(wanted: Manifest, live: Manifest) -> Manifest:
    """Return a manifest in which amounts that are the same as the live ones are spelled alike."""
    spelled: Manifest = _spelled("", wanted, live)
    return spelled


def _spelled(field: str, wanted: Any, live: Any) -> Any:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        if field in ("limits", "requests"):
            return {name: _spell(value, live.get(name)) for name, value in wanted.items()}
        return {name: _spelled(name, value, live.get(name)) for name, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(live, list) and field in ("containers", "initContainers"):
        known = {each.get("name"): each for each in live}
        return [_spelled("", each, known.get(each.get("name"))) for each in wanted]
    return wanted


def _spell(wanted: Any, live: Any) -> Any:
    return live if live is not None and canonical_quantity(live) == canonical_quantity(wanted) else wanted
