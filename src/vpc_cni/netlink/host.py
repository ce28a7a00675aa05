"""The node's own network: links and tables of ENIs, and the rules that are not about one pod.

Everything here may be repeated, and keeps ``DesiredState`` in step for drift repair. Addresses of pods are never
configured on an ENI's link.
"""

import errno
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv4Network

from vpc_cni.model import MAIN_TABLE, Eni
from vpc_cni.netlink import messages, uapi
from vpc_cni.netlink.desired import DesiredState
from vpc_cni.netlink.objects import ANY_IPV4, Address, Link, Route, Rule
from vpc_cni.netlink.route_socket import RouteSocket
from vpc_cni.netlink.uapi import InetConf, RouteProtocol, Scope
from vpc_cni.netlink.wire import Message

MARK_PRIORITY = 1024
EXTERNAL_SERVICE_PRIORITY = 1535

# Loose on the primary ENI: replies to node ports come in by it while the route back to a pod's client may name a
# secondary ENI; strict filtering would drop every such packet. Source: amazon-vpc-cni-k8s docs/cni-proposal.md.
PRIMARY_SETTINGS = {InetConf.RP_FILTER: 2, InetConf.FORWARDING: 1}
SECONDARY_SETTINGS = {InetConf.FORWARDING: 1}


def mark_rule(mark: int) -> Rule:
    """Return the rule that sends marked packets out by the primary ENI."""
    return Rule(MARK_PRIORITY, fwmark=mark, fwmask=mark)


def external_service_rules(cidrs: Iterable[IPv4Network]) -> frozenset[Rule]:
    """Return the rules by which every pod reaches given networks through the main table."""
    return frozenset(Rule(EXTERNAL_SERVICE_PRIORITY, destination=cidr) for cidr in cidrs)


def eni_routes(eni: Eni, ifindex: int) -> tuple[Route, ...]:
    """Return the table of a secondary ENI: its gateway, and everything else by way of it. In order of dependence."""
    gateway = Route(IPv4Network(eni.gateway), eni.route_table, ifindex, scope=Scope.LINK)
    return gateway, Route(ANY_IPV4, eni.route_table, ifindex, eni.gateway)


def eni_interface(eni: Eni) -> IPv4Interface:
    """Return the primary address of an ENI with the mask of its subnet."""
    return IPv4Interface(f"{eni.primary_address}/{eni.subnet_cidr.prefixlen}")


class NodePlane:
    """Sets up the node. Not thread safe: belongs to the agent's loop.

    Args:
        host: socket in the host's namespace; stays the caller's.
    """

    def __init__(self, host: RouteSocket, desired: DesiredState) -> None:
        self._host = host
        self._desired = desired

    def set_up_primary(self, link: Link, mtu_bytes: int) -> None:
        """Give the primary ENI its MTU and settings; addresses and routes stay the operating system's.

        Raises:
            KernelError: EINVAL for an MTU that the driver refuses.
        """
        self._host.execute([messages.set_link(link.ifindex, mtu_bytes=mtu_bytes, inet_conf=PRIMARY_SETTINGS)])
        self._desired.set_link(link.ifindex, PRIMARY_SETTINGS, up=False)

    def ensure_mark_rule(self, mark: int, *, wanted: bool) -> None:
        """Have exactly one rule at priority 1024 for our mark, or none."""
        rule = mark_rule(mark)
        self._replace_rules(MARK_PRIORITY, frozenset((rule,)) if wanted else frozenset())

    def ensure_external_services(self, cidrs: Iterable[IPv4Network]) -> None:
        """Have exactly the rules for these networks at priority 1535."""
        self._replace_rules(EXTERNAL_SERVICE_PRIORITY, external_service_rules(cidrs))

    def _replace_rules(self, priority: int, wanted: frozenset[Rule]) -> None:
        self._desired.rules -= {rule for rule in self._desired.rules if rule.priority == priority}
        present = [rule for rule in self._host.list_rules() if rule.priority == priority]
        self._host.execute(plan_rules(present, wanted))
        self._desired.rules |= wanted

    def set_up_eni(self, eni: Eni, link: Link, mtu_bytes: int) -> None:
        """Configure the link and the routing table of a secondary ENI. A repeated call interrupts no traffic.

        Raises:
            KernelError: naming the step that the kernel refused.
            ValueError: the ENI is the primary one.
        """
        if eni.is_primary:
            raise ValueError(f"{eni.eni_id} is the primary ENI: its routes are the operating system's")
        ifindex, wanted = link.ifindex, eni_interface(eni)
        present = [a for a in self._host.list_addresses() if a.ifindex == ifindex]
        routes = eni_routes(eni, ifindex)
        self._host.execute(
            [
                messages.set_link(ifindex, up=True, mtu_bytes=mtu_bytes, inet_conf=SECONDARY_SETTINGS),
                *plan_addresses(present, ifindex, wanted),
                *(messages.replace_route(route) for route in routes),
            ]
        )
        self._remove_connected_route(eni, ifindex)
        self._desired.set_link(ifindex, SECONDARY_SETTINGS)
        self._desired.add_routes(routes)

    def _remove_connected_route(self, eni: Eni, ifindex: int) -> None:
        """Remove the subnet's route by this link from the main table: neighbours there are reached by the primary.

        Ours is never made (IFA_F_NOPREFIXROUTE); the operating system or a former agent may have left one.
        """
        connected = Route(
            eni.subnet_cidr, oif=ifindex, scope=Scope.LINK, protocol=RouteProtocol.UNSPEC, kind=uapi.RouteKind.UNSPEC
        )
        self._host.execute([messages.delete_route(connected).tolerating(errno.ESRCH)])

    def tear_down_eni(self, eni: Eni, ifindex: int = 0) -> None:
        """Remove an ENI's table before or after its link goes. Succeeds when it is gone."""
        if ifindex:
            self._desired.forget_link(ifindex)
        routes = self._host.list_routes(table=eni.route_table) if eni.route_table != MAIN_TABLE else []
        self._desired.remove_routes(routes)
        gone = (errno.ESRCH, errno.ENODEV)
        self._host.execute([messages.delete_route(route).tolerating(*gone) for route in reversed(routes)])


def plan_rules(present: Sequence[Rule], wanted: frozenset[Rule]) -> list[Message]:
    """Return the requests that turn ``present`` (copies count) into one of each wanted rule. Pure.

    Additions first: in between, a packet sees both the old and the new rules, never neither.
    """
    missing = wanted.difference(present)
    surplus = list(present)
    for rule in wanted.intersection(present):
        surplus.remove(rule)
    return [
        *(messages.add_rule(rule).tolerating(errno.EEXIST) for rule in sorted(missing, key=str)),
        *(messages.delete_rule(rule).tolerating(errno.ENOENT) for rule in surplus),
    ]


def plan_addresses(present: Sequence[Address], ifindex: int, wanted: IPv4Interface) -> list[Message]:
    """Return the requests that leave ``wanted`` as the only global address of a link. Pure."""
    surplus = [a.interface for a in present if a.scope == Scope.UNIVERSE and a.interface != wanted]
    requests = [messages.delete_address(ifindex, interface).tolerating(errno.EADDRNOTAVAIL) for interface in surplus]
    if surplus or wanted not in [a.interface for a in present]:  # the kernel may drop it together with a surplus one
        requests.append(messages.add_address(ifindex, wanted, flags=uapi.IFA_F_NOPREFIXROUTE).tolerating(errno.EEXIST))
    return requests
