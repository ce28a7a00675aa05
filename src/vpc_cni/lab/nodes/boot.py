"""What an instance does before the agent runs: the operating system's defaults, DHCP, and the add-on's init step.

An instance starts with strict reverse path filtering and without forwarding, so that a missing init step shows.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface

from vpc_cni.lab.fabric import configure_host
from vpc_cni.netlink.netns import Netns

# Each is set, since a new namespace inherits IPv4 settings from the initial one. The files for one link are there
# only when the link is: "default" serves those to come.
INSTANCE_SYSCTLS: Mapping[str, int] = {
    "net/ipv4/ip_forward": 0,
    "net/ipv4/conf/all/rp_filter": 1,
    "net/ipv4/conf/default/rp_filter": 1,
    "net/ipv4/conf/all/proxy_arp": 0,
    "net/ipv4/conf/default/proxy_arp": 0,
    "net/ipv4/conf/all/send_redirects": 1,
    "net/ipv4/conf/default/send_redirects": 1,
}


def apply_instance_defaults(netns: Netns) -> None:
    """Set what a freshly started instance has, whatever this machine has."""
    netns.write_sysctls(INSTANCE_SYSCTLS)


def run_dhcp(netns: Netns, primary_link: str, address: IPv4Interface, gateway: IPv4Address) -> None:
    """Configure the primary link as the operating system does. Secondary links are left to the agent."""
    configure_host(netns, primary_link, address, gateway)


def allow_forwarding(netns: Netns) -> None:
    """Set what an image for Kubernetes nodes sets: without it no node forwards for its pods."""
    netns.write_sysctls({"net/ipv4/ip_forward": 1})


def run_init_step(netns: Netns, primary_link: str, *, disable_tcp_early_demux: bool = False) -> None:
    """Do what the add-on's init container does on a node, and what a kubelet needs anyway (forwarding).

    Loose reverse path filtering on the primary link: the answer to a node-port connection enters there although
    the rules would send it out by the pod's ENI. Source: amazon-vpc-cni-k8s, README, "DISABLE_TCP_EARLY_DEMUX".
    """
    netns.write_sysctls(
        {
            f"net/ipv4/conf/{primary_link}/rp_filter": 2,
            "net/ipv4/tcp_early_demux": 0 if disable_tcp_early_demux else 1,
            "net/ipv4/ip_forward": 1,
        }
    )
