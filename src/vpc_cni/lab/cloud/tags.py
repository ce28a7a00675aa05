"""Tags of any resource, kept beside the records: CreateTags, DeleteTags, and the tags given at creation."""

from collections.abc import Iterable, Mapping

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.records import Tags

MAX_TAGS = 50
MAX_KEY_LENGTH = 127
MAX_VALUE_LENGTH = 255

# Resource types as DescribeTags names them, by id prefix.
RESOURCE_TYPES = {
    "eni": "network-interface",
    "i": "instance",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "scr": "subnet-cidr-reservation",
}


def resource_type(resource_id: str) -> str:
    """Return EC2's name for the kind of resource that an id belongs to. Pure."""
    return RESOURCE_TYPES.get(resource_id.split("-", maxsplit=1)[0], "")


def create(cloud: Cloud, resource_ids: Iterable[str], tags: Mapping[str, str]) -> None:
    """Add or overwrite tags of existing resources; all of them or none."""
    now = cloud.now()
    planned: dict[str, dict[str, str]] = {}
    for resource_id in resource_ids:
        require(cloud, resource_id)
        planned[resource_id] = {**dict(of(cloud, resource_id)), **tags}
        check(planned[resource_id])
    for resource_id, merged in planned.items():
        cloud.tags.put(resource_id, tuple(merged.items()), now)


def delete(cloud: Cloud, resource_ids: Iterable[str], keys: Mapping[str, str | None]) -> None:
    """Remove tags. A value of None removes the key whatever it holds; no keys at all removes every tag."""
    now = cloud.now()
    resource_ids = tuple(resource_ids)
    for resource_id in resource_ids:
        require(cloud, resource_id)
    for resource_id in resource_ids:
        left = [tag for tag in of(cloud, resource_id) if not _is_removed(tag, keys)]
        cloud.tags.put(resource_id, tuple(left), now)


def of(cloud: Cloud, resource_id: str) -> Tags:
    """Return the current tags of a resource in the order they were added."""
    return cloud.tags.get(resource_id) or ()


def set_first(cloud: Cloud, resource_id: str, tags: Mapping[str, str], now: float) -> None:
    """Give a resource its first tags; the caller has checked them (``check``)."""
    if tags:
        cloud.tags.put(resource_id, tuple(tags.items()), now)


def drop(cloud: Cloud, resource_id: str, now: float) -> None:
    """Forget the tags of a deleted resource."""
    if resource_id in cloud.tags:
        cloud.tags.drop(resource_id, now)


def check(tags: Mapping[str, str]) -> None:
    """Refuse tags that EC2 refuses. Source: EC2 user guide, "Tag restrictions"."""
    if len(tags) > MAX_TAGS:
        raise errors.CloudApiError("TagLimitExceeded", f"The maximum number of Tags for a resource is {MAX_TAGS}.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise errors.invalid_value("Tag keys starting with 'aws:' are reserved for internal use")
        if not key or len(key) > MAX_KEY_LENGTH:
            raise errors.invalid_value(
                f"Tag key exceeds the maximum length of {MAX_KEY_LENGTH} characters"
                if key
                else "Tag key cannot be empty"
            )
        if len(value) > MAX_VALUE_LENGTH:
            raise errors.invalid_value(f"Tag value exceeds the maximum length of {MAX_VALUE_LENGTH} characters")


def require(cloud: Cloud, resource_id: str) -> None:
    """Raise the not-found error of the resource's kind when it does not exist."""
    match resource_type(resource_id):
        case "network-interface":
            cloud.interface(resource_id)
        case "instance":
            cloud.instance(resource_id)
        case "security-group":
            cloud.group(resource_id)
        case "subnet":
            cloud.subnet(resource_id)
        case "vpc":
            cloud.vpc(resource_id)
        case "subnet-cidr-reservation" if resource_id in cloud.reservations:
            return
        case _:
            raise errors.resource_not_found(resource_id)


def _is_removed(tag: tuple[str, str], keys: Mapping[str, str | None]) -> bool:
    key, value = tag
    if not keys:
        return True
    return key in keys and keys[key] in (None, value)
