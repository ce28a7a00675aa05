"""nftables text of the router and of its internet gateway. Pure.

The router's routes are the truth about who owns an address, so anti-spoofing asks them (``fib``) instead of keeping
sets of its own. One named counter for each ENI tells whose packets were dropped.
"""

from collections.abc import Iterable, Mapping

from vpc_cni.lab.fabric.model import EniPort, PortFault

ROUTER_TABLE = "lab_vpc"
GATEWAY_TABLE = "lab_gateway"
UPLINK = "inet0"
UNMAPPED_COUNTER = "unmapped"


def link_name(eni_id: str) -> str:
    """Return the router's name of an ENI's link: an id has 21 characters, a link name at most 15."""
    return f"e{eni_id.removeprefix('eni-')[-14:]}"


def counter_name(eni_id: str) -> str:
    """Return the name of the drop counter: an nftables name cannot hold a dash."""
    return "spoof_" + eni_id.replace("-", "_")


def router_rules() -> str:
    """Return the router's table: spoofed sources die before routing, unmapped ones before the internet.

    ``fe80::/10`` and ``::`` are neighbour discovery, which no route can vouch for.
    """
    return f"""
table inet {ROUTER_TABLE} {{
  counter {UNMAPPED_COUNTER} {{ }}
  map spoofed {{ type ifname : counter; }}
  set unchecked {{ type ifname; }}
  set mapped {{ type ipv4_addr; }}
  chain faults {{ }}
  chain spoof {{
    counter name iifname map @spoofed
    drop
  }}
  chain prerouting {{
    type filter hook prerouting priority raw; policy accept;
    jump faults
    iifname @unchecked accept
    iifname "lo" accept
    ip6 saddr {{ fe80::/10, :: }} accept
    fib saddr . iif oif 0 jump spoof
  }}
  chain faults_out {{ }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    jump faults_out
    oifname "{UPLINK}" ip saddr != @mapped counter name {UNMAPPED_COUNTER} drop
  }}
}}
"""


def add_port_rules(port: EniPort) -> str:
    """Return the commands that count and name a new port's spoofed packets."""
    counter = counter_name(port.eni_id)
    return (
        f"add counter inet {ROUTER_TABLE} {counter}\n"
        f'add element inet {ROUTER_TABLE} spoofed {{ "{link_name(port.eni_id)}" : "{counter}" }}\n'
    )


def remove_port_rules(port: EniPort) -> str:
    """Return the commands that forget a port."""
    counter = counter_name(port.eni_id)
    return (
        f'delete element inet {ROUTER_TABLE} spoofed {{ "{link_name(port.eni_id)}" }}\n'
        f"delete counter inet {ROUTER_TABLE} {counter}\n"
    )


def fault_rules(faults: Mapping[str, PortFault]) -> str:
    """Return one transaction that replaces all losses, by ENI id, in both directions."""
    lines = [f"flush chain inet {ROUTER_TABLE} faults", f"flush chain inet {ROUTER_TABLE} faults_out"]
    for eni_id, fault in sorted(faults.items()):
        if fault.loss_percent:
            # nft refuses to compare with a number that the dice cannot show.
            dice = "drop" if fault.loss_percent >= 100 else f"numgen random mod 100 < {fault.loss_percent} drop"
            lines.append(f'add rule inet {ROUTER_TABLE} faults iifname "{link_name(eni_id)}" {dice}')
            lines.append(f'add rule inet {ROUTER_TABLE} faults_out oifname "{link_name(eni_id)}" {dice}')
    return "\n".join(lines) + "\n"


def policy_rules(ports: Iterable[EniPort]) -> str:
    """Return one transaction that replaces two sets: who may reach the internet, and who may send any source."""
    listed = list(ports)
    mapped = sorted(str(port.primary_address) for port in listed if port.public_address is not None)
    unchecked = sorted(f'"{link_name(port.eni_id)}"' for port in listed if not port.source_dest_check)
    lines = [f"flush set inet {ROUTER_TABLE} mapped", f"flush set inet {ROUTER_TABLE} unchecked"]
    if mapped:
        lines.append(f"add element inet {ROUTER_TABLE} mapped {{ {', '.join(mapped)} }}")
    if unchecked:
        lines.append(f"add element inet {ROUTER_TABLE} unchecked {{ {', '.join(unchecked)} }}")
    return "\n".join(lines) + "\n"


def gateway_rules() -> str:
    """Return the internet gateway's table: 1:1 maps between public and private primary addresses."""
    return f"""
table ip {GATEWAY_TABLE} {{
  map private {{ type ipv4_addr : ipv4_addr; }}
  map public {{ type ipv4_addr : ipv4_addr; }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    iifname "{UPLINK}" dnat to ip daddr map @private
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{UPLINK}" snat to ip saddr map @public
  }}
}}
"""


def gateway_map_rules(ports: Iterable[EniPort]) -> str:
    """Return one transaction that replaces both maps."""
    pairs = sorted((str(port.primary_address), str(port.public_address)) for port in ports if port.public_address)
    lines = [f"flush map ip {GATEWAY_TABLE} {name}" for name in ("private", "public")]
    if pairs:
        private = ", ".join(f"{public} : {primary}" for primary, public in pairs)
        public = ", ".join(f"{primary} : {public}" for primary, public in pairs)
        lines.append(f"add element ip {GATEWAY_TABLE} private {{ {private} }}")
        lines.append(f"add element ip {GATEWAY_TABLE} public {{ {public} }}")
    return "\n".join(lines) + "\n"
