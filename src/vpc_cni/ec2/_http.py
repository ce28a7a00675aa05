"""HTTP with bounds: a deadline, a size, no redirects, no retries of its own.

Owns connection pools, proxies and trust anchors. Thread safe. Speaks of failures in the words of ``failures``: what
matters to a caller is whether the request may have reached the service.
"""

import importlib.util
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from vpc_cni import __version__
from vpc_cni.ec2.failures import MALFORMED, OUTCOME_UNKNOWN, UNREACHABLE
from vpc_cni.errors import CloudError, ConfigurationError

_CHUNK_BYTES = 64 * 1024
_POOL_CONNECTIONS = 16  # more than the agent has threads: a pool that is full warns and throws connections away
_NEVER_SENT = (ConnectTimeoutError, NewConnectionError, ProxyError, LocationValueError)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; ``operation`` names it in errors. Headers may hold secrets and stay out of the repr."""

    operation: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of any status."""

    status: int
    body: bytes = field(repr=False)


class HttpClient:
    """Sends requests over kept connections.

    Args:
        environ: proxies (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``, lower case first) and ``AWS_CA_BUNDLE``.
            Pass an empty mapping for link-local services, which no proxy may see.
        timeout_seconds: for connecting, and for each silence of the peer.
        body_limit: bytes; a longer answer is refused.
        now: the clock of deadlines.
        version: in the user agent; our own when empty.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        timeout_seconds: float,
        body_limit: int,
        now: Callable[[], float],
        version: str = "",
    ) -> None:
        self._proxies = _proxies(environ)
        self._ca_bundle = environ.get("AWS_CA_BUNDLE", "")
        self._timeout_seconds = timeout_seconds
        self._body_limit = body_limit
        self._now = now
        self._defaults = {"User-Agent": f"vpc-cni/{version or __version__}", "Accept-Encoding": "identity"}
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, bool], urllib3.PoolManager] = {}

    def send(self, request: Request, deadline: float) -> Answer:
        """Send a request and read its whole answer.

        Raises:
            CloudError: with code UNREACHABLE, OUTCOME_UNKNOWN or MALFORMED (answer too long); retryable.
        """
        remaining = deadline - self._now()
        if remaining <= 0:
            raise _failure(request, UNREACHABLE, "no time left to send it")
        try:
            response = self._open(request, min(self._timeout_seconds, remaining))
        except _NEVER_SENT as err:
            raise _failure(request, UNREACHABLE, _reason(err)) from err
        except SSLError as err:
            code = UNREACHABLE if _is_distrust(err) else OUTCOME_UNKNOWN
            raise _failure(request, code, _reason(err)) from err
        except HTTPError as err:
            raise _failure(request, OUTCOME_UNKNOWN, _reason(err)) from err
        try:
            return Answer(response.status, self._read(request, response, deadline))
        except HTTPError as err:
            response.close()
            raise _failure(request, OUTCOME_UNKNOWN, _reason(err)) from err
        except CloudError:
            response.close()
            raise
        finally:
            response.release_conn()

    def _open(self, request: Request, timeout_seconds: float) -> urllib3.BaseHTTPResponse:
        return self._pool_for(request.url).request(
            request.method,
            request.url,
            body=request.body,
            headers={**self._defaults, **request.headers},
            timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _read(self, request: Request, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        # read1 returns what has come, so a peer that trickles bytes meets the deadline and not only the timeout.
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._body_limit:
                raise _failure(request, MALFORMED, f"the answer is longer than {self._body_limit} bytes")
            if self._now() > deadline:
                raise _failure(request, OUTCOME_UNKNOWN, "the answer did not end in time")
        return bytes(body)

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        proxy = _proxy_for(url, self._proxies)
        uses_tls = url.startswith("https:") or proxy.startswith("https:")
        with self._lock:
            if (proxy, uses_tls) not in self._pools:
                self._pools[proxy, uses_tls] = self._new_pool(proxy, uses_tls=uses_tls)
            return self._pools[proxy, uses_tls]

    def _new_pool(self, proxy: str, *, uses_tls: bool) -> urllib3.PoolManager:
        # A trust store costs 2 MiB: only for those who speak TLS.
        context = _tls_context(self._ca_bundle) if uses_tls else None
        if not proxy:
            return urllib3.PoolManager(num_pools=2, maxsize=_POOL_CONNECTIONS, ssl_context=context)
        parts = urlsplit(proxy)
        user = f"{parts.username}:{parts.password or ''}" if parts.username else None
        return urllib3.ProxyManager(
            proxy,
            num_pools=2,
            maxsize=_POOL_CONNECTIONS,
            ssl_context=context,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=user),
        )


def _tls_context(ca_bundle: str) -> ssl.SSLContext:
    path = Path(ca_bundle) if ca_bundle else _packaged_authorities()
    try:
        return ssl.create_default_context(cafile=str(path))
    except OSError as err:
        raise ConfigurationError(f"AWS_CA_BUNDLE={path}: cannot be used: {err}") from err


def _packaged_authorities() -> Path:
    """Return the bundle of botocore, as boto3 uses: the image has no trust store of its own.

    The package is found and not imported: nothing else of it is wanted, and it costs memory.
    """
    found = importlib.util.find_spec("botocore")
    if found is None or found.origin is None:
        raise ConfigurationError("there are no certificate authorities: botocore is missing", hint="set AWS_CA_BUNDLE")
    return Path(found.origin).with_name("cacert.pem")


def _proxies(environ: Mapping[str, str]) -> Mapping[str, str]:
    found = {}
    for kind in ("http", "https", "no"):
        name = f"{kind}_proxy"
        value = environ.get(name) or environ.get(name.upper(), "")
        if value:
            found[kind] = value if "://" in value or kind == "no" else f"http://{value}"
    return found


def _proxy_for(url: str, proxies: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    bypassed = proxy_bypass_environment(parts.netloc, dict(proxies))
    return "" if bypassed else proxies.get(parts.scheme, "")


def _is_distrust(err: SSLError) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in (*err.args, err.__cause__))


def _reason(err: HTTPError) -> str:
    # urllib3 puts the repr of its connection object in front of some texts.
    return str(err).rpartition(">: ")[2] or type(err).__name__


def _failure(request: Request, code: str, reason: str) -> CloudError:
    host = urlsplit(request.url).netloc
    meaning = "was not reached" if code == UNREACHABLE else "gave no usable answer"
    return CloudError(f"{request.operation}: {host} {meaning}: {reason}", operation=request.operation, code=code)
