"""The quick way of a reading says what the long way says, and nothing where that refuses."""

import random

from hypothesis import given
from hypothesis import strategies as st
from lightwire import envelope, records

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import parse_payload, split
from backend.evidence.verifier.reading import reading_of

WORDS = st.integers(0, (1 << 32) - 1)
SIGNED = st.integers(-(1 << 31), (1 << 31) - 1)
LONG = st.integers(0, (1 << 64) - 1)


def sealed(values: tuple[int, ...]) -> bytes:
    power, reactive, seq, time_ms, imported, frequency = values
    reading = records.Reading(
        b"12345678", 1, 7, seq, time_ms, 3, power, reactive, imported, 5, (230_000, 0, 231_100), frequency * 10
    )
    return envelope.seal(reading, bytes(16), lambda _digest: bytes(range(64)))  # type: ignore[no-any-return]


@given(st.tuples(SIGNED, SIGNED, WORDS, LONG, LONG, st.integers(0, 6500)))
def test_every_reading_is_what_the_long_way_makes_of_it(values: tuple[int, ...]) -> None:
    raw = sealed(values)
    found = reading_of(raw)
    assert found is not None and found.payload == split(raw, "here")[1]
    assert (found.kind, found.fields) == parse_payload(found.payload, "here")


def test_a_bit_that_is_another_is_seen_or_said() -> None:
    source = random.Random(1)
    good = sealed((-5000, 12, 7, 1_796_040_000_000, 99, 5000))
    for k in range(97 * 8):
        at, bit = divmod(k, 8)
        raw = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
        found = reading_of(raw)
        try:
            kind, fields = parse_payload(split(raw, "here")[1], "here")
        except NotValid:
            assert found is None, k
        else:
            assert found is None or (found.kind, found.fields) == (kind, fields), k
    assert reading_of(good[:-1]) is None and reading_of(source.randbytes(162)) is None and reading_of(b"") is None
