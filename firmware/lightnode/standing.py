"""Accepted set-points that may still rule, as entries of the journal.

1. A set-point of this device is kept as algorithm (1 byte), its fields without CBOR's heads and without the device, and the
   signature: 174 bytes from which the sealed message comes back identical. Anything else is kept whole, behind a zero byte,
   command number (4 bytes) and end (8 bytes, ms).
2. At most sixteen are held, those accepted last; one command once.
"""

import struct

from lightwire import envelope, records
from lightwire.errors import WireError

from .packing import bare, values_of

_KEPT = 16
_WHOLE = 0
_FORMS = [field for field in records.fields(records.SET_POINT) if field[0] != "device"]
_COMMAND_AT, _END_AT = 26, 38


def entry(device: bytes, command: int, end_ms: int, message: bytes) -> bytes:
    """The body that keeps a sealed set-point."""
    try:
        payload, signature, algorithm = envelope.split(message)
        point = records.decode(payload)
    except WireError:
        return _whole(command, end_ms, message)
    if (
        not isinstance(point, records.SetPoint)
        or (point.device, point.command, point.not_after_ms) != (device, command, end_ms)
        or envelope.wrap(records.encode(point), signature, algorithm) != message
    ):
        return _whole(command, end_ms, message)
    return bytes((algorithm,)) + bare(_FORMS, tuple(point)[:1] + tuple(point)[2:]) + signature


def _whole(command: int, end_ms: int, message: bytes) -> bytes:
    return struct.pack(">BIQ", _WHOLE, command, end_ms) + message


def rank(body: bytes) -> tuple[int, int]:
    """(command, end in ms) of a kept set-point."""
    if body[0] == _WHOLE:
        return struct.unpack(">IQ", body[1:13])  # type: ignore[return-value]
    return int.from_bytes(body[_COMMAND_AT:][:4], "big"), int.from_bytes(body[_END_AT:][:8], "big")


def sealed(device: bytes, body: bytes) -> bytes:
    """The message that was kept."""
    if body[0] == _WHOLE:
        return body[13:]
    values = values_of(_FORMS, body[1:-64])
    point = records.record_of(records.SET_POINT, values[:1] + [device] + values[1:])
    return envelope.wrap(records.encode(point), body[-64:], body[0])


def remembered(held: list, body: bytes, sector) -> list:  # type: ignore[no-untyped-def,type-arg]
    """held, in order of command, with the set-point of this body in this sector: [command, end in ms, body, sector] each."""
    command, end_ms = rank(body)
    held = [kept for kept in held if kept[0] != command][1 - _KEPT :]
    held.append([command, end_ms, body, sector])
    return sorted(held, key=lambda kept: kept[0])
