"""Instance metadata (version 2, and 1 where an instance allows it): requests in, replies out, no sockets.

The reply to a token request carries the instance's hop limit as its IP TTL, so that a pod one hop away never gets it
when the limit is 1; the server must honour ``HttpReply.hop_limit``.
"""

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.identity.roles import Credentials
from vpc_cni.lab.cloud.metadata import tree
from vpc_cni.lab.cloud.metadata.tokens import Tokens, parse_ttl
from vpc_cni.lab.cloud.query.request import HttpReply, HttpRequest
from vpc_cni.lab.cloud.records import Instance, InstanceState

TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path, not a secret
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
ROLE_SESSION_SECONDS = 6 * 3600.0
# Versions of the tree; all of them show the same here.
_VERSIONED = re.compile(r"/(?:latest|\d{4}-\d{2}-\d{2})(?:/(.*))?")
_EMPTY = HttpReply(404, b"")

# Returns the instance behind a peer address, or None.
Identify = Callable[[str], str | None]


class MetadataService:
    """Answers any instance of the cloud.

    Args:
        identify: tells which instance a peer address belongs to; by default the owner of the address in the VPC. An
            anti-spoofing network makes the peer address trustworthy.
    """

    def __init__(self, cloud: Cloud, identify: Identify | None = None) -> None:
        self._cloud = cloud
        self._identify = identify or (lambda peer: instance_of_address(cloud, peer))
        self._tokens = Tokens(cloud.ids)
        self._credentials: dict[str, Credentials] = {}

    def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request."""
        instance = self._instance(request.peer)
        if instance is None:
            return _EMPTY
        if request.path == TOKEN_PATH:
            return self._token(request, instance)
        if request.method not in {"GET", "HEAD"}:
            return HttpReply(405, b"")
        if not self._may_read(request, instance):
            return HttpReply(401, b"")
        return self._read(request.path, instance)

    def _instance(self, peer: str) -> Instance | None:
        instance_id = self._identify(peer)
        instance = self._cloud.instances.get(instance_id) if instance_id else None
        return instance if instance and instance.state is InstanceState.RUNNING else None

    def _token(self, request: HttpRequest, instance: Instance) -> HttpReply:
        if request.method != "PUT":
            return HttpReply(405, b"", headers={"allow": "OPTIONS, PUT"})
        # A forwarded request did not come from the instance itself.
        if "x-forwarded-for" in request.headers:
            return HttpReply(403, b"")
        seconds = parse_ttl(request.headers.get(TTL_HEADER, ""))
        if seconds is None:
            return HttpReply(400, b"")
        token = self._tokens.issue(instance.instance_id, seconds, self._cloud.now())
        return HttpReply(
            200,
            token.encode(),
            headers={TTL_HEADER: str(seconds)},
            hop_limit=instance.metadata_options.hop_limit,
        )

    def _may_read(self, request: HttpRequest, instance: Instance) -> bool:
        token = request.headers.get(TOKEN_HEADER)
        if token is None:
            return not instance.metadata_options.tokens_required
        return self._tokens.is_valid(token, instance.instance_id, self._cloud.now())

    def _read(self, path: str, instance: Instance) -> HttpReply:
        if path in {"", "/"}:
            return HttpReply(200, b"latest")
        match = _VERSIONED.fullmatch(path)
        if match is None:
            return _EMPTY
        cloud = self._cloud
        lag = cloud.faults.metadata_lag_seconds(cloud.settings.metadata_lag_seconds)
        whole = tree.root(cloud, instance, cloud.now() - lag, self._role_credentials(instance))
        text = tree.look_up(whole, match.group(1) or "")
        return _EMPTY if text is None else HttpReply(200, text.encode())

    def _role_credentials(self, instance: Instance) -> Credentials | None:
        """Return the keys of the instance's role, renewed when a quarter of their life is left."""
        if not instance.role_name:
            return None
        identities, now = self._cloud.identities, self._cloud.now()
        current = self._credentials.get(instance.instance_id)
        if current is None or _is_nearly_over(current, now):
            if identities.role(instance.role_name) is None:
                identities.create_role(instance.role_name)
            current = identities.issue(instance.role_name, instance.instance_id, ROLE_SESSION_SECONDS)
            self._credentials[instance.instance_id] = current
        return current


def instance_of_address(cloud: Cloud, peer: str) -> str | None:
    """Return the instance whose ENI owns an address, alone or inside a prefix."""
    address = ip_address(peer)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    for vpc in cloud.vpcs.values():
        eni = cloud.eni_of_address(vpc.vpc_id, address)
        if eni is not None and eni.attachment is not None:
            return eni.attachment.instance_id
    return None


def _is_nearly_over(credentials: Credentials, now: float) -> bool:
    if credentials.expires_at is None:
        return False
    return credentials.expires_at - now <= (credentials.expires_at - credentials.issued_at) / 4
