"""Operations on pod identity associations. Those that an add-on owns are changed by updating the add-on."""

from dataclasses import replace

from vpc_cni.addons import errors, names, rules
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json, require_absent
from vpc_cni.addons.api.shapes import association_shape, association_summary
from vpc_cni.addons.model import Association

# Members of roles in other accounts, which is not built.
_NOT_BUILT = ("disableSessionTags", "targetRoleArn", "policy")


def create_association(call: Call) -> Json:
    service, body = call.service, call.body
    require_absent(body, *_NOT_BUILT)
    record = Association(
        id=names.association_id(service.random(16)),
        cluster=rules.check_cluster_name(call.cluster),
        namespace=rules.check_namespace(body.required("namespace")),
        service_account=rules.check_service_account(body.required("serviceAccount")),
        role_arn=rules.check_role(body.required("roleArn", minimum=0), service.owner),
        created_at=call.now,
        modified_at=call.now,
        tags=rules.check_tags(body.text_map("tags") or {}),
    )
    return call.accept(
        {"association": association_shape(service.owner, record)},
        lambda token: service.store.associations.add(record, token),
    )


def describe_association(call: Call) -> Json:
    record = call.service.store.associations.get(call.cluster, call.labels["associationId"])
    return {"association": association_shape(call.service.owner, record)}


def list_associations(call: Call) -> Json:
    service = call.service
    namespace, account = call.query.text("namespace") or "", call.query.text("serviceAccount") or ""
    paging = read_paging(call.query, call.operation, call.cluster, namespace, account)
    page = service.store.associations.find(
        call.cluster, namespace=namespace, service_account=account, after=paging.after, limit=paging.limit
    )
    summaries = [association_summary(service.owner, each) for each in page.items]
    return {"associations": summaries, "nextToken": paging.token(page.next)}


def update_association(call: Call) -> Json:
    service = call.service
    require_absent(call.body, *_NOT_BUILT)
    seen = _require_free(call)
    role = call.body.text("roleArn")
    role = seen.role_arn if role is None else rules.check_role(role, service.owner)
    record = replace(seen, role_arn=role, modified_at=call.now)
    return call.accept(
        {"association": association_shape(service.owner, record)},
        lambda token: service.store.associations.change(record, token),
    )


def delete_association(call: Call) -> Json:
    seen = _require_free(call)
    record = call.service.store.associations.remove(seen.cluster, seen.id)
    return {"association": association_shape(call.service.owner, record)}


def _require_free(call: Call) -> Association:
    """Return an association that no add-on owns."""
    found = call.service.store.associations.get(call.cluster, call.labels["associationId"])
    if found.owner:
        raise errors.association_owned(found.id, found.owner)
    return found
