"""What the agent says about itself: ``/v1/enis`` as the reference does, ``/v1/status`` for ``vpc-cni node status``.

Pure functions of the pool and the last plan.
"""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from vpc_cni.ipam import AddressInfo, AddressState, Pool, PoolPlan, Targets
from vpc_cni.model import Allocation, Cooling, Eni

_ZERO_TIME = "0001-01-01T00:00:00Z"
_HOST_MASK = base64.b64encode(b"\xff\xff\xff\xff").decode()


def enis_json(pool: Pool) -> dict[str, Any]:
    """Return the body of ``/v1/enis``: the reference's layout, one CIDR of size 1 for each secondary address.

    Container ids and interface names are left blank, as later versions of the reference do: the page needs no
    credentials and the ids are what a caller needs to release a pod's address.
    """
    by_eni = _group_by_eni(pool.addresses())
    allocations = {allocation.address: allocation for allocation in pool.allocations()}
    enis = {eni.eni_id: _eni_json(eni, by_eni.get(eni.eni_id, []), allocations) for eni in pool.enis()}
    return {
        "TotalIPs": sum(len(addresses) for addresses in by_eni.values()),
        "AssignedIPs": len(allocations),
        "ENIs": enis,
    }


def _group_by_eni(addresses: Iterable[AddressInfo]) -> dict[str, list[AddressInfo]]:
    grouped: dict[str, list[AddressInfo]] = {}
    for info in addresses:
        if info.eni_id:
            grouped.setdefault(info.eni_id, []).append(info)
    return grouped


def _eni_json(eni: Eni, addresses: list[AddressInfo], allocations: dict[IPv4Address, Allocation]) -> dict[str, Any]:
    return {
        "ID": eni.eni_id,
        "IsPrimary": eni.is_primary,
        "IsTrunk": eni.is_trunk,
        "IsEFA": eni.is_efa,
        "DeviceNumber": eni.device_number,
        "AvailableIPv4Cidrs": {
            f"{info.address}/32": _cidr_json(info, allocations.get(info.address)) for info in addresses
        },
        "IPv6Cidrs": {},
    }


def _cidr_json(info: AddressInfo, allocation: Allocation | None) -> dict[str, Any]:
    address = str(info.address)
    used = {} if allocation is None else {address: _address_json(address, allocation)}
    return {
        "Cidr": {"IP": address, "Mask": _HOST_MASK},
        "IPAddresses": used,
        "IsPrefix": False,
        "AddressFamily": "",
    }


def _address_json(address: str, allocation: Allocation) -> dict[str, Any]:
    return {
        "Address": address,
        "IPAMKey": {"networkName": allocation.key.network_name, "containerID": "", "ifName": ""},
        "IPAMMetadata": {"k8sPodNamespace": allocation.pod.namespace, "k8sPodName": allocation.pod.name},
        "AssignedTime": wall_time(allocation.allocated_at_ns),
        "UnassignedTime": _ZERO_TIME,
    }


def wall_time(unix_ns: int) -> str:
    """Return RFC 3339 text for unix nanoseconds, the zero time for 0."""
    if not unix_ns:
        return _ZERO_TIME
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def eni_rows(pool: Pool) -> list[dict[str, Any]]:
    """Return one row for each ENI: place, state and counts."""
    by_eni = _group_by_eni(pool.addresses())
    return [_eni_row(eni, str(pool.eni_state(eni.eni_id) or ""), by_eni.get(eni.eni_id, [])) for eni in pool.enis()]


def _eni_row(eni: Eni, state: str, addresses: list[AddressInfo]) -> dict[str, Any]:
    return {
        "eni_id": eni.eni_id,
        "device_number": eni.device_number,
        "mac": eni.mac,
        "subnet_id": eni.subnet_id,
        "primary_address": str(eni.primary_address),
        "state": state,
        "total": len(addresses),
        **_counts(addresses),
    }


def _counts(addresses: Iterable[AddressInfo]) -> dict[str, int]:
    states = [info.state for info in addresses]
    shown = (AddressState.ASSIGNED, AddressState.COOLING, AddressState.FREE, AddressState.QUARANTINED)
    return {str(state): states.count(state) for state in shown}


def pod_rows(pool: Pool, *, with_sandboxes: bool) -> list[dict[str, str]]:
    """Return one row for each pod, oldest first; without sandboxes, container id and interface are blank."""
    return [
        {
            "namespace": allocation.pod.namespace,
            "name": allocation.pod.name,
            "container_id": allocation.key.container_id if with_sandboxes else "",
            "ifname": allocation.key.ifname if with_sandboxes else "",
            "address": str(allocation.address),
            "eni_id": allocation.eni_id,
            "since": wall_time(allocation.allocated_at_ns),
        }
        for allocation in pool.allocations()
    ]


def pool_json(pool: Pool, plan: PoolPlan | None, targets: Targets, waiting: int) -> dict[str, Any]:
    """Return the pool's sums, its targets and what the last plan says, in words."""
    addresses = list(pool.addresses())
    explanation = [] if plan is None else [str(plan.arithmetic), *plan.reasons]
    if plan is not None and plan.shortfall is not None:
        explanation.append(f"{plan.shortfall.message}: {plan.shortfall.hint}")
    return {
        "total": len(addresses),
        **_counts(addresses),
        "waiting": waiting,
        "targets": {
            "WARM_ENI_TARGET": targets.warm_eni,
            "WARM_IP_TARGET": targets.warm_ip,
            "MINIMUM_IP_TARGET": targets.minimum_ip,
            "MAX_ENI": targets.max_eni,
            "max_pods": targets.max_pods,
        },
        "explanation": explanation,
        "actions": [] if plan is None else [str(action) for action in plan.actions],
        "quarantine": [
            {"address": str(each.address), "reason": str(each.reason), "detail": each.detail}
            for each in pool.quarantines()
        ],
        "cooling_until": cooling_rows(pool.coolings()),
    }


def cooling_rows(coolings: Iterable[Cooling]) -> list[dict[str, Any]]:
    """Return when each cooling address may be used again; ``waits_for_link`` while its link still exists."""
    return [
        {"address": str(each.address), "boottime_seconds": each.until, "waits_for_link": not each.link_gone}
        for each in coolings
    ]
