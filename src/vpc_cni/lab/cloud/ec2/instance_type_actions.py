"""DescribeInstanceTypes: the limits that an agent asks for when it does not know its type."""

from vpc_cni.ipam.limits import InstanceLimits
from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.ec2.filters import FilterTable, yes_or_no
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.instance_types import instance_types
from vpc_cni.lab.cloud.query.operation import LISTING, Call, operation
from vpc_cni.lab.cloud.query.xml import Tree

# EC2 shows at most this many types on a page.
LARGEST_PAGE = 100


def describe(call: Call) -> Tree:
    known = instance_types()
    wanted = call.parameters.texts("InstanceType")
    if missing := [name for name in wanted if name not in known]:
        raise errors.instance_type_invalid(missing)
    found = [known[name] for name in dict.fromkeys(wanted)] if wanted else list(known.values())
    matches = _FILTERS.parse(call.parameters)
    shown, token = page(
        call.parameters,
        filter(matches, found),
        lambda kind: kind.instance_type,
        ids_name="InstanceType",
        largest=LARGEST_PAGE,
    )
    return {"instanceTypeSet": [_view(kind) for kind in shown], "nextToken": token}


def _view(kind: InstanceLimits) -> Tree:
    """Source: EC2 API reference, data type InstanceTypeInfo. Bare metal types have no hypervisor."""
    return {
        "instanceType": kind.instance_type,
        "currentGeneration": True,
        "bareMetal": kind.bare_metal,
        "hypervisor": None if kind.bare_metal else kind.hypervisor,
        "processorInfo": {"supportedArchitectures": list(kind.architectures)},
        "vCpuInfo": {"defaultVCpus": kind.vcpus},
        "memoryInfo": {"sizeInMiB": kind.memory_mib},
        "networkInfo": {
            "maximumNetworkInterfaces": kind.total_enis,
            "maximumNetworkCards": len(kind.network_cards),
            "defaultNetworkCardIndex": kind.default_network_card,
            "networkCards": [
                {"networkCardIndex": card.index, "maximumNetworkInterfaces": card.max_enis}
                for card in kind.network_cards
            ],
            "ipv4AddressesPerInterface": kind.ipv4_per_eni,
            "ipv6AddressesPerInterface": kind.ipv6_per_eni,
            "ipv6Supported": kind.ipv6_supported,
            "enaSupport": "required" if kind.hypervisor == "nitro" or kind.bare_metal else "supported",
            "efaSupported": kind.efa,
        },
    }


# Source: EC2 API reference, DescribeInstanceTypes.
_FILTERS: FilterTable[InstanceLimits] = FilterTable(
    {
        "bare-metal": lambda kind: yes_or_no(kind.bare_metal),
        "hypervisor": lambda kind: () if kind.bare_metal else (kind.hypervisor,),
        "instance-type": lambda kind: (kind.instance_type,),
        "memory-info.size-in-mib": lambda kind: (str(kind.memory_mib),),
        "network-info.efa-supported": lambda kind: yes_or_no(kind.efa),
        "network-info.ipv4-addresses-per-interface": lambda kind: (str(kind.ipv4_per_eni),),
        "network-info.ipv6-addresses-per-interface": lambda kind: (str(kind.ipv6_per_eni),),
        "network-info.ipv6-supported": lambda kind: yes_or_no(kind.ipv6_supported),
        "network-info.maximum-network-cards": lambda kind: (str(len(kind.network_cards)),),
        "network-info.maximum-network-interfaces": lambda kind: (str(kind.total_enis),),
        "processor-info.supported-architecture": lambda kind: kind.architectures,
        "vcpu-info.default-vcpus": lambda kind: (str(kind.vcpus),),
    },
)

OPERATIONS = (operation("DescribeInstanceTypes", describe, f"InstanceType {LISTING}"),)
