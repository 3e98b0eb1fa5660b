"""Readings by the hundred thousand: a run of readings of one batch, in columns, written out again message by message.

1. A run is of the device and key of its statement; seq rises by one from its place in the batch, time by a slot. Of each
   column the first number stands as it is, then the difference to the one before. Signatures are in one text (base64).
2. What each number gives must fit its field; columns are of one length, which is that of the signatures.
3. From these each message is made in its one form (FORMAT.md of the wire), signature and all, and its leaf hash from that:
   only the true numbers give the root that the statement signs. A reading's own signature is not looked at here.
"""

import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message, PublicKey
from backend.evidence.verifier.sheet import number, record, rows

SLOT_MS = 4000
COLUMNS = (
    "power_w", "reactive_var", "import_wh", "export_wh", "voltage_l1_mv", "voltage_l2_mv", "voltage_l3_mv", "frequency_mhz",
)  # fmt: skip
FIELDS = ("boot", "flags", "time_ms", *COLUMNS, "signatures")
_HALF = 1 << 31
_REST = struct.Struct(">IBQBHBIBIBQBQHIBIBIBHH64s")
_SIGNED_PLACES = {"power_w": 16, "reactive_var": 21}
_PLACES = {
    "import_wh": (27, "Q"), "export_wh": (36, "Q"), "voltage_l1_mv": (46, "I"), "voltage_l2_mv": (51, "I"),
    "voltage_l3_mv": (56, "I"), "frequency_mhz": (61, "H"),
}  # fmt: skip
_SEQ_PLACE, _TIME_PLACE, _SIGNATURE_PLACE = 0, 5, 65
_HEADS = {1: bytes.fromhex("d28444a101382ea05856"), 2: bytes.fromhex("d28443a10126a05856")}
_MOST = 65_535
_UNTRUSTED_CLOCK = 1


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was read: boot, flags, instant of the first (UTC ms, or monotonic if the clock was not trusted), the columns
    as they are, the leaf hashes of its messages."""

    boot: int
    flags: int
    time_ms: int
    columns: Mapping[str, Sequence[int]]
    leaves: Sequence[bytes]

    @property
    def is_trusted(self) -> bool:
        """Whether its time is UTC."""
        return not self.flags & _UNTRUSTED_CLOCK


def read_run(value: object, statement: Message, key: PublicKey, first_seq: int, where: str) -> Run:
    """The run whose first reading is first_seq of a statement's device; NotValid by rules 1 and 2."""
    table = record(value, FIELDS, where)
    boot = number(table["boot"], f"{where}, boot", 0, (1 << 32) - 1)
    flags = number(table["flags"], f"{where}, flags", 0, (1 << 16) - 1)
    time_ms = number(table["time_ms"], f"{where}, time_ms")
    signatures = _signatures(table["signatures"], f"{where}, signatures")
    count = len(signatures) // 64
    columns = {name: _column(table[name], count, f"{where}, {name}") for name in COLUMNS}
    head = b"\0" + _HEADS[key.algorithm] + b"\x8e\x18\x01\x18\x01\x48" + statement.octets("device")
    head += struct.pack(">BHBIB", 0x19, statement.number("generation"), 0x1A, boot, 0x1A)
    try:
        leaves = _leaves(head, range(first_seq, first_seq + count), time_ms, flags, columns, signatures)
    except struct.error:
        raise NotValid(where, "a number is outside the range of its field") from None
    return Run(boot, flags, time_ms, columns, leaves)


def _signatures(text: object, where: str) -> bytes:
    try:
        found = binascii.a2b_base64(text, strict_mode=True) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if (
        not found
        or len(found) % 64
        or len(found) > 64 * _MOST
        or binascii.b2a_base64(found, newline=False).decode() != text
    ):
        raise NotValid(where, "are not whole signatures of 64 bytes in base64")
    return found


def _column(value: object, count: int, where: str) -> list[int]:
    differences = rows(value, where)
    if len(differences) != count:
        raise NotValid(where, f"has {len(differences)} numbers for {count} signatures")
    if set(map(type, differences)) != {int}:
        raise NotValid(where, "holds what is not a whole number")
    return list(accumulate(differences))


def _leaves(
    head: bytes, seqs: range, time_ms: int, flags: int, columns: Mapping[str, Sequence[int]], signatures: bytes
) -> list[bytes]:
    """The leaf hash of each reading (rule 3); struct.error for a number out of range.

    The messages are written one behind the other, first what is the same in all of them, then column by column: a fraction of
    the time that message by message takes.
    """
    same = head + _REST.pack(
        0, 27, 0, 25, flags, 26, 0, 26, 0, 27, 0, 27, 0, 0x831A, 0, 26, 0, 26, 0, 25, 0, 0x5840, b""
    )
    size, messages = len(same), bytearray(same * len(seqs))
    times = range(time_ms, time_ms + SLOT_MS * len(seqs), SLOT_MS)
    written = [(_SEQ_PLACE, _packed("I", seqs)), (_TIME_PLACE, _packed("Q", times)), (_SIGNATURE_PLACE, signatures)]
    for place, octets in (*written, *_columns(columns)):
        width = len(octets) // len(seqs)
        for k in range(width):
            messages[len(head) + place + k :: size] = octets[k::width]
    return [sha256(message).digest() for (message,) in struct.iter_unpack(f"{size}s", messages)]


def _columns(columns: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, bytes]]:
    """(place behind the head, bytes of all its numbers) of each column."""
    for name, place in _SIGNED_PLACES.items():
        column = columns[name]
        if max(column) >= _HALF or min(column) < -_HALF:
            raise struct.error
        yield place, bytes([26 if value >= 0 else 58 for value in column])
        yield place + 1, _packed("I", [value if value >= 0 else -1 - value for value in column])
    for name, (place, form) in _PLACES.items():
        yield place, _packed(form, columns[name])


def _packed(form: str, numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}{form}", *numbers)
