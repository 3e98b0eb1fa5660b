"""From registers to scaled integers, exactly; what no meter can mean is an error and never a value."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.errors import MeterError
from lightnode.meter import MAPS, exact, quantities


def float32(value: float) -> bytes:
    return struct.pack(">f", value)


def test_the_example_of_the_protocol_document() -> None:
    """Eastron: 43 66 33 34 is 230.2 V."""
    assert exact(bytes.fromhex("43663334"), 10) == 2302


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 10**7))
def test_a_register_times_a_factor_is_rounded_once_half_away_from_zero(value: float, factor: int) -> None:
    wanted = abs(Fraction(struct.unpack(">f", float32(value))[0])) * factor
    rounded = (wanted + Fraction(1, 2)).__floor__()
    assert exact(float32(value), factor) == (-rounded if value < 0 else rounded)


@pytest.mark.parametrize("register", ["7fc00000", "7f800000", "ff800000", "ffffffff"])
def test_what_is_no_number_is_no_value(register: str) -> None:
    with pytest.raises(MeterError, match="no number"):
        exact(bytes.fromhex(register), 1)


def blocks(**shown: float) -> list[bytes]:
    layout = MAPS["sdm630"]
    requests = [bytearray(2 * count) for _, count in layout["requests"]]
    for name, value in shown.items():
        request, offset = layout[name]
        requests[request][2 * offset : 2 * offset + 4] = float32(value)
    return [bytes(block) for block in requests]


def test_withdrawal_is_positive_and_transformers_multiply() -> None:
    found = quantities("sdm630", blocks(power=-12.5, reactive=3.0, voltage=57.7, frequency=49.98), 40, 200)
    assert (found.power_w, found.reactive_var) == (-100_000, 24_000)
    assert (found.voltage_mv[0], found.frequency_mhz) == (11_540_000, 49_980)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({"power": 1e9}, "a power of"),
        ({"import": -1.0}, "an energy register of"),
        ({"voltage": -1.0}, "a voltage of"),
        ({"frequency": 700.0}, "a frequency of"),
    ],
)
def test_what_no_meter_can_mean_is_refused(shown: dict[str, float], says: str) -> None:
    with pytest.raises(MeterError, match=says):
        quantities("sdm630", blocks(**shown), 10, 1)
