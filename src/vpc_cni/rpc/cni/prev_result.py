"""prevResult: the outcome of an earlier ADD as the runtime hands it back, in the layout of any supported version.

Pure. Unknown members are ignored; what is present must have the right type.
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

import msgspec

from vpc_cni.errors import ConfigurationError

_DUMMY_PREFIX = "dummy"


@dataclass(frozen=True, slots=True)
class ResultInterface:
    """An entry of ``interfaces``; text as given, empty when absent."""

    name: str
    mac: str = ""
    sandbox: str = ""


@dataclass(frozen=True, slots=True)
class ResultAddress:
    """An entry of ``ips``; ``interface`` is an index into ``interfaces``, None when absent."""

    address: IPv4Interface | IPv6Interface
    interface: int | None = None


@dataclass(frozen=True, slots=True)
class PrevResult:
    """Interfaces and addresses of a result, in its order; both may be empty."""

    interfaces: tuple[ResultInterface, ...] = ()
    ips: tuple[ResultAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedWiring:
    """What an ADD left in its result so that a DEL can find everything without the agent's memory.

    ``vlan_id`` is 0 for every pod that is not on a branch ENI.
    """

    host_ifname: str
    address: IPv4Interface | IPv6Interface
    device_number: int
    vlan_id: int


class _Interface(msgspec.Struct):
    name: str = ""
    mac: str = ""
    sandbox: str = ""


class _Address(msgspec.Struct):
    address: str
    interface: int | None = None


class _PrevResult(msgspec.Struct):
    interfaces: list[_Interface] | None = None
    ips: list[_Address] | None = None


def parse_prev_result(data: bytes | msgspec.Raw) -> PrevResult:
    """Parse a result object.

    Raises:
        ConfigurationError: a member has another type, an address is not one, an index points nowhere.
    """
    try:
        raw = msgspec.json.decode(data, type=_PrevResult)
        interfaces = tuple(ResultInterface(i.name, i.mac, i.sandbox) for i in raw.interfaces or ())
        ips = tuple(ResultAddress(ip_interface(ip.address), ip.interface) for ip in raw.ips or ())
    except (msgspec.DecodeError, ValueError, RecursionError) as err:
        raise _invalid(str(err)) from err
    for ip in ips:
        if ip.interface is not None and not 0 <= ip.interface < len(interfaces):
            raise _invalid(f"interface index {ip.interface} of {ip.address} points nowhere")
    return PrevResult(interfaces, ips)


def find_recorded_wiring(result: PrevResult, ifname: str) -> RecordedWiring | None:
    """Read the wiring from a result in our layout and the reference's; None when it is not such a result.

    Needs the ``dummy`` entry, a host entry before it and exactly one address on the interface ``ifname``.
    """
    dummy = next((i for i in result.interfaces if i.name.startswith(_DUMMY_PREFIX) and len(i.name) > 15), None)
    container = next((n for n, i in enumerate(result.interfaces) if i.name == ifname and i.sandbox), None)
    if dummy is None or container is None or container == 0:
        return None
    addresses = [ip.address for ip in result.ips if ip.interface == container]
    if len(addresses) != 1 or not (dummy.mac.isdecimal() and dummy.sandbox.isdecimal()):
        return None
    return RecordedWiring(result.interfaces[0].name, addresses[0], int(dummy.sandbox), int(dummy.mac))


def _invalid(message: str) -> ConfigurationError:
    return ConfigurationError(
        f"prevResult is not a CNI result: {message}", hint="the container runtime's cached result is damaged"
    )
