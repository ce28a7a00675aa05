"""Names of resources on the wire: ARNs and ids. Pure, but for what makes ids from random bytes given to it."""

import re
import uuid
from dataclasses import dataclass

from vpc_cni.addons.model import Owner

_ARN = re.compile(r"arn:([a-z0-9-]+):([a-z0-9-]*):([a-z0-9-]*):([0-9]*):(.+)", re.ASCII)
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ASSOCIATION_ID_LENGTH = 17
# Below it lie the ids of updates, which are made from names and hence carry version 3.
_UPDATES = uuid.UUID("6f2b1c9a-54f0-4d0b-9c61-4f3f3a2a8c11")


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN in pieces; ``resource`` is all that follows the account."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str


def parse_arn(text: str) -> Arn | None:
    """Read an ARN; None when it is none."""
    found = _ARN.fullmatch(text)
    return Arn(*found.groups()) if found else None


def cluster_arn(owner: Owner, cluster: str) -> str:
    return _arn(owner, f"cluster/{cluster}")


def addon_arn(owner: Owner, cluster: str, addon: str, uid: str) -> str:
    return _arn(owner, f"addon/{cluster}/{addon}/{uid}")


def profile_arn(owner: Owner, cluster: str, profile: str, uid: str) -> str:
    return _arn(owner, f"fargateprofile/{cluster}/{profile}/{uid}")


def association_arn(owner: Owner, cluster: str, association: str) -> str:
    return _arn(owner, f"podidentityassociation/{cluster}/{association}")


def managed_policy_arn(owner: Owner, policy: str) -> str:
    """Return the ARN of a policy that AWS manages: its account is ``aws`` in every partition."""
    return f"arn:{owner.partition}:iam::aws:policy/{policy}"


def resource_uid(random: bytes) -> str:
    """Return the last part of an add-on's ARN from 16 random bytes: 8-4-4-4-12 hex digits, of no version of a UUID."""
    return str(uuid.UUID(bytes=random))


def association_id(random: bytes) -> str:
    """Return ``a-`` and 17 letters or digits from 16 random bytes."""
    number, letters = int.from_bytes(random, "big"), []
    for _ in range(_ASSOCIATION_ID_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "a-" + "".join(letters)


def update_id(cluster: str, addon: str, token: str, now: float) -> str:
    """Return the id of an update, made from what identifies the request. ``addon`` is empty for a cluster's."""
    return str(uuid.uuid3(_UPDATES, f"{cluster}/{addon}/{token}/{now!r}"))


def _arn(owner: Owner, resource: str) -> str:
    return f"arn:{owner.partition}:eks:{owner.region}:{owner.account_id}:{resource}"
