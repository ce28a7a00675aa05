"""Where the API server is and how to prove who we are: from inside a pod, or from a kubeconfig file.

A kubeconfig must be JSON (``kubectl config view --raw --minify --flatten -o json``): the agent carries no YAML
parser, and pods do not need one. Programs that fetch credentials (``exec``, ``auth-provider``) are refused by name:
the agent starts no programs.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from vpc_cni.errors import ConfigurationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT_NAMESPACE = "kube-system"
_REFUSED = {
    "exec": "the agent starts no programs",
    "auth-provider": "the agent starts no programs",
    "username": "API servers no longer take passwords",
    "password": "API servers no longer take passwords",
    "as": "impersonation is not built",
    "insecure-skip-tls-verify": "an API server that is not checked could be anybody",
    "proxy-url": "the agent talks to the API server directly",
}


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How to reach one API server.

    Args:
        server: ``https://HOST[:PORT]``, without a path.
        ca_file: certificates to trust; read again when the server is not trusted any more. None: ``ca_data``.
        ca_data: the same as PEM text.
        token_file: bearer token, read again when the file changes: tokens of service accounts live an hour.
        token: a fixed bearer token.
        certificate, key: a client certificate as PEM; both or none.
        server_name: name that the server's certificate must have, where it is not the host.
        namespace: where the agent's own pod lives.
    """

    server: str
    ca_file: Path | None = None
    ca_data: str = ""
    token_file: Path | None = None
    token: str = field(default="", repr=False)
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    server_name: str = ""
    namespace: str = _DEFAULT_NAMESPACE


def find_access(
    environ: Mapping[str, str], *, kubeconfig: Path | None = None, endpoint: str = "", account: Path = SERVICE_ACCOUNT
) -> ClusterAccess | None:
    """Return how to reach the cluster, None when there is none.

    Args:
        kubeconfig: wins over the pod's environment.
        endpoint: ``CLUSTER_ENDPOINT``: another address of the same API server, for pods that start before kube-proxy.
        account: folder with ``token``, ``ca.crt`` and ``namespace``.

    Raises:
        ConfigurationError: there is one and it cannot be used.
    """
    if kubeconfig is not None:
        return load_kubeconfig(kubeconfig)
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host and not endpoint:
        return None
    server = endpoint or f"https://{f'[{host}]' if ':' in host else host}:{port}"
    if not (account / "token").exists():
        raise ConfigurationError(
            f"{account}/token is missing, though the API server is known: {server}",
            hint="run the pod with its service account (automountServiceAccountToken)",
        )
    return ClusterAccess(
        server=_server(server if "://" in server else f"https://{server}", "CLUSTER_ENDPOINT"),
        ca_file=account / "ca.crt",
        token_file=account / "token",
        namespace=_text_of(account / "namespace") or _DEFAULT_NAMESPACE,
    )


def _text_of(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class _Named(msgspec.Struct):
    """An entry of a kubeconfig: a name and a body under a key that depends on the list."""

    name: str = ""
    cluster: dict[str, Any] = {}
    user: dict[str, Any] = {}
    context: dict[str, Any] = {}


class _Kubeconfig(msgspec.Struct):
    """A kubeconfig file as far as it matters. Source: kubernetes/client-go tools/clientcmd/api/v1."""

    clusters: list[_Named] = []
    users: list[_Named] = []
    contexts: list[_Named] = []
    current: str = msgspec.field(default="", name="current-context")


def load_kubeconfig(path: Path) -> ClusterAccess:
    """Read the current context of a kubeconfig file.

    Raises:
        ConfigurationError: it cannot be read, is no JSON, or asks for what is not built.
    """
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_Kubeconfig)
    except OSError as err:
        raise ConfigurationError(f"{path}: {err.strerror}", hint="name a kubeconfig file that exists") from err
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise ConfigurationError(
            f"{path} is no kubeconfig in JSON: {err}",
            hint="write one with: kubectl config view --raw --minify --flatten -o json",
        ) from err
    context = _named(config.contexts, config.current, path).context
    cluster = _named(config.clusters, str(context.get("cluster", "")), path).cluster
    user = _named(config.users, str(context.get("user", "")), path).user
    for key, why in _REFUSED.items():
        if cluster.get(key) or user.get(key):
            raise ConfigurationError(f"{path}: {key} is not supported: {why}", hint="use a token or a certificate")
    return _access(path, cluster, user, str(context.get("namespace") or _DEFAULT_NAMESPACE))


def _access(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any], namespace: str) -> ClusterAccess:
    token_file = user.get("tokenFile")
    return ClusterAccess(
        server=_server(str(cluster.get("server", "")), str(path)),
        ca_data=_pem(path, cluster, "certificate-authority").decode("ascii", errors="replace"),
        token_file=path.parent / str(token_file) if token_file else None,
        token="" if token_file else str(user.get("token", "")),
        certificate=_pem(path, user, "client-certificate"),
        key=_pem(path, user, "client-key"),
        server_name=str(cluster.get("tls-server-name", "")),
        namespace=namespace,
    )


def _named(entries: list[_Named], name: str, path: Path) -> _Named:
    for entry in entries:
        if entry.name == name:
            return entry
    raise ConfigurationError(f"{path} has no entry {name!r}", hint="check current-context and what it names")


def _server(text: str, origin: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise ConfigurationError(f"{origin}: {text!r} is no API server", hint="write https://HOST:PORT")
    return f"https://{parts.netloc}"


def _pem(path: Path, entry: Mapping[str, Any], key: str) -> bytes:
    """Return the content of ``KEY-data``, or of the file that ``KEY`` names relative to the kubeconfig."""
    try:
        if data := entry.get(f"{key}-data"):
            return base64.b64decode(str(data), validate=True)
        name = entry.get(key)
        return (path.parent / str(name)).read_bytes() if name else b""
    except (OSError, binascii.Error, ValueError) as err:
        raise ConfigurationError(f"{path}: {key} cannot be used: {err}") from err


class BearerToken:
    """The token to send now. A file is read again when it was replaced; a failing read keeps the last one."""

    def __init__(self, access: ClusterAccess) -> None:
        self._path = access.token_file
        self._token = access.token
        self._seen: tuple[int, int, int] | None = None

    def current(self) -> str:
        """Return the token; empty for those who identify themselves by certificate."""
        if self._path is None:
            return self._token
        try:
            facts = os.stat(self._path)
            seen = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            if seen != self._seen:
                self._token = self._path.read_text().strip()
                self._seen = seen
        except OSError:
            pass  # the server says soon enough that a token is missing or too old
        return self._token
