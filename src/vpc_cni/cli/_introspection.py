"""One GET from an agent's introspection, over a unix socket or TCP."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from vpc_cni.errors import CallerError, HostError

_TIMEOUT_SECONDS = 5.0
_BODY_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Where an agent answers: ``path`` of a unix socket, or ``host`` and ``port``."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_agent_address(text: str) -> AgentAddress:
    """Read ``/PATH``, ``unix:/PATH``, ``HOST:PORT`` or ``http://HOST:PORT``. Pure.

    Raises:
        CallerError: it is none of these.
    """
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        return AgentAddress(path=path)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme == "http" and parts.hostname and parts.port:
            return AgentAddress(host=parts.hostname, port=parts.port)
    except ValueError:
        pass
    raise CallerError(f"{text!r} is no address of an agent", hint="give a socket's path, HOST:PORT or http://HOST:PORT")


def fetch_json(address: AgentAddress, path: str) -> object:
    """Return the decoded answer to one GET.

    Raises:
        HostError: nobody answers there, or the answer is no JSON document with status 200.
    """
    connection = _Connection(address)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_BODY_MAX_BYTES)
    except (OSError, http.client.HTTPException) as err:
        raise _unreachable(address, err) from err
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        detail = body[:200].decode(errors="replace").strip()
        raise HostError(f"the agent at {address} answers {path} with status {response.status}: {detail}")
    try:
        return json.loads(body)
    except ValueError as err:
        raise HostError(f"what answers at {address} is no agent of vpc-cni: {path} is no JSON") from err


def _unreachable(address: AgentAddress, err: Exception) -> HostError:
    if isinstance(err, PermissionError):
        return HostError(f"not allowed to open {address}", hint="the agent's socket is for root: try again with sudo")
    if isinstance(err, TimeoutError):
        return HostError(
            f"the agent at {address} does not answer within {_TIMEOUT_SECONDS:.0f} s",
            hint="it hangs, or the machine is overloaded; /livez on the metrics port and its log say which",
        )
    reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return HostError(
        f"no agent answers at {address}: {reason}",
        hint="on a Kubernetes node see `kubectl -n kube-system get pods -l k8s-app=aws-node`; "
        "for a node of the lab take its socket from `vpc-cni lab status --json` and give it with --agent",
    )


class _Connection(http.client.HTTPConnection):
    """HTTP over whatever the address is; the host name is only for the Host header."""

    def __init__(self, address: AgentAddress) -> None:
        super().__init__(address.host or "agent", address.port or None, timeout=_TIMEOUT_SECONDS)
        self._address = address

    def connect(self) -> None:
        if not self._address.path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._address.path)
