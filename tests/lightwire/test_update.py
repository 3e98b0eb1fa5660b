"""The listing's canonical form and the rules of acceptance, each by its number."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import update
from lightwire.errors import WireError
from lightwire.records import Manifest

NOW = 1_796_040_000_000
DAY = 86_400_000
A, B = b"print(1)\n", b""
EXAMPLE = (
    b"0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 lightnode/__init__.py\n"
    b"9 7be23baa7e2ffb7e7cb95f0d7c0ac0c0e5be3d1c0bd53b8b6cf7d9c2b8f5d6b1 main.py\n"
)
DIGEST = bytes.fromhex("7be23baa7e2ffb7e7cb95f0d7c0ac0c0e5be3d1c0bd53b8b6cf7d9c2b8f5d6b1")
ENTRIES = [("lightnode/__init__.py", 0, hashlib.sha256(b"").digest()), ("main.py", 9, DIGEST)]
HASH = "00" * 32


def manifest(listing: bytes = EXAMPLE, **changed: Any) -> Manifest:
    values: dict[str, Any] = {
        "hardware": b"esp32-s3".ljust(16, b"\0"), "sequence": 12, "floor": 9, "version": 1 << 16, "created_ms": NOW - DAY,
        "expires_ms": NOW + DAY, "files": 2, "total_bytes": 9, "listing": hashlib.sha256(listing).digest(),
        "key_generation": 1, "next_key": bytes(33),
    }  # fmt: skip
    return Manifest(**(values | changed))


def trust(**changed: Any) -> update.Trust:
    values: dict[str, Any] = {
        "hardware": b"esp32-s3".ljust(16, b"\0"), "generation": 1, "sequence": 11, "may_repeat": False, "floor": 9, "failed": 0,
    }  # fmt: skip
    return update.Trust(**(values | changed))


def test_worked_example_of_a_listing() -> None:
    assert update.encode_listing(ENTRIES[::-1]) == EXAMPLE
    assert update.decode_listing(EXAMPLE) == ENTRIES
    assert update.judge(manifest(), EXAMPLE, trust(), NOW) == update.NONE


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "..", "../main.py", "a/../b.py", "a//b.py", "a/", "/a", ".hidden", "a/.b", "A.py", "a b.py", "a\\b.py",
        "a:b", "a\0b", "ä.py", "a/b/c/d/e.py", "x" * 65, "~root", "a\rb", "a\tb",
    ],
)  # fmt: skip
def test_1_no_path_leads_out_of_the_directory(path: str) -> None:
    assert not update.is_path(path)
    with pytest.raises(WireError):
        update.decode_listing(f"1 {HASH} {path}\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", f"1 {HASH} a.py", f"1 {HASH} a.py\n\n", f"01 {HASH} a.py\n", f"-1 {HASH} a.py\n", f"+1 {HASH} a.py\n",
        f"1.0 {HASH} a.py\n", f"1  {HASH} a.py\n", f"1 {HASH[2:]} a.py\n", f"1 {'AB' * 32} a.py\n", f"1 {HASH} a.py \n",
        f"1 {HASH} a.py\r\n", f"1 {HASH} b.py\n1 {HASH} a.py\n", f"1 {HASH} a.py\n2 {HASH} a.py\n",
        f"1 {HASH} a\n1 {HASH} a/b\n", f"1 {HASH} a\n1 {HASH} a-b\n1 {HASH} a/b\n", f"524289 {HASH} a.py\n",
        f"300000 {HASH} a\n300000 {HASH} b\n", f"99999999 {HASH} a.py\n", f"\u0661 {HASH} a.py\n",
        "".join(f"1 {HASH} f{n:03}\n" for n in range(97)), f"1 {HASH}\n", "x" * 8193,
    ],
)  # fmt: skip
def test_1_what_is_not_the_canonical_listing_is_none(text: str) -> None:
    with pytest.raises(WireError):
        update.decode_listing(text.encode())


@given(st.binary(max_size=300))
def test_1_any_bytes_give_a_listing_or_a_wire_error(raw: bytes) -> None:
    try:
        entries = update.decode_listing(raw)
    except WireError:
        return
    assert update.encode_listing(entries) == raw


names = st.from_regex(r"[a-z0-9_-][a-z0-9_.-]{0,8}", fullmatch=True)


paths = st.lists(names, min_size=1, max_size=3).map("/".join)
digests = st.binary(min_size=32, max_size=32)


@given(st.dictionaries(paths, st.tuples(st.integers(0, 5000), digests), min_size=1, max_size=20))
def test_1_a_listing_comes_back_from_its_bytes(found: dict[str, tuple[int, bytes]]) -> None:
    entries = [(path, size, digest) for path, (size, digest) in found.items()]
    below = any(other.startswith(path + "/") for path in found for other in found)
    if below:
        with pytest.raises(WireError):
            update.encode_listing(entries)
    else:
        assert update.decode_listing(update.encode_listing(entries)) == sorted(entries)


@pytest.mark.parametrize(
    ("changed", "held", "reason"),
    [
        ({"hardware": b"esp32-c3".ljust(16, b"\0")}, {}, update.HARDWARE),
        ({"sequence": 11}, {}, update.REPLAYED),
        ({"sequence": 11}, {"may_repeat": True}, update.NONE),
        ({"sequence": 11}, {"may_repeat": True, "failed": 12}, update.NONE),
        ({"sequence": 11, "floor": 12}, {"may_repeat": True}, update.REPLAYED),
        ({"sequence": 10}, {"may_repeat": True}, update.ROLLBACK),
        ({"sequence": 10}, {}, update.ROLLBACK),
        ({"sequence": 12}, {"floor": 13}, update.ROLLBACK),
        ({"sequence": 12}, {"failed": 12}, update.FAILED_BEFORE),
        ({"sequence": 13}, {"failed": 12}, update.NONE),
        ({"sequence": 11 + 1000}, {}, update.NONE),
        ({"sequence": 11 + 1001}, {}, update.FAST_FORWARD),
        ({"sequence": 2**32 - 1}, {}, update.FAST_FORWARD),
        ({"floor": 12}, {}, update.NONE),
        ({"floor": 13}, {}, update.FAST_FORWARD),
        ({"floor": 0}, {}, update.NONE),
        ({"expires_ms": NOW}, {}, update.EXPIRED),
        ({"expires_ms": NOW + 1}, {}, update.NONE),
        ({"created_ms": NOW + 600_000}, {}, update.NONE),
        ({"created_ms": NOW + 600_001}, {}, update.FUTURE),
        ({"expires_ms": NOW + 399 * DAY}, {}, update.NONE),
        ({"expires_ms": NOW + 399 * DAY + 1}, {}, update.WINDOW),
        ({"listing": bytes(32)}, {}, update.LISTING),
        ({"files": 3}, {}, update.TOTALS),
        ({"total_bytes": 10}, {}, update.TOTALS),
    ],
)
def test_3_4_5_6_each_reason_beside_its_limit(changed: dict[str, Any], held: dict[str, Any], reason: int) -> None:
    assert update.judge(manifest(**changed), EXAMPLE, trust(**held), NOW) == reason


def test_wish_and_piece_come_back_and_nothing_else_is_one() -> None:
    wish = update.encode_wish(12, "lightnode/app.py", 4096, 1024)
    assert wish.hex() == "0000000c000010000400" + b"lightnode/app.py".hex()
    assert update.decode_wish(wish) == (12, "lightnode/app.py", 4096, 1024)
    piece = update.encode_piece(12, "main.py", 512, b"xyz")
    assert piece.hex() == "0000000c0000020007" + b"main.pyxyz".hex()
    assert update.decode_piece(piece) == (12, "main.py", 512, b"xyz")
    too_much = update.encode_piece(1, "a", 0, bytes(1025))
    for wrong in (b"", wish[:10], wish[:8] + b"\0\0a", wish[:8] + b"\x04\x01a", wish + b"/../x"):
        with pytest.raises(WireError):
            update.decode_wish(wrong)
    for wrong in (b"", piece[:16], piece[:8] + b"\xff", too_much, update.encode_piece(1, "../a", 0, b"x")):
        with pytest.raises(WireError):
            update.decode_piece(wrong)


@given(st.binary(max_size=1200))
def test_any_bytes_are_a_wish_a_piece_or_a_wire_error(raw: bytes) -> None:
    for decode, encode in ((update.decode_wish, update.encode_wish), (update.decode_piece, update.encode_piece)):
        try:
            found = decode(raw)
        except WireError:
            continue
        assert encode(*found) == raw
