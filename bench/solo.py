"""The measurements of our side alone, each with a lab of the shape that it needs."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.contender import Contender
from bench.figures import Measured
from bench.node import node_target
from bench.processes import pss_mib
from bench.rounds import WORKERS
from bench.worlds import ADDRESSES, LARGE_TYPE, MANY_TYPE, full_lab, open_lab, wait_for_addresses
from vpc_cni.errors import HostError
from vpc_cni.lab import Lab

MANY_PODS = 1000
IDLE_SECONDS = 10.0
COOLDOWN_SECONDS = 30.0
_ENOUGH_PAIRS = 4 * ADDRESSES

# Slow enough to stand out. Seconds.
LATENCIES: Mapping[str, float] = {
    "AssignPrivateIpAddresses": 0.3,
    "CreateNetworkInterface": 0.4,
    "AttachNetworkInterface": 0.5,
    "ModifyNetworkInterfaceAttribute": 0.3,
    "Describe*": 0.1,
}
LINK_DELAY_SECONDS = 0.7
ROOM_PATH_SECONDS = LATENCIES["AssignPrivateIpAddresses"]
NEW_ENI_PATH_SECONDS = LATENCIES["CreateNetworkInterface"] + LATENCIES["AttachNetworkInterface"] + LINK_DELAY_SECONDS
ROOM_TYPE = "m5.large"  # 9 secondary addresses on each ENI
# One pod address on each of two ENIs: the first pod takes that of the primary ENI, the second needs a new ENI.
FULL_TYPE = "t3.nano"
_READING = ("Describe", "Get", "AssumeRole")


def measure_memory(folder: Path) -> list[Measured]:
    """Measure the agent's memory with 1,000 pods, after a pause in which nothing happens."""
    with full_lab(MANY_TYPE, MANY_PODS, {}, credentials="web-identity") as lab, _ours(lab, folder) as ours:
        _require_web_identity(lab)
        ours.prepare(MANY_PODS)
        ours.add(MANY_PODS, WORKERS)
        time.sleep(IDLE_SECONDS)
        mib = pss_mib(_agent_pid(lab))
    return [Measured("rss_1000_mib", mib)]


def measure_steady(folder: Path) -> list[Measured]:
    """Measure the rate of pairs when every address rests for the default cooldown.

    In the first cooldown the stock of rested addresses is used up; the second one counts.
    """
    with full_lab(LARGE_TYPE, ADDRESSES, {}) as lab, _ours(lab, folder) as ours:
        ours.prepare(_ENOUGH_PAIRS)
        churn = ours.churn(_ENOUGH_PAIRS, WORKERS, limit_seconds=2 * COOLDOWN_SECONDS + 1)
    counted = [ended for ended in churn.ended if COOLDOWN_SECONDS < ended <= 2 * COOLDOWN_SECONDS]
    return [Measured("steady_pairs_s_cooldown_30", len(counted) / COOLDOWN_SECONDS, note=f"{len(counted)} pairs")]


def measure_first_address(folder: Path, repeats: int = 3) -> list[Measured]:
    """Measure what an ADD costs beyond EC2 when the pool is empty; the worst of some repeats."""
    room = _measure_room(folder, repeats)
    new = [_measure_new_eni(folder) for _ in range(repeats)]
    return [
        _worst_extra("first_address_extra_ms", room, ROOM_PATH_SECONDS),
        _most_calls("first_address_calls", room),
        _worst_extra("first_address_new_eni_extra_ms", new, NEW_ENI_PATH_SECONDS),
        _most_calls("first_address_new_eni_calls", new),
    ]


_Attempt = tuple[float, list[str]]
"""Seconds of an ADD, and the mutating calls that EC2 had admitted when it ended."""


def _measure_room(folder: Path, repeats: int) -> list[_Attempt]:
    """Two ADDs at once, one free address: the slower one finds an empty pool and an ENI with room."""
    attempts = []
    with _slow_lab(ROOM_TYPE, {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "1"}) as lab, _ours(lab, folder) as ours:
        for repeat in range(repeats):
            wait_for_addresses(lab, 2 * repeat + 1)
            ours.prepare(2)
            attempts.append(_attempt(lab, ours, 2))
    return attempts


def _measure_new_eni(folder: Path) -> _Attempt:
    with _slow_lab(FULL_TYPE, {"WARM_ENI_TARGET": "0"}) as lab, _ours(lab, folder) as ours:
        wait_for_addresses(lab, 1)
        ours.prepare(2)
        ours.add(1)
        return _attempt(lab, ours, 1)


def _attempt(lab: Lab, ours: Contender, count: int) -> _Attempt:
    started_at = time.time()
    slowest = max(ours.add(count, count))
    ended_at = time.time()
    calls = [call.operation for call in lab.calls if started_at <= call.at <= ended_at]
    return slowest, [name for name in calls if not name.startswith(_READING)]


def _worst_extra(name: str, attempts: list[_Attempt], path_seconds: float) -> Measured:
    worst = max(seconds for seconds, _calls in attempts)
    return Measured(name, 1e3 * (worst - path_seconds), note=f"worst of {len(attempts)}; {path_seconds:g} s configured")


def _most_calls(name: str, attempts: list[_Attempt]) -> Measured:
    calls = max((calls for _seconds, calls in attempts), key=len)
    return Measured(name, len(calls), note=", ".join(calls))


def _slow_lab(instance_type: str, env: Mapping[str, str]) -> contextlib.AbstractContextManager[Lab]:
    return open_lab(instance_type, env, latency_seconds=LATENCIES, link_delay_seconds=LINK_DELAY_SECONDS)


@contextlib.contextmanager
def _ours(lab: Lab, folder: Path) -> Iterator[Contender]:
    with Contender(node_target(lab.nodes[0]), folder) as contender:
        yield contender


def _agent_pid(lab: Lab) -> int:
    pid = lab.nodes[0].agent_pid
    if pid is None:
        raise HostError("the agent has ended during the run", hint=f"see {lab.nodes[0].agent_log_path}")
    return pid


def _require_web_identity(lab: Lab) -> None:
    if not any(call.operation == "AssumeRoleWithWebIdentity" and not call.code for call in lab.calls):
        raise HostError("the agent does not use web identity", hint=f"see {lab.nodes[0].agent_log_path}")
