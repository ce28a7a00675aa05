"""The one state of the lab's cloud. Everything that EC2, STS and instance metadata say is read from here.

``Cloud`` owns the tables, the address bookkeeping, time, chance and the watchers. The modules beside it change it, one
for each resource family (``networks``, ``interfaces``, ``addresses``, ``instances``, ``tags``): each call there checks
everything first, then changes the tables, then emits its events. No HTTP, no sleeping, one thread.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from typing import Any

from vpc_cni.ipam.limits import InstanceLimits
from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.clock import Clock, system_clock
from vpc_cni.lab.cloud.events import Event, Watcher
from vpc_cni.lab.cloud.faults import Faults
from vpc_cni.lab.cloud.identifiers import Identifiers
from vpc_cni.lab.cloud.identity.oidc import OidcProviders
from vpc_cni.lab.cloud.identity.roles import Identities
from vpc_cni.lab.cloud.instance_types import instance_types
from vpc_cni.lab.cloud.query.calls import CallLog
from vpc_cni.lab.cloud.records import (
    Address,
    CidrReservation,
    Instance,
    Interface,
    SecurityGroup,
    Subnet,
    Tags,
    Vpc,
)
from vpc_cni.lab.cloud.settings import CloudSettings
from vpc_cni.lab.cloud.space import AddressSpace
from vpc_cni.lab.cloud.space6 import AddressSpace6
from vpc_cni.lab.cloud.timeline import Timeline


class Cloud:
    """One AWS account in one region.

    Args:
        clock: wall-clock unix seconds.
        seed: the same seed and the same calls give the same ids and addresses.
    """

    def __init__(
        self, settings: CloudSettings | None = None, *, clock: Clock = system_clock, seed: int | str = 0
    ) -> None:
        self.settings = settings or CloudSettings()
        self.clock = clock
        # Reproducible on purpose: nothing here protects anything real.
        self.rng = random.Random(seed)  # noqa: S311
        self.ids = Identifiers(self.rng)
        self.faults = Faults()
        self.identities = Identities(lambda: self.settings, clock, self.ids)
        self.providers = OidcProviders()
        self.calls = CallLog()
        self.vpcs: Timeline[str, Vpc] = Timeline()
        self.subnets: Timeline[str, Subnet] = Timeline()
        self.groups: Timeline[str, SecurityGroup] = Timeline()
        self.interfaces: Timeline[str, Interface] = Timeline()
        self.instances: Timeline[str, Instance] = Timeline()
        self.reservations: Timeline[str, CidrReservation] = Timeline()
        self.tags: Timeline[str, Tags] = Timeline()
        self.spaces: dict[str, AddressSpace] = {}
        self.spaces6: dict[str, AddressSpace6] = {}
        self._owners: dict[str, dict[Address, str]] = {}
        self._watchers: list[Watcher] = []
        self._pending: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    # --- settings and watchers ------------------------------------------------------------------------------------

    def configure(self, **changes: Any) -> None:
        """Replace fields of ``settings`` by name while the cloud runs."""
        self.settings = replace(self.settings, **changes)

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Call ``watcher`` for each event from now on; returns a function that ends it.

        Watchers run on the stack of the call that made the change, so they must be quick and must not call back.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def emit(self, event: Event) -> None:
        for watcher in tuple(self._watchers):
            watcher(event)

    # --- time -----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time after everything that was due by now has happened."""
        now = self.clock()
        while self._pending and self._pending[0][0] <= now:
            due, _, action = heapq.heappop(self._pending)
            action(due)
        return now

    def schedule(self, due: float, action: Callable[[float], None]) -> None:
        """Run ``action(due)`` at the first look at the cloud from ``due`` on."""
        heapq.heappush(self._pending, (due, next(self._order), action))

    # --- lookups that fail the way EC2 does -----------------------------------------------------------------------

    def vpc(self, vpc_id: str) -> Vpc:
        if (vpc := self.vpcs.get(vpc_id)) is None:
            raise errors.vpc_not_found(vpc_id)
        return vpc

    def subnet(self, subnet_id: str) -> Subnet:
        if (subnet := self.subnets.get(subnet_id)) is None:
            raise errors.subnet_not_found(subnet_id)
        return subnet

    def group(self, group_id: str) -> SecurityGroup:
        if (group := self.groups.get(group_id)) is None:
            raise errors.group_not_found(group_id)
        return group

    def interface(self, eni_id: str) -> Interface:
        if (eni := self.interfaces.get(eni_id)) is None:
            raise errors.eni_not_found(eni_id)
        return eni

    def instance(self, instance_id: str) -> Instance:
        if (instance := self.instances.get(instance_id)) is None:
            raise errors.instance_not_found([instance_id])
        return instance

    def instance_type(self, name: str) -> InstanceLimits:
        if (found := instance_types().get(name)) is None:
            raise errors.instance_type_invalid([name])
        return found

    def type_of(self, instance: Instance) -> InstanceLimits:
        return self.instance_type(instance.instance_type)

    def interfaces_of(self, instance_id: str, moment: float | None = None) -> list[Interface]:
        """Return an instance's ENIs by card and device index, as of ``moment`` (default: now)."""
        enis = self.interfaces.values() if moment is None else self.interfaces.values_at(moment)
        mine = [eni for eni in enis if eni.attachment and eni.attachment.instance_id == instance_id]
        return sorted(mine, key=_place)

    # --- who owns an address --------------------------------------------------------------------------------------

    def note_owner(self, vpc_id: str, addresses: tuple[Address, ...], eni_id: str | None) -> None:
        """Keep the index of single addresses: ``eni_id`` owns them from now on, or nobody when None."""
        owners = self._owners.setdefault(vpc_id, {})
        for address in addresses:
            if eni_id is None:
                owners.pop(address, None)
            else:
                owners[address] = eni_id

    def eni_of_address(self, vpc_id: str, address: IPv4Address | IPv6Address) -> Interface | None:
        """Return the ENI that ``address`` belongs to, alone or inside a prefix; None for a free address."""
        eni_id = self._owners.get(vpc_id, {}).get(address)
        if eni_id is not None:
            return self.interfaces.get(eni_id)
        return next(
            (eni for eni in self.interfaces.values() if eni.vpc_id == vpc_id and _in_prefix(eni, address)), None
        )


def _place(eni: Interface) -> tuple[int, int]:
    return (eni.attachment.card_index, eni.attachment.device_index) if eni.attachment else (0, 0)


def _in_prefix(eni: Interface, address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in prefix for prefix in eni.prefixes)
    return any(address in prefix for prefix in eni.ipv6_prefixes)
