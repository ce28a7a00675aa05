"""Settings of the data plane: links, routes, address translation and marks."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from vpc_cni.settings._kinds import BOOLEAN, CIDRS, MARK, VETH_PREFIX, choice, integer
from vpc_cni.settings._reader import EnvironmentReader
from vpc_cni.settings._setting import Setting

# IPv4 needs 576 (RFC 791), a VPC carries up to 9001.
_MTU = integer(576, 9001, unit="bytes")

ENI_MTU = Setting(
    "AWS_VPC_ENI_MTU",
    _MTU,
    default="9001",
    since="1.6.0",
    meaning="MTU of every ENI, and of pods unless `POD_MTU` says otherwise.",
)
POD_MTU = Setting(
    "POD_MTU",
    _MTU,
    default="",
    unset="value of `AWS_VPC_ENI_MTU`",
    since="1.16.4",
    meaning="MTU of pod interfaces.",
)
VETH_PREFIX_SETTING = Setting(
    "AWS_VPC_K8S_CNI_VETHPREFIX",
    VETH_PREFIX,
    default="eni",
    since="before 1.6",
    meaning="First characters of the host-side link of each pod. Pods that run keep theirs.",
)
EXTERNAL_SNAT = Setting(
    "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    BOOLEAN,
    default="false",
    since="before 1.6",
    meaning="Leave address translation to a NAT gateway: no SNAT and no outbound marks on the node.",
)
EXCLUDE_SNAT_CIDRS = Setting(
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    CIDRS,
    default="",
    unset="none",
    since="1.6.0",
    meaning="Destinations outside the VPC that see pod addresses untranslated, such as peered networks.",
)
RANDOMIZE_SNAT = Setting(
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    choice("prng", "hashrandom", "none"),
    default="prng",
    since="1.4.0",
    meaning="How source ports of translated connections are chosen.",
)
EXTERNAL_SERVICE_CIDRS = Setting(
    "AWS_EXTERNAL_SERVICE_CIDRS",
    CIDRS,
    default="",
    unset="none",
    since="1.12.6",
    meaning="Destinations that every pod reaches through the main route table (rules of priority 1535).",
)
NODE_PORT_SUPPORT = Setting(
    "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    BOOLEAN,
    default="true",
    since="before 1.6",
    meaning="Mark connections to node ports, so that replies leave by the ENI on which the connection came.",
)
CONNMARK = Setting(
    "AWS_VPC_K8S_CNI_CONNMARK",
    MARK,
    default="0x80",
    since="1.2.0",
    meaning="Bits of the connection and packet mark that belong to the agent; other bits are left alone.",
)

SETTINGS: tuple[Setting[object], ...] = (
    ENI_MTU,
    POD_MTU,
    VETH_PREFIX_SETTING,
    EXTERNAL_SNAT,
    EXCLUDE_SNAT_CIDRS,
    RANDOMIZE_SNAT,
    EXTERNAL_SERVICE_CIDRS,
    NODE_PORT_SUPPORT,
    CONNMARK,
)


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What the data plane of a node looks like. CIDR tuples hold no duplicates, in the order given."""

    eni_mtu_bytes: int
    pod_mtu_bytes: int
    veth_prefix: str
    external_snat: bool
    exclude_snat_cidrs: tuple[IPv4Network, ...]
    randomize_snat: str
    external_service_cidrs: tuple[IPv4Network, ...]
    node_port_support: bool
    connmark: int


def read_network(environment: EnvironmentReader) -> NetworkSettings:
    """Read this module's settings; problems go to the reader."""
    eni_mtu_bytes = environment.read(ENI_MTU)
    return NetworkSettings(
        eni_mtu_bytes=eni_mtu_bytes,
        pod_mtu_bytes=environment.read_optional(POD_MTU) or eni_mtu_bytes,
        veth_prefix=environment.read(VETH_PREFIX_SETTING),
        external_snat=environment.read(EXTERNAL_SNAT),
        exclude_snat_cidrs=environment.read(EXCLUDE_SNAT_CIDRS),
        randomize_snat=environment.read(RANDOMIZE_SNAT),
        external_service_cidrs=environment.read(EXTERNAL_SERVICE_CIDRS),
        node_port_support=environment.read(NODE_PORT_SUPPORT),
        connmark=environment.read(CONNMARK),
    )
