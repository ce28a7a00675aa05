"""Operations on tags, and the TagSpecification parameter of operations that create."""

from typing import NamedTuple

from vpc_cni.lab.cloud import errors, tags
from vpc_cni.lab.cloud.ec2.filters import FilterTable
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.query.operation import DONE, LISTING, Call, operation
from vpc_cni.lab.cloud.query.parameters import Parameters
from vpc_cni.lab.cloud.query.xml import Tree


class Tagging(NamedTuple):
    """One tag of one resource: a line of DescribeTags."""

    resource_id: str
    key: str
    value: str


def tags_for(parameters: Parameters, resource_type: str, *also: str) -> dict[str, str]:
    """Read the tags that a creation gives to resources of ``resource_type``.

    Args:
        also: other types that the operation can tag; a type that is in neither is refused.
    """
    found: dict[str, str] = {}
    for level in parameters.children("TagSpecification"):
        level.allow("ResourceType", "Tag")
        kind = level.required("ResourceType")
        if kind not in {resource_type, *also}:
            raise errors.invalid_value(f"'{kind}' is not a valid taggable resource type for this operation.")
        if kind == resource_type:
            found |= _tag_pairs(level)
    return found


def create(call: Call) -> Tree:
    resource_ids = _resources(call.parameters)
    pairs = _tag_pairs(call.parameters)
    if not pairs:
        raise errors.missing_parameter("Tag")
    tags.create(call.cloud, resource_ids, pairs)
    return DONE


def delete(call: Call) -> Tree:
    """A tag without a value is removed whatever its value is; an empty value must match."""
    keys: dict[str, str | None] = {}
    for level in call.parameters.children("Tag"):
        keys[level.required("Key")] = level.text("Value") if "Value" in level else None
    tags.delete(call.cloud, _resources(call.parameters), keys)
    return DONE


def describe(call: Call) -> Tree:
    everything = [
        Tagging(resource_id, key, value)
        for resource_id, pairs in call.cloud.tags.items_at(call.moment)
        for key, value in pairs
    ]
    matches = _FILTERS.parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, everything), lambda tag: f"{tag.resource_id} {tag.key}")
    return {"tagSet": [_view(tag) for tag in shown], "nextToken": token}


def _view(tag: Tagging) -> Tree:
    return {
        "key": tag.key,
        "resourceId": tag.resource_id,
        "resourceType": tags.resource_type(tag.resource_id),
        "value": tag.value,
    }


def _resources(parameters: Parameters) -> tuple[str, ...]:
    resource_ids = parameters.texts("ResourceId")
    if not resource_ids:
        raise errors.missing_parameter("ResourceId")
    return resource_ids


def _tag_pairs(parameters: Parameters) -> dict[str, str]:
    return {level.required("Key"): level.text("Value") for level in parameters.children("Tag")}


# Source: EC2 API reference, DescribeTags.
_FILTERS: FilterTable[Tagging] = FilterTable(
    {
        "key": lambda tag: (tag.key,),
        "value": lambda tag: (tag.value,),
        "resource-id": lambda tag: (tag.resource_id,),
        "resource-type": lambda tag: (tags.resource_type(tag.resource_id),),
    },
    lambda tag: ((tag.key, tag.value),),
)

OPERATIONS = (
    operation("CreateTags", create, "ResourceId Tag"),
    operation("DeleteTags", delete, "ResourceId Tag"),
    operation("DescribeTags", describe, LISTING),
)
