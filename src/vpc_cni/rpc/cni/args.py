"""CNI_ARGS: the pod's Kubernetes name as the container runtime passes it. Pure."""

from vpc_cni.errors import CallerError
from vpc_cni.model import PodIdentity

_POD_NAME = "K8S_POD_NAME"
_POD_NAMESPACE = "K8S_POD_NAMESPACE"
_POD_UID = "K8S_POD_UID"
_KNOWN = frozenset({_POD_NAME, _POD_NAMESPACE, _POD_UID, "K8S_POD_INFRA_CONTAINER_ID", "IgnoreUnknown"})
_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})


def parse_args(text: str) -> PodIdentity:
    """Parse ``KEY=VALUE;KEY=VALUE`` into the pod's identity.

    A later value of a key wins. Keys unknown to us are an error unless ``IgnoreUnknown`` is ``1`` or ``true``.

    Raises:
        CallerError: not pairs, or unknown keys (code 4, names CNI_ARGS).

    Source: containernetworking/cni CONVENTIONS.md, "CNI_ARGS".
    """
    pairs = _split(text)
    ignore = pairs.get("IgnoreUnknown", "0").lower()
    if ignore not in _TRUE | _FALSE:
        raise _invalid(f"IgnoreUnknown is {ignore!r}", "use 1 or 0")
    unknown = sorted(pairs.keys() - _KNOWN)
    if unknown and ignore not in _TRUE:
        raise _invalid(f"unknown keys {', '.join(unknown)}", "remove them or add IgnoreUnknown=1")
    return PodIdentity(pairs.get(_POD_NAMESPACE, ""), pairs.get(_POD_NAME, ""), pairs.get(_POD_UID, ""))


def _split(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise _invalid(f"{part[:64]!r} is not KEY=VALUE", "separate pairs by ';'")
        pairs[key] = value
    return pairs


def _invalid(message: str, hint: str) -> CallerError:
    return CallerError(f"CNI_ARGS: {message}", hint=hint)
