"""The hop limit of metadata is the IP TTL of the token's answer, and of nothing else; seen on the wire of loopback."""

import http.client
import socket
import struct
from ipaddress import IPv4Network

import pytest

from vpc_cni.lab.cloud import Cloud, instances, networks
from vpc_cni.lab.cloud.records import MetadataOptions
from vpc_cni.lab.cloud.running import RunningCloud

ETH_P_IP = 0x0800
ETHERNET_BYTES = 14
TTL = "X-aws-ec2-metadata-token-ttl-seconds"


@pytest.fixture
def running() -> RunningCloud:
    cloud = Cloud(seed=1)
    vpc = networks.create_vpc(cloud, IPv4Network("10.0.0.0/16"))
    subnet = networks.create_subnet(cloud, vpc.vpc_id, IPv4Network("10.0.0.0/24"))
    request = instances.simple_request(subnet.subnet_id, "m5.large", metadata_options=MetadataOptions(hop_limit=7))
    instance = instances.run(cloud, request)
    running = RunningCloud(cloud)
    running.metadata_of = instance.instance_id
    return running


def answers_on_wire(wire: socket.socket, port: int) -> list[tuple[int, bytes]]:
    """Return TTL and payload of the segments with data that came from ``port`` so far."""
    found = []
    while True:
        try:
            frame, place = wire.recvfrom(65535)
        except BlockingIOError:
            return found
        # Loopback shows each packet twice: when it leaves and when it arrives.
        if place[2] == socket.PACKET_OUTGOING:
            continue
        packet = frame[ETHERNET_BYTES:]
        header = (packet[0] & 0x0F) * 4
        if packet[9] != socket.IPPROTO_TCP or struct.unpack_from("!H", packet, header)[0] != port:
            continue
        payload = packet[header + (packet[header + 12] >> 4) * 4 :]
        if payload:
            found.append((packet[8], payload))


def test_only_the_answer_to_a_token_request_has_the_hop_limit(running: RunningCloud) -> None:
    with (
        running,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)) as wire,
    ):
        wire.bind(("lo", ETH_P_IP))
        wire.setblocking(False)
        port = int(running.metadata_url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("PUT", "/latest/api/token", headers={TTL: "60"})
        token = connection.getresponse().read().decode()
        connection.request("GET", "/latest/meta-data/mac", headers={"X-aws-ec2-metadata-token": token})
        mac = connection.getresponse().read()
        connection.close()
        seen = answers_on_wire(wire, port)
    by_answer = {"token": set(), "mac": set()}
    for hops, payload in seen:
        by_answer["mac" if mac in payload else "token"].add(hops)
    assert by_answer["token"] >= {7}
    assert by_answer["mac"] == {64}
