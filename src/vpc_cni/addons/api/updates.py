"""Operations on updates. An add-on's are found with its name only; without, updates of the cluster are meant."""

from vpc_cni.addons import errors
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json
from vpc_cni.addons.api.shapes import update_shape
from vpc_cni.addons.rules import InputError


def describe_update(call: Call) -> Json:
    identifier = call.labels["updateId"]
    if call.query.text("nodegroupName") or call.query.text("capabilityName"):
        raise errors.no_update(identifier)
    addon = call.query.text("addonName") or None
    return {"update": update_shape(call.service.store.updates.get(call.cluster, identifier, addon))}


def list_updates(call: Call) -> Json:
    store, addon = call.service.store, call.query.text("addonName") or None
    store.clusters.get(call.cluster)
    group = call.query.text("nodegroupName") or call.query.text("capabilityName")
    if group:
        raise errors.no_node_group(group)
    if addon:
        store.addons.get(call.cluster, addon)
    paging = read_paging(call.query, call.operation, call.cluster, addon)
    try:
        page = store.updates.list_ids(call.cluster, addon, paging.after, paging.limit)
    except ValueError:
        raise InputError("The nextToken is not one of this list") from None
    return {"updateIds": list(page.items), "nextToken": paging.token(page.next)}


def cancel_update(call: Call) -> Json:
    """Refuse: updates of add-ons cannot be cancelled, and those of clusters are over at once."""
    found = call.service.store.updates.get(call.cluster, call.labels["updateId"])
    raise errors.not_cancellable(found.id, found.status)
