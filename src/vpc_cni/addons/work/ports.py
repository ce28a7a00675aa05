"""What the workers need of the engine and of connections: their contract, and all that they know of either."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from vpc_cni.addons.model import Applied, ConflictMode, Desired, Health

ClusterT = TypeVar("ClusterT")
ClusterT_contra = TypeVar("ClusterT_contra", contravariant=True)
ClusterT_co = TypeVar("ClusterT_co", covariant=True)


class Engine(Protocol[ClusterT_contra]):
    """Makes a cluster what was asked for. Every call may be repeated, also after a kill at any moment of it.

    Raises:
        KubernetesUnreachableError, KubernetesThrottledError: worth another try; so is a KubernetesError that says so.
        VpcCniError: a failure of ours.
    """

    def install(
        self, cluster: ClusterT_contra, desired: Desired, mode: ConflictMode, previous_version: str
    ) -> Applied: ...

    def remove(self, cluster: ClusterT_contra, version: str, *, preserve: bool) -> Applied: ...

    def observe(self, cluster: ClusterT_contra, desired: Desired) -> Health: ...


class Connections(Protocol[ClusterT_co]):
    """Gives clusters to talk to, by the name they are registered under."""

    def open(self, name: str, before_write: Callable[[], None]) -> ClusterT_co:
        """Return a cluster for one worker; nothing is sent.

        Args:
            before_write: is called before each write to the cluster, which does not happen when it raises.

        Raises:
            NoClusterError: it is not registered (any more).
            ConfigurationError: what was stored cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class Clusters(Generic[ClusterT]):
    """Both, for the same kind of cluster."""

    connections: Connections[ClusterT]
    engine: Engine[ClusterT]
