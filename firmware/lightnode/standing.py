"""Accepted set-points that may still rule, as entries of the journal.

1. An entry holds command number (4 bytes), end (8 bytes, ms) and the sealed message without the bytes all of them begin with.
2. At most sixteen are held, those accepted last; one command once.
"""

import struct

_KEPT = 16
_SEALED = b"\xd2\x84\x44\xa1\x01\x38\x2e\xa0\x58\x8b"  # how each sealed set-point begins; not kept
_REST = 205


def entry(command: int, end_ms: int, message: bytes) -> bytes:
    """The body that keeps a sealed set-point."""
    rest = message[len(_SEALED) :] if message.startswith(_SEALED) else message
    return struct.pack(">IQ", command, end_ms) + rest


def parts(body: bytes) -> tuple[int, int, bytes]:
    """(command, end in ms, sealed message) of a kept set-point."""
    command, end_ms = struct.unpack(">IQ", body[:12])
    return command, end_ms, (_SEALED if len(body) == 12 + _REST else b"") + body[12:]


def remembered(held: list, body: bytes, sector) -> list:  # type: ignore[no-untyped-def,type-arg]
    """held, in order of command, with the set-point of this body in this sector: [command, end in ms, body, sector] each."""
    command, end_ms, _ = parts(body)
    held = [kept for kept in held if kept[0] != command][1 - _KEPT :]
    held.append([command, end_ms, body, sector])
    return sorted(held, key=lambda kept: kept[0])
