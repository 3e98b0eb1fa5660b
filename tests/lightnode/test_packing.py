"""23 bytes and back to the identical reading, or none at all."""

from hypothesis import given
from hypothesis import strategies as st
from lightnode.packing import Base, decode_base, flags_of, pack, seq_of, time_of, unpack
from lightwire.records import Reading

DEVICE = b"12345678"
BASE = Base(3, 1, 1000, 449_100_000, 10**9, 10**6, 200)

READINGS = st.builds(
    Reading,
    device=st.just(DEVICE), generation=st.integers(1, 2), boot=st.integers(3, 4), seq=st.integers(990, 67_000),
    time_ms=st.integers(449_100_000 - 5, 449_100_000 + 70_000).map(lambda slot: slot * 4000), flags=st.integers(0, 300),
    power_w=st.integers(-(2**31), 2**31 - 1) | st.integers(-9_000_000, 9_000_000), reactive_var=st.integers(-9_000_000, 9_000_000),
    import_wh=st.integers(10**9 - 2, 10**9 + 2**24 + 2), export_wh=st.integers(10**6 - 2, 10**6 + 2**24 + 2),
    voltage_mv=st.tuples(*[st.integers(0, 4200).map(lambda v: v * 20_000) | st.just(100)] * 3),
    frequency_mhz=st.integers(2000, 6000).map(lambda f: f * 10),
)  # fmt: skip


@given(READINGS)
def test_what_is_packed_comes_back_identical(reading: Reading) -> None:
    packed = pack(BASE, DEVICE, reading)
    if packed:
        assert len(packed) == 23 and unpack(BASE, DEVICE, packed) == reading
        assert (seq_of(BASE, packed), time_of(BASE, packed), flags_of(packed)) == (
            reading.seq,
            reading.time_ms,
            reading.flags,
        )


def test_an_ordinary_reading_is_packed_and_another_devices_is_not() -> None:
    volts = (11_540_000, 11_560_000, 11_520_000)
    plain = Reading(DEVICE, 1, 3, 1001, 449_100_001 * 4000, 4, -250_000, 7, 10**9 + 5, 10**6, volts, 49_990)
    assert unpack(BASE, DEVICE, pack(BASE, DEVICE, plain)) == plain
    assert pack(BASE, b"87654321", plain) == b""


def test_a_base_comes_back_from_its_bytes() -> None:
    again = decode_base(BASE.encode())
    assert vars(again) == vars(BASE) if hasattr(again, "__dict__") else again.encode() == BASE.encode()
