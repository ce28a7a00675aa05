"""What a lab is asked to be: values that travel from the command line to the daemon. Pure."""

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network

from vpc_cni.errors import CallerError

MAX_NODES = 100
SUBNETS = 2
PROXY_BACKENDS = ("nft", "legacy")
SUBNET_BITS = 4  # a /16 gives subnets of /20


class CredentialSource(enum.StrEnum):
    """``instance``: the instance's role, by metadata; ``web-identity``: IAM roles for service accounts, by STS;
    ``container``: EKS Pod Identity, by the endpoint on the node."""

    INSTANCE = "instance"
    WEB_IDENTITY = "web-identity"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class LabOptions:
    """A lab's shape and behaviour at its start.

    Args:
        env: environment variables of the agents, over the lab's own.
        agents: start an agent on each node; without, nodes are bare instances.
        supervise: restart an agent that died.
        link_delay_seconds: from an attach call until the link is in the node; `packet_delay_seconds` from then until
            packets pass.
        attach_seconds: how long EC2 reports ``attaching``.
        describe_lag_seconds: how old EC2's describe answers are; likewise metadata.
        latency_seconds: of EC2 calls, by operation name or pattern.
        credentials: where agents get theirs from: ``instance``, ``web-identity`` or ``container``.
        port: of the EC2 and STS APIs on 127.0.0.1; 0 lets the kernel choose.
        seed: the same seed and the same calls give the same addresses and ids.
        kubernetes: run a real Kubernetes on the nodes; needs root and `vpc-cni lab kubernetes prepare`.
        install: archive of the add-on's images; it is then installed into the cluster as its DaemonSet, and the lab
            starts no agents. Empty for none.
        proxy_backend: ``nft`` or ``legacy``: which iptables the cluster's kube-proxy writes its rules with.
    """

    name: str = "default"
    nodes: int = 2
    instance_type: str = "t3.medium"
    env: Mapping[str, str] = field(default_factory=dict)
    vpc_cidr: str = "10.0.0.0/16"
    agents: bool = True
    supervise: bool = True
    link_delay_seconds: float = 0.0
    packet_delay_seconds: float = 0.0
    attach_seconds: float = 0.0
    detach_seconds: float = 0.0
    describe_lag_seconds: float = 0.0
    metadata_lag_seconds: float = 0.0
    latency_seconds: Mapping[str, float] = field(default_factory=dict)
    seed: int = 1
    port: int = 0
    credentials: str = CredentialSource.INSTANCE
    kubernetes: bool = False
    install: str = ""
    proxy_backend: str = PROXY_BACKENDS[0]

    def __post_init__(self) -> None:
        if not 0 <= self.nodes <= MAX_NODES:
            raise CallerError(f"{self.nodes} nodes are not possible", hint=f"choose 0 to {MAX_NODES}")
        if self.credentials not in list(CredentialSource):
            raise CallerError(
                f'"{self.credentials}" is no source of credentials', hint=f"choose {', '.join(CredentialSource)}"
            )
        if self.proxy_backend not in PROXY_BACKENDS:
            raise CallerError(f'"{self.proxy_backend}" is no iptables', hint=f"choose {' or '.join(PROXY_BACKENDS)}")
        if self.install and not self.kubernetes:
            raise CallerError("an add-on is installed into a Kubernetes", hint="add --kubernetes")
        self.subnets()

    @property
    def runs_agents(self) -> bool:
        """Whether the lab starts an agent on each node by itself."""
        return self.agents and not self.install

    @property
    def awaits_daemonset(self) -> bool:
        """Whether the nodes are left as a cloud starts them: agent and plugin shall come as a DaemonSet."""
        return self.kubernetes and not self.runs_agents

    def cidr(self) -> IPv4Network:
        """Return the VPC's block.

        Raises:
            CallerError: not an IPv4 network of /16 to /24.
        """
        try:
            cidr = IPv4Network(self.vpc_cidr)
        except ValueError as err:
            raise CallerError(f'"{self.vpc_cidr}" is not an IPv4 network', hint="for example 10.0.0.0/16") from err
        if not 16 <= cidr.prefixlen <= 24:
            raise CallerError(f"{cidr} is not a usable VPC block", hint="choose /16 to /24")
        return cidr

    def subnets(self) -> tuple[IPv4Network, ...]:
        """Return the blocks of the subnets, one for each zone that the lab uses."""
        cidr = self.cidr()
        return tuple(cidr.subnets(prefixlen_diff=SUBNET_BITS))[:SUBNETS]


def encode_options(options: LabOptions) -> str:
    return json.dumps(asdict(options))


def parse_options(text: str) -> LabOptions:
    """Read what ``encode_options`` wrote."""
    document: dict[str, object] = json.loads(text)
    return LabOptions(**document)  # type: ignore[arg-type]
