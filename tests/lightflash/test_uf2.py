"""UF2 files: the specification's block by hand, every broken field refused in one line, any bytes survived."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightflash.uf2 import BLOCK, FLASH_AT, Uf2, board_id, parsed, wrapped

FAMILY = 0xE48BFF56
OTHER = 0xE48BFF59
GOOD = wrapped(bytes(range(256)) * 3, FAMILY)


def changed(index: int, field: int, value: int) -> bytes:
    """GOOD with one of the eight header fields of a block changed."""
    data = bytearray(GOOD)
    struct.pack_into("<I", data, index * BLOCK + 4 * field, value)
    return bytes(data)


def test_the_first_block_is_the_specifications() -> None:
    head = "5546320a 57515d9e 00200000 00000010 00010000 00000000 03000000 56ff8be4"
    assert GOOD[:32] == bytes.fromhex(head)
    assert GOOD[32:288] == bytes(range(256)) and GOOD[288:508] == bytes(220) and GOOD[508:512].hex() == "306fb10a"


def test_blocks_that_follow_each_other_are_one_span() -> None:
    assert parsed(GOOD, FAMILY) == Uf2(((FLASH_AT, bytes(range(256)) * 3),))


def test_a_gap_makes_two_spans_and_the_order_of_blocks_does_not_matter() -> None:
    blocks = [wrapped(b"a" * 256, FAMILY), wrapped(b"b" * 256, FAMILY, FLASH_AT + 4096)]
    made = bytearray(blocks[1] + blocks[0])
    for index in (0, 1):
        struct.pack_into("<II", made, index * BLOCK + 20, 1 - index, 2)
    assert parsed(bytes(made), FAMILY) == Uf2(((FLASH_AT, b"a" * 256), (FLASH_AT + 4096, b"b" * 256)))


def test_rule_3_blocks_of_others_and_not_for_flash_are_not_counted() -> None:
    alien = wrapped(b"x" * 256, OTHER)
    comment = bytearray(wrapped(b"c" * 256, FAMILY))
    struct.pack_into("<I", comment, 8, 0x2001)
    assert parsed(alien + GOOD + bytes(comment), FAMILY) == parsed(GOOD, FAMILY)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes, not whole blocks"),
        (GOOD[:-1], "1535 bytes, not whole blocks"),
        (changed(1, 0, 0), "block 1 has no magic numbers"),
        (changed(1, 1, 0), "block 1 has no magic numbers"),
        (GOOD[:-4] + bytes(4), "block 2 has no magic numbers"),
        (changed(0, 3, 0), "block 0: 256 bytes for 0x0"),
        (changed(0, 3, 0x10FFFFFF), "block 0: 256 bytes for 0x10ffffff"),
        (changed(1, 3, FLASH_AT), "block 1: 256 bytes for 0x10000000, which is no place in flash or used twice"),
        (changed(1, 3, FLASH_AT + 1), "two blocks write 0x10000001"),
        (changed(0, 4, 0), "block 0: 0 bytes"),
        (changed(0, 4, 477), "block 0: 477 bytes"),
        (changed(1, 5, 0), "not complete"),
        (changed(1, 6, 4), "not complete"),
        (GOOD[:BLOCK], "not complete: 1 blocks, 3 are announced"),
        (changed(2, 7, OTHER), "not complete"),
        (wrapped(b"x", OTHER), "no block of family 0xe48bff56, it is for 0xe48bff59"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parsed(data, FAMILY)


@given(st.binary(max_size=BLOCK * 2))
def test_any_bytes_give_a_file_or_one_line(data: bytes) -> None:
    for candidate in (data, data.ljust(BLOCK, b"\0")[:BLOCK], GOOD[:BLOCK] + data.ljust(BLOCK, b"\0")[:BLOCK]):
        try:
            parsed(candidate, FAMILY)
        except ValueError as error:
            assert "\n" not in str(error)


@given(st.binary(min_size=1, max_size=5000))
def test_what_was_wrapped_is_there_again(content: bytes) -> None:
    ((at, found),) = parsed(wrapped(content, FAMILY), FAMILY).spans
    assert at == FLASH_AT and found == content + bytes(-len(content) % 256)


def test_the_drives_name_is_read() -> None:
    assert board_id("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n") == "RPI-RP2"
    assert board_id("nothing") == ""
