"""The partition table against one taken apart by hand, field by field."""

import hashlib
import struct

import pytest
from lightflash import board as boards
from lightflash.partition import partition_table


def test_the_first_entry_is_as_the_guide_says() -> None:
    table = partition_table(boards.board("esp32-s3"))
    assert table[:32] == bytes.fromhex("aa50 01 02 00900000 00600000") + b"nvs".ljust(16, b"\0") + bytes(4)


def test_every_region_is_found_by_its_label() -> None:
    board = boards.board("esp32-c3")
    table = partition_table(board)
    rows = [struct.unpack("<2sBBII16sI", table[at : at + 32]) for at in range(0, 32 * len(board.regions), 32)]
    assert [(r[5].rstrip(b"\0").decode(), r[3], r[4]) for r in rows] == [
        (r.label, r.offset, r.bytes) for r in board.regions
    ]
    end = 32 * len(rows)
    assert table[end : end + 32] == b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table[:end]).digest()
    assert table[end + 32 :] == b"\xff" * (0xC00 - end - 32)


@pytest.mark.parametrize("name", ["rp2040-w", "rp2350-w", "chip", "unix"])
def test_other_boards_have_none(name: str) -> None:
    assert partition_table(boards.board(name)) == b""
