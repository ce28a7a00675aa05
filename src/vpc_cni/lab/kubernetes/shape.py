"""The fixed numbers and names of a lab's cluster. Pure."""

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

API_PORT = 6443
ETCD_PORT = 2379
CONTROL_PLANE = "control-plane"
CONTROL_PLANE_TYPE = "t3.large"
# As EKS: the second when the VPC is in the same private block as the first.
SERVICE_NETWORKS = (IPv4Network("10.100.0.0/16"), IPv4Network("172.20.0.0/16"))
ADMIN = "lab-admin"


class ProxyBackend(enum.StrEnum):
    """Which of Debian's two ``iptables`` kube-proxy and kubelet write their rules with."""

    NFT = "nft"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """What every part of one cluster must know alike.

    Args:
        api_address: of the API server inside the VPC.
        forwarded_port: of 127.0.0.1 on this machine, leads to the API server.
    """

    lab: str
    vpc: IPv4Network
    api_address: IPv4Address
    forwarded_port: int
    proxy_backend: ProxyBackend

    @property
    def services(self) -> IPv4Network:
        return service_network(self.vpc)

    @property
    def api_service(self) -> IPv4Address:
        """The address of the Service ``kubernetes``: the first of the block."""
        return self.services[1]

    @property
    def api_url(self) -> str:
        """As nodes see it."""
        return f"https://{self.api_address}:{API_PORT}"

    @property
    def forwarded_url(self) -> str:
        """As this machine sees it."""
        return f"https://127.0.0.1:{self.forwarded_port}"


def service_network(vpc: IPv4Network) -> IPv4Network:
    """Return the block for Services of a cluster in this VPC: one that the VPC's routes cannot be confused with."""
    first, second = SERVICE_NETWORKS
    return second if vpc.subnet_of(IPv4Network("10.0.0.0/8")) else first
