"""Operations on clusters: registered ones, which nobody makes here, and which go on when they are forgotten."""

from dataclasses import replace

from vpc_cni.addons import errors, names, rules
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json, require_absent
from vpc_cni.addons.api.shapes import cluster_shape, update_shape
from vpc_cni.addons.model import UpdateRecord, UpdateStatus
from vpc_cni.addons.rules import InputError
from vpc_cni.addons.store import NoClusterError
from vpc_cni.manifests import parse_kubernetes_version


def describe_cluster(call: Call) -> Json:
    return {"cluster": cluster_shape(call.service.owner, call.service.store.clusters.get(call.cluster))}


def list_clusters(call: Call) -> Json:
    paging = read_paging(call.query, call.operation)
    page = call.service.store.clusters.list_names(paging.after, paging.limit)
    return {"clusters": list(page.items), "nextToken": paging.token(page.next)}


def create_cluster(call: Call) -> Json:
    """Refuse: ``vpc-cni addons register-cluster`` says how to reach a cluster, which this API has no member for."""
    name = rules.check_cluster_name(call.body.required("name"))
    try:
        call.service.store.clusters.get(name)
    except NoClusterError:
        raise errors.clusters_are_registered() from None
    raise errors.cluster_exists(name)


def delete_cluster(call: Call) -> Json:
    """Forget a cluster without add-ons and Fargate profiles; nothing in it changes."""
    record = call.service.store.clusters.remove(call.cluster)
    return {"cluster": cluster_shape(call.service.owner, replace(record, status="DELETING"))}


def update_cluster_version(call: Call) -> Json:
    """Change the version that a cluster is said to have, by one minor; nothing in it changes. It is over at once."""
    store, text = call.service.store, call.body.required("version", maximum=16)
    require_absent(call.body, "rollbackConfig")
    record = store.clusters.get(rules.check_cluster_name(call.cluster))
    wished = rules.parse_kubernetes(text)
    if wished is None:
        raise InputError(f"Invalid Kubernetes version: {text}")
    rules.check_cluster_step(parse_kubernetes_version(record.version), wished)
    update = UpdateRecord(
        id=names.update_id(record.name, "", call.token_text, call.now),
        cluster=record.name,
        addon=None,
        type="VersionUpdate",
        status=UpdateStatus.SUCCESSFUL,
        created_at=call.now,
        params=(("Version", text), ("PlatformVersion", record.platform_version)),
    )
    return call.accept(
        {"update": update_shape(update)},
        lambda token: store.requests.accept_cluster_update(update, {"version": str(wished)}, token),
    )
