"""The control operations of a running lab: arguments from the wire in, plain JSON values out."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from vpc_cni.errors import CallerError
from vpc_cni.lab.checking import check_world
from vpc_cni.lab.cloud.identity.roles import Trust
from vpc_cni.lab.control.server import Operation, Progress
from vpc_cni.lab.fabric import PortFault
from vpc_cni.lab.kubernetes.operations import ClusterOperations
from vpc_cni.lab.kubernetes.plane_commands import ISSUER
from vpc_cni.lab.nodes.agent import AgentProcess
from vpc_cni.lab.status import describe_fault, describe_node, describe_pods, describe_report, describe_world
from vpc_cni.lab.world import World

Arguments = Mapping[str, object]
PORT_FAULTS = ("link-down", "loss")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
Handler = Callable[[Arguments, Progress], Awaitable[object]]


class Operations:
    """Each method serves the operation of its name.

    Args:
        end: asks the daemon to take the lab down after the answer.
    """

    def __init__(self, world: World, end: Callable[[], None]) -> None:
        self._world = world
        self._end = end

    def table(self) -> dict[str, Operation]:
        """Return the operations by name."""
        handlers: Sequence[Handler] = (
            self.status,
            self.env,
            self.node_add,
            self.pod_add,
            self.pod_list,
            self.pod_delete,
            self.pod_check,
            self.runtime_status,
            self.runtime_gc,
            self.check,
            self.calls,
            self.fault_add,
            self.fault_list,
            self.fault_clear,
            self.agent_kill,
            self.agent_restart,
            self.agent_supervise,
            self.role_add,
            self.down,
        )
        of_cluster = ClusterOperations(self._world.cluster, self._world.addon_place, self._world.cloud.providers.add)
        return {handler.__name__: handler for handler in handlers} | of_cluster.table()

    async def status(self, _args: Arguments, _progress: Progress) -> object:
        return await describe_world(self._world)

    async def env(self, _args: Arguments, _progress: Progress) -> object:
        return self._world.servers.client_environment()

    async def node_add(self, args: Arguments, progress: Progress) -> object:
        node = await self._world.add_node(progress, _text(args, "name") or "")
        if node.agent is not None and args.get("wait", True):
            await node.agent.wait_serving()
        if self._world.cluster is not None and args.get("wait", True):
            await self._world.cluster.wait_ready(progress)
        return describe_node(self._world, node)

    async def pod_add(self, args: Arguments, progress: Progress) -> object:
        count = _number(args, "count", 1)
        if count < 1:
            raise CallerError(f"{count} pods cannot be added")
        pods = await self._world.add_pods(_text(args, "node"), count, _text(args, "name"), progress)
        return describe_pods(self._world, pods)

    async def pod_list(self, _args: Arguments, _progress: Progress) -> object:
        return describe_pods(self._world, self._world.pods())

    async def pod_delete(self, args: Arguments, progress: Progress) -> object:
        names = args.get("names")
        if not isinstance(names, list):
            raise CallerError('"names" must be a list')
        await self._world.delete_pods([str(name) for name in names], progress)
        return None

    async def pod_check(self, args: Arguments, _progress: Progress) -> object:
        pod = self._world.pod(_text(args, "name") or "")
        return await self._world.nodes[pod.node].pods.check(pod.name)

    async def runtime_status(self, args: Arguments, _progress: Progress) -> object:
        return await self._world.node(_text(args, "node") or "").pods.ask_status()

    async def runtime_gc(self, args: Arguments, _progress: Progress) -> object:
        return await self._world.node(_text(args, "node") or "").pods.collect_garbage()

    async def check(self, _args: Arguments, progress: Progress) -> object:
        return describe_report(await check_world(self._world, progress))

    async def fault_add(self, args: Arguments, _progress: Progress) -> object:
        kind = _text(args, "kind") or ""
        if kind in PORT_FAULTS:
            fault = PortFault(loss_percent=_number(args, "percent", 100) if kind == "loss" else 0)
            if kind == "link-down":
                fault = PortFault(down=True)
            return describe_fault(await self._world.faults.add_port(kind, self._eni(args), fault))
        return describe_fault(self._world.faults.add_cloud(kind, self._with_subnet(args)))

    async def calls(self, _args: Arguments, _progress: Progress) -> object:
        return [asdict(record) for record in self._world.cloud.calls.recent]

    async def fault_list(self, _args: Arguments, _progress: Progress) -> object:
        return [describe_fault(fault) for fault in self._world.faults.active()]

    async def fault_clear(self, args: Arguments, _progress: Progress) -> object:
        number = None if args.get("number") is None else _number(args, "number", 0)
        return await self._world.faults.clear(number)

    async def agent_kill(self, args: Arguments, _progress: Progress) -> object:
        await self._agent(args).kill()
        return None

    async def agent_restart(self, args: Arguments, _progress: Progress) -> object:
        agent = self._agent(args)
        await agent.restart()
        await agent.wait_serving()
        return agent.pid

    async def agent_supervise(self, args: Arguments, _progress: Progress) -> object:
        self._agent(args).supervise = bool(args.get("on", True))
        return None

    async def role_add(self, args: Arguments, _progress: Progress) -> object:
        """Let tokens of the cluster, or of the lab's own issuer where there is none, have a role; return its ARN."""
        name, subject = _text(args, "name") or "", _text(args, "subject") or ""
        if not _ROLE_NAME.fullmatch(name):
            raise CallerError(f"{name!r} is no name of a role", hint="use 1 to 64 letters, digits and +=,.@_-")
        issuer = self._world.servers.faces.issuer.url if self._world.cluster is None else ISSUER
        return self._world.cloud.identities.create_role(name, Trust(issuer, subjects=(subject,))).arn

    async def down(self, _args: Arguments, _progress: Progress) -> object:
        self._end()
        return None

    def _agent(self, args: Arguments) -> AgentProcess:
        node = self._world.node(_text(args, "node") or "")
        if node.agent is None:
            raise CallerError(f"{node.name} has no agent", hint="the lab was started without agents")
        return node.agent

    def _eni(self, args: Arguments) -> str:
        """Return the ENI that a wire fault names: an id, or a node and its device number (0 when absent)."""
        eni_id = _text(args, "eni")
        if eni_id is not None:
            if eni_id not in self._world.fabric.ports:
                raise CallerError(f"{eni_id} is not attached to any node")
            return eni_id
        node, wanted = self._world.node(_text(args, "node") or ""), _number(args, "device", 0)
        for eni in self._world.enis_of(node):
            if eni.attachment is not None and eni.attachment.device_index == wanted:
                return eni.eni_id
        raise CallerError(f"{node.name} has no ENI with device number {wanted}")

    def _with_subnet(self, args: Arguments) -> Arguments:
        """Let a subnet be named by a node that lives in it."""
        subnet = _text(args, "subnet")
        if subnet is None or subnet.startswith("subnet-"):
            return args
        return {**args, "subnet": self._world.node(subnet).facts.subnet_id}


def _number(args: Arguments, name: str, default: int) -> int:
    value = args.get(name)
    if value is None:
        return default
    try:
        return int(str(value))
    except ValueError as err:
        raise CallerError(f'"{name}" must be a whole number, not {value!r}') from err


def _text(args: Arguments, name: str) -> str | None:
    value = args.get(name)
    return None if value is None else str(value)
