"""Hostile bundles without any key: whatever the bytes, a report or NotValid, in bounded time, never another exception.

The mutations act on the CBOR and the JSON inside a bundle that is written again in its one encoding, so that they reach
the parser they are meant for.
"""

import copy
import random
import time
import tracemalloc
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evidence.verifier import message
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.cbor import decode_one
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import parse_payload, split
from backend.evidence.verifier.sheet import MAX_BYTES
from tests.backend.evidence.made import Made, read, written

NASTY = [
    0, -1, 2**63, 2**64 - 1, b"", b"\0" * 8, b"\xff" * 64, [], {}, None, [[]], {1: 2}, 1.0, float("nan"), True, "text",
    "\x00", 10**18, "00", "zz", [0] * 30, {"a": 1}, [[[[[[[[[[]]]]]]]]]],
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("hostile"), every=75)


@pytest.fixture(scope="module")
def good(made: Made) -> str:
    return written(made.bundle())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in a JSON value."""
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in pairs:
        found += places(inner, (*path, step))
    return found


def change_bytes(source: random.Random, data: bytes) -> bytes:
    """One change of a message's bytes: bits, cuts, a run doubled, bytes put in, another initial byte of CBOR."""
    at = source.randrange(len(data) + 1)
    heads = bytes.fromhex("808182989b9fa0bfc0c2d81cd81dd9d9f7e0f4f6f7f9fafbff5f7f5b9a1b3b")
    return source.choice(
        [
            data[:at],
            data[:at] + bytes([source.choice(heads)]) + data[at:],
            data[:at] + bytes([source.choice(heads)]) + data[at + 1 :],
            data[:at] + source.randbytes(source.randrange(1, 9)) + data[at + source.randrange(9) :],
            data + data[:at],
            b"",
        ]
    )


def change_items(source: random.Random, data: bytes) -> bytes:
    """One item of the CBOR another, at any depth, also inside byte strings; encoded again."""
    try:
        value = cbor2.loads(data)
    except Exception:
        return change_bytes(source, data)
    return cbor2.dumps(_changed(source, value))


def _changed(source: random.Random, value: Any) -> Any:
    if source.random() < 0.25:
        return source.choice(NASTY)
    if isinstance(value, cbor2.CBORTag):
        return cbor2.CBORTag(source.choice([18, 18, 28, 2, 4]), _changed(source, value.value))
    if isinstance(value, list) and value:
        k = source.randrange(len(value))
        return [*value[:k], _changed(source, value[k]), *value[k + source.choice([1, 1, 1, 0, 2]) :]]
    if isinstance(value, dict) and value:
        return {k: _changed(source, v) for k, v in value.items()}
    if isinstance(value, bytes) and len(value) > 8:
        return change_items(source, value)
    return source.choice(NASTY)


def mutated(source: random.Random, good: str, paths: list[tuple[Any, ...]]) -> bytes:
    """A bundle with one to three changes, canonical again."""
    document = read(good)
    for path in source.sample(paths, source.choice([1, 1, 2, 3])):
        place = document
        try:
            for step in path[:-1]:
                place = place[step]
            old = place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if not isinstance(place, dict | list):
            continue
        new: Any = source.choice([n for n in NASTY if not isinstance(n, bytes | float) and n != {1: 2}])
        if isinstance(old, str) and source.random() < 0.85:
            try:
                new = source.choice([change_bytes, change_items])(source, bytes.fromhex(old)).hex()
            except ValueError:
                new = old[: source.randrange(len(old) + 1)] + source.choice(["", "\ud800", "[" * 99, "1.5", "\n"])
        place[path[-1]] = copy.deepcopy(new)
    return written(document).encode()


def outcome(data: bytes) -> str:
    try:
        verify(data, None)
    except NotValid as finding:
        assert str(finding).isprintable() and len(str(finding)) < 600
        return finding.rule
    return "valid"


@pytest.mark.parametrize("cases", [800, pytest.param(10_000, marks=pytest.mark.long)])
def test_mutations_are_refused_with_a_reason(good: str, monkeypatch: pytest.MonkeyPatch, cases: int) -> None:
    """The curve is asked once for each signature that holds: it is not what is tested here."""
    monkeypatch.setattr(message, "fault_of", lru_cache(maxsize=None)(message.fault_of))
    source = random.Random(1)
    paths = places(read(good))
    seen: dict[str, int] = {}
    for case in range(cases):
        data = mutated(source, good, paths)
        try:
            rule = outcome(data)
        except Exception as error:
            pytest.fail(f"case {case} of seed 1: {type(error).__name__} {error}")
        seen[rule] = seen.get(rule, 0) + 1
    assert sum(seen.values()) == cases and len(seen) > 50
    assert seen.get("valid", 0) < cases // 20, "a mutation that changes nothing"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for parse in (decode_one, split, parse_payload):
        try:
            parse(data, "here")
        except NotValid:
            continue


ATOMS = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=9) | st.floats() | st.none() | st.booleans() | st.text()


@given(
    st.recursive(
        ATOMS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.integers(-9, 9), inner, max_size=3)
    )
)
def test_any_item_of_cbor_is_a_payload_or_refused(value: object) -> None:
    with pytest.raises(NotValid):
        parse_payload(cbor2.dumps(value), "here")


@given(st.binary(max_size=300))
def test_any_bytes_as_a_file_are_refused(data: bytes) -> None:
    assert outcome(data) != "valid"


def in_record(payload: bytes) -> Callable[[dict[str, Any]], None]:
    """A COSE_Sign1 with any payload in place of a record."""

    def change(document: dict[str, Any]) -> None:
        sealed = cbor2.dumps(cbor2.CBORTag(18, [bytes.fromhex("a101382e"), {}, payload, bytes(64)]))
        document["batches"][1]["records"][0] = sealed.hex()
        document["batches"][0]["statement"] = sealed.hex()

    return change


def body(text: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["documents"][1].update(body=text)


FOUND_BY_REVIEW = {
    "empty list of arrays": in_record(cbor2.dumps([[], 1])),
    "map as kind": in_record(cbor2.dumps([{}, 1])),
    "float as kind": in_record(cbor2.dumps([1.0, 1, *range(15)])),
    "empty payload": in_record(b""),
    "shared references": lambda d: d["batches"][0].update(receipt="d81c81d81d00"),
    "cycle in a receipt": lambda d: d["documents"][0].update(receipt="87" + "01" * 6 + "d81c81d81d00"),
    "two to the sixty items": lambda d: d["batches"][0].update(receipt="9b1000000000000000"),
    "two to the sixty bytes": lambda d: d["batches"][0].update(receipt="5b1000000000000000"),
    "a statement of depth": body("[" * 100_000),
    "a lone surrogate": body("\ud800"),
    "a key of a million": lambda d: d.update({"x" * 1_000_000: 1}),
    "a name of lines": lambda d: d.update({"a\nb\x1b[2J": 1}),
    "pod of lines": lambda d: d.update(pod="a\nb"),
    "pod of numbers": lambda d: d.update(pod=1),
    "a number of digits": lambda d: d.update(start_ms=10**3000),
    "a float": lambda d: d.update(start_ms=1.5),
    "not a number": lambda d: d.update(start_ms=float("nan")),
}


@pytest.mark.parametrize("name", FOUND_BY_REVIEW)
def test_what_once_gave_a_traceback_is_refused(name: str, good: str) -> None:
    document = read(good)
    FOUND_BY_REVIEW[name](document)
    assert outcome(written(document).encode()) != "valid"


@pytest.mark.parametrize(
    "data",
    [
        b'["' + b"\\a" * (MAX_BYTES // 2 - 4) + b'"]',
        b'"' * MAX_BYTES,
        b"[]," * (MAX_BYTES // 3),
        b"[" * MAX_BYTES,
        b"9" * MAX_BYTES,
        b"0" * (MAX_BYTES + 1),
        b'{"a":' * 1000,
    ],
    ids=["escapes", "quotes", "lists", "depth", "digits", "size", "objects"],
)
def test_large_files_cost_bounded_time_and_memory(data: bytes) -> None:
    began = time.process_time()
    tracemalloc.start()
    assert outcome(data) != "valid"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MAX_BYTES
    assert time.process_time() - began < 10


def test_a_registry_entry_of_an_unknown_algorithm_is_refused(made: Made, good: str) -> None:
    """The operator's own key signs it: closed choices are checked all the same."""
    from lightwire import envelope, records

    party = next(p for p in made.store.parties() if p.role == "issuer")
    payload = bytearray(records.encode(envelope.peek(party.entry)))
    payload[46] = 3
    sealed = envelope.wrap(bytes(payload), made.log.sign(envelope.digest(bytes(payload), bytes(range(16)))))
    document = read(good)
    document["keys"][0]["entry"] = sealed.hex()
    with pytest.raises(NotValid, match=r"keys\[0\], entry, algorithm: 3 is none of 1 to 2"):
        verify(written(document).encode(), None)


def test_the_fixture_is_valid(made: Made, good: str, tmp_path: Path) -> None:
    assert outcome(good.encode()) == "valid"
