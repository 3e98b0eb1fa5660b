"""Payloads by their layout: written and read as one struct, and looked at field by field when one is not as it must be."""

import struct

from .errors import OutOfRange, Truncated
from .layout import UNSIGNED, fields, start

_formats: dict[int, str] = {}


def written(kind: int, values) -> bytes:  # type: ignore[no-untyped-def]
    """The payload of a kind with these values, which were checked."""
    parts: list[object] = [start(kind)]
    for (_, form), value in zip(fields(kind), values):
        if form == "i":
            parts.append(0x1A if value >= 0 else 0x3A)
            parts.append(value if value >= 0 else -1 - value)
        elif form == "V":
            parts.append(0x83)
            for one in value:
                parts.append(0x1A)
                parts.append(one)
        elif form in UNSIGNED:
            parts.append(UNSIGNED[form][0])  # type: ignore[index, unused-ignore]
            parts.append(value)
        else:
            parts.append(_mark(form))  # type: ignore[arg-type]
            parts.append(value)
    return struct.pack(_format_of(kind), *parts)


def read(kind: int, payload: bytes) -> list[object]:
    """The values in the payload of a kind; [] if it is not of its one form: `read_field` says where."""
    form_of_all = _format_of(kind)
    if struct.calcsize(form_of_all) != len(payload):
        return []
    parts = struct.unpack(form_of_all, payload)
    values: list[object] = []
    at = 1
    for _, form in fields(kind):
        mark, value = parts[at], parts[at + 1]
        at += 2
        if form == "i":
            if mark == 0x3A:
                value = -1 - value
            elif mark != 0x1A:
                return []
        elif form == "V":
            if mark != 0x83 or not value == parts[at + 1] == parts[at + 3] == 0x1A:
                return []
            value = parts[at], parts[at + 2], parts[at + 4]
            at += 5
        elif mark != (UNSIGNED[form][0] if form in UNSIGNED else _mark(form)):  # type: ignore[arg-type]
            return []
        values.append(value)
    return values


def _format_of(kind: int) -> str:
    if kind not in _formats:
        _formats[kind] = f">{len(start(kind))}s" + "".join([_format(form) for _, form in fields(kind)])
    return _formats[kind]


def _format(form) -> str:  # type: ignore[no-untyped-def]
    if isinstance(form, int):
        return f"{len(_mark(form))}s{form}s"
    return {"i": "BI", "V": "BBIBIBI"}.get(form, "B" + str(form))


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
