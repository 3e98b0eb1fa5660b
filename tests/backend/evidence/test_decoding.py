"""The fast way gives exactly what lightwire gives, for every reading and for every other bytes."""

from hypothesis import given
from hypothesis import strategies as st
from lightwire import records
from lightwire.errors import WireError

from backend.evidence.decoding import decode

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
i32 = st.integers(-(2**31), 2**31 - 1)
readings = st.builds(
    records.Reading, st.binary(min_size=8, max_size=8), u16, u32, u32, u64, u16, i32, i32, u64, u64,
    st.tuples(u32, u32, u32), u16,
)  # fmt: skip
GAP = records.Gap(bytes(8), 1, 1, 1, records.CAUSE_POWER, 0, 4000, 1, 0, 0)


def outcome(decoder: object, payload: bytes) -> object:
    try:
        return decoder(payload)  # type: ignore[operator]
    except WireError as error:
        return type(error), str(error)


@given(readings)
def test_rule_1_a_reading_comes_back_as_it_was(reading: records.Reading) -> None:
    found = decode(records.encode(reading))
    assert found == reading and type(found) is records.Reading
    assert [type(value) for value in found] == [type(value) for value in reading]


@given(readings, st.integers(0, 85), st.integers(0, 255))
def test_rule_2_any_changed_byte_gives_what_lightwire_gives(reading: records.Reading, at: int, byte: int) -> None:
    payload = bytearray(records.encode(reading))
    payload[at] = byte
    assert outcome(decode, bytes(payload)) == outcome(records.decode, bytes(payload))


@given(st.binary(max_size=100))
def test_rule_2_any_bytes_give_what_lightwire_gives(payload: bytes) -> None:
    assert outcome(decode, payload) == outcome(records.decode, payload)


def test_rule_2_other_kinds_are_decoded_too() -> None:
    assert decode(records.encode(GAP)) == GAP
