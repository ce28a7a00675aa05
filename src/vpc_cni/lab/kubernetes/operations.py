"""The control operations that a lab with Kubernetes has beside the usual ones."""

from collections.abc import Mapping
from pathlib import Path

from vpc_cni.errors import CallerError
from vpc_cni.lab.control.server import Operation, Progress
from vpc_cni.lab.kubernetes.addon import AddonPlace
from vpc_cni.lab.kubernetes.cluster import Cluster
from vpc_cni.lab.kubernetes.installer import install_addon
from vpc_cni.lab.kubernetes.pod_roles import Trust, start_pod_roles

Arguments = Mapping[str, object]


class ClusterOperations:
    """Each method serves the operation of its name.

    Args:
        cluster: None in a lab without; every operation is then refused.
        place: what an add-on must know of the lab.
        trust: makes the lab's account trust an issuer of tokens.
    """

    def __init__(self, cluster: Cluster | None, place: AddonPlace, trust: Trust) -> None:
        self._found = cluster
        self._place = place
        self._trust = trust

    def table(self) -> dict[str, Operation]:
        """Return the operations by name."""
        handlers: tuple[Operation, ...] = (
            self.kubernetes_load,
            self.kubernetes_install,
            self.kubernetes_switch,
            self.kubernetes_program,
            self.kubernetes_pod_roles,
        )
        return {handler.__name__: handler for handler in handlers}

    async def kubernetes_load(self, args: Arguments, progress: Progress) -> object:
        archives = args.get("archives")
        if not isinstance(archives, list):
            raise CallerError('"archives" must be a list')
        await self._cluster.load_images([Path(str(archive)) for archive in archives], progress)
        return None

    async def kubernetes_install(self, args: Arguments, progress: Progress) -> object:
        archive, version = Path(str(args.get("archive"))), str(args.get("version") or "")
        return await install_addon(self._cluster, self._place, archive, version, progress)

    async def kubernetes_switch(self, args: Arguments, _progress: Progress) -> object:
        """Switch a node off like a power cut, or on."""
        node = self._cluster.node(str(args.get("node")))
        if not args.get("on", True):
            await node.stop()
        elif not node.is_on:
            await node.start()
        return None

    async def kubernetes_program(self, args: Arguments, _progress: Progress) -> object:
        """Stop or start a program of the control plane."""
        plane, name = self._cluster.plane, str(args.get("name"))
        if args.get("on", True):
            await plane.start_program(name, self._cluster.api)
        else:
            await plane.program(name).stop()
        return plane.program(name).pid

    async def kubernetes_pod_roles(self, _args: Arguments, progress: Progress) -> object:
        await start_pod_roles(self._cluster, self._place.region, self._trust, progress)
        return None

    @property
    def _cluster(self) -> Cluster:
        if self._found is None:
            raise CallerError("the lab has no Kubernetes", hint="start it with `vpc-cni lab up --kubernetes`")
        return self._found
