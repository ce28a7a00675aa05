"""The fabric follows the cloud: events in, wires out, with the configured delays.

One task compares what the ports should be with what they are and applies the difference, so that a burst of events,
a delay, or a failure half-way all end in the same place. Kernel calls run on one thread of their own: deleting a link
waits for a kernel barrier, which must not hold up the API servers.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import TypeVar

from vpc_cni.errors import VpcCniError
from vpc_cni.lab.fabric.model import (
    CONTAINER_CREDENTIALS_ADDRESS,
    ENDPOINT_ADDRESS,
    METADATA_ADDRESS,
    EniPort,
    FabricCounters,
    FabricOptions,
    PortFault,
)
from vpc_cni.lab.fabric.plan import (
    AnnounceRoutes,
    AttachPort,
    DetachPort,
    PortChange,
    WithdrawRoutes,
    plan_ports,
    visible_ports,
)
from vpc_cni.lab.fabric.router import Router
from vpc_cni.netlink.netns import Netns

log = logging.getLogger(__name__)

T = TypeVar("T")

# Link-scoped between router and internet: addresses of documentation (RFC 5737), used by nobody else here.
UPLINK_NEAR = IPv4Interface("192.0.2.1/30")
UPLINK_FAR = IPv4Interface("192.0.2.2/30")
INTERNET_HOST = IPv4Address("198.51.100.1")
RETRY_SECONDS = 0.5


class Fabric:
    """Owns the router and the internet. All methods but the constructor belong to the event loop.

    Args:
        clock: seconds that never fall, for the delays.
    """

    def __init__(
        self,
        router_netns: Netns,
        internet_netns: Netns,
        node_netns: Callable[[str], Netns],
        options: FabricOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._clock = clock
        self._router = Router(router_netns, node_netns, options)
        self._router.connect_internet(internet_netns, UPLINK_NEAR, UPLINK_FAR, INTERNET_HOST)
        for address in (METADATA_ADDRESS, ENDPOINT_ADDRESS, CONTAINER_CREDENTIALS_ADDRESS):
            self._router.add_local_address(address)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fabric")
        self._wanted: dict[str, EniPort] = {}
        self._attached_at: dict[str, float] = {}
        self._actual: dict[str, EniPort] = {}
        self._faults: dict[str, PortFault] = {}
        self._stirred = asyncio.Event()
        self._settled = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def options(self) -> FabricOptions:
        return self._options

    def set_options(self, options: FabricOptions) -> None:
        """Use other delays from now on."""
        self._options = options
        self._stirred.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown(wait=True)
        self._router.close()

    # --- what should be -------------------------------------------------------------------------------------------

    async def add_cidr(self, cidr: IPv4Network) -> None:
        await self._on_thread(lambda: self._router.add_cidr(cidr))

    async def add_gateway(self, address: IPv4Address) -> None:
        await self._on_thread(lambda: self._router.add_local_address(address))

    async def remove_gateway(self, address: IPv4Address) -> None:
        await self._on_thread(lambda: self._router.remove_local_address(address))

    def put_port(self, port: EniPort, *, delayed: bool = True) -> None:
        """Want a port, new or changed; delays count from its first appearance (none when not ``delayed``)."""
        if delayed and port.eni_id not in self._wanted:
            self._attached_at[port.eni_id] = self._clock()
        self._wanted[port.eni_id] = port
        self._stirred.set()

    def drop_port(self, eni_id: str) -> None:
        self._wanted.pop(eni_id, None)
        self._attached_at.pop(eni_id, None)
        self._stirred.set()

    async def set_fault(self, eni_id: str, fault: PortFault | None) -> None:
        """Break or mend one ENI's wire; returns when it is done."""
        if fault is None:
            self._faults.pop(eni_id, None)
        else:
            self._faults[eni_id] = fault
        await self._on_thread(self._apply_faults)

    @property
    def faults(self) -> Mapping[str, PortFault]:
        return dict(self._faults)

    # --- what is --------------------------------------------------------------------------------------------------

    @property
    def ports(self) -> Mapping[str, EniPort]:
        """The ports that exist, by ENI id."""
        return dict(self._actual)

    async def wait_for(self, condition: Callable[[Mapping[str, EniPort]], bool], timeout_seconds: float = 10.0) -> None:
        """Wait until the existing ports fulfil a condition.

        Raises:
            TimeoutError: they did not in time.
        """
        async with asyncio.timeout(timeout_seconds), self._settled:
            await self._settled.wait_for(lambda: condition(self._actual))

    async def counters(self) -> FabricCounters:
        return await self._on_thread(self._router.counters)

    # --- from one to the other ------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            self._stirred.clear()
            desired, look_again_at = visible_ports(self._wanted, self._attached_at, self._clock(), self._options)
            try:
                await self._on_thread(partial(self._apply, desired))
            except (VpcCniError, OSError, LookupError):
                log.exception("the fabric could not follow; trying again")
                look_again_at = self._clock() + RETRY_SECONDS
            async with self._settled:
                self._settled.notify_all()
            await self._sleep_until(look_again_at)

    async def _sleep_until(self, moment: float | None) -> None:
        if moment is None:
            await self._stirred.wait()
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stirred.wait(), max(moment - self._clock(), 0.0))

    def _apply(self, desired: Mapping[str, EniPort]) -> None:
        """Carry out the plan; ``_actual`` is true after each step, so that a failure can be tried again."""
        plan = plan_ports(self._actual, desired)
        detached = [self._actual[change.eni_id] for change in plan if isinstance(change, DetachPort)]
        if detached:
            self._router.detach(detached)
            for port in detached:
                del self._actual[port.eni_id]
        for change in plan:
            self._apply_one(change)
        if plan or self._actual != desired:
            self._router.set_policies(desired.values())
            self._actual = dict(desired)
        if self._faults and any(isinstance(change, AttachPort) for change in plan):
            self._apply_faults()

    def _apply_one(self, change: PortChange) -> None:
        match change:
            case AttachPort(port):
                self._router.attach(port)
                self._actual[port.eni_id] = replace(port, forwarding=False)
            case WithdrawRoutes(port, networks):
                self._router.withdraw(port, networks)
                before = self._actual[port.eni_id]
                self._actual[port.eni_id] = replace(before, routed=before.routed - networks)
            case AnnounceRoutes(port, networks, primary):
                self._router.announce(port, networks, primary=primary)
                self._actual[port.eni_id] = port
            case DetachPort():
                return

    def _apply_faults(self) -> None:
        self._router.set_faults(self._faults, self._actual)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
