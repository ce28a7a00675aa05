"""Breaking things in a running lab, from the caller's side."""

from collections.abc import Callable
from typing import Any

# Runs one control operation: its name, then its arguments by name.
Call = Callable[..., Any]


class LabFaults:
    """Breaks things on purpose. Each method returns the number by which `clear` mends it."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def throttle(self, *, read: float | None = None, write: float | None = None) -> int:
        """Limit EC2 calls to so many a second."""
        return self._add("throttle", read=read, write=write)

    def error(self, operation: str, code: str, *, times: int | None = None, message: str | None = None) -> int:
        """Let an EC2 operation (or pattern) fail with a code, some times or until cleared."""
        return self._add("error", operation=operation, code=code, times=times, message=message)

    def lost_answer(self, operation: str, *, times: int = 1) -> int:
        """Let calls take effect and then close the connection without an answer."""
        return self._add("lost-answer", operation=operation, times=times)

    def deny(self, action: str, *, role: str = "*") -> int:
        """Take a permission away, for example ``ec2:CreateNetworkInterface``."""
        return self._add("deny", action=action, role=role)

    def latency(self, operation: str, seconds: float) -> int:
        return self._add("latency", operation=operation, seconds=seconds)

    def metadata_lag(self, seconds: float) -> int:
        return self._add("metadata-lag", seconds=seconds)

    def subnet_full(self, subnet: str) -> int:
        """Let a subnet (by id, or by the name of a node in it) have no free address."""
        return self._add("subnet-full", subnet=subnet)

    def link_down(self, node: str, *, device: int = 0) -> int:
        """Take the carrier from an ENI's link."""
        return self._add("link-down", node=node, device=device)

    def loss(self, node: str, percent: int, *, device: int = 0) -> int:
        """Lose a part of an ENI's packets, in both directions."""
        return self._add("loss", node=node, device=device, percent=percent)

    def active(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._call("fault_list")
        return listed

    def clear(self, number: int | None = None) -> int:
        """Mend one fault, or all; returns how many."""
        return int(self._call("fault_clear", number=number))

    def _add(self, kind: str, **args: object) -> int:
        given = {key: value for key, value in args.items() if value is not None}
        return int(self._call("fault_add", kind=kind, **given)["number"])
