"""The partition table of an ESP32-class board, as its boot loader reads it: 32 bytes for each region, then an MD5.

Source: ESP-IDF Programming Guide, "Partition Tables". Written at 0x8000; the table has 0xC00 bytes, the rest is 0xFF.
"""

import hashlib
import struct

from lightflash.board import Board, Region

TABLE_AT = 0x8000
_TABLE_BYTES = 0xC00
_MAGIC = 0x50AA
_MD5_HEAD = b"\xeb\xeb" + b"\xff" * 14
_KINDS = {  # type and subtype by use
    "firmware": (0, 0x00),
    "identity": (1, 0x02),
    "radio": (1, 0x01),
    "files": (1, 0x81),
    "journal": (1, 0x06),
}


def partition_table(board: Board) -> bytes:
    """The table of a board's regions, b"" if its boot loader reads none."""
    if not board.has_partition_table:
        return b""
    rows = b"".join(_row(region) for region in sorted(board.regions, key=lambda region: region.offset))
    checked = rows + _MD5_HEAD + hashlib.md5(rows, usedforsecurity=False).digest()
    return checked.ljust(_TABLE_BYTES, b"\xff")


def _row(region: Region) -> bytes:
    kind, subtype = _KINDS[region.name]
    return struct.pack("<HBBII16sI", _MAGIC, kind, subtype, region.offset, region.bytes, region.label.encode(), 0)
