"""Operations on tags, of whatever the service has given an ARN."""

from collections.abc import Mapping

from vpc_cni.addons import errors, names, rules
from vpc_cni.addons.api.service import Call, Json
from vpc_cni.addons.rules import InputError
from vpc_cni.addons.store import NoResourceError


def tag_resource(call: Call) -> Json:
    tags = call.body.text_map("tags")
    if not tags:
        raise InputError("tags must have 1 to 50 members")
    resource = _resource(call)
    put = rules.check_tags(tags)
    try:
        call.service.store.tags.change(resource, put, check=_check_all)
    except NoResourceError:
        raise errors.no_tagged_resource(call.labels["resourceArn"]) from None
    return {}


def untag_resource(call: Call) -> Json:
    keys = call.query.texts("tagKeys")
    if not 1 <= len(keys) <= rules.TAGS_MAX:
        raise InputError("tagKeys must have 1 to 50 members")
    for key in keys:
        rules.check_tag_key(key)
    try:
        call.service.store.tags.change(_resource(call), {}, remove=keys)
    except NoResourceError:
        raise errors.no_tagged_resource(call.labels["resourceArn"]) from None
    return {}


def list_tags(call: Call) -> Json:
    try:
        return {"tags": dict(call.service.store.tags.get(_resource(call)))}
    except NoResourceError:
        raise errors.no_tagged_resource(call.labels["resourceArn"]) from None


def _check_all(tags: Mapping[str, str]) -> None:
    """Refuse more tags than a resource may have, those that it has already included."""
    rules.check_tags(tags)


def _resource(call: Call) -> str:
    text, owner = call.labels["resourceArn"], call.service.owner
    arn = names.parse_arn(text)
    if arn is None or (arn.partition, arn.service) != (owner.partition, "eks"):
        raise InputError(f"Invalid ARN: {text}")
    if (arn.region, arn.account_id) != (owner.region, owner.account_id):
        raise errors.no_tagged_resource(text)
    return arn.resource
