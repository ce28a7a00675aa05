"""The lab's servers at the places where nodes and people look for them.

In the router: instance metadata at its well-known address, EC2 and STS at an address of the lab, container credentials
where EKS has them. On the machine itself: EC2 and STS on a port of 127.0.0.1.
"""

import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address

from vpc_cni.errors import HostError
from vpc_cni.lab.cloud import Cloud
from vpc_cni.lab.cloud.faces import Faces
from vpc_cni.lab.cloud.http.applications import api_application, metadata_application
from vpc_cni.lab.cloud.http.server import listener, serving
from vpc_cni.lab.cloud.identity import pod_identity
from vpc_cni.lab.fabric import CONTAINER_CREDENTIALS_ADDRESS, ENDPOINT_ADDRESS, METADATA_ADDRESS
from vpc_cni.netlink.netns import Netns

HTTP_PORT = 80
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs. Those of nodes can be reached inside the lab only, ``host_api`` on the machine only."""

    node_api: str
    node_metadata: str
    node_container_credentials: str
    host_api: str


class Servers:
    """Serves one cloud on the event loop that calls it."""

    def __init__(self, cloud: Cloud, router: Netns) -> None:
        self.faces = Faces(cloud)
        self._cloud = cloud
        self._router = router
        self._running = AsyncExitStack()
        self._host_port = 0

    async def start(self, host_port: int = 0) -> None:
        """Listen everywhere; ``host_port`` 0 lets the kernel choose.

        Raises:
            HostError: the port is taken or not allowed.
        """
        inside = [self._listen(address) for address in (ENDPOINT_ADDRESS, CONTAINER_CREDENTIALS_ADDRESS)]
        outside = _listen_on_machine(host_port)
        self._host_port = outside.getsockname()[1]
        metadata = self._listen(METADATA_ADDRESS)
        await self._running.enter_async_context(serving(api_application(self.faces), [*inside, outside]))
        await self._running.enter_async_context(serving(metadata_application(self.faces.metadata), [metadata]))

    async def stop(self) -> None:
        await self._running.aclose()

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(
            node_api=f"http://{ENDPOINT_ADDRESS}",
            node_metadata=f"http://{METADATA_ADDRESS}",
            node_container_credentials=f"http://{CONTAINER_CREDENTIALS_ADDRESS}{pod_identity.PATH}",
            host_api=f"http://{LOOPBACK}:{self._host_port}",
        )

    def client_environment(self) -> dict[str, str]:
        """Return variables that make the ``aws`` command and SDKs on this machine use the lab."""
        admin, api = self._cloud.identities.admin, self.endpoints.host_api
        return {
            "AWS_ENDPOINT_URL_EC2": api,
            "AWS_ENDPOINT_URL_STS": api,
            "AWS_REGION": self._cloud.settings.region,
            "AWS_DEFAULT_REGION": self._cloud.settings.region,
            "AWS_ACCESS_KEY_ID": admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": admin.secret_key,
        }

    def _listen(self, address: IPv4Address) -> socket.socket:
        return self._router.run(listener, str(address), HTTP_PORT)


def _listen_on_machine(port: int) -> socket.socket:
    try:
        return listener(LOOPBACK, port)
    except OSError as err:
        raise HostError(f"cannot listen on {LOOPBACK}:{port}: {err.strerror}", hint="choose another --port") from err
