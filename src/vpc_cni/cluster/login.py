"""Logging in to a cluster with what was stored of it, instead of a kubeconfig: nothing is run, no file is read later.

Everything is sent as another user, by impersonation: what that user may do, and no more, happens.
"""

import base64
import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
from lightkube.config.client_adapter import ConnectionParams, verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

from vpc_cni.cluster.kubeconfig import Chosen
from vpc_cni.errors import ConfigurationError

# A cluster that does not answer must not hold a worker for long; one that works on an apply may take its time.
_CONNECT_SECONDS, _ANSWER_SECONDS = 3.0, 15.0
_TIMEOUT = httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
# Who must not write later than a certain time asks for so much more: see addons.work.hold.
LONGEST_REQUEST_SECONDS = _CONNECT_SECONDS + _ANSWER_SECONDS
# One connection serves one worker; looks come every half minute, and a new TLS session costs more than an idle one.
_LIMITS = httpx2.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=60.0)


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a cluster, and as whom.

    Attributes:
        certificate_authority: PEM in base64, as in a kubeconfig; empty for those that the machine trusts.
        token: of a service account; empty when a certificate logs in.
        client_certificate, client_key: PEM; both or none.
        acts_as: the user whom all requests impersonate; empty for none.
        server_name: by which the server proves itself, when that is not the host of ``server``; else empty.
    """

    server: str
    certificate_authority: str
    token: str = field(default="", repr=False)
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)
    acts_as: str = ""
    server_name: str = ""


class _As(httpx2.BaseTransport):
    """Sends every request as someone else, to a server that proves itself by another name; empty for neither."""

    def __init__(self, inner: httpx2.BaseTransport, user: str, server_name: str) -> None:
        self._inner = inner
        self._user = user
        self._server_name = server_name

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._user:
            request.headers["Impersonate-User"] = self._user
        if self._server_name:
            # What TLS asks for, and what the certificate is then checked for.
            request.extensions["sni_hostname"] = self._server_name
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def open_login(login: Login) -> tuple[SingleConfig, ConnectionParams]:
    """Return what a client is made of; nothing is sent.

    Raises:
        ConfigurationError: certificates or key are none, or the server is no https URL.
    """
    check_server(login)
    plain = httpx2.HTTPTransport(verify=_trust(login), trust_env=False, limits=_LIMITS)
    transport = _As(plain, login.acts_as, login.server_name)
    # The transport checks the server's certificate: the client's own check, which this turns off, is not asked.
    config = SingleConfig(
        context_name="stored",
        context=Context(cluster="stored", user="stored"),
        cluster=Cluster(server=login.server, insecure=True),
        user=User(token=login.token or None),
    )
    return config, ConnectionParams(timeout=_TIMEOUT, trust_env=False, transport=transport)


def transport_of(chosen: Chosen) -> httpx2.BaseTransport | None:
    """Return how requests with a kubeconfig travel: by the client's own way, unless TLS must ask for another name."""
    if not chosen.server_name:
        return None
    config = chosen.config
    assert config.user, "Missing user"  # noqa: S101 # as the client's own way says it
    trust = verify_cluster(config.cluster, config.user, config.abs_file)
    return _As(httpx2.HTTPTransport(verify=trust), "", chosen.server_name)


def check_server(login: Login) -> Login:
    """Return a login as it is, if its server can be shown to everybody and reached over TLS only. Pure.

    Raises:
        ConfigurationError: it is no https URL, or holds a user, a query or a fragment.
    """
    try:
        parts = urlsplit(login.server)
        # Reading the port checks it.
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    # Not repeated in the message: a password may stand in it.
    if not has_host or parts.scheme != "https":
        raise ConfigurationError("the server of a cluster is no https URL", hint="write https://HOST:PORT")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the server of a cluster, at {parts.hostname}, has more than host, port and path",
            hint="a user, query or fragment would be stored and shown: take it out of the kubeconfig",
        )
    return login


def _trust(login: Login) -> ssl.SSLContext:
    try:
        authority = base64.b64decode(login.certificate_authority, validate=True).decode("ascii")
        context = ssl.create_default_context(cadata=authority or None)
        if login.client_certificate:
            _load_certificate(context, login.client_certificate + "\n" + login.client_key)
    except (ValueError, ssl.SSLError, OSError) as err:
        raise ConfigurationError(f"the certificates of {login.server} cannot be used: {err}") from err
    return context


def _load_certificate(context: ssl.SSLContext, pem: str) -> None:
    # OpenSSL takes these from a file only: from one that exists in memory, for this process alone.
    descriptor = os.memfd_create("login", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
