"""Who a pod network belongs to: the sandbox key, the pod's name, and the link name derived from it."""

import hashlib
from dataclasses import dataclass

# dev_set_alias refuses IFALIASZ (256) bytes and more; the kernel stores the text without a terminator.
ALIAS_MAX_BYTES = 255


@dataclass(frozen=True, slots=True, order=True)
class SandboxKey:
    """One pod network identity. Two ADDs with the same key are the same request.

    Source: containernetworking/cni SPEC.md, "Parameters": (network name, CNI_CONTAINERID, CNI_IFNAME).
    """

    network_name: str
    container_id: str
    ifname: str

    @property
    def alias(self) -> str:
        """Text for IFLA_IFALIAS: the identity of the host link in the kernel. At most 255 bytes.

        The three parts cannot hold a slash (the specification's character sets), so the text is unambiguous. A
        key too long for the kernel is replaced by its digest: still an identity, no longer readable.
        """
        text = f"{self.network_name}/{self.container_id}/{self.ifname}"
        if len(text.encode()) <= ALIAS_MAX_BYTES:
            return text
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        return self.alias


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The Kubernetes name of a pod as the runtime passed it; both parts are empty outside Kubernetes."""

    namespace: str = ""
    name: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def veth_suffix(namespace: str, pod_name: str) -> str:
    """Return the 11 hex digits that follow the prefix in a host veth's name.

    Source: specification section 2.3; Calico uses the same rule, so both agree on the name.
    """
    digest = hashlib.sha1(f"{namespace}.{pod_name}".encode(), usedforsecurity=False)
    return digest.hexdigest()[:11]


def host_veth_name(prefix: str, pod: PodIdentity, key: SandboxKey) -> str:
    """Return the name of the host end: the prefix (at most 4 characters) and 11 hex digits.

    A pod without a Kubernetes name (``ctr run --cni``) is named after its sandbox instead, so that two of them
    never share a name.
    """
    if pod.name:
        return prefix + veth_suffix(pod.namespace, pod.name)
    return prefix + veth_suffix(key.network_name, key.container_id + key.ifname)
