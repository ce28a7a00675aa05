"""What the journal adds up to."""

from ipaddress import IPv4Address

from vpc_cni.ipam import (
    AddAbandoned,
    AddCommitted,
    AddIntent,
    CheckpointWritten,
    Compaction,
    Ec2Intent,
    Ec2Operation,
    Ec2Outcome,
    JournalState,
    LinkGone,
    Record,
    Released,
    compact,
    encode_record,
    fold,
    is_worth_compacting,
    read_journal,
)
from vpc_cni.ipam.journal import HEADER_BYTES
from vpc_cni.ipam.journal_state import GIVEN_BACK_REMEMBERED, taken_back
from vpc_cni.model import Allocation, Cooling, PodIdentity, SandboxKey

BOOT_ID = "6f1ed002-ab5a-4b0f-9e8e-0123456789ab"
KEY, OTHER = SandboxKey("aws-cni", "c0", "eth0"), SandboxKey("aws-cni", "c1", "eth0")
IP5, IP6 = IPv4Address("10.0.0.5"), IPv4Address("10.0.0.6")


def intent(key: SandboxKey, address: IPv4Address) -> AddIntent:
    return AddIntent.of(Allocation(key, address, "eni-1", 1, PodIdentity(), 0), "vethx")


def released(key: SandboxKey, address: IPv4Address, until: float = 130.0) -> Released:
    return Released.of(Cooling(key, address, "eni-1", until))


def state_of(*records: Record) -> JournalState:
    return fold(records)


def test_life_of_a_pod() -> None:
    state = state_of(intent(KEY, IP5))
    assert state.adds[KEY].committed is None
    state.apply(AddCommitted.of(KEY, 7, "02:00:00:00:00:01", "02:00:00:00:00:02"))
    assert state.adds[KEY].committed is not None
    state.apply(released(KEY, IP5))
    assert KEY not in state.adds
    assert not state.coolings[IP5].link_gone
    state.apply(LinkGone.of(KEY, IP5))
    assert state.coolings[IP5].cooling == Cooling(KEY, IP5, "eni-1", 130.0, link_gone=True)
    state.apply(intent(OTHER, IP5))
    assert state.coolings == {}


def test_release_of_an_earlier_address_leaves_the_new_add_alone() -> None:
    state = state_of(intent(KEY, IP6), released(KEY, IP5))
    assert state.adds[KEY].intent.address == IP6
    assert list(state.coolings) == [IP5]


def test_link_of_another_sandbox_confirms_nothing() -> None:
    assert not state_of(released(KEY, IP5), LinkGone.of(OTHER, IP5)).coolings[IP5].link_gone


def test_lost_release_leaves_no_second_owner() -> None:
    state = state_of(intent(KEY, IP5), intent(OTHER, IP5))
    assert list(state.adds) == [OTHER]


def test_abandoned_add_leaves_nothing() -> None:
    assert len(state_of(intent(KEY, IP5), AddAbandoned.of(KEY))) == 0


def test_commit_without_its_intent_is_ignored() -> None:
    assert len(state_of(AddCommitted.of(KEY, 7, "", ""))) == 0


def test_eni_is_loose_between_create_and_attach_and_between_detach_and_delete() -> None:
    state = state_of(Ec2Intent("t1", Ec2Operation.CREATE, count=3))
    assert list(state.ec2_steps) == ["t1"]
    state.apply(Ec2Outcome("t1", Ec2Operation.CREATE, done=True, eni_id="eni-2"))
    assert (state.ec2_steps, state.loose_enis) == ({}, {"eni-2": "t1"})
    state.apply(Ec2Intent("t2", Ec2Operation.ATTACH, "eni-2", device_number=1))
    state.apply(Ec2Outcome("t2", Ec2Operation.ATTACH, done=True, eni_id="eni-2"))
    assert state.loose_enis == {}
    state.apply(Ec2Outcome("t3", Ec2Operation.DETACH, done=True, eni_id="eni-2"))
    assert list(state.loose_enis) == ["eni-2"]
    state.apply(Ec2Outcome("t4", Ec2Operation.DELETE, done=False, eni_id="eni-2", error="InUse"))
    assert list(state.loose_enis) == ["eni-2"]
    state.apply(Ec2Outcome("t4", Ec2Operation.DELETE, done=True, eni_id="eni-2"))
    assert len(state) == 0


def test_one_token_may_name_several_steps() -> None:
    """A slice that repeats the outcome of the creation does not end the attachment of the same name."""
    state = state_of(
        Ec2Intent("t", Ec2Operation.ATTACH, "eni-2"), Ec2Outcome("t", Ec2Operation.CREATE, done=True, eni_id="eni-2")
    )
    assert list(state.ec2_steps) == ["t"]


def test_returned_address_is_remembered_until_ec2_gives_it_again() -> None:
    back = Ec2Outcome("t", Ec2Operation.UNASSIGN, done=True, eni_id="eni-1", addresses=(IP5, IP6))
    state = state_of(back)
    assert fold(read_journal(compact(state, BOOT_ID, 0.0)).records).given_back == {IP5: "eni-1", IP6: "eni-1"}
    state.apply(Ec2Outcome("t", Ec2Operation.ASSIGN, done=True, eni_id="eni-1", addresses=(IP5,)))
    state.apply(intent(KEY, IP6))
    assert state.given_back == {}
    refused = Ec2Outcome("t", Ec2Operation.UNASSIGN, done=False, eni_id="eni-1", addresses=(IP5,), error="Denied")
    assert state_of(refused).given_back == {}


def test_cooldowns_are_forgotten_when_they_are_over_and_their_link_is_gone() -> None:
    state = state_of(released(KEY, IP5, until=130.0), released(OTHER, IP6, until=130.0), LinkGone.of(KEY, IP5))
    state.forget_coolings(129.9)
    assert list(state.coolings) == [IP5, IP6]
    state.forget_coolings(130.0)
    assert list(state.coolings) == [IP6]
    state.apply(LinkGone.of(OTHER, IP6))
    state.forget_coolings(130.0)
    assert len(state) == 0


def test_only_the_last_returned_addresses_are_remembered() -> None:
    many = tuple(IPv4Address(number) for number in range(GIVEN_BACK_REMEMBERED + 1))
    state = state_of(Ec2Outcome("t", Ec2Operation.UNASSIGN, done=True, eni_id="eni-1", addresses=many))
    assert list(state.given_back) == list(many[1:])


def test_checkpoint_of_now_and_of_before_are_ours() -> None:
    state = state_of(CheckpointWritten("one"), CheckpointWritten("two"), CheckpointWritten("three"))
    assert [state.wrote_checkpoint(digest) for digest in ("one", "two", "three")] == [False, True, True]
    again = fold(read_journal(compact(state, BOOT_ID, 0.0)).records)
    assert [again.wrote_checkpoint(digest) for digest in ("one", "two", "three")] == [False, True, True]


def test_slices_are_bounded_and_end_with_an_empty_one() -> None:
    state = state_of(
        *(intent(SandboxKey("net", f"c{i}", "eth0"), IPv4Address(int(IP5) + i)) for i in range(10)),
    )
    compaction = Compaction(state, BOOT_ID, 0.0)
    slices = list(iter(lambda: compaction.next_slice(4), b""))
    assert len(slices) == 3
    assert compaction.next_slice() == b""
    assert fold(read_journal(b"".join(slices)).records) == state


def test_a_fact_that_ended_meanwhile_does_not_end_the_compaction() -> None:
    state = state_of(intent(KEY, IP5), intent(OTHER, IP6))
    compaction = Compaction(state, BOOT_ID, 0.0)
    head = compaction.next_slice(1)
    state.apply(AddAbandoned.of(KEY))
    rest = b"".join(iter(lambda: compaction.next_slice(1), b""))
    assert [type(record) for record in read_journal(head + rest).records[2:]] == [AddIntent]


def compact_while_arrives(state: JournalState, record: Record) -> JournalState:
    """Return what a snapshot adds up to when ``record`` arrives between its first slice and the others."""
    compaction = Compaction(state, BOOT_ID, 0.0)
    head = compaction.next_slice(1)
    state.apply(record)
    snapshot = head + encode_record(record) + b"".join(iter(compaction.next_slice, b""))
    return fold(read_journal(snapshot).records)


def test_an_address_taken_back_during_a_compaction_is_remembered_beside_its_add() -> None:
    state = state_of(intent(KEY, IP5))
    again = compact_while_arrives(state, taken_back("eni-1", IP5))
    assert again.given_back == {IP5: "eni-1"}
    assert again == state


def test_a_creation_that_begins_again_during_a_compaction_stays_pending() -> None:
    state = state_of(Ec2Outcome("t", Ec2Operation.CREATE, done=True, eni_id="eni-2"))
    again = compact_while_arrives(state, Ec2Intent("t", Ec2Operation.CREATE, count=3))
    assert list(again.ec2_steps) == ["t"]
    assert again == state


def test_compaction_pays_only_for_a_large_journal_that_says_little() -> None:
    state = state_of(intent(KEY, IP5))
    assert not is_worth_compacting(HEADER_BYTES, state)
    assert is_worth_compacting(1024 * 1024, state)
    crowded = state_of(*(intent(SandboxKey("net", f"c{i}", "eth0"), IPv4Address(i)) for i in range(1000)))
    assert not is_worth_compacting(1024 * 1024, crowded)
