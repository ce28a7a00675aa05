"""What every ``vpc-cni self-managed`` command with a cluster does first: connect, look, and read the options."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpc_cni.errors import HostError, KubernetesError
from vpc_cni.manifests import parse_kubernetes_version
from vpc_cni.manifests.versions import KubernetesVersion
from vpc_cni.self_managed import NOT_ASKED, Detection, EksAnswer, Sighting, detect
from vpc_cni.self_managed.flow import see_daemon_set

if TYPE_CHECKING:
    from vpc_cni.cluster.client import Cluster


@dataclass(frozen=True, slots=True)
class Access:
    """Options that say which cluster, and how EKS is asked about it; empty for what is configured elsewhere."""

    kubeconfig: str = ""
    context: str = ""
    cluster_name: str = ""
    region: str = ""
    endpoint_url: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A connected cluster and what a first look at it told. ``version`` is the server's, empty when not readable."""

    cluster: "Cluster"
    version: str
    eks: EksAnswer
    sighting: Sighting
    detection: Detection

    @property
    def kubernetes(self) -> KubernetesVersion:
        return parse_kubernetes_version(self.version)


@contextmanager
def open_session(access: Access, environ: Mapping[str, str] = os.environ) -> Iterator[Session]:
    """Connect and look; changes nothing.

    Raises:
        HostError: a package is not installed.
        ConfigurationError, CallerError: the options name no cluster.
    """
    eks = _ask_eks(access)
    cluster = _connect(access, environ)
    try:
        sighting = see_daemon_set(cluster)
        version = _version(cluster)
        yield Session(cluster, version, eks, sighting, detect(eks, sighting, version))
    finally:
        cluster.close()


def _connect(access: Access, environ: Mapping[str, str]) -> "Cluster":
    try:
        from vpc_cni.cluster.client import Cluster, find_place  # noqa: PLC0415 - an extra brings its client
    except ModuleNotFoundError as err:
        raise missing_package(err) from err
    return Cluster(find_place(environ, Path.home(), kubeconfig=access.kubeconfig, context=access.context))


def _ask_eks(access: Access) -> EksAnswer:
    if not access.cluster_name:
        return NOT_ASKED
    try:
        from vpc_cni.self_managed.eks import ask_eks  # noqa: PLC0415 - as above
    except ModuleNotFoundError as err:
        raise missing_package(err) from err
    return ask_eks(access.cluster_name, region=access.region, endpoint_url=access.endpoint_url)


def _version(cluster: "Cluster") -> str:
    try:
        return cluster.version()
    except KubernetesError:
        # Detection says what that means; whoever needs the number fails there.
        return ""


def missing_package(err: ModuleNotFoundError) -> HostError:
    return HostError(
        f"this command needs the Python package {err.name}, which is not installed",
        hint="pip install 'vpc-cni[self-managed]'",
    )
