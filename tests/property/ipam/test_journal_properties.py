"""Properties of the journal codec, its fold and its compaction."""

from hypothesis import given
from hypothesis import strategies as st
from ipam_strategies import BOOT_ID, any_record, colliding_record, crowded_record

from vpc_cni.ipam import (
    Compaction,
    DamageKind,
    Record,
    compact,
    encode_header,
    encode_record,
    encode_records,
    fold,
    read_journal,
)
from vpc_cni.ipam.journal import HEADER_BYTES

NEVER_OVER = -1.0


def encode(records: list[Record]) -> bytes:
    return encode_header(BOOT_ID) + encode_records(records)


@given(st.lists(any_record, max_size=20))
def test_what_is_written_is_read(records: list[Record]) -> None:
    data = encode(records)
    read = read_journal(data)
    assert (read.records, read.boot_id, read.end, read.damage) == (tuple(records), BOOT_ID, len(data), ())


@given(st.binary(max_size=300))
def test_random_bytes_never_raise_and_account_for_every_byte(data: bytes) -> None:
    read = read_journal(data)
    assert read.records == ()
    assert sum(damage.length for damage in read.damage) == len(data)


@given(st.lists(any_record, max_size=5), st.binary(min_size=1, max_size=60))
def test_random_bytes_behind_a_journal_lose_nothing_before_them(records: list[Record], junk: bytes) -> None:
    data = encode(records)
    read = read_journal(data + junk)
    assert read.records[: len(records)] == tuple(records)
    assert read.damage
    assert read.damage[0].offset == len(data)


@given(st.lists(any_record, min_size=1, max_size=6), st.data())
def test_a_torn_tail_loses_the_last_record_only(records: list[Record], data: st.DataObject) -> None:
    whole = encode(records)
    lengths = [len(encode_record(record)) for record in records]
    cut = data.draw(st.integers(1, sum(lengths) - 1))
    kept = sum(1 for i in range(1, len(lengths) + 1) if sum(lengths[:i]) <= cut)
    read = read_journal(whole[: HEADER_BYTES + cut])
    assert read.records == tuple(records[:kept])
    assert read.is_intact
    assert read.end == HEADER_BYTES + sum(lengths[:kept])
    assert [damage.kind for damage in read.damage] in ([], [DamageKind.TORN_TAIL])


@given(st.lists(any_record, min_size=1, max_size=6), st.data())
def test_a_damaged_byte_is_noticed_and_invents_nothing(records: list[Record], data: st.DataObject) -> None:
    whole = bytearray(encode(records))
    position = data.draw(st.integers(HEADER_BYTES, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    read = read_journal(bytes(whole))
    assert read.damage
    assert set(map(encode_record, read.records)) <= set(map(encode_record, records))
    before = next(i for i in range(len(records)) if HEADER_BYTES + len(encode_records(records[: i + 1])) > position)
    assert read.records[:before] == tuple(records[:before])


@given(st.lists(any_record, min_size=3, max_size=6), st.data())
def test_a_damaged_payload_costs_one_record(records: list[Record], data: st.DataObject) -> None:
    victim = data.draw(st.integers(0, len(records) - 1))
    encoded = [bytearray(encode_record(record)) for record in records]
    encoded[victim][-1] ^= 0xFF
    read = read_journal(encode_header(BOOT_ID) + b"".join(encoded))
    assert read.records == (*records[:victim], *records[victim + 1 :])
    assert [damage.kind for damage in read.damage] == [DamageKind.BAD_CHECKSUM]
    assert not read.is_intact


@given(st.lists(crowded_record, max_size=40))
def test_a_compact_journal_adds_up_to_the_same(records: list[Record]) -> None:
    state = fold(tuple(records))
    assert fold(read_journal(compact(state, BOOT_ID, NEVER_OVER)).records) == state


@given(
    st.lists(crowded_record | colliding_record, max_size=25),
    st.lists(st.lists(crowded_record | colliding_record, max_size=3), max_size=30),
)
def test_slices_and_new_records_may_interleave(before: list[Record], arriving: list[list[Record]]) -> None:
    state = fold(tuple(before))
    compaction = Compaction(state, BOOT_ID, NEVER_OVER)
    snapshot = compaction.next_slice(1)
    for batch in arriving:
        for record in batch:
            state.apply(record)
            snapshot += encode_record(record)
        snapshot += compaction.next_slice(1)
    snapshot += b"".join(iter(compaction.next_slice, b""))
    read = read_journal(snapshot)
    assert read.damage == ()
    assert fold(read.records) == state


@given(st.lists(crowded_record, max_size=30), st.floats(0, 1e6))
def test_compaction_forgets_only_cooldowns_that_are_over(records: list[Record], now: float) -> None:
    state = fold(tuple(records))
    compacted = fold(read_journal(compact(state, BOOT_ID, now)).records)
    forgotten = {address: cooling for address, cooling in state.coolings.items() if address not in compacted.coolings}
    assert all(cooling.link_gone and cooling.until <= now for cooling in forgotten.values())
    assert compacted.adds == state.adds


@given(st.lists(crowded_record, max_size=40))
def test_an_address_has_one_place(records: list[Record]) -> None:
    state = fold(tuple(records))
    added = [add.intent.address for add in state.adds.values()]
    assert len(set(added)) == len(added)
    assert not set(added) & state.coolings.keys()
