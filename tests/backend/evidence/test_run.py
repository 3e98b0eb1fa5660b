"""A run of readings is what was signed, message by message; whatever else stands in it is refused."""

import copy
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import envelope, records

from backend.adapters.sqlite import Kept
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.merkle import leaf_hash
from backend.evidence.verifier.message import Message, PublicKey
from backend.evidence.verifier.run import COLUMNS, read_run
from backend.flows.runs import packed

DEVICE, START_MS = b"12345678", 1_796_040_000_000
WORDS = st.integers(0, (1 << 32) - 1)
SIGNED = st.integers(-(1 << 31), (1 << 31) - 1)
LONG = st.integers(0, (1 << 64) - 1)
NUMBERS = st.lists(
    st.tuples(SIGNED, SIGNED, LONG, LONG, WORDS, WORDS, WORDS, st.integers(0, 65_535)), min_size=1, max_size=5
)
STATEMENT = Message(b"", 2, b"", {"device": DEVICE, "generation": 3})


def kept(rows: list[tuple[int, ...]], algorithm: int = records.ES256K, **changed: int) -> list[Kept]:
    """Sealed readings slot by slot; changed: a field of the second."""
    found = []
    for k, (power, reactive, imported, exported, *rest) in enumerate(rows):
        reading = records.Reading(
            DEVICE, 3, 7, 100 + k, START_MS + 4000 * k, 0, power, reactive, imported, exported, tuple(rest[:3]), rest[3]
        )
        if k == 1:
            reading = reading._replace(**changed)
        signature = hashlib.sha512(bytes([k])).digest()
        sealed = envelope.wrap(records.encode(reading), signature, algorithm)
        found.append(Kept(DEVICE, reading.seq, 7, records.READING, reading.time_ms, sealed))
    return found


@given(NUMBERS, st.sampled_from([records.ES256K, records.ES256]))
def test_every_message_is_made_again_to_the_last_bit(rows: list[tuple[int, ...]], algorithm: int) -> None:
    """Rules 1 and 3, for both algorithms."""
    messages = kept(rows, algorithm)
    (run,) = packed(messages, 3)
    read = read_run(run, STATEMENT, PublicKey(algorithm, b""), 100, "here")
    assert list(read.leaves) == [leaf_hash(one.sealed) for one in messages]
    assert [tuple(read.columns[name][k] for name in COLUMNS) for k in range(len(rows))] == rows


ROWS = [(1000 + k, -5, 10 * k, 0, 230_000, 230_100, 229_900, 50_000) for k in range(4)]


@pytest.mark.parametrize("changed", [{"boot": 8}, {"flags": 2}, {"time_ms": START_MS + 8000}, {"generation": 2}])
def test_what_does_not_follow_begins_another_run_or_stands_in_full(changed: dict[str, int]) -> None:
    found = packed(kept(ROWS, **changed), 3)
    assert len(found) == 3 and isinstance(found[1], str if "generation" in changed else dict)


BAD: dict[str, tuple[Callable[[Any], object], str]] = {
    "a column is short": (lambda r: r["power_w"].pop(), "has 3 numbers for 4"),
    "a column is none": (lambda r: r.update(power_w=7), "is not a list"),
    "true for a number": (lambda r: r["power_w"].__setitem__(1, True), "holds what is not a whole number"),
    "text for a number": (lambda r: r["power_w"].__setitem__(1, "1"), "holds what is not a whole number"),
    "beyond 31 bits": (lambda r: r["power_w"].__setitem__(1, 1 << 31), "outside the range"),
    "below 31 bits": (lambda r: r["power_w"].__setitem__(1, -(1 << 32)), "outside the range"),
    "a register below zero": (lambda r: r["import_wh"].__setitem__(0, -1), "outside the range"),
    "a frequency of 17 bits": (lambda r: r["frequency_mhz"].__setitem__(0, 1 << 16), "outside the range"),
    "a time beyond": (lambda r: r.update(time_ms=1 << 63), "is outside"),
    "no signatures": (lambda r: r.update(signatures=""), "not whole signatures"),
    "half a signature": (lambda r: r.update(signatures="AAAA"), "not whole signatures"),
    "signatures in another text": (lambda r: r.update(signatures=r["signatures"] + "\n"), "not whole signatures"),
    "signatures that are none": (lambda r: r.update(signatures=[1]), "not whole signatures"),
    "a field more": (lambda r: r.update(seq=1), "fields differ: seq"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_run_is_refused(name: str) -> None:
    """Rule 2."""
    change, rule = BAD[name]
    (run,) = copy.deepcopy(packed(kept(ROWS), 3))
    change(run)
    with pytest.raises(NotValid, match=rule):
        read_run(run, STATEMENT, PublicKey(1, b""), 100, "here")


def test_another_number_gives_another_leaf() -> None:
    (run,) = packed(kept(ROWS), 3)
    good = read_run(run, STATEMENT, PublicKey(1, b""), 100, "here").leaves
    for name in COLUMNS:
        changed: Any = copy.deepcopy(run)
        changed[name][2] += 1
        found = read_run(changed, STATEMENT, PublicKey(1, b""), 100, "here").leaves
        assert list(found[:2]) == list(good[:2]) and found[2] != good[2]
