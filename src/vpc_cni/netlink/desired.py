"""What this package wants the kernel to hold: plain data that drift repair compares events with.

Every change is O(1): an ADD adds its few objects, a DEL removes them. Belongs to the agent's loop; no locks. Whoever
changes the kernel changes this first when removing and last when adding, so that the events of our own changes
never look like drift.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vpc_cni.netlink.objects import IPAddress, IPNetwork, Neighbour, Route, Rule
from vpc_cni.netlink.uapi import InetConf

RouteKey = tuple[int, IPNetwork, int]
NeighbourKey = tuple[int, IPAddress]


def route_key(route: Route) -> RouteKey:
    """Return what the kernel knows a route by: table, destination, metric."""
    return route.table, route.destination, route.metric


class DesiredState:
    """Routes, rules, neighbours, IPv4 settings of links, and links that shall be up.

    What belongs to a link goes with it: ``forget_link`` drops its routes, neighbours and settings at once.
    """

    def __init__(self) -> None:
        self.routes: dict[RouteKey, Route] = {}
        self.rules: set[Rule] = set()
        self.neighbours: dict[NeighbourKey, Neighbour] = {}
        self.settings: dict[int, Mapping[InetConf, int]] = {}
        self.links_up: set[int] = set()
        self._rules_by_pod: dict[IPAddress, frozenset[Rule]] = {}
        self._routes_by_link: defaultdict[int, set[RouteKey]] = defaultdict(set)
        self._neighbours_by_link: defaultdict[int, set[NeighbourKey]] = defaultdict(set)

    def add_routes(self, routes: Iterable[Route]) -> None:
        """Want routes; one with the same table, destination and metric replaces the former."""
        for route in routes:
            key = route_key(route)
            former = self.routes.get(key)
            if former is not None:
                self._routes_by_link[former.oif].discard(key)
            self.routes[key] = route
            self._routes_by_link[route.oif].add(key)

    def remove_routes(self, routes: Iterable[Route]) -> None:
        for route in routes:
            key = route_key(route)
            former = self.routes.pop(key, None)
            if former is not None:
                self._routes_by_link[former.oif].discard(key)

    def add_pod(self, address: IPAddress, rules: Iterable[Rule]) -> None:
        """Want the rules of a pod, instead of those it had."""
        former = self._rules_by_pod.get(address, frozenset())
        self._rules_by_pod[address] = wanted = frozenset(rules)
        self.rules -= former - wanted
        self.rules |= wanted

    def remove_pod(self, address: IPAddress) -> None:
        """Want no rule of a pod any more."""
        self.rules -= self._rules_by_pod.pop(address, frozenset())

    def add_neighbour(self, entry: Neighbour) -> None:
        key = entry.ifindex, entry.address
        self.neighbours[key] = entry
        self._neighbours_by_link[entry.ifindex].add(key)

    def set_link(self, ifindex: int, settings: Mapping[InetConf, int], *, up: bool = True) -> None:
        """Want IPv4 settings of a link, and the link up unless that is someone else's business."""
        self.settings[ifindex] = settings
        if up:
            self.links_up.add(ifindex)

    def forget_link(self, ifindex: int) -> None:
        """Want nothing of a link any more."""
        self.links_up.discard(ifindex)
        self.settings.pop(ifindex, None)
        for route_of_link in self._routes_by_link.pop(ifindex, ()):
            self.routes.pop(route_of_link, None)
        for neighbour_of_link in self._neighbours_by_link.pop(ifindex, ()):
            self.neighbours.pop(neighbour_of_link, None)

    def routes_of(self, ifindex: int) -> list[Route]:
        return [self.routes[key] for key in self._routes_by_link.get(ifindex, ())]

    def neighbours_of(self, ifindex: int) -> list[Neighbour]:
        return [self.neighbours[key] for key in self._neighbours_by_link.get(ifindex, ())]
