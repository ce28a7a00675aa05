"""What an operation is to the dispatcher: a name, the parameters it knows, and a function from call to tree."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.identity.roles import Credentials
from vpc_cni.lab.cloud.query.parameters import Parameters
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import Tags

READING_VERBS = ("Describe", "Get")


@dataclass(frozen=True, slots=True)
class Call:
    """One request being served. ``moment`` is the time that describe calls look at; changes use the present."""

    cloud: Cloud
    parameters: Parameters
    moment: float
    caller: Credentials

    def at_present(self) -> "Call":
        """Return the same call looking at the present: the answer to a creation shows it, whatever the lag."""
        return replace(self, moment=self.cloud.now())

    def tags_of(self, resource_id: str) -> Tags:
        return self.cloud.tags.at(resource_id, self.moment) or ()


@dataclass(frozen=True, slots=True)
class Operation:
    """``parameters`` are the top-level names this lab honours, any other is refused; ``anonymous`` needs no key."""

    name: str
    run: Callable[[Call], Tree]
    parameters: frozenset[str]
    anonymous: bool = False

    @property
    def mutates(self) -> bool:
        return not self.name.startswith(READING_VERBS)


def operation(name: str, run: Callable[[Call], Tree], parameters: str = "", *, anonymous: bool = False) -> Operation:
    """Make a table entry; ``parameters`` are separated by spaces."""
    return Operation(name, run, frozenset(parameters.split()), anonymous)


def require_all(wanted: Sequence[str], found: Collection[str], missing: Callable[[str], CloudApiError]) -> None:
    """Raise ``missing(name)`` for the first wanted name that was not found."""
    for name in wanted:
        if name not in found:
            raise missing(name)


# The answer of operations whose success says nothing else.
DONE: Tree = {"return": True}

LISTING = "Filter MaxResults NextToken"
