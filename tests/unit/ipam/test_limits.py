"""The table of instance types."""

import pytest

from vpc_cni.errors import ConfigurationError
from vpc_cni.ipam import find_limits, iter_limits


@pytest.mark.parametrize(
    ("instance_type", "enis", "per_eni", "pod_addresses"),
    [
        ("m5.large", 3, 10, 27),
        ("t3.micro", 2, 2, 2),
        ("m5.24xlarge", 15, 50, 735),
        ("p4d.24xlarge", 15, 50, 735),
        ("p5.48xlarge", 2, 50, 98),
        ("lab.max", 15, 100, 1485),
    ],
)
def test_limits_of_type(instance_type: str, enis: int, per_eni: int, pod_addresses: int) -> None:
    limits = find_limits(instance_type)
    assert (limits.max_enis, limits.ipv4_per_eni, limits.pod_addresses) == (enis, per_eni, pod_addresses)


def test_several_cards_are_counted_apart() -> None:
    limits = find_limits("p4d.24xlarge")
    assert (limits.total_enis, limits.max_enis, len(limits.network_cards)) == (60, 15, 4)


def test_name_must_match_whole() -> None:
    with pytest.raises(ConfigurationError, match=r"instance type 'm5\.larg'"):
        find_limits("m5.larg")


def test_every_row_is_sound() -> None:
    every = list(iter_limits(lab_types=True))
    assert len(every) == 1396
    assert len({limits.instance_type for limits in every}) == len(every)
    for limits in every:
        assert 1 <= limits.max_enis <= limits.total_enis
        assert limits.ipv4_per_eni >= 2
        assert sum(card.max_enis for card in limits.network_cards) >= limits.total_enis
        assert limits.hypervisor in ("nitro", "xen", "none")
        assert (limits.hypervisor == "none") == limits.bare_metal


def test_lab_types_are_told_apart() -> None:
    real = {limits.instance_type for limits in iter_limits()}
    assert {limits.instance_type for limits in iter_limits(lab_types=True)} - real == {"lab.max"}
