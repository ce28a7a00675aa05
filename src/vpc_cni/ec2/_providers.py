"""Where credentials come from. The first source that the environment names is used, as in the AWS SDKs:

1. ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``;
2. web identity (IAM roles for service accounts): ``AWS_WEB_IDENTITY_TOKEN_FILE`` and ``AWS_ROLE_ARN``;
3. container credentials (EKS Pod Identity): ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` or ``..._RELATIVE_URI``;
4. the role of the instance, from its metadata.

A source that is named and fails is an error: falling through to another role would hide it. Shared files below
``~/.aws`` are not read: an agent in a container has none. Token files are read at each refresh, because kubelet
replaces them.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from vpc_cni.ec2._http import Answer, HttpClient, Request
from vpc_cni.ec2._query import STS_API_VERSION
from vpc_cni.ec2._service import Operation, QueryService
from vpc_cni.ec2._xml import malformed, text
from vpc_cni.ec2.budget import CallKind
from vpc_cni.ec2.credentials import Credentials, CredentialSource, FixedCredentials, RefreshingCredentials
from vpc_cni.ec2.endpoints import sts_endpoint
from vpc_cni.ec2.failures import NO_CODE, translate
from vpc_cni.ec2.metadata import MetadataClient
from vpc_cni.ec2.observer import OK, CallObserver
from vpc_cni.ec2.retry import Repeat
from vpc_cni.ec2.timing import Timing
from vpc_cni.errors import CloudError, ConfigurationError, HostError, NotFoundError

ASSUME_ROLE = Operation("AssumeRoleWithWebIdentity", CallKind.READING, Repeat.SAFE)
CONTAINER_OPERATION = "ContainerCredentials"
ROLE_OPERATION = "InstanceRole"

_ROLE_PATH = "meta-data/iam/security-credentials"
_RELATIVE_BASE = "http://169.254.170.2"
_CONTAINER_HOSTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"})
_REFRESH_SECONDS = 20.0
_PROLONGED_SECONDS = 300.0
_LOCAL_TIMEOUT_SECONDS = 2.0
_BODY_LIMIT = 64 * 1024


def credential_source(
    *,
    environ: Mapping[str, str],
    region: str,
    http: HttpClient,
    metadata: MetadataClient,
    timing: Timing,
    observer: CallObserver,
) -> CredentialSource:
    """Choose and build the source; sends nothing yet.

    Args:
        http: for STS; it knows the proxies.

    Raises:
        ConfigurationError: a variable of the chosen source is missing or malformed.
    """
    if environ.get("AWS_ACCESS_KEY_ID") or environ.get("AWS_SECRET_ACCESS_KEY"):
        return FixedCredentials(_environment_keys(environ))
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        web = WebIdentity(environ=environ, region=region, http=http, timing=timing, observer=observer)
        return RefreshingCredentials(web.fetch, name="web identity", timing=timing)
    if environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") or environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        container = ContainerCredentials(environ=environ, timing=timing, observer=observer)
        return RefreshingCredentials(container.fetch, name="container credentials", timing=timing)
    return RefreshingCredentials(InstanceRole(metadata, timing).fetch, name="instance role", timing=timing)


def _environment_keys(environ: Mapping[str, str]) -> Credentials:
    access, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not access or not secret:
        raise ConfigurationError(
            "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set", hint="set both or none"
        )
    return Credentials(access, secret, environ.get("AWS_SESSION_TOKEN") or None)


class WebIdentity:
    """Exchanges a projected service-account token for role credentials at STS."""

    def __init__(
        self, *, environ: Mapping[str, str], region: str, http: HttpClient, timing: Timing, observer: CallObserver
    ) -> None:
        self._token_file = environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
        self._role = environ.get("AWS_ROLE_ARN", "")
        self._session_name = environ.get("AWS_ROLE_SESSION_NAME") or f"vpc-cni-{int(timing.wall_now())}"
        if not self._role:
            raise ConfigurationError(
                "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not",
                hint="annotate the service account with eks.amazonaws.com/role-arn",
            )
        self._service = QueryService(
            endpoint=sts_endpoint(region, environ),
            api_version=STS_API_VERSION,
            http=http,
            timing=timing,
            observer=observer,
            call_seconds=_REFRESH_SECONDS,
        )

    def fetch(self) -> Credentials:
        """Call STS. Raises HostError when the token file cannot be read, CloudError when STS refuses."""
        parameters = {
            "RoleArn": self._role,
            "RoleSessionName": self._session_name,
            "WebIdentityToken": _read_token("AWS_WEB_IDENTITY_TOKEN_FILE", self._token_file),
        }
        return self._service.call(ASSUME_ROLE, parameters, _assumed_role)


class ContainerCredentials:
    """Reads role credentials from the agent that EKS Pod Identity or ECS runs on the node."""

    def __init__(self, *, environ: Mapping[str, str], timing: Timing, observer: CallObserver) -> None:
        self._url = container_url(environ)
        self._token_file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
        self._token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        self._timing = timing
        self._observer = observer
        # Link-local or loopback: an empty environment, so that no proxy sees the token.
        self._http = HttpClient(
            environ={}, timeout_seconds=_LOCAL_TIMEOUT_SECONDS, body_limit=_BODY_LIMIT, now=timing.now
        )

    def fetch(self) -> Credentials:
        """Ask the endpoint. Raises HostError when the token file cannot be read, CloudError for all else."""
        started = self._timing.now()
        outcome = OK
        request = Request(CONTAINER_OPERATION, "GET", self._url, self._headers())
        try:
            answer = self._http.send(request, started + _REFRESH_SECONDS)
            if answer.status != 200:
                raise _container_refusal(answer)
        except CloudError as err:
            outcome = err.code or NO_CODE
            raise
        finally:
            self._observer.on_call(CONTAINER_OPERATION, self._timing.now() - started, outcome)
        return _role_document(CONTAINER_OPERATION, _json_object(CONTAINER_OPERATION, answer.body))

    def _headers(self) -> Mapping[str, str]:
        token = self._token
        if self._token_file:
            token = _read_token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self._token_file)
        if "\r" in token or "\n" in token:
            raise ConfigurationError("the container authorization token holds a line break")
        return {"Accept": "application/json"} | ({"Authorization": token} if token else {})


class InstanceRole:
    """Reads the credentials of the instance's role from its metadata."""

    def __init__(self, metadata: MetadataClient, timing: Timing) -> None:
        self._metadata = metadata
        self._timing = timing

    def fetch(self) -> Credentials:
        """Read them; two requests. Raises NotFoundError when the instance has no role."""
        names = (self._metadata.find(f"{_ROLE_PATH}/") or "").split()
        if not names:
            raise NotFoundError(
                "this instance has no IAM role",
                operation=ROLE_OPERATION,
                code="404",
                hint="attach an instance profile, or give the service account a role",
            )
        document = self._metadata.read_json(f"{_ROLE_PATH}/{names[0]}")
        if document.get("Code", "Success") != "Success":
            raise translate(ROLE_OPERATION, "sts", str(document["Code"]), str(document.get("Message", "")), 500)
        return self._prolonged(_role_document(ROLE_OPERATION, document))

    def _prolonged(self, credentials: Credentials) -> Credentials:
        # When the service behind metadata is down, metadata hands out the last keys past their end and EC2 accepts
        # them ("static stability"). If it does not, EC2 says so and they are read again.
        now = self._timing.wall_now()
        if credentials.expires_at is None or credentials.expires_at > now:
            return credentials
        return replace(credentials, expires_at=now + _PROLONGED_SECONDS)


def container_url(environ: Mapping[str, str]) -> str:
    """Return the URL of container credentials. Pure.

    Raises:
        ConfigurationError: plain HTTP to a host other than loopback or the two agents' addresses, which would hand
            the token to the network.
    """
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
    if relative:
        return _RELATIVE_BASE + (relative if relative.startswith("/") else f"/{relative}")
    url = environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return url
    if parts.scheme == "http" and (host in _CONTAINER_HOSTS or _is_loopback(host)):
        return url
    raise ConfigurationError(
        f"AWS_CONTAINER_CREDENTIALS_FULL_URI={url!r} is not allowed",
        hint="use https, loopback, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _assumed_role(answer: Element) -> Credentials:
    """Read the answer of AssumeRoleWithWebIdentity. Pure; raises ValueError."""
    found = answer.find(".//Credentials")
    if found is None:
        raise ValueError("it holds no credentials")
    return _credentials(
        access=text(found, "AccessKeyId"),
        secret=text(found, "SecretAccessKey"),
        token=text(found, "SessionToken"),
        expiration=text(found, "Expiration"),
    )


def _role_document(operation: str, document: Mapping[str, object]) -> Credentials:
    """Read the JSON object that container endpoints and instance metadata share. Pure."""
    try:
        return _credentials(
            access=str(document.get("AccessKeyId") or ""),
            secret=str(document.get("SecretAccessKey") or ""),
            token=str(document.get("Token") or ""),
            expiration=str(document.get("Expiration") or ""),
        )
    except ValueError as err:
        raise malformed(operation, str(err)) from err


def _credentials(*, access: str, secret: str, token: str, expiration: str) -> Credentials:
    # No message quotes a value: it may be a secret in the wrong field.
    if not access or not secret:
        raise ValueError("it holds no keys")
    if not all(value.isascii() and value.isprintable() for value in (access, secret, token)):
        raise ValueError("a key holds characters that no header may carry")
    return Credentials(access, secret, token or None, _unix_seconds(expiration) if expiration else None)


def _unix_seconds(expiration: str) -> float:
    try:
        moment = datetime.fromisoformat(expiration)
    except ValueError:
        raise ValueError("its expiration is no time") from None
    if moment.tzinfo is None:
        raise ValueError("its expiration has no time zone")
    return moment.timestamp()


def _container_refusal(answer: Answer) -> CloudError:
    """Return the exception for an error answer; EKS Pod Identity names a code, other endpoints may send any text."""
    try:
        document = _json_object(CONTAINER_OPERATION, answer.body)
    except CloudError:
        document = {}
    code, message = str(document.get("code") or ""), str(document.get("message") or "no reason given")
    return translate(CONTAINER_OPERATION, "eks-auth", code, message, answer.status)


def _json_object(operation: str, body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except ValueError:
        # Without the cause, which carries the body.
        raise malformed(operation, "it is no JSON") from None
    if not isinstance(value, dict):
        raise malformed(operation, "it is no object")
    return value


def _read_token(variable: str, path: str) -> str:
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise HostError(
            f"{variable}: {path} cannot be read: {err}", hint="mount the projected service account token"
        ) from err
    if not token:
        raise HostError(f"{variable}: {path} is empty", hint="mount the projected service account token")
    return token
