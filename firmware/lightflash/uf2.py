"""UF2 files: what a boot loader's drive takes. Pure.

1. A file is whole blocks of 512 bytes with magic numbers, address, size, number, count and family. Any bytes give an Uf2 or a
   ValueError in one line.
2. The blocks of a family are numbered from 0 without a gap, all name the same count, lie in flash and do not overlap.
3. Blocks of other families and those that are not for flash are counted for nothing: a boot loader drops them too.
Source: microsoft/uf2, the specification of UF2.
"""

import struct
from dataclasses import dataclass

BLOCK = 512
FLASH_AT = 0x10000000
_FLASH_END = 0x11000000
_HEAD = struct.Struct("<8I")
_FIRST, _SECOND, _LAST = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_MAIN, _HAS_FAMILY = 0x1, 0x2000
_PAYLOAD, _PAYLOAD_MAX = 256, 476


@dataclass(frozen=True, slots=True)
class Uf2:
    """The blocks of one family. spans: address and content of each run in flash, ascending."""

    spans: tuple[tuple[int, bytes], ...]


def parsed(data: bytes, family: int) -> Uf2:
    """The blocks of the family. ValueError says which block is wrong, or which families there are instead."""
    if not data or len(data) % BLOCK:
        raise ValueError(f"not a UF2 file: {len(data)} bytes, not whole blocks of {BLOCK}")
    pieces: dict[int, bytes] = {}
    families: set[int] = set()
    counts: set[int] = set()
    numbers: list[int] = []
    for index in range(len(data) // BLOCK):
        block = data[index * BLOCK : (index + 1) * BLOCK]
        first, second, flags, address, size, number, count, found = _HEAD.unpack_from(block)
        if (first, second, int.from_bytes(block[-4:], "little")) != (_FIRST, _SECOND, _LAST):
            raise ValueError(f"not a UF2 file: block {index} has no magic numbers")
        if flags & _NOT_MAIN or not flags & _HAS_FAMILY:
            continue
        families.add(found)
        if found != family:
            continue
        if not 0 < size <= _PAYLOAD_MAX or not FLASH_AT <= address <= _FLASH_END - size or address in pieces:
            raise ValueError(f"block {index}: {size} bytes for {address:#x}, which is no place in flash or used twice")
        pieces[address] = block[_HEAD.size : _HEAD.size + size]
        numbers.append(number)
        counts.add(count)
    if not pieces:
        raise ValueError(f"no block of family {family:#x}, it is for {', '.join(f'{f:#x}' for f in sorted(families))}")
    if counts != {len(pieces)} or sorted(numbers) != list(range(len(pieces))):
        raise ValueError(f"not complete: {len(pieces)} blocks, {min(counts)} are announced")
    return Uf2(_joined(pieces))


def wrapped(content: bytes, family: int, address: int = FLASH_AT) -> bytes:
    """A UF2 file of a content for an address in flash; the last block is filled with zeros."""
    pieces = [content[at : at + _PAYLOAD].ljust(_PAYLOAD, b"\0") for at in range(0, len(content), _PAYLOAD)]
    blocks = []
    for number, piece in enumerate(pieces):
        where = address + number * _PAYLOAD
        head = _HEAD.pack(_FIRST, _SECOND, _HAS_FAMILY, where, _PAYLOAD, number, len(pieces), family)
        blocks.append((head + piece).ljust(BLOCK - 4, b"\0") + _LAST.to_bytes(4, "little"))
    return b"".join(blocks)


def board_id(info: str) -> str:
    """The Board-ID that INFO_UF2.TXT names; "" if it names none."""
    for line in info.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "Board-ID":
            return value.strip()
    return ""


def _joined(pieces: dict[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    """Runs of blocks that follow each other. ValueError if two overlap."""
    spans: list[tuple[int, bytearray]] = []
    for address in sorted(pieces):
        end = spans[-1][0] + len(spans[-1][1]) if spans else -1
        if address < end:
            raise ValueError(f"two blocks write {address:#x}")
        if address == end:
            spans[-1][1].extend(pieces[address])
        else:
            spans.append((address, bytearray(pieces[address])))
    return tuple((at, bytes(content)) for at, content in spans)
