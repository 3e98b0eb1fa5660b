"""The CBOR subset of receipts: equal to cbor2's canonical form, and closed to everything else."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import cbor
from lightwire.errors import OutOfRange, TrailingBytes, Truncated, UnknownVersion, WireError

SIMPLE = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=10)
KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=6)
VALUES = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def core_deterministic(value: Any) -> bytes:
    """cbor2 sorts map keys by length first (RFC 7049); RFC 8949 sorts by bytes: sort, then let it encode the parts."""
    if isinstance(value, dict):
        pairs = sorted((core_deterministic(k), core_deterministic(v)) for k, v in value.items())
        return bytes([0xA0 + len(pairs)]) + b"".join(k + v for k, v in pairs)
    if isinstance(value, list):
        return bytes([0x80 + len(value)]) + b"".join(core_deterministic(v) for v in value)
    return cbor2.dumps(value)


@given(VALUES)
def test_the_encoding_is_the_one_of_rfc_8949(value: Any) -> None:
    data = cbor.dumps(value)
    assert data == core_deterministic(value)
    assert cbor2.loads(data) == value == cbor.loads(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_wire_error_and_only_the_one_encoding(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except WireError:
        return
    assert cbor.dumps(value) == data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("", Truncated),
        ("1801", OutOfRange),
        ("5f4100ff", OutOfRange),
        ("fb3ff0000000000000", OutOfRange),
        ("a2010101 02".replace(" ", ""), OutOfRange),
        ("a202010102", OutOfRange),
        ("0000", TrailingBytes),
        ("c100", UnknownVersion),
        ("81" * 20 + "00", OutOfRange),
        ("9bffffffffffffffff", OutOfRange),
        ("5bffffffffffffffff00", Truncated),
        ("62c328", OutOfRange),
    ],
)
def test_hostile_bytes_are_named(data: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        cbor.loads(bytes.fromhex(data))


def test_input_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(OutOfRange, match="at most"):
        cbor.loads(bytes(cbor.MAX_BYTES + 1))
