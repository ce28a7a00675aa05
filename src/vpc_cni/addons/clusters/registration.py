"""Registering a cluster: with an operator's kubeconfig, once; what is kept is the service's own login."""

import base64
import binascii
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from vpc_cni.addons.clusters.grants import MANAGER, TOKEN_SECRET, account_objects, granted, manager_binding
from vpc_cni.addons.clusters.vault import Vault
from vpc_cni.addons.model import ClusterRecord, Network
from vpc_cni.addons.rules import check_cluster_name
from vpc_cni.addons.store import ClusterExistsError, NoClusterError, Store
from vpc_cni.cluster.client import Cluster, Place, read_server
from vpc_cni.cluster.inventory import AGENT, DAEMON_SETS, Reference
from vpc_cni.cluster.login import Login, check_server
from vpc_cni.errors import CallerError, KubernetesDeniedError, KubernetesError
from vpc_cni.manifests import parse_kubernetes_version

_TOKEN_SECONDS = 15.0
# Controllers and authorizers work from caches that lag behind.
_RIGHTS_SECONDS = 5.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator says about a cluster.

    Attributes:
        eks_version: Kubernetes minor version to show and to choose add-on versions by; empty for the real one.
        issuer: of its tokens; empty for the one that the cluster tells.
        token, client_certificate, client_key: a login to store instead of one that is made in the cluster; PEM.
    """

    name: str
    place: Place
    eks_version: str = ""
    issuer: str = ""
    role_arn: str = ""
    network: Network = field(default_factory=Network)
    token: str = field(default="", repr=False)
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Registered:
    """A cluster that was registered, and the version that its API server reports."""

    record: ClusterRecord
    live_version: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Clocks of the registration: seconds since the epoch, and a pause."""

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def register(
    wish: Wish, store: Store, vault: Vault, *, replaced: bool = False, timing: Timing | None = None
) -> Registered:
    """Make the service's rights in the cluster, try them, and write cluster and login to the store.

    Args:
        replaced: the cluster is registered already: keep its record's age and id, replace the rest.

    Raises:
        ConfigurationError: the kubeconfig cannot be used.
        KubernetesError: the cluster refused, or was not reached.
        CallerError: name or version is none.
        ClusterExistsError, NoClusterError: it is registered already, or to be replaced and is not.
    """
    timing = timing or Timing()
    before = _check(wish, store, replaced=replaced)
    # Whether it can be known again is asked before anything is sent to it.
    server = check_server(read_server(wish.place))
    operator = Cluster(wish.place)
    try:
        live = minor_version(operator.version())
        issuer = wish.issuer or operator.issuer()
        login = _grant(operator, wish, server, timing)
    finally:
        operator.close()
    _try(login, timing)
    record = ClusterRecord(
        name=wish.name,
        uid=uuid.uuid4().hex,
        version=minor_version(wish.eks_version) if wish.eks_version else live,
        endpoint=login.server,
        certificate_authority=login.certificate_authority,
        created_at=timing.clock(),
        role_arn=wish.role_arn,
        issuer=issuer,
        network=wish.network,
    )
    sealed = vault.seal(wish.name, login)
    if before is None:
        store.clusters.add(record, sealed)
    else:
        record = replace(record, uid=before.uid, created_at=before.created_at, tags=before.tags)
        store.clusters.replace(record, sealed)
    return Registered(record, live)


def reach(place: Place) -> None:
    """Ask a cluster its version: whether it is there, and knows this user.

    Raises:
        ConfigurationError, KubernetesError
    """
    operator = Cluster(place)
    try:
        operator.version()
    finally:
        operator.close()


def withdraw(place: Place) -> None:
    """Delete what registration made in a cluster.

    Raises:
        ConfigurationError, KubernetesError
    """
    operator = Cluster(place)
    try:
        for reference in granted():
            operator.delete(reference)
    finally:
        operator.close()


def minor_version(text: str) -> str:
    """Return a version as EKS writes it: ``1.29`` of ``v1.29.3-eks-036c24b``. Pure.

    Raises:
        CallerError: it is none.
    """
    return str(parse_kubernetes_version(text))


def _check(wish: Wish, store: Store, *, replaced: bool) -> ClusterRecord | None:
    """Refuse, before anything is made in the cluster, what could not be written; return the record to be replaced."""
    check_cluster_name(wish.name)
    if wish.eks_version:
        minor_version(wish.eks_version)
    if replaced:
        return store.clusters.get(wish.name)
    with suppress(NoClusterError):
        store.clusters.get(wish.name)
        raise ClusterExistsError(wish.name)
    return None


def _grant(operator: Cluster, wish: Wish, server: Login, timing: Timing) -> Login:
    operator.apply(manager_binding(), force=True)
    login = replace(server, acts_as=MANAGER)
    if wish.token or wish.client_certificate:
        return replace(login, token=wish.token, client_certificate=wish.client_certificate, client_key=wish.client_key)
    for manifest in account_objects():
        operator.apply(manifest, force=True)
    return replace(login, token=_wait_for_token(operator, timing))


def _wait_for_token(operator: Cluster, timing: Timing) -> str:
    end = timing.clock() + _TOKEN_SECONDS
    while True:
        secret = operator.get(TOKEN_SECRET) or {}
        encoded = (secret.get("data") or {}).get("token", "")
        if encoded:
            return _decode(encoded)
        if timing.clock() > end:
            raise CallerError(
                f"{TOKEN_SECRET} got no token: no controller manager runs in this cluster",
                hint="give a login by --token-file, or by --client-certificate and --client-key",
            )
        timing.sleep(_POLL_SECONDS)


def _decode(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, ValueError) as err:
        raise KubernetesError(f"{TOKEN_SECRET} holds no token", retryable=False) from err


def _try(login: Login, timing: Timing) -> None:
    """Do with the new login what the service will do, so that what is stored is known to work."""
    end = timing.clock() + _RIGHTS_SECONDS
    cluster = Cluster(login)
    try:
        while True:
            try:
                cluster.get(Reference(DAEMON_SETS, AGENT))
                return
            except KubernetesDeniedError:
                if timing.clock() > end:
                    raise
            timing.sleep(_POLL_SECONDS)
    finally:
        cluster.close()
