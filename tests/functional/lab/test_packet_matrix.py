"""The fabric loses what AWS would lose: the reference's rules pass every row, and each missing one fails its own."""

import asyncio

import pytest

SAME_NODE = "pod to pod, same node"
OTHER_NODE = "pod to pod, other node"
INTERNET = "pod to internet (SNAT)"
NODE_PORT = "internet to node port"
SECONDARY, PRIMARY = "secondary ENI", "primary ENI"


def run(open_vpc, timeout_seconds=0.7, **omitted):
    async def main():
        async with open_vpc(**omitted) as vpc:
            report = await vpc.check(timeout_seconds)
            return report, await vpc.fabric.counters(), vpc.nodes

    return asyncio.run(main())


def failures(report):
    return {(row.row.title, row.row.note) for row in report.rows if not row.passed}


def test_the_references_rules_pass_every_row(open_vpc):
    report, counters, _ = run(open_vpc, timeout_seconds=3.0)
    assert failures(report) == set()
    assert report.passed
    assert len(report.rows) >= 40
    assert not any(counters.spoofed.values())
    assert counters.unmapped == 0
    assert report.seconds < 5


def test_without_the_source_rule_pods_reach_only_their_node(open_vpc):
    report, counters, nodes = run(open_vpc, rule_1536=True)
    lost = failures(report)
    assert (OTHER_NODE, f"{SECONDARY} to {SECONDARY}") in lost
    assert (OTHER_NODE, f"{PRIMARY} to {PRIMARY}") not in lost
    assert not any(title in (SAME_NODE, INTERNET) for title, _ in lost)
    assert counters.spoofed[nodes[0].ports[0].eni_id] > 0


def test_without_snat_the_internet_is_lost(open_vpc):
    report, counters, nodes = run(open_vpc, snat=True)
    assert {title for title, _ in failures(report)} == {INTERNET, "1500-byte packets to internet"}
    assert counters.spoofed[nodes[0].ports[0].eni_id] > 0
    assert counters.unmapped > 0


@pytest.mark.parametrize("omitted", ["outbound_mark", "rule_1024"])
def test_without_the_connection_mark_secondary_pods_lose_the_internet(open_vpc, omitted):
    report, counters, nodes = run(open_vpc, **{omitted: True})
    lost = failures(report)
    assert (INTERNET, SECONDARY) in lost
    assert (INTERNET, PRIMARY) not in lost
    assert counters.spoofed[nodes[0].ports[1].eni_id] > 0


def test_without_the_node_port_mark_replies_of_secondary_pods_are_lost(open_vpc):
    report, counters, nodes = run(open_vpc, node_port_mark=True)
    lost = failures(report)
    assert (NODE_PORT, SECONDARY) in lost
    assert (NODE_PORT, PRIMARY) not in lost
    assert not any(title == INTERNET for title, _ in lost)
    assert counters.spoofed[nodes[0].ports[1].eni_id] > 0


def test_without_the_destination_rule_only_secondary_pods_of_one_node_are_lost(open_vpc):
    report, _, _ = run(open_vpc, rule_512=True)
    lost = failures(report)
    assert {title for title, _ in lost} == {SAME_NODE}
    assert all(note.startswith(SECONDARY) or note.endswith(SECONDARY) for _, note in lost)


def test_with_strict_reverse_path_filter_node_ports_die(open_vpc):
    report, _, _ = run(open_vpc, loose_rp_filter=True)
    assert (NODE_PORT, SECONDARY) in failures(report)


def test_with_an_empty_eni_table_secondary_pods_are_cut_off(open_vpc):
    report, _, _ = run(open_vpc, eni_table=True)
    assert (OTHER_NODE, f"{SECONDARY} to {SECONDARY}") in failures(report)
