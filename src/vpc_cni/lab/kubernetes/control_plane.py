"""etcd, API server, controller manager and scheduler on an instance of the lab's VPC.

They run in the instance's network namespace with CAP_NET_ADMIN alone, as children of the lab's process: they end with
it, however it ends. etcd keeps its data in memory that belongs to that process.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from vpc_cni.errors import CallerError
from vpc_cni.lab import mounts
from vpc_cni.lab.kubernetes import plane_commands
from vpc_cni.lab.kubernetes.api import ApiClient, wait_until
from vpc_cni.lab.kubernetes.paths import ClusterPaths
from vpc_cni.lab.kubernetes.program import Program
from vpc_cni.lab.kubernetes.shape import ClusterShape
from vpc_cni.lab.kubernetes.tooling.finder import Binaries
from vpc_cni.lab.kubernetes.tooling.programs import SEARCH_PATH, require_program
from vpc_cni.lab.nodes.agent import launcher_command

READY_SECONDS = 60.0
STATE_OPTIONS = "size=1g,mode=0700"
PROXY_USER = "system:kube-proxy"


class ControlPlane:
    """Owns the four programs, and what is added to them.

    Args:
        netns_path: of the instance, as this process sees it.
    """

    def __init__(self, shape: ClusterShape, paths: ClusterPaths, netns_path: Path, binaries: Binaries) -> None:
        self._paths = paths
        etcd = require_program("etcd")
        commands = {
            "etcd": plane_commands.etcd_command(etcd, paths),
            "kube-apiserver": plane_commands.api_server_command(binaries.path("kube-apiserver"), paths, shape),
            "kube-controller-manager": plane_commands.controller_manager_command(
                binaries.path("kube-controller-manager"), paths
            ),
            "kube-scheduler": plane_commands.scheduler_command(binaries.path("kube-scheduler"), paths),
        }
        self._netns_path = netns_path
        self.programs = {name: self._program(name, command) for name, command in commands.items()}

    async def start(self, api: ApiClient, progress: Callable[[str], None]) -> None:
        """Start everything; returns when the API serves and the others have been started.

        Raises:
            HostError: a program ended, or the API was not ready in time.
        """
        self._paths.state.mkdir(parents=True, exist_ok=True)
        mounts.mount_tmpfs(self._paths.state, STATE_OPTIONS)
        await self.programs["etcd"].start()
        await self.start_program("kube-apiserver", api)
        # Not earlier: without the bootstrap roles the controller manager ends at once.
        for name in ("kube-controller-manager", "kube-scheduler"):
            await self.programs[name].start()
        await api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", proxy_binding())
        progress("API server, controller manager and scheduler run")

    async def start_program(self, name: str, api: ApiClient) -> None:
        """Start one program unless it runs; returns when the API server, if that was it, is ready.

        Raises:
            CallerError: there is no such program.
            HostError: it ended, or was not ready in time.
        """
        program = self.program(name)
        if program.pid is None:
            await program.start()
        if name == "kube-apiserver":
            await wait_until(api.is_ready, "the start of the API server", READY_SECONDS, self.require_running)

    def add_program(self, name: str, command: Sequence[str]) -> Program:
        """Return one more program of this instance, which ends with the others; it is not started."""
        self.programs[name] = self._program(name, command)
        return self.programs[name]

    def _program(self, name: str, command: Sequence[str]) -> Program:
        environment = {"PATH": SEARCH_PATH, "HOME": str(self._paths.state), "LANG": "C.UTF-8"}
        return Program(name, launcher_command(self._netns_path, command), environment, self._paths.log(name))

    def program(self, name: str) -> Program:
        """Return a program by its name.

        Raises:
            CallerError: there is no such program.
        """
        if name not in self.programs:
            raise CallerError(f'there is no program "{name}"', hint=f"programs: {', '.join(self.programs)}")
        return self.programs[name]

    def require_running(self) -> None:
        """Raises HostError when a program that was started has ended."""
        self.programs["etcd"].require_running()
        self.programs["kube-apiserver"].require_running()

    async def stop(self) -> None:
        """End all programs; their data ends too."""
        await asyncio.gather(*(program.kill() for program in self.programs.values()))
        if self._paths.state.is_mount():
            mounts.detach(self._paths.state)


def proxy_binding() -> dict[str, object]:
    """Return the permission that kube-proxy has on every cluster. Pure."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": PROXY_USER}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "lab:kube-proxy"},
        "roleRef": role,
        "subjects": [user],
    }
