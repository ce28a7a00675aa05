"""The cluster as the self-managed flow sees it: objects as plain data. The only user of lightkube.

Objects are read and written whole, as the API server shows them: typed models would drop the fields that they do not
know, and a backup must not. Errors come out as those of the one exception tree.
"""

import base64
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from lightkube import ApiError, Client
from lightkube.config.client_adapter import Client as open_http
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.core.resource import ApiInfo, ResourceDef
from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource
from lightkube.types import PatchType

from vpc_cni.cluster.inventory import FIELD_MANAGER, NAMESPACE, Reference, Resource, reference_of
from vpc_cni.cluster.kubeconfig import read_context
from vpc_cni.cluster.login import Login, open_login, transport_of
from vpc_cni.errors import (
    CallerError,
    ConfigurationError,
    KubernetesConflictError,
    KubernetesDeniedError,
    KubernetesError,
    KubernetesNotFoundError,
    KubernetesThrottledError,
    KubernetesUnreachableError,
)
from vpc_cni.manifests import Manifest

_TIMEOUT_SECONDS = 30.0
_VERBS = ["get", "list", "patch", "post", "put", "delete"]
_CLASSES: Mapping[int, type[KubernetesError]] = {
    401: KubernetesDeniedError,
    403: KubernetesDeniedError,
    404: KubernetesNotFoundError,
    409: KubernetesConflictError,
    429: KubernetesThrottledError,
}
_SERVER_ERRORS = 500
# Source: sigs.k8s.io/structured-merge-diff; seen from Kubernetes 1.20, and named the same later.
_FIELD_ERRORS = ("field not declared in schema", "duplicate entries for key")
_HINTS: Mapping[int, str] = {
    401: "the API server does not accept this user: log in again, or use another kubeconfig",
    403: "use a kubeconfig whose user may do that",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which cluster: a kubeconfig file, and a context in it; empty for the current one."""

    kubeconfig: Path
    context: str = ""


def find_place(environ: Mapping[str, str], home: Path, *, kubeconfig: str = "", context: str = "") -> Place:
    """Return the cluster that an operator means: by option, ``KUBECONFIG``, or the file in the home folder. Pure.

    Raises:
        ConfigurationError: ``KUBECONFIG`` names several files.
    """
    named = kubeconfig or environ.get("KUBECONFIG", "")
    if not kubeconfig and ":" in named:
        raise ConfigurationError("KUBECONFIG names several files", hint="name one of them by --kubeconfig")
    return Place(Path(named).expanduser() if named else home / ".kube" / "config", context)


class Cluster:
    """One cluster. Blocking; every call raises :class:`~vpc_cni.errors.KubernetesError` when it fails."""

    def __init__(
        self,
        place: Place | Login,
        *,
        field_manager: str = FIELD_MANAGER,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        """Read the kubeconfig, unless the login was stored; nothing is sent yet.

        Args:
            field_manager: as whom objects are applied.
            timeout_seconds: for each request, with a kubeconfig.

        Raises:
            ConfigurationError: the file is missing, or names no such context or way to log in.
        """
        if isinstance(place, Login):
            self._open(*open_login(place), field_manager)
            return
        try:
            chosen = read_context(place.kubeconfig, place.context)
            parameters = ConnectionParams(timeout=httpx2.Timeout(timeout_seconds), transport=transport_of(chosen))
            self._open(chosen.config, parameters, field_manager)
        except OSError as err:
            raise ConfigurationError(
                f"kubeconfig {place.kubeconfig} cannot be read: {err.strerror}",
                hint="name one by --kubeconfig or KUBECONFIG",
            ) from err
        except (ConfigError, CallerError, KeyError, TypeError, ValueError, AssertionError) as err:
            raise ConfigurationError(
                f"kubeconfig {place.kubeconfig} cannot be used: {err}", hint="choose another by --kubeconfig, --context"
            ) from err

    def _open(self, config: SingleConfig, parameters: ConnectionParams, field_manager: str) -> None:
        self.field_manager = field_manager
        self._http = open_http(config, parameters)
        self._client = Client(
            config, timeout=parameters.timeout, transport=parameters.transport, field_manager=field_manager
        )

    def close(self) -> None:
        self._client.close()
        self._http.close()

    def version(self) -> str:
        """Return the version that the API server reports, such as ``v1.29.3-eks-036c24b``."""
        with _translated("read the version"):
            answer = self._http.get("/version")
            answer.raise_for_status()
            return str(answer.json()["gitVersion"])

    def issuer(self) -> str:
        """Return the issuer of the cluster's tokens; empty when it tells none, or not to us."""
        with suppress(KubernetesDeniedError, KubernetesNotFoundError), _translated("read the token issuer"):
            answer = self._http.get("/.well-known/openid-configuration")
            answer.raise_for_status()
            return str(answer.json()["issuer"])
        return ""

    def get(self, reference: Reference, *, namespace: str = NAMESPACE) -> Manifest | None:
        """Return an object, None when there is none. ``namespace`` counts for kinds that have one."""
        where = {"namespace": namespace} if reference.resource.namespaced else {}
        try:
            with _translated(f"read {reference}"):
                return dict(self._client.get(_class(reference.resource), reference.name, **where))
        except KubernetesNotFoundError:
            return None

    def list(self, resource: Resource, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        """Return all objects of a kind, those in ``kube-system`` where it has namespaces; none without such a kind."""
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        try:
            with _translated(f"list {resource.plural}"):
                wanted: dict[str, Any] = dict(labels or {})
                found = self._client.list(_class(resource), labels=wanted, **_where(resource))
                return tuple({**head, **each} for each in found)
        except KubernetesNotFoundError:
            return ()

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Apply one object on the server's side as our field manager; return what it came to."""
        return self._patch(
            reference_of(manifest), manifest, PatchType.APPLY, "apply", force=force or None, dry_run=dry_run
        )

    def patch_strategic(self, reference: Reference, patch: Mapping[str, Any], *, dry_run: bool = False) -> Manifest:
        return self._patch(reference, patch, PatchType.STRATEGIC, "patch", dry_run=dry_run)

    def patch_json(
        self, reference: Reference, operations: tuple[Mapping[str, Any], ...], *, dry_run: bool = False
    ) -> Manifest:
        return self._patch(reference, list(operations), PatchType.JSON, "patch", dry_run=dry_run)

    def _patch(self, reference: Reference, body: Any, kind: PatchType, verb: str, **options: Any) -> Manifest:
        given = {name: value for name, value in options.items() if value}
        with _translated(f"{verb} {reference}"):
            return dict(
                self._client.patch(
                    _class(reference.resource),
                    reference.name,
                    body,
                    patch_type=kind,
                    **given,
                    **_where(reference.resource),
                )
            )

    def create(self, manifest: Manifest) -> Manifest:
        reference = reference_of(manifest)
        with _translated(f"create {reference}"):
            return dict(self._client.create(_class(reference.resource)(manifest)))

    def ask(self, resource: Resource, question: Manifest) -> Manifest:
        """Return the answer to a question that is posted, such as a SubjectAccessReview; nothing is stored."""
        with _translated(f"ask by {resource.kind}"):
            return dict(self._client.create(_class(resource)(question)))

    def delete(self, reference: Reference) -> None:
        """Delete an object; one that is gone already is fine."""
        with suppress(KubernetesNotFoundError), _translated(f"delete {reference}"):
            self._client.delete(_class(reference.resource), reference.name, **_where(reference.resource))

    def replace(self, manifest: Manifest) -> Manifest:
        """Put an object in the place of a live one; with its ``resourceVersion`` only if nobody changed that since."""
        reference = reference_of(manifest)
        with _translated(f"replace {reference}"):
            return dict(self._client.replace(_class(reference.resource)(manifest)))


def read_server(place: Place) -> Login:
    """Return where a kubeconfig's cluster is and whom it trusts, without how the kubeconfig logs in.

    Raises:
        ConfigurationError: it cannot be read, or names no authority by which to know the server again.
    """
    try:
        chosen = read_context(place.kubeconfig, place.context)
        cluster = chosen.config.cluster
        authority = cluster.certificate_auth_data or ""
        if cluster.certificate_auth:
            file = Path(chosen.config.abs_file(cluster.certificate_auth))
            authority = base64.b64encode(file.read_bytes()).decode("ascii")
    except (ConfigError, CallerError, OSError, KeyError, TypeError, ValueError, AssertionError) as err:
        raise ConfigurationError(f"kubeconfig {place.kubeconfig} cannot be used: {err}") from err
    if not authority:
        why = "sets insecure-skip-tls-verify" if cluster.insecure else "names no certificate authority"
        raise ConfigurationError(
            f"kubeconfig {place.kubeconfig} {why}",
            hint="add certificate-authority-data: the service must know the server again",
        )
    return Login(cluster.server, authority, server_name=chosen.server_name)


def _where(resource: Resource) -> dict[str, Any]:
    return {"namespace": NAMESPACE} if resource.namespaced else {}


@functools.cache
def _class(resource: Resource) -> Any:
    """Return the class by which lightkube knows a kind of object, with plain data in it."""
    base = GenericNamespacedResource if resource.namespaced else GenericGlobalResource
    definition = ResourceDef(resource.group, resource.version, resource.kind)
    return type(resource.kind, (base,), {"_api_info": ApiInfo(definition, resource.plural, _VERBS)})


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ApiError as err:
        status = err.response.status_code
        raise _error_of(what, status, err.status.reason or "", err.status.message or "") from err
    except httpx2.HTTPStatusError as err:
        raise _error_of(what, err.response.status_code, "", err.response.text[:300]) from err
    except ConfigError as err:
        raise ConfigurationError(f"cannot {what}: {err}", hint="check how the kubeconfig logs in") from err
    except (httpx2.HTTPError, OSError) as err:
        raise KubernetesUnreachableError(
            f"cannot {what}: {err or type(err).__name__}",
            status=0,
            hint="check the kubeconfig's server and the way to it",
        ) from err
    except (ValueError, KeyError, TypeError) as err:
        # No JSON where some was due: from a proxy on the way, or from the program that gets the token.
        raise KubernetesError(
            f"cannot {what}: an answer could not be read: {err!r}", status=0, retryable=False
        ) from err


def _error_of(what: str, status: int, reason: str, message: str) -> KubernetesError:
    kind: Callable[..., KubernetesError] = _CLASSES.get(status, KubernetesError)
    return kind(
        f"cannot {what}: {status} {message or reason}",
        status=status,
        reason=reason,
        said=message,
        hint=_HINTS.get(status, ""),
        retryable=None if status in _CLASSES else status >= _SERVER_ERRORS and not _is_about_fields(message),
    )


def _is_about_fields(message: str) -> bool:
    """Whether an object was refused as status 500 for what is in it, which is no failure of the server."""
    return any(words in message for words in _FIELD_ERRORS)
