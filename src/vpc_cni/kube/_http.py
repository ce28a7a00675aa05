"""HTTPS to one API server with bounds: time, size, no redirects, no retries of its own.

Owns the connection pool, trust and identity. Thread safe. A dead connection is noticed in two ways: the kernel asks
the peer (keep-alive, within about 30 s), and a stream that stays silent for longer than the server's bookmarks are
apart is given up, since a load balancer answers the kernel's question though the server behind it is gone.
"""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from vpc_cni import __version__
from vpc_cni.errors import ConfigurationError, KubernetesError, KubernetesUnreachableError
from vpc_cni.kube.access import BearerToken, ClusterAccess
from vpc_cni.kube.failures import error_of
from vpc_cni.kube.objects import MALFORMED
from vpc_cni.kube.resources import ApiRequest

SILENT = "Silent"
"""``reason`` of the error about a stream on which nothing came for too long."""

_CHUNK_BYTES = 16 * 1024
_CONNECTIONS = 4
_ERROR_BYTES = 64 * 1024
_SUCCESS = range(200, 300)
_KEEP_ALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # What was sent and not acknowledged counts as well; milliseconds.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests. Sizes in bytes: etcd refuses objects above 1.5 MiB, a page of a list holds several."""

    connect_seconds: float = 5.0
    answer_seconds: float = 15.0
    silence_seconds: float = 150.0
    answer_bytes: int = 8 * 1024 * 1024
    line_bytes: int = 4 * 1024 * 1024


class Transport:
    """Sends requests to one API server."""

    def __init__(self, access: ClusterAccess, limits: Limits, *, now: Callable[[], float], version: str = "") -> None:
        parts = urlsplit(access.server)
        assert parts.hostname is not None  # noqa: S101 - checked where the access was read
        self._host, self._port = parts.hostname, parts.port or 443
        self._access = access
        self._limits = limits
        self._now = now
        self._token = BearerToken(access)
        self._defaults = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"vpc-cni/{version or __version__}",
        }
        self._lock = threading.Lock()
        self._pool: urllib3.HTTPSConnectionPool | None = None

    def send(self, request: ApiRequest) -> bytes:
        """Send a request and return the whole body of its success.

        Raises:
            KubernetesError: the server refused, or was not reached.
            ConfigurationError: certificates cannot be used.
        """
        with self._failures_told(request):
            response = self._open(request, self._limits.answer_seconds)
            try:
                body = self._read(request, response, self._limits.answer_bytes)
            except BaseException:
                response.close()
                raise
            finally:
                response.release_conn()
            self._check(request, response, body)
            return body

    def stream(self, request: ApiRequest) -> "LineStream":
        """Send a request whose answer is lines without an end.

        Raises:
            KubernetesError, ConfigurationError: as :meth:`send`.
        """
        with self._failures_told(request):
            response = self._open(request, self._limits.silence_seconds)
            if response.status not in _SUCCESS:
                try:
                    self._check(request, response, self._read(request, response, _ERROR_BYTES))
                finally:
                    response.close()
        return LineStream(request, response, self._limits.line_bytes)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _open(self, request: ApiRequest, read_seconds: float) -> urllib3.BaseHTTPResponse:
        headers = dict(self._defaults)
        if token := self._token.current():
            headers["Authorization"] = f"Bearer {token}"
        if request.content_type:
            headers["Content-Type"] = request.content_type
        return self._connections().urlopen(
            request.method,
            request.path,
            body=request.body,
            headers=headers,
            timeout=urllib3.Timeout(connect=self._limits.connect_seconds, read=read_seconds),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _read(self, request: ApiRequest, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        # read1 returns what has come, so that a peer that trickles bytes meets the deadline and not only the timeout.
        deadline = self._now() + self._limits.answer_seconds
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > limit:
                raise _too_long(request, limit)
            if self._now() > deadline:
                raise KubernetesUnreachableError(f"{request}: the answer did not end in time")
        return bytes(body)

    def _check(self, request: ApiRequest, response: urllib3.BaseHTTPResponse, body: bytes) -> None:
        if response.status not in _SUCCESS:
            raise error_of(request, response.status, body, response.headers.get("Retry-After", ""))

    @contextlib.contextmanager
    def _failures_told(self, request: ApiRequest) -> Iterator[None]:
        try:
            yield
        except HTTPError as err:
            if isinstance(err, SSLError):
                self.close()  # the authority may have changed: its file is read again
            raise self._unreachable(request, err) from err

    def _unreachable(self, request: ApiRequest, err: HTTPError) -> KubernetesUnreachableError:
        kind, hint = "was not reached", "the agent goes on without it and tries again"
        if isinstance(err, SSLError):
            kind, hint = "is not trusted, or does not trust us", "check ca.crt and the server's certificate"
        return KubernetesUnreachableError(f"{request}: {self._host}:{self._port} {kind}: {reason_of(err)}", hint=hint)

    def _connections(self) -> urllib3.HTTPSConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = urllib3.HTTPSConnectionPool(
                    self._host,
                    self._port,
                    maxsize=_CONNECTIONS,
                    ssl_context=_tls_context(self._access),
                    server_hostname=self._access.server_name or None,
                    assert_hostname=self._access.server_name or None,
                    socket_options=_KEEP_ALIVE,
                )
            return self._pool


class LineStream:
    """Lines of an answer as they come. Read by one thread; ``abort`` may be called by any other."""

    def __init__(self, request: ApiRequest, response: urllib3.BaseHTTPResponse, line_bytes: int) -> None:
        self._request = request
        self._response = response
        self._line_bytes = line_bytes

    def lines(self) -> Iterator[bytes]:
        """Yield lines, without their ends, until the server ends the answer. Closes the connection.

        Raises:
            KubernetesUnreachableError: the connection broke, or nothing came for too long (reason ``SILENT``).
            KubernetesError: a line is longer than allowed (reason ``MALFORMED``).
        """
        rest = bytearray()
        try:
            while chunk := self._read():
                first, *more = chunk.split(b"\n")
                rest += first
                if len(rest) > self._line_bytes:
                    raise _too_long(self._request, self._line_bytes)
                for part in more:
                    yield bytes(rest)
                    rest = bytearray(part)
        finally:
            self._response.close()

    def _read(self) -> bytes:
        try:
            return self._response.read1(_CHUNK_BYTES)
        except HTTPError as err:
            silent = isinstance(err, ReadTimeoutError)
            raise KubernetesUnreachableError(
                f"{self._request}: {'nothing came for too long' if silent else f'cut: {reason_of(err)}'}",
                reason=SILENT if silent else "",
            ) from err

    def abort(self) -> None:
        """Wake the reader, which then finds the connection broken."""
        # Too late is fine: the reader is done with it.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._response.shutdown()


def reason_of(err: HTTPError) -> str:
    """Return what an error of urllib3 says, without the repr of a connection in front of it."""
    return str(err).rpartition(">: ")[2] or type(err).__name__


def _too_long(request: ApiRequest, limit: int) -> KubernetesError:
    return KubernetesError(f"{request}: more than {limit} bytes in one piece", reason=MALFORMED)


def _tls_context(access: ClusterAccess) -> ssl.SSLContext:
    """Trust the cluster's authority and nobody else; without one, what the machine trusts."""
    try:
        context = ssl.create_default_context(
            cafile=str(access.ca_file) if access.ca_file else None, cadata=access.ca_data or None
        )
        if access.certificate:
            _load_identity(context, access.certificate + b"\n" + access.key)
    except (OSError, ValueError) as err:
        raise ConfigurationError(
            f"certificates for {access.server} cannot be used: {err}", hint="check ca.crt, or the kubeconfig"
        ) from err
    return context


def _load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    # OpenSSL takes certificate and key from files only; this one never touches a disk.
    fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
