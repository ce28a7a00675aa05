"""The network configuration on the plugin's stdin: parse and judge it.

Pure. ADD and CHECK are judged strictly. DEL is not: the configuration may have changed since its ADD, and what a
sandbox holds must be released whatever else it says; oddities become warnings there.
"""

import functools
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from vpc_cni.errors import CallerError, CniCode, ConfigurationError
from vpc_cni.rpc.cni.names import check_network_name
from vpc_cni.rpc.cni.prev_result import PrevResult, parse_prev_result
from vpc_cni.rpc.cni.versions import IMPLIED_VERSION, check_version

# Nested too deeply is undecodable, too.
# A string that is not UTF-8 is reported by Python's own error.
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Shows any value in a message, however long or deep it is.
_shown = reprlib.repr

T = TypeVar("T")

_REMEMBERED_BYTES = 4096

DEFAULT_VETH_PREFIX = "eni"
VETH_PREFIX_MAX = 4
DEFAULT_MTU = 9001
MIN_MTU = 576
MAX_MTU = 9001

# Names that belong to other links of a node.
_RESERVED_PREFIXES = frozenset({"eth", "lo", "vlan"})
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_ENFORCING_MODES = (None, "", "strict", "standard")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A sandbox that the runtime still has (GC)."""

    container_id: str
    ifname: str


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The network configuration, judged.

    ``mtu_bytes`` lies within MIN_MTU and MAX_MTU. ``valid_attachments`` is None when the runtime sent none of the
    member at all, which is not the same as an empty list. ``warnings`` say what was wrong but tolerated.
    """

    cni_version: str
    network_name: str
    veth_prefix: str = DEFAULT_VETH_PREFIX
    mtu_bytes: int = DEFAULT_MTU
    prev_result: PrevResult | None = None
    valid_attachments: frozenset[Attachment] | None = None
    warnings: tuple[str, ...] = ()


class _Attachment(msgspec.Struct):
    container_id: str = msgspec.field(name="containerID")
    ifname: str


_ABSENT = msgspec.Raw()


class _Raw(msgspec.Struct):
    """The members that we read; all others are the business of other programs. None of them can fail to decode."""

    cni_version: object = msgspec.field(name="cniVersion", default=IMPLIED_VERSION)
    name: object = None
    veth_prefix: object = msgspec.field(name="vethPrefix", default=None)
    mtu: object = None
    enforcing_mode: object = msgspec.field(name="podSGEnforcingMode", default=None)
    ipam: object = None
    prev_result: msgspec.Raw = msgspec.field(name="prevResult", default=_ABSENT)
    valid_attachments: msgspec.Raw = msgspec.field(name="cni.dev/valid-attachments", default=_ABSENT)
    # The name of the same member in an early text of specification 1.1; runtimes send both.
    attachments: msgspec.Raw = msgspec.field(name="cni.dev/attachments", default=_ABSENT)


class _Version(msgspec.Struct):
    version: str = msgspec.field(name="cniVersion", default="")


_CONFIG_DECODER = msgspec.json.Decoder(_Raw)
_ATTACHMENTS_DECODER = msgspec.json.Decoder(list[_Attachment] | None)
_VERSION_DECODER = msgspec.json.Decoder(_Version)


def peek_version(config: bytes) -> str:
    """Return the configuration's cniVersion; empty when it cannot be read. Never raises."""
    try:
        return _VERSION_DECODER.decode(config).version
    except _UNDECODABLE:
        return ""


def parse_config(data: bytes, command: str) -> NetworkConfig:
    """Parse and judge the network configuration of a command; for DEL leniently.

    Raises:
        CallerError: not a JSON object (code 6), or of a version that does not have the command (code 1).
        ConfigurationError: a member is wrong (code 7) or cannot be honoured (code 2); names key and value.
    """
    if command == "ADD" and len(data) <= _REMEMBERED_BYTES:
        return _parse_remembered(data, command)
    return _parse(data, command)


# ADD after ADD brings the same bytes of one conflist; a DEL brings its own result with them.
@functools.lru_cache(maxsize=16)
def _parse_remembered(data: bytes, command: str) -> NetworkConfig:
    return _parse(data, command)


def _parse(data: bytes, command: str) -> NetworkConfig:
    raw = _decode(data)
    version = check_version(_version_text(raw.cni_version), command)
    lenient = command == "DEL"
    warnings: list[str] = []

    def judge(parse: Callable[[Any], T], value: Any, default: T) -> T:
        try:
            return parse(value)
        except ConfigurationError as err:
            if not lenient:
                raise
            warnings.append(str(err))
            return default

    judge(_refuse_ipam, raw.ipam, None)
    judge(_check_enforcing_mode, raw.enforcing_mode, None)
    return NetworkConfig(
        cni_version=version,
        network_name=check_network_name(raw.name if isinstance(raw.name, str) else ""),
        veth_prefix=judge(_parse_veth_prefix, raw.veth_prefix, DEFAULT_VETH_PREFIX),
        mtu_bytes=_parse_mtu(raw.mtu, warnings),
        prev_result=judge(_parse_prev_result, raw.prev_result, None),
        valid_attachments=_collect_attachments(raw),
        warnings=tuple(warnings),
    )


def _decode(data: bytes) -> _Raw:
    try:
        return _CONFIG_DECODER.decode(data)
    except _UNDECODABLE as err:
        raise _undecodable(f"network configuration is not a JSON object: {err}") from err


def _undecodable(message: str) -> CallerError:
    return CallerError(
        message,
        hint="correct the conflist, or the program that passes it on stdin",
        cni_code=CniCode.DECODING_FAILURE,
    )


def _version_text(value: object) -> str:
    if not isinstance(value, str):
        raise _undecodable(f"cniVersion {_shown(value)} is not text")
    return value or IMPLIED_VERSION


def _refuse_ipam(value: object) -> None:
    """Addresses come from the VPC; a delegated IPAM plugin would never be asked. An empty object is usual."""
    if value not in (None, {}):
        raise ConfigurationError(
            f"unsupported field ipam = {_shown(value)}",
            hint="remove it from the conflist: addresses come from the VPC",
            cni_code=CniCode.UNSUPPORTED_FIELD,
        )


def _check_enforcing_mode(value: object) -> None:
    if value not in _ENFORCING_MODES:
        raise ConfigurationError(f"podSGEnforcingMode {_shown(value)} is not known", hint="use 'strict' or 'standard'")


def _parse_veth_prefix(value: object) -> str:
    if value is None or value == "":
        return DEFAULT_VETH_PREFIX
    if not isinstance(value, str) or len(value) > VETH_PREFIX_MAX or _PREFIX.fullmatch(value) is None:
        raise ConfigurationError(
            f"vethPrefix {_shown(value)} is not valid",
            hint=f"use 1 to {VETH_PREFIX_MAX} letters or digits (AWS_VPC_K8S_CNI_VETHPREFIX of the aws-node DaemonSet)",
        )
    if value in _RESERVED_PREFIXES:
        raise ConfigurationError(f"vethPrefix {_shown(value)} belongs to other links of the node", hint="use 'eni'")
    return value


def _parse_mtu(value: object, warnings: list[str]) -> int:
    """Read the MTU, a string in the reference's conflist. Nothing it says is an error there; we warn.

    Source: amazon-vpc-cni-k8s README, AWS_VPC_ENI_MTU: default 9001, kept within 576 and 9001.
    """
    if value is None or value == "":
        return DEFAULT_MTU
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if _INTEGER.fullmatch(text) is None:
        warnings.append(f"mtu {_shown(value)} is not a number; using {DEFAULT_MTU}")
        return DEFAULT_MTU
    mtu = min(max(int(text), MIN_MTU), MAX_MTU)
    if mtu != int(text):
        warnings.append(f"mtu {text} is outside {MIN_MTU} to {MAX_MTU}; using {mtu}")
    return mtu


def _parse_prev_result(raw: msgspec.Raw) -> PrevResult | None:
    return None if bytes(raw) in (b"", b"null") else parse_prev_result(raw)


def _collect_attachments(raw: _Raw) -> frozenset[Attachment] | None:
    """Merge both spellings; a runtime without sandboxes sends null."""
    given = [bytes(value) for value in (raw.valid_attachments, raw.attachments) if bytes(value)]
    if not given:
        return None
    try:
        lists = [_ATTACHMENTS_DECODER.decode(data) or [] for data in given]
    except _UNDECODABLE as err:
        raise ConfigurationError(
            f"cni.dev/valid-attachments is not a list of sandboxes: {err}",
            hint="the container runtime must send objects with containerID and ifname",
        ) from err
    return frozenset(Attachment(item.container_id, item.ifname) for items in lists for item in items)
