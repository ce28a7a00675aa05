"""What the plugin asks for: ADD, DEL, CHECK, STATUS and GC of pod networks.

The hot path of the agent. Everything between an address being chosen and its pod being wired happens in one turn of
the loop, without an await, so no other request sees a half-made pod. An ADD without an address waits in a lane of
its own; a DEL never waits.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import Histogram

from vpc_cni.agent.growth import Grower
from vpc_cni.agent.ledger import Ledger
from vpc_cni.agent.metrics import AgentMetrics
from vpc_cni.agent.pod_plane import PodWirer
from vpc_cni.agent.server import Caller
from vpc_cni.agent.steps import Reach, Step
from vpc_cni.agent.waiting import Waiter, WaitingLane
from vpc_cni.errors import CallerError, CapacityError, CniCode, HostError, Shortage, VpcCniError
from vpc_cni.model import Allocation, SandboxKey, host_veth_name
from vpc_cni.rpc.cni import CniRequest, Command, add_result, encode_success
from vpc_cni.rpc.descriptors import NETLINK_SOCKET, PassedDescriptors
from vpc_cni.rpc.messages import Result

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PodOptions:
    """Settings of pod networks."""

    veth_prefix: str
    add_wait_seconds: float


class PodNetworks:
    """Serves the plugin's requests.

    Args:
        why_not_ready: reasons why ADDs cannot be served, empty when they can.
        clock: CLOCK_BOOTTIME seconds.
        wall_ns: unix time in nanoseconds.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        wirer: PodWirer,
        lane: WaitingLane,
        grower: Grower,
        metrics: AgentMetrics,
        options: PodOptions,
        why_not_ready: Callable[[], list[str]],
        clock: Callable[[], float],
        wall_ns: Callable[[], int],
        reach: Reach,
    ) -> None:
        self._ledger = ledger
        self._wirer = wirer
        self._lane = lane
        self._grower = grower
        self._metrics = metrics
        self._options = options
        self._why_not_ready = why_not_ready
        self._clock = clock
        self._wall_ns = wall_ns
        self._reach = reach
        self._timer: asyncio.TimerHandle | None = None
        grower.on_action_ended = self.serve_waiters
        self._phases_add = {phase: metrics.add_seconds.labels(phase) for phase in ("assign", "wait", "wire", "total")}
        self._phases_del = {phase: metrics.del_seconds.labels(phase) for phase in ("unwire", "total")}

    def handle(
        self, request: CniRequest, descriptors: PassedDescriptors, caller: Caller
    ) -> Result | Coroutine[Any, Any, Result]:
        """Serve one request; only an ADD without an address has to wait.

        Errors of the tree become the specification's error object at the server's border.
        """
        match request.command:
            case Command.ADD:
                return self._add(request, descriptors, caller)
            case Command.DEL:
                return self._del(request)
            case Command.CHECK:
                return self._check(request, descriptors)
            case Command.STATUS:
                return self._status()
            case Command.GC:
                return self._gc(request)

    # -- ADD ------------------------------------------------------------------------------------------------------

    def _add(
        self, request: CniRequest, descriptors: PassedDescriptors, caller: Caller
    ) -> Result | Coroutine[Any, Any, Result]:
        started = self._clock()
        self._metrics.adds.inc()
        with self._failures_counted(request):
            if descriptors.netlink_socket is None or descriptors.namespace is None:
                raise CallerError(
                    "ADD without the pod's namespace", hint="update the aws-cni plugin on this node: it must pass it"
                )
            if self._wirer.is_own_namespace(descriptors.namespace):
                raise CallerError(
                    "the namespace of the ADD is the node's own", hint="CNI_NETNS must name a pod's network namespace"
                )
            host_ifname = host_veth_name(self._options.veth_prefix, request.pod, request.key)
            allocation = self._assign_now(request, host_ifname)
            self._phases_add["assign"].observe(self._clock() - started)
            if allocation is not None:
                return self._complete(request, allocation, host_ifname, descriptors, started)
        return self._add_later(request, descriptors, caller, self._queue_up(request, caller), started)

    async def _add_later(
        self, request: CniRequest, descriptors: PassedDescriptors, caller: Caller, waiter: Waiter, started: float
    ) -> Result:
        with self._failures_counted(request):
            with self._timed(self._phases_add["wait"]):
                allocation = await self._wait_for_address(waiter, caller)
            host_ifname = host_veth_name(self._options.veth_prefix, request.pod, request.key)
            return self._complete(request, allocation, host_ifname, descriptors, started)

    @contextmanager
    def _failures_counted(self, request: CniRequest) -> Iterator[None]:
        try:
            yield
        except VpcCniError as err:
            self._metrics.add_failures.labels(str(int(err.cni_code))).inc()
            _log.error("ADD failed: %s", err, extra={"fields": {"sandbox": str(request.key), "pod": str(request.pod)}})
            raise

    def _complete(
        self,
        request: CniRequest,
        allocation: Allocation,
        host_ifname: str,
        descriptors: PassedDescriptors,
        started: float,
    ) -> Result:
        """Wire the pod and answer."""
        wiring_since = self._clock()
        self._wire(request, allocation, host_ifname, descriptors)
        ended = self._clock()
        self._phases_add["wire"].observe(ended - wiring_since)
        self._phases_add["total"].observe(ended - started)
        self._log_pod("ADD", request.key, allocation, ended - started)
        self._grower.nudge()
        return encode_success(
            add_result(
                request,
                host_ifname=host_ifname,
                address=allocation.address,
                device_number=allocation.device_number,
            )
        )

    @staticmethod
    def _log_pod(verb: str, key: SandboxKey, allocation: Allocation, seconds: float) -> None:
        """Answer the question of the next morning: who had which address when."""
        fields = {
            "pod": str(allocation.pod),
            "address": str(allocation.address),
            "eni": allocation.eni_id,
            "sandbox": key.alias,
            "ms": round(seconds * 1000, 2),
        }
        _log.info(verb, extra={"fields": fields})

    def _assign_now(self, request: CniRequest, host_ifname: str) -> Allocation | None:
        """Give an address unless others wait for one already; a repeated ADD gets what it has."""
        held = self._ledger.pool.get(request.key)
        if held is not None:
            return held
        if len(self._lane):
            return None
        return self._ledger.assign(request.key, request.pod, host_ifname, self._clock(), self._wall_ns())

    def _wire(
        self, request: CniRequest, allocation: Allocation, host_ifname: str, descriptors: PassedDescriptors
    ) -> None:
        """Make the pod's network; on failure the address goes back and what was made is undone."""
        if self._ledger.pool.get(request.key) != allocation:
            raise CapacityError(f"ADD of {request.key} was overtaken by its DEL", shortage=Shortage.WITHDRAWN)
        netlink_fd, netns_fd = descriptors.take(NETLINK_SOCKET), descriptors.namespace
        assert netlink_fd is not None  # noqa: S101 - checked at the start of the ADD
        assert netns_fd is not None  # noqa: S101
        try:
            wired = self._wirer.wire(
                allocation,
                host_ifname=host_ifname,
                container_ifname=request.ifname,
                mtu_bytes=request.config.mtu_bytes,
                netlink_fd=netlink_fd,
                netns_fd=netns_fd,
            )
        except VpcCniError:
            self._release(request.key, self._clock())
            self.serve_waiters()
            raise
        self._reach(Step.ADD_WIRED)
        self._ledger.commit(allocation, wired)

    # -- waiting --------------------------------------------------------------------------------------------------

    def _queue_up(self, request: CniRequest, caller: Caller) -> Waiter:
        """Enter the lane, at once: an ADD that comes later must not be served first."""
        self._metrics.no_address.inc()
        now = self._clock()
        deadline = min(caller.deadline, now + self._options.add_wait_seconds)
        waiter = Waiter(request.key, request.pod, now, deadline, on_progress=caller.progress)
        self._lane.enter(waiter)
        self.serve_waiters()
        caller.progress("waiting for an address")
        self._grower.nudge()
        return waiter

    async def _wait_for_address(self, waiter: Waiter, caller: Caller) -> Allocation:
        """Wait until an address is there, nobody wants it any more, or waiting is over."""
        gone = asyncio.ensure_future(caller.gone())
        try:
            waited: set[asyncio.Future[Any]] = {waiter.ready, gone}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not waiter.ready.done():
                raise CallerError(f"the plugin of {waiter.key} is gone", cni_code=CniCode.TRY_AGAIN_LATER)
            return waiter.ready.result()
        finally:
            gone.cancel()
            # Its reader must leave the loop before the socket closes: a later one of the same number would go unheard.
            await asyncio.wait({gone})
            self._leave_lane(waiter)

    def _leave_lane(self, waiter: Waiter) -> None:
        """Forget a waiter, served or not."""
        self._lane.leave(waiter)
        if not waiter.ready.done():
            waiter.ready.cancel()
        self._grower.nudge()

    def serve_waiters(self) -> None:
        """Hand out whatever addresses are free now, in order; called whenever some may have become free."""
        if len(self._lane):
            self._lane.serve(self._assign_waiter)
            self._arm_timer()

    def _assign_waiter(self, waiter: Waiter) -> Allocation | None:
        host_ifname = host_veth_name(self._options.veth_prefix, waiter.pod, waiter.key)
        return self._ledger.assign(waiter.key, waiter.pod, host_ifname, self._clock(), self._wall_ns())

    def _arm_timer(self) -> None:
        """Look again when the next cooldown ends or the next waiter gives up."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        moments = (self._lane.expire(now), self._ledger.pool.next_ready_at(now) if len(self._lane) else None)
        upcoming = min((at for at in moments if at is not None), default=None)
        if upcoming is not None:
            delay = max(0.001, upcoming - now)
            self._timer = asyncio.get_running_loop().call_later(delay, self.serve_waiters)

    # -- DEL ------------------------------------------------------------------------------------------------------

    def _del(self, request: CniRequest) -> Result:
        started = self._clock()
        self.delete(request.key, started, reason="PodDeleted")
        self._phases_del["total"].observe(self._clock() - started)
        return encode_success()

    def delete(self, key: SandboxKey, at: float, *, reason: str) -> bool:
        """End a pod network. Succeeds when there is none (any more).

        Args:
            at: CLOCK_BOOTTIME seconds of the DEL; in the past for one that was recorded while the agent was away.

        Returns:
            Whether the sandbox had an address.
        """
        self._metrics.dels.labels(reason).inc()
        self._lane.cancel(key, "its DEL came")
        started, allocation = self._clock(), self._ledger.pool.get(key)
        with self._timed(self._phases_del["unwire"]):
            found = self._release(key, at)
        if allocation is not None:
            self._log_pod("DEL", key, allocation, self._clock() - started)
        self.serve_waiters()
        self._grower.nudge()
        return found

    def delete_recorded(self, key: SandboxKey, at: float) -> None:
        """Perform a DEL that the plugin recorded while no agent answered; one that a later ADD overtook is void."""
        assigned_at = self._ledger.assigned_at(key)
        if assigned_at is None or assigned_at <= at:
            self.delete(key, at, reason="Replayed")

    def _release(self, key: SandboxKey, at: float) -> bool:
        wired = self._ledger.wired(key)
        cooling = self._ledger.release(key, at)
        if cooling is None:
            return self._unwire_again(key)
        self._reach(Step.DEL_WRITTEN)
        ifindex = wired.host_ifindex if wired is not None else 0
        if not self._wirer.unwire(key, cooling.address, ifindex):
            self._link_gone(key)
        self._reach(Step.DEL_UNWIRED)
        return True

    def _unwire_again(self, key: SandboxKey) -> bool:
        """Finish a DEL whose first try was written and then failed in the kernel; False when there is none."""
        addresses = () if self._wirer.is_reaping(key) else self._ledger.pool.awaiting_link(key)
        for address in addresses:
            if not self._wirer.unwire(key, address, 0):
                self._link_gone(key)
        return bool(addresses)

    def links_gone(self, ifindexes: Sequence[int]) -> None:
        """The reaper has deleted these links: the addresses of their sandboxes may be used again after cooldown."""
        for key in self._wirer.take_gone(ifindexes):
            self._reach(Step.LINK_GONE)
            self._link_gone(key)
        self.serve_waiters()
        self._grower.nudge()

    def _link_gone(self, key: SandboxKey) -> None:
        self._ledger.link_gone(key)
        self._reach(Step.LINK_GONE_WRITTEN)

    # -- CHECK, STATUS, GC ----------------------------------------------------------------------------------------

    def _check(self, request: CniRequest, descriptors: PassedDescriptors) -> Result:
        allocation = self._ledger.pool.get(request.key)
        wired = self._ledger.wired(request.key)
        if allocation is None or wired is None:
            raise CallerError(
                f"sandbox {request.key} has no network here",
                hint="the runtime must call ADD first, or DEL and ADD again",
                cni_code=CniCode.UNKNOWN_CONTAINER,
            )
        netlink_fd = descriptors.take(NETLINK_SOCKET)
        if netlink_fd is None:
            raise CallerError(f"CHECK of {request.key} without the pod's namespace", hint="see CNI_NETNS")
        differences = self._wirer.check(allocation, wired, request.ifname, netlink_fd)
        if differences:
            raise HostError(
                f"the network of {request.key} is not as it was made: {'; '.join(differences)}",
                hint="let the runtime re-create the pod",
                cni_code=CniCode.NOT_AS_CONFIGURED,
            )
        return encode_success()

    def _status(self) -> Result:
        reasons = self._why_not_ready()
        if reasons:
            raise HostError(
                f"the agent does not serve ADDs: {'; '.join(reasons)}",
                hint="see `vpc-cni node status`",
                retryable=True,
                cni_code=CniCode.PLUGIN_NOT_AVAILABLE,
            )
        return encode_success()

    def _gc(self, request: CniRequest) -> Result:
        """Release every sandbox of the network that the runtime does not list."""
        valid = request.config.valid_attachments or frozenset()
        kept = {(each.container_id, each.ifname) for each in valid}
        network = request.config.network_name
        stale = [
            allocation.key
            for allocation in self._ledger.pool.allocations()
            if allocation.key.network_name == network
            and (allocation.key.container_id, allocation.key.ifname) not in kept
        ]
        now = self._clock()
        for key in stale:
            _log.info("GC releases %s", key)
            self.delete(key, now, reason="GarbageCollected")
        return encode_success()

    @contextmanager
    def _timed(self, histogram: Histogram) -> Iterator[None]:
        started = self._clock()
        try:
            yield
        finally:
            histogram.observe(self._clock() - started)
