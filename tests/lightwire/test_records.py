"""Records: the vectors of foreign implementations, frozen values, and every way a payload can be wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import payload, records
from lightwire.errors import OutOfRange, Truncated, WireError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "records.json").read_text())
GOOD = VECTORS["good"]


def values_of(vector: dict[str, Any]) -> dict[str, Any]:
    forms = dict(records.fields(vector["kind"]))
    return {
        k: bytes.fromhex(v) if isinstance(forms[k], int) else tuple(v) if forms[k] == "V" else v
        for k, v in vector["values"].items()
    }


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_a_vector_decodes_to_its_values_and_encodes_to_its_bytes(vector: dict[str, Any]) -> None:
    record = records.decode(bytes.fromhex(vector["payload"]))
    assert type(record).__name__ == vector["record"]
    assert {name: getattr(record, name) for name in values_of(vector)} == values_of(vector)
    assert records.encode(getattr(records, vector["record"])(**values_of(vector))).hex() == vector["payload"]


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_a_good_payload_is_read_in_one_piece_not_field_by_field(vector: dict[str, Any]) -> None:
    assert payload.read(vector["kind"], bytes.fromhex(vector["payload"])) == list(values_of(vector).values())


def test_a_record_cannot_be_changed() -> None:
    record: Any = records.decode(bytes.fromhex(GOOD[1]["payload"]))
    with pytest.raises(AttributeError):
        record.seq = 2


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_every_shorter_payload_is_truncated_or_refused(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload"])
    for length in range(len(payload)):
        with pytest.raises(WireError):
            records.decode(payload[:length])
    with pytest.raises(Truncated):
        records.decode(payload[:-1])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("power_w", 2**31),
        ("seq", -1),
        ("seq", 2**32),
        ("device", b"short"),
        ("device", bytearray(8)),
        ("voltage_mv", (1, 2)),
        ("voltage_mv", [1, 2, 3]),
        ("voltage_mv", (2**32, 2, 3)),
        ("voltage_mv", (1, 2**32, 3)),
        ("voltage_mv", (1, 2, 2**32)),
        ("voltage_mv", (1, 2, -1)),
        ("voltage_mv", (1, 2, True)),
        ("reactive_var", 2**31),
        ("reactive_var", -(2**31) - 1),
        ("import_wh", 2**64),
        ("frequency_mhz", 2**16),
        ("flags", True),
        ("power_w", 1.0),
    ],
)
def test_a_value_outside_its_form_makes_no_record(field: str, value: object) -> None:
    values = values_of(next(v for v in GOOD if v["name"] == "reading 1"))
    with pytest.raises(OutOfRange, match=field):
        records.Reading(**{**values, field: value})
    with pytest.raises(OutOfRange, match=field):
        records.Reading(*{**values, field: value}.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [("reactive_var", 2**31 - 1), ("reactive_var", -(2**31)), ("seq", 2**32 - 1), ("import_wh", 2**64 - 1),
     ("voltage_mv", (2**32 - 1, 0, 2**32 - 1))],
)  # fmt: skip
def test_the_ends_of_a_form_belong_to_it(field: str, value: object) -> None:
    values = {**values_of(next(v for v in GOOD if v["name"] == "reading 1")), field: value}
    made = records.Reading(*values.values())
    assert getattr(made, field) == value and records.decode(records.encode(made)) == made == records.Reading(**values)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("set-point", "control", 5), ("decision", "outcome", 0), ("execution", "state", 9), ("checkpoint", "tree", 0)],
)
def test_a_choice_that_is_not_open_makes_no_record(name: str, field: str, value: int) -> None:
    vector = next(v for v in GOOD if v["name"] == name)
    with pytest.raises(OutOfRange, match=field):
        getattr(records, vector["record"])(**{**values_of(vector), field: value})


def test_an_empty_interval_makes_no_record() -> None:
    values = values_of(next(v for v in GOOD if v["name"] == "set-point"))
    with pytest.raises(OutOfRange, match="not before"):
        records.SetPoint(**{**values, "not_after_ms": values["not_before_ms"]})


@given(st.binary(max_size=300))
def test_any_bytes_give_a_record_or_a_wire_error(data: bytes) -> None:
    try:
        records.encode(records.decode(data))
    except WireError:
        pass


@given(st.sampled_from(GOOD), st.integers(0, 10**6), st.integers(0, 255))
def test_what_decodes_encodes_to_the_same_bytes(vector: dict[str, Any], at: int, byte: int) -> None:
    payload = bytearray.fromhex(vector["payload"])
    payload[at % len(payload)] = byte
    try:
        record = records.decode(bytes(payload))
    except WireError:
        return
    assert records.encode(record) == payload
