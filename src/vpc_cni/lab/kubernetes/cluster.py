"""The Kubernetes of one lab: control plane, nodes, and the port by which people reach the API.

The lab's world gives instances and nodes; this adds what runs on them. Everything ends with the lab's process; what
the kernel does not take back by itself are empty control groups, which the next start or end of the lab removes.
"""

import asyncio
import datetime
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from vpc_cni.errors import CallerError, HostError, VpcCniError
from vpc_cni.lab.kubernetes.api import ApiClient, ApiError, Json, wait_until
from vpc_cni.lab.kubernetes.cgroups import remove_groups
from vpc_cni.lab.kubernetes.control_plane import ControlPlane
from vpc_cni.lab.kubernetes.credentials import Credentials
from vpc_cni.lab.kubernetes.forwarder import Forwarder
from vpc_cni.lab.kubernetes.images import ensure_images
from vpc_cni.lab.kubernetes.node import KubernetesNode
from vpc_cni.lab.kubernetes.node_config import NodeFacts
from vpc_cni.lab.kubernetes.paths import ClusterPaths
from vpc_cni.lab.kubernetes.shape import API_PORT, ClusterShape, ProxyBackend
from vpc_cni.lab.kubernetes.tooling.finder import cache_root, is_outdated, require_binaries
from vpc_cni.lab.kubernetes.tooling.programs import CLUSTER_PROGRAMS, install_line, missing_packages
from vpc_cni.lab.namespaces import NetnsFolder
from vpc_cni.lab.options import LabOptions
from vpc_cni.lab.paths import LabPaths
from vpc_cni.netlink.netns import Netns

log = logging.getLogger(__name__)

Progress = Callable[[str], None]

NODES_SECONDS = 90.0


class Cluster:
    """Owns everything of Kubernetes in one lab. All methods belong to the daemon's event loop.

    Raises:
        HostError: a program is missing.
    """

    def __init__(self, options: LabOptions, paths: LabPaths, folder: NetnsFolder) -> None:
        require_host()
        self.paths = ClusterPaths(paths.root / "kubernetes")
        self.nodes: dict[str, KubernetesNode] = {}
        # Whether nodes have a network by now, or somebody is still to bring one.
        self.has_network = options.runs_agents
        self._options = options
        self._lab_paths = paths
        self._folder = folder
        self._binaries = require_binaries()
        # Archives that every node imports, those that join later too.
        self._images: list[Path] = []
        self._forwarder: Forwarder | None = None
        self._plane: ControlPlane | None = None
        self._starting: asyncio.Task[None] | None = None

    async def start(self, netns: str, address: IPv4Address, progress: Progress) -> None:
        """Start the control plane on an instance; returns when nodes may be added, before the API serves.

        Args:
            netns: name of the instance's namespace in the lab's folder.
        """

        async def open_socket() -> socket.socket:
            return await self._folder.open_socket(netns, socket.AF_INET, socket.SOCK_STREAM)

        if is_outdated(self._binaries, cache_root()):
            progress(
                "these Kubernetes programs lack changes of today: `vpc-cni lab kubernetes prepare` builds them anew"
            )
        self._images = await asyncio.to_thread(ensure_images, cache_root(), progress)
        self._forwarder = Forwarder(open_socket, address, API_PORT)
        port = await self._forwarder.start()
        backend = ProxyBackend(self._options.proxy_backend)
        self.shape = ClusterShape(self._options.name, self._options.cidr(), address, port, backend)
        self.credentials = Credentials(self.shape, self.paths, datetime.datetime.now(datetime.UTC))
        self.credentials.write()
        self.api = ApiClient(port, self.credentials.authority, self.credentials.admin)
        self._plane = ControlPlane(self.shape, self.paths, self._folder.path(netns), self._binaries)
        self._starting = asyncio.create_task(self._plane.start(self.api, progress))

    async def add_node(self, facts: NodeFacts) -> None:
        """Switch a node on; it becomes Ready when its network is."""
        netns_path = self._folder.path(facts.instance_id)
        node = KubernetesNode(facts, self.shape, self._lab_paths, netns_path, self._binaries)
        self.nodes[facts.name] = node
        node.prepare(self.credentials, self._images)
        await node.start()

    async def remove_node(self, name: str) -> None:
        """Switch a node off for good and delete its object, as a cloud's controller does."""
        node = self.nodes.pop(name, None)
        if node is None:
            return
        await node.discard()
        try:
            await self.api.delete(f"/api/v1/nodes/{name}")
        except ApiError as err:
            log.warning("the object of %s stays: %s", name, err)

    @property
    def version(self) -> str:
        """The release of Kubernetes, for example ``1.20.2``."""
        return self._binaries.version

    def node(self, name: str) -> KubernetesNode:
        """Return a node.

        Raises:
            CallerError: there is none of this name.
        """
        if name not in self.nodes:
            raise CallerError(f'there is no Kubernetes node "{name}"')
        return self.nodes[name]

    def node_netns(self, name: str) -> Netns:
        """Return the network namespace of a node."""
        return self._folder.get(self.node(name).facts.instance_id)

    async def wait_ready(self, progress: Progress) -> None:
        """Wait until every node that is on is Ready and pods may be created.

        Without a network nodes cannot be Ready: it is enough that they have registered.

        Raises:
            HostError: something ended, or it took too long.
        """
        if self._starting is not None:
            await self._starting
        condition, what = (self._is_ready, "Ready") if self.has_network else (self._is_registered, "known")
        try:
            await wait_until(condition, f"all nodes being {what}", NODES_SECONDS, self.require_running)
        except HostError as err:
            raise HostError(f"{err.message}; {await self._say_why()}", hint=f"see {self._lab_paths.root}") from err
        progress(f"{len(self._nodes_on())} nodes are {what}; export KUBECONFIG={self.paths.kubeconfig}")

    async def load_images(self, archives: Sequence[Path], progress: Progress) -> None:
        """Import archives of images on every node, and on those that join later.

        Raises:
            CallerError: one is not a file.
            HostError: a node refuses one.
        """
        for archive in archives:
            if not archive.is_file():
                raise CallerError(f"{archive} is not a file")
            await asyncio.gather(*(node.import_image(archive) for node in self.nodes.values()))
            if archive not in self._images:
                self._images.append(archive)
            progress(f"{archive} is on {', '.join(self.nodes)}")

    async def stop(self) -> None:
        """End everything and leave nothing."""
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError, VpcCniError):
                await self._starting
        if self._forwarder is not None:
            self._forwarder.stop()
        await asyncio.gather(*(node.discard() for node in self.nodes.values()))
        if self._plane is not None:
            await self._plane.stop()
        await asyncio.to_thread(remove_groups, self._options.name)

    async def describe(self) -> Json:
        """Return the part of `lab status --json` that is about Kubernetes."""
        ready = await self.ready_nodes()
        return {
            "version": self._binaries.version,
            "kubeconfig": str(self.paths.kubeconfig),
            "api_server": self.shape.forwarded_url,
            "service_cidr": str(self.shape.services),
            "proxy_backend": str(self.shape.proxy_backend),
            "log_dir": str(self.paths.log_dir),
            "nodes": [
                {
                    "name": name,
                    "init_pid": node.init_pid,
                    "ready": name in ready,
                    "programs_dir": str(node.files.programs),
                    "log_dir": str(node.files.log_dir),
                }
                for name, node in self.nodes.items()
            ],
            "control_plane": {name: program.pid for name, program in self.plane.programs.items()},
        }

    @property
    def plane(self) -> ControlPlane:
        """The control plane, once it has been started."""
        if self._plane is None:
            raise HostError("the control plane has not been started")
        return self._plane

    async def ready_nodes(self) -> set[str]:
        """Return the names of Ready nodes; empty while the API is away."""
        try:
            return {
                node["metadata"]["name"] for node in (await self.api.get("/api/v1/nodes"))["items"] if is_ready(node)
            }
        except HostError:
            return set()

    def _nodes_on(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.is_on]

    async def _is_registered(self) -> bool:
        return all([await self.api.find(f"/api/v1/nodes/{name}") is not None for name in self._nodes_on()])

    async def _say_why(self) -> str:
        """Return what the nodes themselves say about not being Ready."""
        try:
            items = (await self.api.get("/api/v1/nodes"))["items"]
        except HostError as err:
            return str(err)
        said = {item["metadata"]["name"]: ready_message(item) for item in items}
        return "; ".join(f"{name}: {said.get(name, 'has not registered')}" for name in self.nodes)

    async def _is_ready(self) -> bool:
        if not set(self._nodes_on()) <= await self.ready_nodes():
            return False
        return await self.api.find("/api/v1/namespaces/default/serviceaccounts/default") is not None

    def require_running(self) -> None:
        """Raises HostError when a part of the cluster has ended by itself."""
        self.plane.require_running()
        for node in self.nodes.values():
            node.require_running()


def require_host() -> None:
    """Raises HostError when programs of a cluster are missing on this machine."""
    packages = missing_packages(CLUSTER_PROGRAMS)
    if packages:
        raise HostError(
            f"these packages are missing: {', '.join(packages)}",
            hint=f"run `vpc-cni lab kubernetes prepare`, or {install_line(packages)}",
        )


def is_ready(node: Mapping[str, Json]) -> bool:
    """Tell whether a Node object says Ready. Pure."""
    return ready_condition(node).get("status") == "True"


def ready_message(node: Mapping[str, Json]) -> str:
    """Return what a Node object says about being Ready, for people. Pure."""
    condition = ready_condition(node)
    return str(condition.get("message", "says nothing")) if condition.get("status") != "True" else "Ready"


def ready_condition(node: Mapping[str, Json]) -> Json:
    """Return the condition of a Node object that is about Ready; empty when it has none. Pure."""
    conditions = node.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})
