"""What every ``vpc-cni addon`` command does first: a client of EKS, and the cluster itself where it can be had."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpc_cni.cli._self_managed_session import missing_package
from vpc_cni.errors import CallerError, CloudError, ConfigurationError, KubernetesError
from vpc_cni.lifecycle.records import ManagedAddon
from vpc_cni.self_managed import Detection, EksAnswer, EksVerdict, Sighting, detect
from vpc_cni.self_managed.flow import see_daemon_set

if TYPE_CHECKING:
    from vpc_cni.cluster.client import Cluster, Place
    from vpc_cni.lifecycle.aws import AwsAccess
    from vpc_cni.lifecycle.eks import Eks

# As whom EKS applies objects: found in their managedFields.
_EKS_MANAGER = "eks"


@dataclass(frozen=True, slots=True)
class Access:
    """Options that say which cluster, and how it and EKS are reached; empty for what is configured elsewhere."""

    cluster_name: str = ""
    region: str = ""
    profile: str = ""
    endpoint_url: str = ""
    kubeconfig: str = ""
    context: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A client of EKS and, where it was reached, the cluster.

    Attributes:
        access: what the client was made of; for clients of other services.
        cluster: None where no kubeconfig leads to it; ``failure`` then says why.
        kubernetes_version: as the API server says it; empty without.
    """

    eks: "Eks"
    access: "AwsAccess"
    place: "Place"
    cluster: "Cluster | None"
    kubernetes_version: str
    failure: str

    def require_cluster(self) -> "Cluster":
        """Return the cluster.

        Raises:
            ConfigurationError: it was not reached.
        """
        if self.cluster is None:
            raise ConfigurationError(
                f"this command needs the cluster itself: {self.failure}",
                hint="give --kubeconfig and --context; `aws eks update-kubeconfig` writes them",
            )
        return self.cluster

    @contextmanager
    def as_eks(self) -> Iterator["Cluster"]:
        """Open the cluster as the field manager of EKS: for dry runs, which find the conflicts that EKS would."""
        cluster = type(self.require_cluster())(self.place, field_manager=_EKS_MANAGER)
        try:
            yield cluster
        finally:
            cluster.close()

    def see(self) -> Sighting:
        """Return what the API server says of the DaemonSet."""
        return Sighting(failure=self.failure) if self.cluster is None else see_daemon_set(self.cluster)


@dataclass(frozen=True, slots=True)
class Look:
    """What EKS and the cluster said of the add-on. ``addon`` is None where EKS has none, or did not answer."""

    addon: ManagedAddon | None
    answer: EksAnswer
    sighting: Sighting
    detection: Detection


@contextmanager
def open_session(access: Access, environ: Mapping[str, str] = os.environ) -> Iterator[Session]:
    """Make the clients, and ask the cluster for its version; changes nothing.

    Raises:
        HostError: a package is not installed.
        CallerError: no cluster is named.
    """
    if not access.cluster_name:
        raise CallerError("--cluster-name is missing", hint="`aws eks list-clusters` shows the names")
    eks, aws = open_eks(access)
    place = _find_place(access, environ)
    cluster, version, failure = _reach(access, place)
    try:
        yield Session(eks, aws, place, cluster, version, failure)
    finally:
        if cluster is not None:
            cluster.close()


def open_eks(access: Access) -> tuple["Eks", "AwsAccess"]:
    """Return a client of EKS, and what it was made of; a cluster need not be named."""
    try:
        from vpc_cni.lifecycle.aws import AwsAccess  # noqa: PLC0415 - an extra brings its client
        from vpc_cni.lifecycle.eks import Eks  # noqa: PLC0415 - as above
    except ModuleNotFoundError as err:
        raise missing_package(err) from err
    aws = AwsAccess(access.region, access.profile, access.endpoint_url)
    return Eks(aws, access.cluster_name), aws


def look(session: Session) -> Look:
    """Ask EKS and the cluster for the add-on.

    Raises:
        CallerError: EKS knows no such cluster.
    """
    addon, answer = _ask(session.eks)
    sighting = session.see()
    return Look(addon, answer, sighting, detect(answer, sighting, session.kubernetes_version))


def _ask(eks: "Eks") -> tuple[ManagedAddon | None, EksAnswer]:
    try:
        addon = eks.find_addon()
    except CloudError as err:
        return None, EksAnswer(EksVerdict.FAILED, err.message)
    if addon is None:
        return None, EksAnswer(EksVerdict.NO_ADDON, "EKS has no such add-on")
    return addon, EksAnswer(EksVerdict.HAS_ADDON, addon=addon.raw)


def _find_place(access: Access, environ: Mapping[str, str]) -> "Place":
    try:
        from vpc_cni.cluster.client import find_place  # noqa: PLC0415 - an extra brings its client
    except ModuleNotFoundError as err:
        raise missing_package(err) from err
    return find_place(environ, Path.home(), kubeconfig=access.kubeconfig, context=access.context)


def _reach(access: Access, place: "Place") -> tuple["Cluster | None", str, str]:
    """Return the cluster with its version, or None and why not. Options that are wrong are errors nevertheless."""
    from vpc_cni.cluster.client import Cluster  # noqa: PLC0415 - it was there a moment ago

    if not (access.kubeconfig or access.context or place.kubeconfig.exists()):
        return None, "", f"there is no kubeconfig {place.kubeconfig}"
    cluster = Cluster(place)
    try:
        return cluster, cluster.version(), ""
    except KubernetesError as err:
        cluster.close()
        return None, "", err.message
