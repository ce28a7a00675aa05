"""Instance metadata, version 2: who this instance is and which interfaces it has.

Metadata lags EC2 by seconds: what it says about addresses is a hint, EC2's own answer is the truth. Synchronous and
thread safe; requests go over kept connections and never through a proxy.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.ec2._http import Answer, HttpClient, Request
from vpc_cni.ec2.failures import MALFORMED, UNREACHABLE
from vpc_cni.ec2.observer import OK, CallObserver, SilentObserver
from vpc_cni.ec2.timing import Timing
from vpc_cni.errors import AccessDeniedError, CloudError, ConfigurationError, NotFoundError
from vpc_cni.model import Eni

OPERATION = "Metadata"

_DEFAULT_URL = "http://169.254.169.254"
_DEFAULT_URL_IPV6 = "http://[fd00:ec2::254]"
_BODY_LIMIT = 256 * 1024
_TIMEOUT_SECONDS = 2.0
_CALL_SECONDS = 10.0
_ATTEMPTS = 5
_BASE_DELAY_SECONDS = 0.1
_TOKEN_SECONDS = 21600  # the longest that the service grants
_TOKEN_ADVANCE_SECONDS = 60
_MACS = "meta-data/network/interfaces/macs"


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """Facts about this instance that hold until it ends (the type may change while it is stopped)."""

    region: str
    zone: str
    instance_id: str
    instance_type: str
    local_ipv4: IPv4Address
    primary_mac: str


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


@dataclass(frozen=True, slots=True)
class _SubnetFacts:
    """Place of an ENI: fixed for its life, so read once."""

    subnet_id: str
    cidr: IPv4Network


class MetadataClient:
    """Reads instance metadata below ``/latest/``."""

    def __init__(self, *, url: str, timing: Timing, observer: CallObserver | None = None) -> None:
        self._url = url.rstrip("/")
        self._timing = timing
        self._observer = observer or SilentObserver()
        self._http = HttpClient(environ={}, timeout_seconds=_TIMEOUT_SECONDS, body_limit=_BODY_LIMIT, now=timing.now)
        self._token_lock = threading.Lock()
        self._token: _Token | None = None
        self._subnets: dict[str, _SubnetFacts] = {}

    def identity(self) -> InstanceIdentity:
        """Return who this instance is: two requests."""
        document = self.read_json("dynamic/instance-identity/document")
        try:
            return InstanceIdentity(
                region=str(document["region"]),
                zone=str(document["availabilityZone"]),
                instance_id=str(document["instanceId"]),
                instance_type=str(document["instanceType"]),
                local_ipv4=IPv4Address(str(document["privateIp"])),
                primary_mac=self.read("meta-data/mac").lower(),
            )
        except (KeyError, ValueError) as err:
            raise _unreadable("dynamic/instance-identity/document", err) from err

    def list_enis(self, *, primary_mac: str) -> tuple[Eni, ...]:
        """Return the attached ENIs with IPv4 addresses, the primary one first, the rest by device number.

        An ENI that disappears while it is read is left out; so is one without an IPv4 address (EFA-only).
        ``attachment_id``, ``is_trunk`` and ``is_efa`` are unknown here and keep their defaults.
        """
        macs = [mac.rstrip("/").lower() for mac in self.read(f"{_MACS}/").split()]
        found = [eni for eni in (self._eni(mac, primary_mac) for mac in macs) if eni is not None]
        present = {eni.eni_id for eni in found}
        self._subnets = {eni_id: facts for eni_id, facts in self._subnets.items() if eni_id in present}
        return tuple(sorted(found, key=lambda eni: (eni.network_card, eni.device_number)))

    def vpc_cidrs(self, *, mac: str) -> tuple[IPv4Network, ...]:
        """Return the IPv4 blocks of the VPC that an interface is in, in the service's order."""
        path = f"{_MACS}/{mac}/vpc-ipv4-cidr-blocks"
        return _networks(path, self.read(path))

    def security_groups(self, *, mac: str) -> tuple[str, ...]:
        """Return the ids of an interface's security groups, in the service's order."""
        return tuple(self.read(f"{_MACS}/{mac}/security-group-ids").split())

    def vpc_id(self, *, mac: str) -> str:
        """Return the VPC of an interface."""
        return self.read(f"{_MACS}/{mac}/vpc-id").strip()

    def read(self, path: str) -> str:
        """Return the text at a path.

        Raises:
            NotFoundError: there is no such path.
            CloudError: the service did not answer usably.
        """
        text = self.find(path)
        if text is None:
            raise NotFoundError(f"instance metadata has no {path}", operation=OPERATION, code="404")
        return text

    def read_json(self, path: str) -> Mapping[str, object]:
        """Return the JSON object at a path."""
        try:
            value = json.loads(self.read(path))
        except ValueError:
            # Without the cause, which carries the text: it may be a role's keys.
            raise _unreadable(path, TypeError("it is no JSON")) from None
        if not isinstance(value, dict):
            raise _unreadable(path, TypeError("it is no object"))
        return value

    def find(self, path: str) -> str | None:
        """Return the text at a path, or None when there is no such path (an empty list, for lists)."""
        answer = self._get(path)
        if answer.status == 404:
            return None
        try:
            return answer.body.decode("utf-8")
        except UnicodeDecodeError as err:
            raise _unreadable(path, err) from err

    def _eni(self, mac: str, primary_mac: str) -> Eni | None:
        base = f"{_MACS}/{mac}"
        names = {name.rstrip("/") for name in (self.find(f"{base}/") or "").split()}
        if not {"interface-id", "device-number", "local-ipv4s"} <= names:
            return None
        try:
            return self._read_eni(base, names, mac, is_primary=mac == primary_mac)
        except NotFoundError:
            return None

    def _read_eni(self, base: str, names: set[str], mac: str, *, is_primary: bool) -> Eni:
        eni_id = self.read(f"{base}/interface-id").strip()
        addresses = tuple(_addresses(base, self.read(f"{base}/local-ipv4s")))
        if not addresses:
            raise NotFoundError(f"{eni_id} has no IPv4 address", operation=OPERATION, code="404")
        prefixes = self.read(f"{base}/ipv4-prefix") if "ipv4-prefix" in names else ""
        subnet = self._subnet(base, eni_id)
        return Eni(
            eni_id=eni_id,
            mac=mac,
            # Some instance types count the primary interface differently; it is 0 for all that follows.
            device_number=0 if is_primary else self._number(f"{base}/device-number"),
            subnet_id=subnet.subnet_id,
            subnet_cidr=subnet.cidr,
            primary_address=addresses[0],
            addresses=addresses[1:],
            prefixes=_networks(base, prefixes),
            network_card=self._number(f"{base}/network-card") if "network-card" in names else 0,
        )

    def _subnet(self, base: str, eni_id: str) -> _SubnetFacts:
        if eni_id not in self._subnets:
            block = self.read(f"{base}/subnet-ipv4-cidr-block")
            self._subnets[eni_id] = _SubnetFacts(
                subnet_id=self.read(f"{base}/subnet-id").strip(), cidr=_networks(base, block)[0]
            )
        return self._subnets[eni_id]

    def _number(self, path: str) -> int:
        try:
            return int(self.read(path))
        except ValueError as err:
            raise _unreadable(path, err) from err

    def _get(self, path: str) -> Answer:
        """Return an answer of status 200 or 404."""
        deadline = self._timing.now() + _CALL_SECONDS
        attempt = 1
        while True:
            try:
                return self._get_once(path, deadline)
            except CloudError as err:
                delay = self._timing.chance() * _BASE_DELAY_SECONDS * 2**attempt
                late = self._timing.now() + delay >= deadline
                if not err.retryable or attempt >= _ATTEMPTS or late or not self._timing.pause(delay):
                    raise
                attempt += 1

    def _get_once(self, path: str, deadline: float) -> Answer:
        token = self._session_token(deadline)
        request = Request(OPERATION, "GET", f"{self._url}/latest/{path}", {"X-aws-ec2-metadata-token": token.value})
        answer = self._send(request, deadline)
        if answer.status == 401:
            self._forget(token)
            raise CloudError("the metadata session has ended", operation=OPERATION, code="401")
        if answer.status not in (200, 404):
            raise _refused(path, answer.status)
        return answer

    def _session_token(self, deadline: float) -> _Token:
        with self._token_lock:
            if self._token is None or self._timing.now() >= self._token.until:
                self._token = self._new_token(deadline)
            return self._token

    def _new_token(self, deadline: float) -> _Token:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        asked_at = self._timing.now()
        answer = self._send(Request(OPERATION, "PUT", f"{self._url}/latest/api/token", headers, b""), deadline)
        if answer.status != 200:
            raise _refused("api/token", answer.status)
        value = answer.body.decode("latin-1").strip()
        if not value or not value.isascii() or not value.isprintable():
            raise _unreadable("api/token", ValueError("it is no token"))
        return _Token(value, asked_at + _TOKEN_SECONDS - _TOKEN_ADVANCE_SECONDS)

    def _forget(self, token: _Token) -> None:
        with self._token_lock:
            if self._token == token:
                self._token = None

    def _send(self, request: Request, deadline: float) -> Answer:
        started = self._timing.now()
        outcome = OK
        try:
            answer = self._http.send(request, deadline)
            if answer.status not in (200, 404):
                outcome = str(answer.status)
            return answer
        except CloudError as err:
            outcome = err.code
            if err.code != UNREACHABLE:
                raise
            raise _unreachable(err) from err
        finally:
            self._observer.on_call(OPERATION, self._timing.now() - started, outcome)


def metadata_url(environ: Mapping[str, str]) -> str:
    """Return the base URL of the service, by the variables of the AWS SDKs. Pure.

    Raises:
        ConfigurationError: an override is no URL.
    """
    override = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "")
    if override:
        if not override.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"AWS_EC2_METADATA_SERVICE_ENDPOINT={override!r} is no URL", hint="begin it with http://"
            )
        return override.rstrip("/")
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    return _DEFAULT_URL_IPV6 if mode == "ipv6" else _DEFAULT_URL


def _addresses(path: str, text: str) -> tuple[IPv4Address, ...]:
    try:
        return tuple(IPv4Address(word) for word in text.split())
    except ValueError as err:
        raise _unreadable(path, err) from err


def _networks(path: str, text: str) -> tuple[IPv4Network, ...]:
    try:
        return tuple(IPv4Network(word) for word in text.split())
    except ValueError as err:
        raise _unreadable(path, err) from err


def _unreadable(path: str, err: Exception) -> CloudError:
    return CloudError(f"instance metadata {path} cannot be read: {err}", operation=OPERATION, code=MALFORMED)


def _unreachable(err: CloudError) -> CloudError:
    return CloudError(
        err.message,
        operation=OPERATION,
        code=err.code,
        hint="run the agent in the host's network, or raise the hop limit of the instance's metadata options to 2",
    )


def _refused(path: str, status: int) -> CloudError:
    if status == 403:
        return AccessDeniedError(
            f"instance metadata refused {path}",
            operation=OPERATION,
            code="403",
            hint="switch instance metadata on in the instance's metadata options",
        )
    return CloudError(
        f"instance metadata answered {path} with HTTP {status}",
        operation=OPERATION,
        code=str(status),
        retryable=status >= 500 or status == 429,
    )
