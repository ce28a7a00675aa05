"""What a pod gets so that it may act as the role of its service account. Pure.

Source: amazon-eks-pod-identity-webhook, README (annotations of service accounts and pods, variables, volume).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PREFIX = "eks.amazonaws.com/"
ROLE, AUDIENCE = _PREFIX + "role-arn", _PREFIX + "audience"
EXPIRATION, REGIONAL, SKIP = (
    _PREFIX + "token-expiration",
    _PREFIX + "sts-regional-endpoints",
    _PREFIX + "skip-containers",
)
VOLUME = "aws-iam-token"
MOUNT_PATH = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
TOKEN_FILE = f"{MOUNT_PATH}/token"
_DEFAULT_AUDIENCE = "sts.amazonaws.com"
# Kubernetes issues no token for less than ten minutes; a day is the default, and the most that EKS gives.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 600, 86400
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_REGION_NAMES = ("AWS_DEFAULT_REGION", "AWS_REGION")
_ROLE_NAMES = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")

Patch = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What the annotations of a service account ask for."""

    role_arn: str
    audience: str = _DEFAULT_AUDIENCE
    expiration_seconds: int = _LONGEST_SECONDS
    regional_endpoints: bool = True


def read_identity(annotations: Mapping[str, str]) -> Identity | None:
    """Return whom pods of an account act as; None when it has no role. What is no number or truth counts as absent."""
    role = annotations.get(ROLE, "")
    if not role:
        return None
    return Identity(
        role_arn=role,
        audience=annotations.get(AUDIENCE) or _DEFAULT_AUDIENCE,
        expiration_seconds=_seconds(annotations.get(EXPIRATION), _LONGEST_SECONDS),
        regional_endpoints=annotations.get(REGIONAL, "true").strip().lower() not in ("false", "f", "0"),
    )


def plan_injection(pod: Mapping[str, Any], identity: Identity, region: str) -> Patch:
    """Return the JSON patch (RFC 6902) that gives a pod its role; empty when it has all of that, or wants none.

    Containers keep what they set themselves: a role or token file of their own, or a region, is not changed. Repeating
    it on what came of it gives an empty patch.

    Args:
        region: of the variables that name one; empty sets none.
    """
    annotations = pod.get("metadata", {}).get("annotations") or {}
    skipped = {name.strip() for name in str(annotations.get(SKIP, "")).split(",")}
    operations: list[Mapping[str, Any]] = []
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(pod.get("spec", {}).get(kind) or ()):
            if container.get("name") not in skipped:
                path = f"/spec/{kind}/{index}"
                operations += _additions(f"{path}/env", container.get("env"), _variables(container, identity, region))
                operations += _additions(f"{path}/volumeMounts", container.get("volumeMounts"), _mounts(container))
    volumes = pod.get("spec", {}).get("volumes") or []
    if operations and not any(each.get("name") == VOLUME for each in volumes):
        seconds = _seconds(annotations.get(EXPIRATION), identity.expiration_seconds)
        operations += _additions("/spec/volumes", volumes, [_volume(identity.audience, seconds)])
    return tuple(operations)


def _additions(path: str, present: Sequence[Any] | None, new: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    if not new:
        return
    if not present:
        yield {"op": "add", "path": path, "value": list(new)}
        return
    yield from ({"op": "add", "path": f"{path}/-", "value": each} for each in new)


def _variables(container: Mapping[str, Any], identity: Identity, region: str) -> list[Mapping[str, str]]:
    present = {each.get("name") for each in container.get("env") or ()}
    wanted: dict[str, str] = {}
    if identity.regional_endpoints and "AWS_STS_REGIONAL_ENDPOINTS" not in present:
        wanted["AWS_STS_REGIONAL_ENDPOINTS"] = "regional"
    if region and present.isdisjoint(_REGION_NAMES):
        wanted |= dict.fromkeys(_REGION_NAMES, region)
    if present.isdisjoint(_ROLE_NAMES):
        wanted |= {"AWS_ROLE_ARN": identity.role_arn, "AWS_WEB_IDENTITY_TOKEN_FILE": TOKEN_FILE}
    return [{"name": name, "value": value} for name, value in wanted.items()]


def _mounts(container: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    mounted = any(
        str(each.get("mountPath", "")).rstrip("/") == MOUNT_PATH for each in container.get("volumeMounts") or ()
    )
    return [] if mounted else [{"name": VOLUME, "mountPath": MOUNT_PATH, "readOnly": True}]


def _volume(audience: str, seconds: int) -> Mapping[str, Any]:
    token = {"audience": audience, "expirationSeconds": seconds, "path": "token"}
    return {"name": VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}


def _seconds(text: str | None, default: int) -> int:
    if not _NUMBER.fullmatch((text or "").strip()):
        return default
    return min(max(int(text or default), _SHORTEST_SECONDS), _LONGEST_SECONDS)
