"""Operations on Fargate profiles: records only. They are ACTIVE at once, and gone at once."""

from vpc_cni.addons import names, rules
from vpc_cni.addons.api.members import Members
from vpc_cni.addons.api.paging import read_paging
from vpc_cni.addons.api.service import Call, Json
from vpc_cni.addons.api.shapes import profile_shape
from vpc_cni.addons.model import FargateProfile, FargateSelector
from vpc_cni.addons.rules import InputError

_NAME_MAX = 63
_SELECTORS_MAX = 5
_LABELS_MAX = 5
_SUBNETS_MAX = 64
_SUBNET_NAME_MAX = 64


def create_profile(call: Call) -> Json:
    service, body = call.service, call.body
    name = rules.check_profile_name(body.required("fargateProfileName", maximum=_NAME_MAX))
    role = rules.check_role(body.required("podExecutionRoleArn", minimum=0), service.owner)
    subnets = body.texts("subnets") or ()
    if len(subnets) > _SUBNETS_MAX or any(not 0 < len(each) <= _SUBNET_NAME_MAX for each in subnets):
        raise InputError("subnets is not a list of subnet ids")
    record = FargateProfile(
        name=name,
        cluster=rules.check_cluster_name(call.cluster),
        uid=names.resource_uid(service.random(16)),
        pod_execution_role_arn=role,
        subnets=subnets,
        selectors=_read_selectors(body),
        status="ACTIVE",
        created_at=call.now,
        tags=rules.check_tags(body.text_map("tags") or {}),
    )
    return call.accept(
        {"fargateProfile": profile_shape(service.owner, record, "CREATING")},
        lambda token: service.store.profiles.add(record, token),
    )


def describe_profile(call: Call) -> Json:
    record = call.service.store.profiles.get(call.cluster, call.labels["fargateProfileName"])
    return {"fargateProfile": profile_shape(call.service.owner, record)}


def list_profiles(call: Call) -> Json:
    paging = read_paging(call.query, call.operation, call.cluster)
    page = call.service.store.profiles.list_names(call.cluster, paging.after, paging.limit)
    return {"fargateProfileNames": list(page.items), "nextToken": paging.token(page.next)}


def delete_profile(call: Call) -> Json:
    record = call.service.store.profiles.remove(call.cluster, call.labels["fargateProfileName"])
    return {"fargateProfile": profile_shape(call.service.owner, record, "DELETING")}


def _read_selectors(body: Members) -> tuple[FargateSelector, ...]:
    selectors = body.structures("selectors") or ()
    if not 1 <= len(selectors) <= _SELECTORS_MAX:
        raise InputError(f"A Fargate profile has 1 to {_SELECTORS_MAX} selectors")
    return tuple(_read_selector(each) for each in selectors)


def _read_selector(members: Members) -> FargateSelector:
    labels = members.text_map("labels") or {}
    if len(labels) > _LABELS_MAX:
        raise InputError(f"A selector has up to {_LABELS_MAX} labels")
    # Patterns with * and ? are allowed in a selector's namespace.
    return FargateSelector(members.required("namespace", maximum=_NAME_MAX), labels)
