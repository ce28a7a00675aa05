"""Hypothesis strategies and small builders that the ipam properties share."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import strategies as st

from vpc_cni.ipam import (
    AddAbandoned,
    AddCommitted,
    AddIntent,
    CheckpointWritten,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    InstanceLimits,
    LinkGone,
    NetworkCard,
    Quarantined,
    QuarantineReason,
    Record,
    Released,
    Resolved,
    Targets,
)
from vpc_cni.model import Allocation, Cooling, Eni, PodIdentity, SandboxKey

CIDR = IPv4Network("10.0.0.0/16")
BOOT_ID = "6f1ed002-ab5a-4b0f-9e8e-0123456789ab"

_letters = st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cs"])
names = st.text(_letters, min_size=1, max_size=12)
addresses = st.integers(min_value=10, max_value=25).map(lambda last: CIDR.network_address + last)
any_address = st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address)
keys = st.builds(SandboxKey, st.just("net"), st.sampled_from([f"c{i}" for i in range(6)]), st.just("eth0"))
any_key = st.builds(SandboxKey, names, names, names)
pods = st.builds(PodIdentity, names, names, names)
moments = st.floats(min_value=0, max_value=1e6, allow_nan=False)
eni_ids = st.sampled_from(["eni-a", "eni-b", "eni-c"])


def make_eni(number: int, secondary: tuple[IPv4Address, ...] = (), eni_id: str = "") -> Eni:
    """An ENI on device ``number``; number 0 is the primary."""
    return Eni(
        eni_id=eni_id or f"eni-{number}",
        mac=f"02:00:00:00:00:{number:02x}",
        device_number=number,
        subnet_id="subnet-0",
        subnet_cidr=CIDR,
        primary_address=CIDR.network_address + 60000 + number,
        addresses=secondary,
    )


def make_limits(enis: int, per_eni: int) -> InstanceLimits:
    return InstanceLimits(
        instance_type="test.type",
        total_enis=enis,
        ipv4_per_eni=per_eni,
        ipv6_per_eni=0,
        ipv6_supported=False,
        default_network_card=0,
        network_cards=(NetworkCard(0, enis),),
        hypervisor="nitro",
        bare_metal=False,
        efa=False,
        architectures=("x86_64",),
        vcpus=2,
        memory_mib=4096,
    )


limits = st.builds(make_limits, st.integers(1, 5), st.integers(2, 12))
targets = st.builds(
    Targets,
    warm_eni=st.integers(0, 3),
    warm_ip=st.integers(0, 12),
    minimum_ip=st.integers(0, 20),
    max_eni=st.integers(-1, 6),
    max_pods=st.one_of(st.just(0), st.integers(1, 40)),
)

allocations = st.builds(Allocation, any_key, any_address, names, st.integers(0, 99), pods, st.integers(0, 2**62))
coolings = st.builds(Cooling, any_key, any_address, names, moments, st.booleans())


def _keyed(key: st.SearchStrategy[SandboxKey], address: st.SearchStrategy[IPv4Address]) -> st.SearchStrategy[Record]:
    held = st.builds(Allocation, key, address, eni_ids, st.integers(0, 14), pods, st.integers(0, 2**62))
    rested = st.builds(Cooling, key, address, eni_ids, moments, st.booleans())
    return st.one_of(
        st.builds(AddIntent.of, held, names),
        st.builds(AddCommitted.of, key, st.integers(1, 2**31 - 1), names, names),
        st.builds(AddAbandoned.of, key),
        st.builds(Released.of, rested),
        st.builds(LinkGone.of, key, address),
    )


def _ec2_steps(address: st.SearchStrategy[IPv4Address]) -> st.SearchStrategy[Record]:
    operation, several = st.sampled_from(Ec2Operation), st.lists(address, max_size=3).map(tuple)
    token = st.sampled_from(["t1", "t2", "t3"])
    return st.one_of(
        st.builds(Ec2Intent, token, operation, eni_ids, st.integers(0, 9), several, st.integers(-1, 14)),
        st.builds(Ec2Outcome, token, operation, st.booleans(), eni_ids, several, names),
    )


def _other(address: st.SearchStrategy[IPv4Address]) -> st.SearchStrategy[Record]:
    return st.one_of(
        _ec2_steps(address),
        st.builds(Quarantined, address, eni_ids, st.sampled_from(QuarantineReason), moments, names),
        st.builds(Resolved, address),
        st.builds(CheckpointWritten, names),
    )


any_record = _keyed(any_key, any_address) | _other(any_address)
"""Records of any content."""

crowded_record = _keyed(keys, addresses) | _other(addresses)
"""Records about few keys and addresses, so that they meet."""

_two_keys = st.builds(SandboxKey, st.just("net"), st.sampled_from(["c0", "c1"]), st.just("eth0"))
_two_addresses = st.sampled_from([CIDR.network_address + 10, CIDR.network_address + 11])
colliding_record = _keyed(_two_keys, _two_addresses) | _ec2_steps(_two_addresses)
"""Records about two sandboxes, two addresses and three steps at EC2: nearly each one meets an earlier one."""
