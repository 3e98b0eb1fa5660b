"""Files as a ROMFS image that MicroPython mounts where it lies in flash.

Format: MicroPython 1.25, extmod/vfs_rom.c. A record is kind, length, payload; both numbers in base 128, big endian.
"""

from collections.abc import Mapping

_DATA, _FILE, _FILESYSTEM = 2, 5, 0x14A6B1


def romfs(files: Mapping[str, bytes]) -> bytes:
    """The image of a flat folder; its size is even, as the format wants."""
    body = b"".join(_record(_FILE, _number(len(n.encode())) + n.encode() + _record(_DATA, c)) for n, c in files.items())
    image = _record(_FILESYSTEM, body)
    return image if len(image) % 2 == 0 else _number(_FILESYSTEM) + b"\x80" + _number(len(body)) + body


def _record(kind: int, payload: bytes) -> bytes:
    return _number(kind) + _number(len(payload)) + payload


def _number(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
