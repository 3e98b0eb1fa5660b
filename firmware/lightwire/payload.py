"""Payloads by their layout: written and read as one struct, and looked at field by field when one is not as it must be."""

import struct

from .choice import READING, STATEMENT
from .errors import OutOfRange, Truncated
from .layout import UNSIGNED, fields, start

_plans: dict[int, tuple] = {}  # type: ignore[type-arg]
_masks: dict[int, int] = {}


def written(kind: int, values) -> bytes:  # type: ignore[no-untyped-def]
    """The payload of a kind with these values, which were checked."""
    form, heads, signed, volts = _plan(kind)
    bare = list(values)
    for at, place in signed:
        if bare[at] < 0:
            bare[at] = -1 - bare[at]
            heads |= 0x20 << place
    if volts:
        bare[volts : volts + 1] = bare[volts]
    packed = struct.pack(form, *bare)
    return (int.from_bytes(packed, "big") | heads).to_bytes(len(packed), "big")  # type: ignore[no-any-return]


def read(kind: int, payload: bytes) -> list[object]:
    """The values in the payload of a kind; [] if it is not of its one form: `read_field` says where."""
    form, heads, signed, volts = _plan(kind)
    if struct.calcsize(form) != len(payload):
        return []
    if kind not in _masks:
        _masks[kind] = _mask(heads, len(payload), signed)
    number = int.from_bytes(payload, "big")
    if number & _masks[kind] != heads:
        return []
    values = list(struct.unpack(form, payload))
    if volts:
        values[volts : volts + 3] = [tuple(values[volts : volts + 3])]
    for at, place in signed:
        if number >> place & 0x20:
            values[at] = -1 - values[at]
    return values


def _plan(kind: int):  # type: ignore[no-untyped-def]
    """(format of all values, heads between them as one number, signed values, the index of the voltages or 0).

    A signed value is (its index, the lowest bit of its head), whose bit 5 says that the value is negative.
    """
    if kind not in _plans:
        heads = start(kind)
        form = f">{len(heads)}x"
        signed: list[tuple[int, int]] = []
        volts = 0
        for at, (_, of_field) in enumerate(fields(kind)):
            if of_field == "V":
                volts = at
            if of_field == "i":
                signed.append((at, len(heads)))
            head, packed = _packed(of_field)
            form += packed
            heads += head
        bits = 8 * len(heads) - 8
        places = tuple([(at, bits - 8 * place) for at, place in signed])
        _plans[kind] = form, int.from_bytes(heads, "big"), places, volts
    return _plans[kind]


def _mask(heads: int, length: int, signed) -> int:  # type: ignore[no-untyped-def]
    """The bits of a payload that belong to heads, whatever the values: no byte of a head is 0."""
    mask = int.from_bytes(bytes([byte and 0xFF for byte in heads.to_bytes(length, "big")]), "big")
    for _, place in signed:
        mask ^= 0x20 << place
    return mask


def _packed(form) -> tuple[bytes, str]:  # type: ignore[no-untyped-def]
    """The heads of a field with zeros where its value stands, and its part of the format."""
    if isinstance(form, int):
        mark = _mark(form)
        return mark + bytes(form), f"{len(mark)}x{form}s"
    if form == "V":
        return b"\x83" + b"\x1a\x00\x00\x00\x00" * 3, "2xIxIxI"
    if form == "i":
        return b"\x1a\x00\x00\x00\x00", "xI"
    head, width = UNSIGNED[form]
    return bytes((head,)) + bytes(width), "x" + str(form)


def _mark(length: int) -> bytes:
    """The head of a byte string."""
    return bytes((0x40 | length,)) if length < 24 else bytes((0x58, length))


def read_field(payload: bytes, at: int, name: str, form: object) -> tuple[object, int]:
    if isinstance(form, int):
        mark = _mark(form)
        end = at + len(mark) + form
        _expect(payload, at, mark, name, end)
        return payload[at + len(mark) : end], end
    if form == "V":
        _expect(payload, at, b"\x83", name, at + 16)
        volts = [read_field(payload, at + 1 + 5 * i, name, "I")[0] for i in range(3)]
        return tuple(volts), at + 16
    if form == "i" and payload[at : at + 1] == b"\x3a":
        _expect(payload, at, b"\x3a", name, at + 5)
        return -1 - int.from_bytes(payload[at + 1 : at + 5], "big"), at + 5
    number, width = (0x1A, 4) if form == "i" else UNSIGNED[str(form)]
    _expect(payload, at, bytes((number,)), name, at + 1 + width)
    return int.from_bytes(payload[at + 1 : at + 1 + width], "big"), at + 1 + width


def _expect(payload: bytes, at: int, mark: bytes, name: str, end: int) -> None:
    if end > len(payload):
        raise Truncated(f"{name} ends at {end}, the payload at {len(payload)}")
    if payload[at : at + len(mark)] != mark:
        raise OutOfRange(f"{name} at byte {at} is not in its fixed-width form")


for _kind in (
    READING,
    STATEMENT,
):  # now, not among the numbers of the first signature: what stays there is in the way of all
    _plan(_kind)
