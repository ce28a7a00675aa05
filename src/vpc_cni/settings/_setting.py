"""What a setting is: one environment variable as data."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Standing(enum.Enum):
    """What this release does with a variable."""

    BUILT = "in use"
    NO_EFFECT = "accepted, no effect"
    PLANNED = "not built yet"


class Container(enum.Enum):
    """Which container reads a variable. The agent does the work of the reference's agent and entrypoint."""

    AGENT = "agent"
    INIT = "init container"
    METRICS_HELPER = "metrics helper"


class Unacceptable(Exception):
    """A text is no value of its kind; the argument says what is allowed."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """How text becomes a value.

    ``parse`` raises :class:`Unacceptable`; ``allowed`` says in words what it takes. An empty text means "not set",
    except where ``keeps_empty`` says that it is a value of its own.
    """

    name: str
    allowed: str
    parse: Callable[[str], T_co]
    keeps_empty: bool = False


@dataclass(frozen=True, slots=True)
class Setting(Generic[T_co]):
    """One environment variable.

    ``default`` and ``manifest`` are texts as they would stand in the environment: what holds when the variable is
    not set, and what the add-on's manifest sets where that differs. ``unset`` is said instead of an empty default.
    ``since`` is the version of amazon-vpc-cni-k8s that introduced it, or ours for names with ``VPC_CNI_``.
    ``why`` goes with a standing other than BUILT: the reason, as the middle of a sentence. ``built`` lists the only
    values that this release can serve, empty for all: another one is refused, or noted where the standing is
    NO_EFFECT. ``everybody_sets_it`` keeps such a note away.
    """

    name: str
    kind: Kind[T_co]
    default: str
    since: str
    meaning: str
    manifest: str | None = None
    unset: str = ""
    readers: tuple[Container, ...] = (Container.AGENT,)
    standing: Standing = Standing.BUILT
    why: str = ""
    built: tuple[T_co, ...] = ()
    everybody_sets_it: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether the reference does not know this variable."""
        return self.name.startswith("VPC_CNI_") and self.name != "VPC_CNI_VERSION"

    @property
    def concerns_agent(self) -> bool:
        return Container.AGENT in self.readers
