"""Drift repair: what someone removes or changes by hand is back within a second.

Theory of operation. The kernel announces every change of links, routes, rules, neighbours, settings and nftables. The
monitor waits until the first event, lets others gather for a moment (our own ADDs and DELs announce themselves too),
takes them all, and notes which wanted objects they put in doubt (``suspects``). Each suspect is added again
exclusively: "exists" means that nothing was wrong. When events were lost, everything wanted is compared with dumps.

Runs on the agent's loop, between ADDs and DELs, so it never sees half of one. Attach it with :meth:`attach`, or
call :meth:`step` when a descriptor is readable.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vpc_cni.errors import VpcCniError
from vpc_cni.netlink import messages
from vpc_cni.netlink.desired import DesiredState, route_key
from vpc_cni.netlink.events import EventSocket
from vpc_cni.netlink.nat import TABLE
from vpc_cni.netlink.nftables import NatTable
from vpc_cni.netlink.objects import Route
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.suspects import Suspects, differs, note_event
from vpc_cni.netlink.uapi import Scope
from vpc_cni.netlink.wire import Message, iter_answers

_log = logging.getLogger(__name__)

GATHER_SECONDS = 0.1
# When someone keeps undoing our repairs, the pace falls, but stays within a second.
_LONGEST_GATHER_SECONDS = 0.8
_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 60.0
_ANY_ERRNO = frozenset(range(1, 200))
_TABLE_NAME = TABLE.encode() + b"\0"
_IP_FORWARD = "net/ipv4/ip_forward"


class Repair(NamedTuple):
    """One thing that was put right: a kind for metrics (few values), and words for people."""

    kind: str
    what: str


class _Attempt(NamedTuple):
    kind: str
    request: Message


@dataclass(frozen=True, slots=True)
class DriftSources:
    """What the monitor listens to; both belong to it. ``nftables`` is None where no table is wanted."""

    route: EventSocket
    nftables: EventSocket | None = None


class DriftMonitor:
    """Keeps the kernel at ``desired``. Not thread safe: belongs to the agent's loop.

    Args:
        host: socket in the host's namespace; stays the caller's.
        nat: our nftables table, None where there is none.
        on_repair: told of each repair, for log and metric.
        on_link_gone: told of a wanted link that does not exist any more (a pod's or an ENI's); it is forgotten.
        proc_sys: where kernel parameters are; often read-only in a container, then links are set one by one.
    """

    def __init__(
        self,
        *,
        host: RouteSocket,
        desired: DesiredState,
        sources: DriftSources,
        nat: NatTable | None = None,
        on_repair: Callable[[Repair], None] = lambda _repair: None,
        on_link_gone: Callable[[int], None] = lambda _ifindex: None,
        proc_sys: Path = Path("/proc/sys"),
    ) -> None:
        self._host = host
        self._desired = desired
        self._sources = sources
        self._nat = nat
        self._on_repair = on_repair
        self._on_link_gone = on_link_gone
        self._proc_sys = proc_sys
        self._gather_seconds = GATHER_SECONDS
        self._retry_seconds = _RETRY_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None

    # -- on an event loop ---------------------------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Compare everything once, for what happened while nobody looked; then watch, on this loop."""
        self._loop = loop
        self._resync_or_retry()
        self._listen()

    def close(self) -> None:
        """Stop watching and close the event sockets."""
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        for source in self._event_sockets():
            if self._loop is not None:
                self._loop.remove_reader(source.fileno())
            source.close()
        self._loop = None

    def _event_sockets(self) -> list[EventSocket]:
        return [source for source in (self._sources.route, self._sources.nftables) if source is not None]

    def _listen(self) -> None:
        if self._loop is not None:
            for source in self._event_sockets():
                self._loop.add_reader(source.fileno(), self._gather)

    def _gather(self) -> None:
        """The first event came: look away for a moment, then take all at once."""
        if self._loop is None:
            return
        for source in self._event_sockets():
            self._loop.remove_reader(source.fileno())
        self._timer = self._loop.call_later(self._gather_seconds, self._turn)

    def _turn(self) -> None:
        try:
            self._adapt_pace(self.step())
        except VpcCniError:
            _log.exception("drift repair failed; everything is compared again soon")
            self._retry_later()
        finally:
            self._listen()

    def _adapt_pace(self, repairs: list[Repair]) -> None:
        doubled = min(self._gather_seconds * 2, _LONGEST_GATHER_SECONDS)
        self._gather_seconds = doubled if repairs else GATHER_SECONDS

    def _retry_later(self) -> None:
        if self._loop is None or self._retry is not None:
            return

        self._retry = self._loop.call_later(self._retry_seconds, self._resync_or_retry)
        self._retry_seconds = min(self._retry_seconds * 2, _LONGEST_RETRY_SECONDS)

    def _resync_or_retry(self) -> None:
        self._retry = None
        try:
            self.resync()
        except VpcCniError:
            _log.exception("comparing the kernel with what is wanted failed")
            self._retry_later()
        if self._retry is None:
            self._retry_seconds = _RETRY_SECONDS

    # -- what is done -------------------------------------------------------------------------------------------------

    def step(self) -> list[Repair]:
        """Take the events that are there and repair what they reveal; return the repairs.

        Raises:
            KernelError: the kernel could not be asked; a refused repair is logged and tried again instead.
        """
        datagrams, lost = self._sources.route.drain()
        suspects = Suspects()
        for datagram in datagrams:
            for event in iter_answers(datagram):
                note_event(suspects, self._desired, event)
        if lost:
            suspects = self._compare_all()
        repairs = self._repair(suspects) if suspects else []
        return [*repairs, *self._repair_nat()]

    def resync(self) -> list[Repair]:
        """Compare everything wanted with the kernel, repair it, and return the repairs; for start-up and losses."""
        repairs = self._repair(self._compare_all())
        if self._nat is not None and self._nat.repair():
            repairs.append(self._report("nftables", f"table {TABLE}"))
        return repairs

    def _repair_nat(self) -> list[Repair]:
        source = self._sources.nftables
        if source is None or self._nat is None:
            return []
        datagrams, lost = source.drain()
        touched = lost or any(_TABLE_NAME in datagram for datagram in datagrams)
        if touched and self._nat.repair():
            return [self._report("nftables", f"table {TABLE}")]
        return []

    def _report(self, kind: str, what: str) -> Repair:
        repair = Repair(kind, what)
        _log.warning("repaired %s: %s", kind, what)
        self._on_repair(repair)
        return repair

    def _repair(self, suspects: Suspects) -> list[Repair]:
        self._forget_links(suspects.links_gone)
        repairs = []
        if suspects.forwarding_off and self._switch_forwarding_on():
            repairs.append(self._report("sysctl", "ip_forward"))
        attempts = [*self._link_attempts(suspects), *self._object_attempts(suspects)]
        failures = self._host.execute([attempt.request for attempt in attempts])
        for position, attempt in enumerate(attempts):
            number = failures.get(position, 0)
            if number == 0:
                repairs.append(self._report(attempt.kind, attempt.request.label))
            elif number != errno.EEXIST:
                _log.warning("could not repair %s: %s", attempt.kind, errno.errorcode.get(number, number))
                self._retry_later()
        return repairs

    def _forget_links(self, ifindexes: Iterable[int]) -> None:
        for ifindex in ifindexes:
            self._desired.forget_link(ifindex)
            self._on_link_gone(ifindex)

    def _switch_forwarding_on(self) -> bool:
        with contextlib.suppress(OSError):
            path = self._proc_sys / _IP_FORWARD
            if path.read_text().strip() == "0":
                path.write_text("1\n")
                return True
        return False

    def _link_attempts(self, suspects: Suspects) -> list[_Attempt]:
        attempts = []
        down = self._host.links_by_index(list(suspects.links_down & self._desired.links_up))
        for ifindex, link in down.items():
            if not link.is_up:
                attempts.append(_attempt("link", messages.set_link(ifindex, up=True)))
            # The kernel drops them with the link's state, without a word.
            suspects.routes.update(route_key(route) for route in self._desired.routes_of(ifindex))
            suspects.neighbours.update((e.ifindex, e.address) for e in self._desired.neighbours_of(ifindex))
        present = {conf.ifindex: conf for conf in self._host.list_netconf()} if suspects.settings else {}
        for ifindex in suspects.settings:
            wanted, conf = self._desired.settings.get(ifindex), present.get(ifindex)
            if wanted and conf is not None and differs(self._desired, conf):
                attempts.append(_attempt("sysctl", messages.set_link(ifindex, inet_conf=wanted)))
        return attempts

    def _object_attempts(self, suspects: Suspects) -> list[_Attempt]:
        wanted = self._desired
        routes = [wanted.routes[key] for key in suspects.routes if key in wanted.routes]
        routes.sort(key=lambda route: route.scope != Scope.LINK)  # gateways before routes by way of them
        neighbours = [wanted.neighbours[key] for key in suspects.neighbours if key in wanted.neighbours]
        changed = [wanted.neighbours[key] for key in suspects.changed_neighbours if key in wanted.neighbours]
        return [
            *(_attempt("route", messages.replace_route(route)) for route in self._really_changed(suspects)),
            *(_attempt("route", messages.add_route(route)) for route in routes),
            *(_attempt("neighbour", messages.add_neighbour(entry)) for entry in neighbours),
            *(_attempt("neighbour", messages.replace_neighbour(entry)) for entry in changed),
            *(_attempt("rule", messages.add_rule(rule)) for rule in suspects.rules & wanted.rules),
        ]

    def _really_changed(self, suspects: Suspects) -> list[Route]:
        """Return wanted routes in whose place the kernel has another one now."""
        wanted = [self._desired.routes[key] for key in suspects.changed_routes if key in self._desired.routes]
        paths = {
            route.path for table in {route.table for route in wanted} for route in self._host.list_routes(table=table)
        }
        return [route for route in wanted if route.path not in paths]

    def _compare_all(self) -> Suspects:
        """Return every wanted object that dumps do not show as wanted."""
        wanted, suspects = self._desired, Suspects()
        links = {link.ifindex: link for link in self._host.list_links()}
        suspects.links_gone = {ifindex for ifindex in wanted.settings if ifindex not in links}
        suspects.links_down = {i for i in wanted.links_up if i in links and not links[i].is_up}
        routes = {route_key(route): route for route in self._host.list_routes()}
        for key, route in wanted.routes.items():
            if key not in routes:
                suspects.routes.add(key)
            elif routes[key].path != route.path:
                suspects.changed_routes.add(key)
        suspects.rules = wanted.rules.difference(self._host.list_rules())
        entries = {(entry.ifindex, entry.address): entry for entry in self._host.list_neighbours()}
        suspects.changed_neighbours = {k for k, entry in wanted.neighbours.items() if entries.get(k) != entry}
        present = self._host.list_netconf()
        suspects.settings = {conf.ifindex for conf in present if differs(wanted, conf)}
        return suspects


def _attempt(kind: str, request: Message) -> _Attempt:
    return _Attempt(kind, request._replace(tolerate=_ANY_ERRNO))
