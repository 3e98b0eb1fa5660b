"""The real esptool on a simulated boot loader: the header of the boot loader, what is read back, boards with another flash."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from lightflash.board import board as board_kind
from lightflash.device_log import REFUSED, DeviceLog
from lightflash.errors import FlashError
from lightflash.esptool import Esptool
from lightflash.many import Wanted
from shelf import FILES, a_board, pins, row, written

from hil.boards import board as simulated
from hil.boards.rom import CHIPS, Loader
from tests.hil.boards.test_rom import loader_on_a_terminal

pytestmark = pytest.mark.long

MAC = bytes.fromhex("7cdfa1001122")
SIZES = {2: 0x1F, 4: 0x2F, 8: 0x3F, 16: 0x4F}  # MiB to the header's fourth byte; its lower half is the speed


def boot_loader(size_byte: int) -> bytes:
    """An ESP32-S3's boot loader, one segment with checksum and SHA-256. Source: ESP-IDF, "Application image structures"."""
    head = bytes((0xE9, 1, 2, size_byte)) + (0x403C_8000).to_bytes(4, "little")
    more = bytes((0xEE, 0, 0, 0)) + (9).to_bytes(2, "little") + bytes(9) + b"\x01"
    content = bytes(k * 7 & 0xFF for k in range(1024))
    segment = (0x3FC8_8000).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content
    check = 0xEF
    for byte in content:
        check ^= byte
    body = head + more + segment
    body += bytes(15 - len(body) % 16) + bytes((check,))
    return body + hashlib.sha256(body).digest()


def put(folder: Path, loader: Loader, pieces: list[tuple[int, bytes]]) -> None:
    named = []
    for at, content in pieces:
        (folder / f"{at}.bin").write_bytes(content)
        named.append((at, folder / f"{at}.bin"))
    with loader_on_a_terminal(loader) as port:
        Esptool(port).write("esp32s3", named, sum(len(content) for _, content in pieces), lambda _at, _of: None)


@pytest.mark.parametrize("mib", [2, 4, 8, 16])
def test_rule_5_the_header_says_what_the_flash_is_and_nothing_else_differs(tmp_path: Path, mib: int) -> None:
    """The worked case: a file made for 4 MiB, as all are that come for this chip."""
    flash = bytearray(b"\xff" * (1 << 20))
    application = bytes(range(256)) * 40
    put(tmp_path, Loader(CHIPS["esp32-s3"], MAC, flash, mib << 20), [(0, boot_loader(0x2F)), (0x10000, application)])
    wanted = boot_loader(SIZES[mib])
    assert flash[: len(wanted)] == wanted
    assert flash[0x10000 : 0x10000 + len(application)] == application


class Worn(Loader):
    """A flash with a bit that does not keep what is written."""

    def _write(self, data: bytes, checksum: int, *, packed: bool) -> int:
        code = super()._write(data, checksum, packed=packed)
        self._flash[600] ^= 1
        return code


def test_rule_2_a_bit_that_changed_is_found_although_the_header_differs_from_the_file(tmp_path: Path) -> None:
    worn = Worn(CHIPS["esp32-s3"], MAC, bytearray(b"\xff" * (1 << 20)), 8 << 20)
    with pytest.raises(FlashError):
        put(tmp_path, worn, [(0, boot_loader(0x2F))])


@pytest.mark.parametrize(("mib", "says"), [(4, 4 << 20), (8, 8 << 20), (16, 16 << 20)])
def test_the_boot_loader_says_how_large_the_flash_is(mib: int, says: int) -> None:
    with loader_on_a_terminal(Loader(CHIPS["esp32-s3"], MAC, bytearray(4096), mib << 20)) as port:
        found = Esptool(port).identify()
    assert (found.unique_id, found.chip, found.flash_bytes) == (MAC.hex(), "ESP32-S3", says)


def test_a_board_with_less_flash_than_the_list_says_is_refused_unchanged(
    tmp_path: Path, micropython: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(simulated.MODELS["esp32-s3"], flash_bytes=4 << 20)
    monkeypatch.setitem(simulated.MODELS, "esp32-s3", small)
    with a_board(tmp_path / "board", "esp32-s3", runs=None) as board:
        before = bytes(board.flash)
        wanted = Wanted(pins(tmp_path, "esp32-s3"), {"esp32-s3": FILES})
        (entry,) = written([row(board)], wanted, DeviceLog(tmp_path / "log"))
        assert board.flash == before
    assert (entry.state, entry.step) == (REFUSED, "identify")
    assert entry.cause == f"its flash has 4096 KiB, esp32-s3 needs {board_kind('esp32-s3').flash_bytes >> 10}"
