"""Faults of a running lab by one number space: what is broken, where, and how to mend it.

API faults live in the cloud, wire faults in the fabric; this book lets people list and end both alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from vpc_cni.errors import CallerError
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.faults import (
    Delay,
    Denial,
    Fault,
    InjectedError,
    LostAnswer,
    MetadataLag,
    SubnetFull,
    Throttle,
)
from vpc_cni.lab.cloud.settings import Bucket
from vpc_cni.lab.fabric import Fabric, PortFault

T = TypeVar("T")
Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault that is in force. Either ``cloud_number`` or ``eni_id`` says where it lives."""

    number: int
    kind: str
    details: Mapping[str, object]
    cloud_number: int | None = None
    eni_id: str | None = None


class FaultBook:
    """Adds, lists and ends faults."""

    def __init__(self, cloud: Cloud, fabric: Fabric) -> None:
        self._cloud = cloud
        self._fabric = fabric
        self._entries: dict[int, ActiveFault] = {}
        self._next = 1

    def add_cloud(self, kind: str, arguments: Arguments) -> ActiveFault:
        """Break an API.

        Raises:
            CallerError: unknown kind, or wrong arguments for it.
        """
        build = CLOUD_FAULTS.get(kind)
        if build is None:
            raise CallerError(f'unknown fault "{kind}"', hint=f"one of {', '.join(sorted(CLOUD_FAULTS))}")
        fault = build(arguments)
        return self._enter(kind, _details(fault), cloud_number=self._cloud.faults.add(fault))

    async def add_port(self, kind: str, eni_id: str, fault: PortFault) -> ActiveFault:
        """Break a wire; a second fault on the same one replaces the first."""
        for entry in list(self._entries.values()):
            if entry.eni_id == eni_id:
                del self._entries[entry.number]
        await self._fabric.set_fault(eni_id, fault)
        return self._enter(kind, {"eni": eni_id, **asdict(fault)}, eni_id=eni_id)

    def active(self) -> list[ActiveFault]:
        """Return the faults in force, oldest first; those that have run out are forgotten."""
        alive = self._cloud.faults.active()
        self._entries = {
            number: entry
            for number, entry in self._entries.items()
            if entry.cloud_number is None or entry.cloud_number in alive
        }
        return list(self._entries.values())

    async def clear(self, number: int | None = None) -> int:
        """End one fault, or all; returns how many ended.

        Raises:
            CallerError: no fault has this number.
        """
        active = [entry.number for entry in self.active()]
        if number is not None and number not in active:
            raise CallerError(f"there is no fault {number}", hint="see `vpc-cni lab fault list`")
        chosen = active if number is None else [number]
        for each in chosen:
            entry = self._entries.pop(each)
            if entry.cloud_number is not None:
                self._cloud.faults.remove(entry.cloud_number)
            if entry.eni_id is not None:
                await self._fabric.set_fault(entry.eni_id, None)
        return len(chosen)

    def _enter(
        self, kind: str, details: Mapping[str, object], cloud_number: int | None = None, eni_id: str | None = None
    ) -> ActiveFault:
        entry = ActiveFault(self._next, kind, details, cloud_number, eni_id)
        self._entries[entry.number] = entry
        self._next += 1
        return entry


def _details(fault: Fault) -> dict[str, object]:
    return {key: value for key, value in asdict(fault).items() if value is not None}


def _throttle(arguments: Arguments) -> Fault:
    return Throttle(_bucket(arguments, "read"), _bucket(arguments, "write"))


def _bucket(arguments: Arguments, which: str) -> Bucket | None:
    rate = arguments.get(which)
    return None if rate is None else Bucket(max(float(str(rate)), 1.0), float(str(rate)))


def _error(arguments: Arguments) -> Fault:
    times = arguments.get("times")
    return InjectedError(
        operation=_get(arguments, "operation", str),
        code=_get(arguments, "code", str),
        message=str(arguments.get("message") or "The lab was asked to fail this call"),
        status=int(str(arguments.get("status") or 500)),
        times=None if times is None else int(str(times)),
    )


def _lost_answer(arguments: Arguments) -> Fault:
    return LostAnswer(_get(arguments, "operation", str), int(str(arguments.get("times") or 1)))


def _denial(arguments: Arguments) -> Fault:
    return Denial(_get(arguments, "action", str), str(arguments.get("role") or "*"))


def _delay(arguments: Arguments) -> Fault:
    return Delay(_get(arguments, "operation", str), _get(arguments, "seconds", float))


def _metadata_lag(arguments: Arguments) -> Fault:
    return MetadataLag(_get(arguments, "seconds", float))


def _subnet_full(arguments: Arguments) -> Fault:
    return SubnetFull(_get(arguments, "subnet", str))


def _get(arguments: Arguments, name: str, kind: Callable[[str], T]) -> T:
    try:
        return kind(str(arguments[name]))
    except (KeyError, ValueError) as err:
        raise CallerError(f'this fault needs "{name}"') from err


CLOUD_FAULTS: Mapping[str, Callable[[Arguments], Fault]] = {
    "throttle": _throttle,
    "error": _error,
    "lost-answer": _lost_answer,
    "deny": _denial,
    "latency": _delay,
    "metadata-lag": _metadata_lag,
    "subnet-full": _subnet_full,
}
