"""Single properties of the fabric: what dies, what is counted, what comes late, what a fault does."""

import asyncio
import errno
import time
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from vpc_cni.lab.check import Endpoint, Expectation, Protocol
from vpc_cni.lab.check.probes import Flow, run_probe
from vpc_cni.lab.fabric import METADATA_ADDRESS, FabricOptions, PortFault
from vpc_cni.netlink import messages

# An answer comes at once, or on a busy machine later; silence is believed sooner.
ANSWER_SECONDS = 3.0
SILENCE_SECONDS = 0.3


async def ping(vpc, source, address, size_bytes=64, timeout_seconds=ANSWER_SECONDS):
    """Ping from the address of a node's or pod's name; True when answered."""
    here = next(each.endpoint for each in (*vpc.view().nodes, *vpc.view().pods) if each.endpoint.name == source)
    there = Endpoint("target", source, address)
    row = Expectation("ping", here, there, (Protocol.PING,), here.address, address, size_bytes)
    return await run_probe(Flow(row, Protocol.PING), vpc.open_socket, timeout_seconds)


def run(test):
    return asyncio.run(test())


def test_an_unassigned_address_of_the_vpc_is_nobody(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            assert not (await ping(vpc, "node-1", IPv4Address("10.0.1.200"), timeout_seconds=SILENCE_SECONDS)).passed
            assert not (await ping(vpc, "node-1", IPv4Address("10.0.77.1"), timeout_seconds=SILENCE_SECONDS)).passed

    run(test)


def test_the_gateway_and_metadata_address_answer_every_node(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            for address in (IPv4Address("10.0.1.1"), METADATA_ADDRESS):
                assert (await ping(vpc, "node-1", address)).passed

    run(test)


def test_an_address_is_reachable_from_its_assignment_until_it_is_taken_back(open_vpc):
    address = IPv4Address("10.0.1.99")

    async def test():
        async with open_vpc() as vpc:
            node = vpc.nodes[0]
            vpc.add_pod(node, address, 0)
            assert not (await ping(vpc, "node-2", address, timeout_seconds=SILENCE_SECONDS)).passed
            port = node.ports[0]
            more = replace(port, routed=port.routed | {IPv4Network((address, 32))})
            vpc.fabric.put_port(more)
            await vpc.fabric.wait_for(lambda ports: ports[port.eni_id] == more)
            assert (await ping(vpc, "node-2", address)).passed
            vpc.fabric.put_port(port)
            await vpc.fabric.wait_for(lambda ports: ports[port.eni_id] == port)
            assert not (await ping(vpc, "node-2", address, timeout_seconds=SILENCE_SECONDS)).passed
            assert (await vpc.fabric.counters()).spoofed[port.eni_id] == 0

    run(test)


def test_a_prefix_is_routed_whole(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            node = vpc.nodes[0]
            port = replace(node.ports[0], routed=node.ports[0].routed | {IPv4Network("10.0.1.192/28")})
            vpc.fabric.put_port(port)
            await vpc.fabric.wait_for(lambda ports: ports[port.eni_id] == port)
            for address in (IPv4Address("10.0.1.192"), IPv4Address("10.0.1.207")):
                vpc.add_pod(node, address, 0)
                assert (await ping(vpc, "node-2", address)).passed

    run(test)


def test_a_spoofed_source_is_dropped_and_counted_at_its_eni(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            node = vpc.nodes[0]
            vpc.add_pod(node, IPv4Address("10.0.1.200"), 0)
            assert not (
                await ping(vpc, "pod-10.0.1.200", IPv4Address("10.0.2.10"), timeout_seconds=SILENCE_SECONDS)
            ).passed
            counters = await vpc.fabric.counters()
            assert counters.spoofed[node.ports[0].eni_id] > 0
            assert counters.spoofed[node.ports[1].eni_id] == 0

    run(test)


def test_an_eni_without_source_check_may_send_foreign_addresses(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            port = replace(vpc.nodes[0].ports[0], source_dest_check=False)
            vpc.fabric.put_port(port)
            await vpc.fabric.wait_for(lambda ports: ports[port.eni_id] == port)
            vpc.add_pod(vpc.nodes[0], IPv4Address("10.0.1.200"), 0)
            await ping(vpc, "pod-10.0.1.200", IPv4Address("10.0.2.10"), timeout_seconds=SILENCE_SECONDS)
            assert (await vpc.fabric.counters()).spoofed[port.eni_id] == 0

    run(test)


def test_packets_above_the_vpcs_mtu_are_refused_and_its_own_size_passes(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            assert (await ping(vpc, "node-1", IPv4Address("10.0.2.10"), 9001)).passed
            too_large = await ping(vpc, "node-1", IPv4Address("10.0.2.10"), 9002)
            assert errno.errorcode[errno.EMSGSIZE] in too_large.detail

    run(test)


def test_the_internet_takes_1500_bytes_and_says_so(open_vpc):
    internet = IPv4Address("198.51.100.1")

    async def test():
        async with open_vpc() as vpc:
            assert (await ping(vpc, "node-1", internet, 1500)).passed
            # The first large packet is answered with "fragmentation needed", from then on the sender knows.
            assert errno.errorcode[errno.EMSGSIZE] in (await ping(vpc, "node-1", internet, 1501)).detail

    run(test)


def test_an_address_without_public_mapping_does_not_reach_the_internet(open_vpc):
    async def test():
        async with open_vpc(snat=True) as vpc:
            assert not (
                await ping(vpc, "pod-10.0.1.11", IPv4Address("198.51.100.1"), timeout_seconds=SILENCE_SECONDS)
            ).passed
            assert (await vpc.fabric.counters()).unmapped > 0

    run(test)


def test_a_hot_plugged_link_appears_down_with_its_mac_and_mtu(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            port = replace(
                vpc.nodes[0].ports[1],
                eni_id="eni-0bbbbbbbbbbbbbbb3",
                ifname="ens7",
                mac="0a:00:00:00:01:07",
                primary_address=IPv4Address("10.0.1.210"),
                routed=frozenset(),
            )
            vpc.fabric.put_port(port)
            await vpc.fabric.wait_for(lambda ports: port.eni_id in ports)
            with vpc.nodes[0].netns.route_socket() as route:
                link = route.find_link(name="ens7")
                assert link is not None
                assert (link.mac, link.mtu_bytes, link.is_up) == (port.mac, 9001, False)
                vpc.fabric.drop_port(port.eni_id)
                await vpc.fabric.wait_for(lambda ports: port.eni_id not in ports)
                assert route.find_link(name="ens7") is None

    run(test)


def test_delays_of_link_and_packets_are_kept(open_vpc):
    link_delay, packet_delay = 0.15, 0.2

    async def test():
        async with open_vpc(
            options=FabricOptions(link_delay_seconds=link_delay, packet_delay_seconds=packet_delay)
        ) as vpc:
            eni_id = vpc.nodes[1].ports[0].eni_id
            vpc.fabric.drop_port(eni_id)
            await vpc.fabric.wait_for(lambda ports: eni_id not in ports)
            started = time.monotonic()
            vpc.fabric.put_port(vpc.nodes[1].ports[0])
            await vpc.fabric.wait_for(lambda ports: eni_id in ports)
            assert time.monotonic() - started >= link_delay
            assert not vpc.fabric.ports[eni_id].forwarding
            await vpc.fabric.wait_for(lambda ports: ports[eni_id].forwarding)
            assert time.monotonic() - started >= link_delay + packet_delay

    run(test)


def test_a_link_that_is_down_has_no_carrier_and_works_again_after_the_fault(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            port = vpc.nodes[0].ports[0]
            await vpc.fabric.set_fault(port.eni_id, PortFault(down=True))
            with vpc.nodes[0].netns.route_socket() as route:
                link = route.find_link(name=port.ifname)
                assert link is not None
                assert not link.has_carrier
            assert not (await ping(vpc, "node-2", port.primary_address, timeout_seconds=SILENCE_SECONDS)).passed
            await vpc.fabric.set_fault(port.eni_id, None)
            assert (await ping(vpc, "node-2", port.primary_address)).passed
            assert (await ping(vpc, "node-2", IPv4Address("10.0.1.11"))).passed

    run(test)


def test_a_lossy_link_loses_its_share(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            port = vpc.nodes[0].ports[0]
            await vpc.fabric.set_fault(port.eni_id, PortFault(loss_percent=50))
            answered = [
                (await ping(vpc, "node-2", port.primary_address, timeout_seconds=0.02)).passed for _ in range(60)
            ]
            # Each round trip crosses the link twice: a quarter comes back. Both bounds are six deviations away.
            assert 0 < sum(answered) < 36
            await vpc.fabric.set_fault(port.eni_id, PortFault(loss_percent=100))
            assert not (await ping(vpc, "node-2", port.primary_address, timeout_seconds=SILENCE_SECONDS)).passed
            await vpc.fabric.set_fault(port.eni_id, None)
            assert (await ping(vpc, "node-2", port.primary_address)).passed

    run(test)


def test_a_gratuitous_claim_of_anothers_mac_has_no_effect(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            port = vpc.nodes[0].ports[0]
            with vpc.nodes[0].netns.route_socket() as route:
                link = route.find_link(name=port.ifname)
                assert link is not None
                route.execute([messages.set_link(link.ifindex, mac="0a:ff:ff:ff:ff:ff")])
                assert not (await ping(vpc, "node-2", port.primary_address, timeout_seconds=SILENCE_SECONDS)).passed
                route.execute([messages.set_link(link.ifindex, mac=port.mac)])
            assert (await ping(vpc, "node-2", port.primary_address)).passed

    run(test)


def test_a_deleted_node_takes_its_links_along_without_harm(open_vpc):
    async def test():
        async with open_vpc() as vpc:
            node = vpc.nodes[1]
            for port in node.ports:
                vpc.fabric.drop_port(port.eni_id)
            await vpc.fabric.wait_for(lambda ports: not any(port.eni_id in ports for port in node.ports))
            for port in node.ports:
                vpc.fabric.put_port(port)
            await vpc.fabric.wait_for(lambda ports: all(port.eni_id in ports for port in node.ports))

    run(test)
