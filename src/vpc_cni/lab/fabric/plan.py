"""Compare the ports that exist with the ports that should. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vpc_cni.lab.fabric.model import EniPort, FabricOptions, IpNetwork


@dataclass(frozen=True, slots=True)
class DetachPort:
    """Delete the router's end: the node's end goes with it, and so do routes and neighbours."""

    eni_id: str


@dataclass(frozen=True, slots=True)
class WithdrawRoutes:
    """Stop forwarding these networks to the port."""

    port: EniPort
    networks: frozenset[IpNetwork]


@dataclass(frozen=True, slots=True)
class AttachPort:
    """Create the pair in place; nothing is forwarded yet."""

    port: EniPort


@dataclass(frozen=True, slots=True)
class AnnounceRoutes:
    """Forward these networks to the port, and its primary address too when ``primary``."""

    port: EniPort
    networks: frozenset[IpNetwork]
    primary: bool


PortChange = DetachPort | WithdrawRoutes | AttachPort | AnnounceRoutes


def plan_ports(actual: Mapping[str, EniPort], desired: Mapping[str, EniPort]) -> list[PortChange]:
    """Return the changes that lead from ``actual`` to ``desired``, both by ENI id.

    What is given up comes before what is taken, so that an address or a link name that moves to another ENI is free
    when it is added. A port whose link itself differs is detached and attached again. A plan that has been applied
    gives an empty plan.
    """
    kept = {eni_id for eni_id, port in desired.items() if eni_id in actual and _same_link(actual[eni_id], port)}
    detached = [DetachPort(eni_id) for eni_id in actual if eni_id not in kept]
    withdrawn = [
        WithdrawRoutes(desired[eni_id], gone)
        for eni_id in desired
        if eni_id in kept and (gone := _forwarded(actual[eni_id]) - _forwarded(desired[eni_id]))
    ]
    attached = [AttachPort(port) for eni_id, port in desired.items() if eni_id not in kept]
    announced = [
        change
        for eni_id, port in desired.items()
        if (change := _announce(actual[eni_id] if eni_id in kept else None, port)) is not None
    ]
    return [*detached, *withdrawn, *attached, *announced]


def visible_ports(
    ports: Mapping[str, EniPort], attached_at: Mapping[str, float], now: float, options: FabricOptions
) -> tuple[dict[str, EniPort], float | None]:
    """Return the ports as they shall be at ``now`` with the configured delays, and when to look again.

    Pure. A port is absent until ``link_delay_seconds`` after its attachment, and present without forwarding for
    ``packet_delay_seconds`` more. The second value is the next moment at which the answer changes, None for never.
    Ports missing in ``attached_at`` have no delay.
    """
    visible: dict[str, EniPort] = {}
    moments: list[float] = []
    for eni_id, port in ports.items():
        linked = attached_at.get(eni_id, now) + (options.link_delay_seconds if eni_id in attached_at else 0.0)
        forwarding = linked + (options.packet_delay_seconds if eni_id in attached_at else 0.0)
        if now >= linked:
            visible[eni_id] = replace(port, forwarding=now >= forwarding)
        moments += [moment for moment in (linked, forwarding) if moment > now]
    return visible, min(moments, default=None)


def _same_link(one: EniPort, other: EniPort) -> bool:
    return _link(one) == _link(other) and one.forwarding <= other.forwarding


def _link(port: EniPort) -> tuple[object, ...]:
    return (port.node, port.ifname, port.mac, port.primary_address, port.gateway)


def _forwarded(port: EniPort) -> frozenset[IpNetwork]:
    return port.routed if port.forwarding else frozenset()


def _announce(actual: EniPort | None, desired: EniPort) -> AnnounceRoutes | None:
    if not desired.forwarding:
        return None
    known = _forwarded(actual) if actual is not None else frozenset()
    primary = actual is None or not actual.forwarding
    added = desired.routed - known
    return AnnounceRoutes(desired, added, primary) if primary or added else None
