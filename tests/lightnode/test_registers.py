"""From registers to exact integers: worked examples of the documents, properties, what is no number."""

import struct
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode.errors import MeterError
from lightnode.registers import SIZES, exact, scale, turned

_CODES = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q"}


def float32(value: float) -> bytes:
    return struct.pack(">f", value)


def rounded(value: Fraction) -> int:
    whole = (abs(value) + Fraction(1, 2)).__floor__()
    return -whole if value < 0 else whole


def test_the_example_of_eastrons_document() -> None:
    """43 66 33 34 is 230.2 V."""
    assert exact(bytes.fromhex("43663334"), "float32", 10) == 2302


def test_low_register_first() -> None:
    """Carlo Gavazzi: 2300 counts of 0.1 V are 08FC 0000 on the line."""
    assert exact(turned(bytes.fromhex("08fc0000")), "int32", 10, -1) == 2300


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 10**9), st.integers(-4, 4))
def test_3_a_float_times_its_factors_is_rounded_once_half_away_from_zero(value: float, factor: int, ten: int) -> None:
    wanted = Fraction(struct.unpack(">f", float32(value))[0]) * factor * Fraction(10) ** ten
    assert exact(float32(value), "float32", factor, ten) == rounded(wanted)


@given(st.sampled_from(sorted(_CODES)), st.data(), st.integers(1, 10**9), st.integers(-4, 4))
def test_3_so_is_a_whole_number(form: str, data: st.DataObject, factor: int, ten: int) -> None:
    bits = 8 * SIZES[form]
    low, high = (0, 2**bits - 1) if form[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    value = data.draw(st.integers(low, high))
    assert exact(struct.pack(_CODES[form], value), form, factor, ten) == rounded(value * factor * Fraction(10) ** ten)


@pytest.mark.parametrize("register", ["7fc00000", "7f800000", "ff800000", "ffffffff", "ffc00000"])
def test_2_what_is_no_number_is_no_value(register: str) -> None:
    with pytest.raises(MeterError, match="no number"):
        exact(bytes.fromhex(register), "float32", 1)


def test_a_scale_factor_is_a_power_of_ten_between_minus_ten_and_ten() -> None:
    assert [scale(bytes.fromhex(x)) for x in ("0000", "0002", "fffe", "000a", "fff6")] == [0, 2, -2, 10, -10]
    for wrong in ("8000", "000b", "fff5", "7fff"):
        with pytest.raises(MeterError, match="a scale factor of"):
            scale(bytes.fromhex(wrong))


def test_the_vm_computes_the_same(micropython: Callable[..., str]) -> None:
    cases = [("float32", "43663334", 10, 0), ("float32", "c47a0000", 8_000_000, 3), ("float32", "00000001", 10**8, 3),
             ("int16", "8001", 7, -1), ("int32", "fffffffb", 20, 2), ("int64", "ffffffffffffff85", 1, 0),
             ("uint64", "fffffffffffffff0", 400, 0), ("float32", "7f7fffff", 20, 3)]  # fmt: skip
    script = f"""
from lightnode.registers import exact
for form, data, factor, ten in {cases!r}:
    print(exact(bytes.fromhex(data), form, factor, ten))
"""
    found = [int(line) for line in micropython(script).splitlines()]
    assert found == [exact(bytes.fromhex(data), form, factor, ten) for form, data, factor, ten in cases]
