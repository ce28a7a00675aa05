"""Pods through our plugin and agent in the lab, by its public interface only."""

import time

import pytest

from vpc_cni.errors import HostError


def test_every_row_of_the_check_passes(vpc):
    report = vpc.check()
    assert report.failures() == []
    assert report.passed
    assert report.seconds < 5
    assert {pod.name for pod in vpc.pods} == set()


def test_more_pods_than_one_eni_holds_are_spread_over_several(vpc, node, pod):
    pods = [pod(node.name) for _ in range(7)]
    assert len({each.address for each in pods}) == 7
    assert len({each.device_number for each in pods}) > 1
    known = {address for eni in vpc.node(node.name).enis for address in eni.addresses}
    assert {each.address for each in pods} <= known


def test_a_pod_reaches_a_pod_on_another_node(vpc, pod):
    here, there = pod("node-1"), pod("node-2")
    assert vpc.run(here.name, ["ping", "-c1", "-W2", there.address]).returncode == 0


def test_an_address_is_not_given_again_while_it_cools(vpc, node, pod):
    first = pod(node.name)
    vpc.delete_pod(first.name)
    assert first.address not in {pod(node.name).address for _ in range(3)}


def test_pods_survive_the_death_of_their_agent(vpc, node, pod):
    before = pod(node.name)
    old_pid = vpc.node(node.name).agent_pid
    vpc.kill_agent(node.name)
    assert vpc.run("node-2", ["ping", "-c1", "-W2", before.address]).returncode == 0
    wait_until(lambda: vpc.node(node.name).agent_pid not in (None, old_pid))
    after = add_patiently(pod, node.name)
    assert after.address != before.address
    assert vpc.run(after.name, ["ping", "-c1", "-W2", before.address]).returncode == 0


def test_an_agent_that_is_restarted_keeps_its_pods(vpc, node, pod):
    before = pod(node.name)
    old_pid = vpc.node(node.name).agent_pid
    assert vpc.restart_agent(node.name) != old_pid
    after = pod(node.name)
    assert vpc.run(after.name, ["ping", "-c1", "-W2", before.address]).returncode == 0


def test_the_plugins_check_follows_the_truth(vpc, node, pod):
    checked = pod(node.name)
    assert vpc.check_pod(checked.name)
    assert vpc.run(checked.name, ["ip", "link", "set", checked.ifname, "down"]).returncode == 0
    with pytest.raises(HostError, match="CHECK failed"):
        vpc.check_pod(checked.name)


def test_no_packet_of_a_healthy_node_is_spoofed(vpc):
    spoofed = {eni.eni_id: eni.spoofed_packets for node in vpc.nodes for eni in node.enis}
    assert not any(spoofed.values()), spoofed


def add_patiently(pod, node_name, seconds=10.0):
    """Add a pod as a kubelet would: again while the plugin says that it is not available now."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return pod(node_name)
        except Exception:
            if time.monotonic() > deadline:
                raise


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
