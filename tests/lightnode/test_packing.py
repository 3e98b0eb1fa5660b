"""A reading in 21 bytes, any other record without its heads, and back to the identical record, or none at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.packing import Base, decode_base, expand, flags_of, pack, seq_of, squeeze, squeezed_seq, time_of, unpack
from lightwire import records
from lightwire.layout import CLOSED, INTERVALS
from lightwire.records import Reading

DEVICE = b"12345678"
BASE = Base(3, 1, 1000, 449_100_000, 10**9, 10**6, 200)

READINGS = st.builds(
    Reading,
    device=st.just(DEVICE), generation=st.integers(1, 2), boot=st.integers(3, 4), seq=st.integers(990, 2_100),
    time_ms=st.integers(449_100_000 - 5, 449_100_000 + 4_200).map(lambda slot: slot * 4000), flags=st.integers(0, 300),
    power_w=st.integers(-(2**31), 2**31 - 1) | st.integers(-9_000_000, 9_000_000), reactive_var=st.integers(-9_000_000, 9_000_000),
    import_wh=st.integers(10**9 - 2, 10**9 + 2**21 + 2), export_wh=st.integers(10**6 - 2, 10**6 + 2**21 + 2),
    voltage_mv=st.tuples(*[st.integers(0, 4200).map(lambda v: v * 20_000) | st.just(100)] * 3),
    frequency_mhz=st.integers(2000, 6000).map(lambda f: f * 10),
)  # fmt: skip


@given(READINGS)
def test_what_is_packed_comes_back_identical(reading: Reading) -> None:
    packed = pack(BASE, DEVICE, reading)
    if packed:
        assert len(packed) == 21 and unpack(BASE, DEVICE, packed) == reading
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


@pytest.mark.parametrize(
    ("field", "low", "width"),
    [("seq", 1000, 2**10), ("time_ms", 449_100_000, 2**12), ("import_wh", 10**9, 2**21), ("export_wh", 10**6, 2**21)],
)
def test_each_difference_is_packed_up_to_its_last_bit_and_not_beyond(field: str, low: int, width: int) -> None:
    volts = (11_540_000, 11_560_000, 11_520_000)
    plain = Reading(DEVICE, 1, 3, 1001, 449_100_001 * 4000, 4, -250_000, 7, 10**9 + 5, 10**6, volts, 49_990)
    unit = 4000 if field == "time_ms" else 1
    last = plain._replace(**{field: (low + width - 1) * unit})
    assert unpack(BASE, DEVICE, pack(BASE, DEVICE, last)) == last
    assert pack(BASE, DEVICE, plain._replace(**{field: (low + width) * unit})) == b""
    assert pack(BASE, DEVICE, plain._replace(**{field: (low - 1) * unit})) == b""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_ms", 449_100_001 * 4000 + 1), ("frequency_mhz", 49_995), ("voltage_mv", (11_540_000, 11_560_000, 11_520_100)),
        ("voltage_mv", (4_096 * 20_000, 11_560_000, 11_520_000)), ("power_w", 0x800000), ("reactive_var", -0x800001),
        ("flags", 0x100), ("boot", 4), ("generation", 2),
    ],
)  # fmt: skip
def test_what_would_lose_a_digit_or_belongs_elsewhere_is_not_packed(field: str, value: object) -> None:
    volts = (11_540_000, 11_560_000, 11_520_000)
    plain = Reading(DEVICE, 1, 3, 1001, 449_100_001 * 4000, 4, -250_000, 7, 10**9 + 5, 10**6, volts, 49_990)
    assert pack(BASE, DEVICE, plain) and pack(BASE, DEVICE, plain._replace(**{field: value})) == b""


def test_a_base_comes_back_from_its_bytes() -> None:
    again = decode_base(BASE.encode())
    assert vars(again) == vars(BASE) if hasattr(again, "__dict__") else again.encode() == BASE.encode()


KINDS = (
    records.STATEMENT, records.GAP, records.CLOCK_LINK, records.DECISION, records.DIAGNOSTICS, records.UPDATE_REPORT,
    records.EMS_REPORT,
)  # fmt: skip
_UNSIGNED = {"B": 8, "H": 16, "I": 32, "Q": 64}


@st.composite
def made(draw: st.DrawFn) -> Any:
    """A record of any kind that a device keeps, ends of every range included."""
    kind = draw(st.sampled_from(KINDS))
    closed = {name: (low, high) for name, low, high in CLOSED.get(kind, ())}
    values: dict[str, Any] = {}
    for name, form in records.fields(kind):
        if name in closed:
            values[name] = draw(st.integers(*closed[name]))
        elif isinstance(form, int):
            values[name] = draw(st.binary(min_size=form, max_size=form))
        elif form == "i":
            values[name] = draw(st.integers(-(2**31), 2**31 - 1))
        else:
            values[name] = draw(st.integers(0, 2 ** _UNSIGNED[str(form)] - 1))
    if kind in INTERVALS:
        start, end = INTERVALS[kind]
        values[start], values[end] = sorted((values[start], values[end]))
        values[end] += values[start] == values[end]
        values[start] = min(values[start], 2**64 - 2)
        values[end] = min(values[end], 2**64 - 1)
    values |= {"device": DEVICE, "generation": draw(st.integers(1, 2)), "boot": draw(st.integers(3, 4))}
    values["seq"] = draw(st.integers(990, 67_000))
    return records.record_of(kind, [values[name] for name, _ in records.fields(kind)])


@given(made())
def test_what_is_squeezed_comes_back_identical(record: Any) -> None:
    squeezed = squeeze(BASE, DEVICE, record)
    fits = (record.generation, record.boot) == (1, 3) and 0 <= record.seq - 1000 < 65_536
    assert bool(squeezed) == fits
    if squeezed:
        assert expand(BASE, DEVICE, squeezed) == record and squeezed_seq(BASE, squeezed) == record.seq


def test_a_statement_takes_five_slots_and_diagnostics_two() -> None:
    slots = {records.STATEMENT: 5, records.DIAGNOSTICS: 2, records.EMS_REPORT: 2, records.DECISION: 3, records.GAP: 2}
    for kind, wanted in slots.items():
        closed = {name: low for name, low, _ in CLOSED.get(kind, ())} | {"device": DEVICE, "generation": 1, "boot": 3}
        closed |= {"seq": 1000} | ({INTERVALS[kind][1]: 1} if kind in INTERVALS else {})
        record = records.record_of(
            kind, [closed.get(name, bytes(form) if isinstance(form, int) else 0) for name, form in records.fields(kind)]
        )
        assert -(-(7 + len(squeeze(BASE, DEVICE, record))) // 28) == wanted, kind


def test_another_devices_record_is_not_squeezed() -> None:
    assert squeeze(BASE, b"87654321", records.ClockLink(DEVICE, 1, 3, 1000, 1, 2, 3)) == b""


def test_a_report_of_injection_keeps_its_sign() -> None:
    report = records.EmsReport(
        DEVICE, 1, 3, 1001, 1, 0, bytes(16), records.APPLIED, 0, -(2**31), -40_000, 2**31 - 1, records.CHARGE_UNKNOWN
    )
    assert expand(BASE, DEVICE, squeeze(BASE, DEVICE, report)) == report
