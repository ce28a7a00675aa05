"""What a plugin prints: the result of an ADD and the error object, in the layout of the requested version.

Pure. The order of the interfaces is the reference's, its dummy entry included, so that either implementation can
DEL the other's pods.
"""

from ipaddress import IPv4Address
from typing import Any

import msgspec

from vpc_cni.errors import CniCode, VpcCniError
from vpc_cni.model import PodIdentity, SandboxKey, host_veth_name
from vpc_cni.rpc.cni.request import CniRequest, answer_version
from vpc_cni.rpc.cni.versions import version_at_least
from vpc_cni.rpc.messages import Result

# Members that came with a version.
_NO_IP_VERSION_SINCE = "1.0.0"
_MTU_SINCE = "1.1.0"

_CONTAINER_INDEX = 1

# Of a message: it may quote a configuration of up to 1 MiB, and the answer must fit into a frame.
_MAX_MESSAGE = 4096


def dummy_interface_name(pod: PodIdentity, key: SandboxKey) -> str:
    """Name the entry that carries state to a DEL; 16 characters, so it can never be a real link."""
    return host_veth_name("dummy", pod, key)


def add_result(request: CniRequest, *, host_ifname: str, address: IPv4Address, device_number: int) -> dict[str, Any]:
    """Build the result of an ADD as plain JSON data. Pure.

    The hardware addresses stay empty: the reference reads a table number there (host veth and container), and the
    VLAN id in the dummy entry.
    """
    version = request.cni_version
    mtu = {"mtu": request.config.mtu_bytes} if version_at_least(version, _MTU_SINCE) else {}
    ip: dict[str, Any] = {"address": f"{address}/32", "interface": _CONTAINER_INDEX}
    if not version_at_least(version, _NO_IP_VERSION_SINCE):
        ip = {"version": "4", **ip}
    return {
        "cniVersion": version,
        "interfaces": [
            {"name": host_ifname, **mtu},
            {"name": request.ifname, "sandbox": request.netns_path, **mtu},
            {"name": dummy_interface_name(request.pod, request.key), "mac": "0", "sandbox": str(device_number)},
        ],
        "ips": [ip],
        "dns": {},
    }


def encode_success(result: dict[str, Any] | None = None) -> Result:
    """Answer success: with a result for ADD, with nothing for every other command. Pure."""
    return Result(0, b"" if result is None else msgspec.json.encode(result))


def error_object(version: str, error: Exception) -> dict[str, Any]:
    """Build the specification's error object. Pure. An error of no class of ours counts as our bug (code 100).

    ``msg`` says what failed, ``details`` what to do now; runtimes show both, joined by a semicolon.
    """
    if not isinstance(error, VpcCniError):
        return {
            "cniVersion": version,
            "code": int(CniCode.INTERNAL),
            "msg": f"internal error: {type(error).__name__}",
            "details": "see the log of the aws-node pod on this node",
        }
    return {
        "cniVersion": version,
        "code": int(error.cni_code),
        "msg": error.message[:_MAX_MESSAGE],
        "details": error.hint[:_MAX_MESSAGE],
    }


def encode_error(config: bytes, error: Exception) -> Result:
    """Answer with an error to a request whose configuration may be anything. Pure; never raises."""
    return Result(1, msgspec.json.encode(error_object(answer_version(config), error)))
