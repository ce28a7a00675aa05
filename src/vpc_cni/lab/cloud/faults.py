"""What is broken on purpose: typed faults, added and removed while the cloud runs.

A fault says where it applies (operation, role) and what happens there; the faces of the cloud ask ``Faults`` at the
right moment and never keep a copy, so that a fault works from the next call on and is gone with its removal.
Operation names are EC2's (``CreateNetworkInterface``) or patterns of them (``*PrivateIpAddresses``, ``*``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.settings import Bucket


@dataclass(frozen=True, slots=True)
class InjectedError:
    """Calls fail with ``code``; ``times`` calls, or all of them until removed when None.

    ``after_effect`` lets the call change the state first: the caller sees an error although the work is done.
    """

    operation: str
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 500
    times: int | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """The call takes effect, then the connection closes without an answer."""

    operation: str
    times: int | None = 1


@dataclass(frozen=True, slots=True)
class Denial:
    """``role`` (a name or pattern) may not perform ``action`` (``ec2:AttachNetworkInterface``, ``ec2:*``)."""

    action: str
    role: str = "*"


@dataclass(frozen=True, slots=True)
class Delay:
    """Calls take that much longer; ``after_effect`` puts the wait between the effect and the answer."""

    operation: str
    seconds: float
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Throttle:
    """Request budgets in place of the settings' own; None leaves that class as it is."""

    read: Bucket | None = None
    write: Bucket | None = None


@dataclass(frozen=True, slots=True)
class MetadataLag:
    """Instance metadata shows the state of ``seconds`` ago."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SubnetFull:
    """The subnet has no free address or block, whatever its bookkeeping says; what is assigned stays."""

    subnet_id: str


Fault = InjectedError | LostAnswer | Denial | Delay | Throttle | MetadataLag | SubnetFull
F = TypeVar("F", InjectedError, LostAnswer, Denial, Delay, Throttle, MetadataLag, SubnetFull)


@dataclass(slots=True)
class Faults:
    """The active faults by number."""

    _active: dict[int, Fault] = field(default_factory=dict)
    _left: dict[int, int] = field(default_factory=dict)
    _next: int = 1

    def add(self, fault: Fault) -> int:
        """Activate ``fault``; returns its number for ``remove``."""
        number, self._next = self._next, self._next + 1
        self._active[number] = fault
        if isinstance(fault, InjectedError | LostAnswer) and fault.times is not None:
            self._left[number] = fault.times
        return number

    def remove(self, number: int) -> None:
        """End a fault; one that is already over is no error."""
        self._active.pop(number, None)
        self._left.pop(number, None)

    def clear(self) -> None:
        self._active.clear()
        self._left.clear()

    def active(self) -> dict[int, Fault]:
        return dict(self._active)

    def is_denied(self, action: str, role: str) -> bool:
        return any(fnmatchcase(action, d.action) and fnmatchcase(role, d.role) for _, d in self._of(Denial))

    def take_error(self, operation: str, *, after_effect: bool) -> CloudApiError | None:
        """Return the error to answer with, if any; counts it as used."""
        for number, fault in self._of(InjectedError):
            if fault.after_effect is after_effect and fnmatchcase(operation, fault.operation):
                self._use(number)
                return CloudApiError(fault.code, fault.message, fault.status)
        return None

    def take_lost_answer(self, operation: str) -> bool:
        for number, fault in self._of(LostAnswer):
            if fnmatchcase(operation, fault.operation):
                self._use(number)
                return True
        return False

    def delay_seconds(self, operation: str, *, after_effect: bool) -> float:
        """Return the sum of the delays that apply."""
        return sum(
            fault.seconds
            for _, fault in self._of(Delay)
            if fault.after_effect is after_effect and fnmatchcase(operation, fault.operation)
        )

    def read_bucket(self, default: Bucket | None) -> Bucket | None:
        return next((f.read for _, f in self._of(Throttle) if f.read), default)

    def write_bucket(self, default: Bucket | None) -> Bucket | None:
        return next((f.write for _, f in self._of(Throttle) if f.write), default)

    def metadata_lag_seconds(self, default: float) -> float:
        return max((f.seconds for _, f in self._of(MetadataLag)), default=default)

    def is_subnet_full(self, subnet_id: str) -> bool:
        return any(fault.subnet_id == subnet_id for _, fault in self._of(SubnetFull))

    def _of(self, kind: type[F]) -> Iterator[tuple[int, F]]:
        for number, fault in list(self._active.items()):
            if isinstance(fault, kind):
                yield number, fault

    def _use(self, number: int) -> None:
        if number in self._left:
            self._left[number] -= 1
            if self._left[number] <= 0:
                self.remove(number)
