"""A network interface of this node, as EC2 describes it."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

# RT_TABLE_MAIN of linux/rtnetlink.h: pods of the primary ENI need no table of their own.
MAIN_TABLE = 254


@dataclass(frozen=True, slots=True)
class Eni:
    """An attached ENI: identity, place and addresses.

    ``addresses`` are the secondary addresses in EC2's order, without the primary one; ``prefixes`` are delegated
    /28 blocks. Both hold no duplicates and may be empty.
    """

    eni_id: str
    mac: str
    device_number: int
    subnet_id: str
    subnet_cidr: IPv4Network
    primary_address: IPv4Address
    addresses: tuple[IPv4Address, ...] = ()
    prefixes: tuple[IPv4Network, ...] = ()
    attachment_id: str = ""
    network_card: int = 0
    is_trunk: bool = False
    is_efa: bool = False

    @property
    def is_primary(self) -> bool:
        return self.device_number == 0 and self.network_card == 0

    @property
    def route_table(self) -> int:
        """Routing table of traffic that leaves through this ENI. Source: specification section 4.1."""
        return MAIN_TABLE if self.is_primary else self.device_number + 1

    @property
    def gateway(self) -> IPv4Address:
        """The VPC router: the subnet's base address plus one."""
        return self.subnet_cidr.network_address + 1
