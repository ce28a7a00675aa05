"""The pods and Services of one check: made in a namespace of their own, and gone with it."""

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from vpc_cni.lab.check.expectations import PodView
from vpc_cni.lab.check.services import PATHS, ServiceView
from vpc_cni.lab.kubernetes import check_objects
from vpc_cni.lab.kubernetes.api import wait_until
from vpc_cni.lab.kubernetes.check_objects import NAMESPACE, RunningPod
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.kubernetes.pod_namespaces import open_pod_namespaces
from vpc_cni.lab.kubernetes.tooling.programs import require_program
from vpc_cni.netlink.netns import Netns

CORE = "/api/v1/namespaces"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
# Addresses of a check just before are cooling for half a minute: a small node may have no others.
PODS_SECONDS = 60.0
PROXY_SECONDS = 15.0
REMOVE_SECONDS = 60.0


class CheckWorkload:
    """Owns the check's namespace in the cluster, and open descriptors of its pods' network namespaces."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._api = cluster.api
        self._replicas: dict[str, int] = {}
        self.namespaces: dict[IPv4Address, Netns] = {}

    async def start(self) -> None:
        """Make the namespace, after removing what an interrupted check has left.

        Raises:
            HostError: the API refuses or is away.
        """
        await self._remove_namespace()
        await self._api.create(CORE, check_objects.namespace())

        async def account_exists() -> bool:
            return await self._api.find(f"{CORE}/{NAMESPACE}/serviceaccounts/default") is not None

        await wait_until(account_exists, "the namespace's service account", PODS_SECONDS, self._cluster.require_running)

    async def add_pods(self, wanted: dict[str, int]) -> list[RunningPod]:
        """Add so many pods to each node; return all pods of the check when they run.

        Raises:
            HostError: they do not in time.
        """
        for node, count in wanted.items():
            before = self._replicas.get(node, 0)
            self._replicas[node] = before + count
            if before:
                await self._api.patch(f"{APPS}/{node}", {"spec": {"replicas": before + count}})
            else:
                await self._api.create(APPS, check_objects.deployment(node, count))
        total = sum(self._replicas.values())

        async def run() -> bool:
            return len(await self.pods()) >= total

        await wait_until(run, f"Running of {total} pods", PODS_SECONDS, self._cluster.require_running)
        return await self.pods()

    async def pods(self) -> list[RunningPod]:
        """Return the check's pods that run."""
        return check_objects.read_pods((await self._api.get(f"{CORE}/{NAMESPACE}/pods"))["items"])

    async def open_namespaces(self) -> None:
        """Open the network namespaces of all pods, by address."""
        self._close_namespaces()
        for node in self._cluster.nodes.values():
            root = node.root()
            if root is not None:
                self.namespaces |= await asyncio.to_thread(open_pod_namespaces, root)

    async def add_services(self, targets: Iterable[PodView]) -> list[ServiceView]:
        """Make the Services of these targets; return when every node's kube-proxy knows them.

        Raises:
            HostError: a Service is refused, or a kube-proxy does not follow.
        """
        services = []
        for target in targets:
            label = {"metadata": {"labels": {check_objects.TARGET_LABEL: target.endpoint.name}}}
            await self._api.patch(f"{CORE}/{NAMESPACE}/pods/{target.endpoint.name}", label)
            for policy in PATHS:
                made = await self._api.create(f"{CORE}/{NAMESPACE}/services", check_objects.service(target, policy))
                services.append(check_objects.read_service(made, target, policy))
        for node in self._cluster.nodes.values():
            await self._wait_for_proxy(node.facts.name, services)
        return services

    async def remove(self) -> None:
        """Delete everything; returns when pods and Services are gone. The empty namespace goes some 5 s later."""
        self._close_namespaces()
        # First, so that nothing is made anew; its controller would wait 5 s before it does the rest.
        await self._api.delete(f"{CORE}/{NAMESPACE}")
        for collection in (APPS, SETS, f"{CORE}/{NAMESPACE}/pods"):
            await self._api.delete(collection)
        services = (await self._api.get(f"{CORE}/{NAMESPACE}/services"))["items"]
        for service in services:
            await self._api.delete(f"{CORE}/{NAMESPACE}/services/{service['metadata']['name']}")

        async def gone() -> bool:
            return not (await self._api.get(f"{CORE}/{NAMESPACE}/pods"))["items"]

        await wait_until(gone, "the end of the check's pods", REMOVE_SECONDS, self._cluster.require_running)

    async def _wait_for_proxy(self, node: str, services: Sequence[ServiceView]) -> None:
        wanted = check_objects.endpoints(services)
        backend = self._cluster.shape.proxy_backend
        command = [str(require_program(f"iptables-{backend}-save")), "-t", "nat"]
        netns = self._cluster.node_netns(node)

        async def knows() -> bool:
            rules = await asyncio.to_thread(netns.check_output, command, text=True)
            return wanted <= {word for line in rules.splitlines() for word in line.split()[-1:]}

        await wait_until(knows, f"kube-proxy's rules on {node}", PROXY_SECONDS, self._cluster.require_running)

    async def _remove_namespace(self) -> None:
        path = f"{CORE}/{NAMESPACE}"
        await self._api.delete(path)

        async def gone() -> bool:
            return await self._api.find(path) is None

        await wait_until(gone, f"the end of namespace {NAMESPACE}", REMOVE_SECONDS, self._cluster.require_running)

    def _close_namespaces(self) -> None:
        for netns in self.namespaces.values():
            netns.close()
        self.namespaces.clear()
