"""Names and transactions of the router's nftables."""

from dataclasses import replace
from ipaddress import IPv4Address

from vpc_cni.lab.fabric import EniPort, PortFault
from vpc_cni.lab.fabric.nft import parse_counters
from vpc_cni.lab.fabric.rules import counter_name, fault_rules, gateway_map_rules, link_name, policy_rules
from vpc_cni.lab.wiring import link_name as node_link_name

PORT = EniPort(
    eni_id="eni-0123456789abcdef0",
    node="i-1",
    ifname="ens5",
    mac="0a:00:00:00:00:01",
    primary_address=IPv4Address("10.0.0.4"),
    gateway=IPv4Address("10.0.0.1"),
    public_address=IPv4Address("198.18.0.1"),
)


def test_a_link_name_fits_the_kernel_and_keeps_the_end_of_the_id():
    assert link_name(PORT.eni_id) == "e3456789abcdef0"
    assert len(link_name(PORT.eni_id)) <= 15


def test_a_counter_name_has_no_dash():
    assert counter_name(PORT.eni_id) == "spoof_eni_0123456789abcdef0"


def test_only_mapped_addresses_may_leave():
    unmapped = replace(PORT, eni_id="eni-2", primary_address=IPv4Address("10.0.0.9"), public_address=None)
    text = policy_rules([PORT, unmapped])
    assert "mapped { 10.0.0.4 }" in text
    assert "10.0.0.9" not in text
    assert "10.0.0.4 : 198.18.0.1" in gateway_map_rules([PORT, unmapped])


def test_no_ports_leave_empty_sets():
    assert "add element" not in policy_rules([]) + gateway_map_rules([])


def test_an_eni_without_source_check_may_send_anything():
    assert f'unchecked {{ "{link_name(PORT.eni_id)}" }}' in policy_rules([replace(PORT, source_dest_check=False)])


def test_losses_work_in_both_directions_and_down_is_none_of_them():
    text = fault_rules({PORT.eni_id: PortFault(loss_percent=30), "eni-2": PortFault(down=True)})
    assert text.count("numgen random mod 100 < 30 drop") == 2
    assert "iifname" in text
    assert "oifname" in text


def test_counters_are_read_as_nft_prints_them():
    listing = """table inet lab_vpc {
	counter unmapped {
		packets 3 bytes 252
	}
	counter spoof_eni_1 {
		packets 0 bytes 0
	}
}"""
    assert parse_counters(listing) == {"unmapped": 3, "spoof_eni_1": 0}


def test_links_in_nodes_are_numbered_from_five_and_by_card():
    assert [node_link_name(0, 0), node_link_name(0, 1), node_link_name(1, 1)] == ["ens5", "ens6", "ens26"]
