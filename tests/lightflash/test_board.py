"""Boards as data: what comes with the flasher is right, and a wrong file is one line."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from lightflash import board as boards
from lightflash.errors import FlashError

FOLDER = Path(boards.__file__).parent / "boards"
EXPECTED = {"esp32-s3", "esp32-c3", "esp32", "rp2040-w", "rp2350-w", "chip", "unix"}
ROOT = Path(__file__).parents[2]


def test_every_board_is_there() -> None:
    assert set(boards.names()) >= EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_board_that_comes_along_is_right(name: str) -> None:
    found = boards.board(name)
    assert found.name == name
    assert found.hardware == name
    assert sum(region.bytes for region in found.regions) <= found.flash_bytes


def test_the_map_of_the_esp32_s3_is_as_written_here() -> None:
    found = boards.board("esp32-s3")
    assert {r.label: (r.offset, r.bytes) for r in found.regions} == {
        "nvs": (0x9000, 0x6000),
        "phy_init": (0xF000, 0x1000),
        "factory": (0x10000, 0x2F0000),
        "vfs": (0x300000, 0x200000),
        "journal": (0x500000, 0x300000),
    }


@pytest.mark.parametrize("name", ["rp2040-w", "rp2350-w"])
def test_the_journal_of_an_rp2_is_the_end_of_the_flash(name: str) -> None:
    """As board_rp2.open_flash takes it: the last journal.bytes of the storage, which is the end of the flash."""
    found = boards.board(name)
    journal = found.region("journal")
    assert journal is not None
    assert journal.offset + journal.bytes == found.flash_bytes
    assert found.files.offset + found.files.bytes == journal.offset
    assert found.littlefs.prog_bytes == 256


def test_the_files_of_an_rp2_are_those_that_its_start_mounts() -> None:
    """firmware/device/rp2/_boot.py: LittleFS has so much at the beginning of the storage, and the storage ends with the flash."""
    source = (ROOT / "firmware/device/rp2/_boot.py").read_text()
    mounted = int(re.findall(r"^FILES_BYTES = ([\d_]+)$", source, re.MULTILINE)[0])
    assert [boards.board(name).files.bytes for name in ("rp2040-w", "rp2350-w")] == [mounted] * 2


def test_the_chip_has_the_sectors_of_its_board_file() -> None:
    found = boards.board("chip")
    boot = (ROOT / "hil/mcu/board/_boot.py").read_text()
    first, count = map(int, re.findall(r"_files = mps2\.Partition\((\d+), (\d+)\)", boot)[0])
    assert (found.files.offset, found.files.bytes) == (first * 4096, count * 4096)
    source = (ROOT / "firmware/lightnode/board_mps2.py").read_text()
    sectors = int(re.findall(r"_JOURNAL_SECTORS = (\d+)", source)[0])
    journal = found.region("journal")
    assert journal is not None
    assert (journal.offset, journal.bytes) == (0, sectors * 4096)


def constant(file: str, name: str) -> int:
    """A number that a board file of the application has; skipped where the file is not there."""
    path = ROOT / "firmware" / "lightnode" / file
    if not path.exists():
        pytest.skip(f"the application has no {file}")
    return int(re.findall(rf"^{name} = (\d+)", path.read_text(), re.MULTILINE)[0])


@pytest.mark.parametrize(
    ("names", "file"),
    [(["esp32-s3", "esp32-c3", "esp32"], "board_esp32.py"), (["rp2040-w", "rp2350-w"], "board_rp2.py")],
)
def test_sectors_are_those_of_the_applications_board_file(names: list[str], file: str) -> None:
    for name in names:
        assert boards.board(name).sector_bytes == constant(file, "_SECTOR")


def test_the_pages_of_an_rp2_are_those_of_the_applications_board_file() -> None:
    for name in ("rp2040-w", "rp2350-w"):
        assert boards.board(name).littlefs.prog_bytes == constant("board_chip.py", "PAGE")


def test_an_unknown_board_is_refused_with_what_there_is() -> None:
    with pytest.raises(FlashError) as refused:
        boards.board("esp8266")
    assert "esp8266 is none of chip, esp32, esp32-c3" in str(refused.value)


def test_a_board_in_a_file_of_its_own_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "esp32-s3.toml").read_text().replace('name = "esp32-s3"', 'name = "mine"'))
    assert boards.board(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('march = "xtensawin"', 'march = "z80"', "march is 'z80', one of x86, "),
        ('hardware = "esp32-s3"', 'hardware = "ESP 32"', "hardware is 'ESP 32', 1 to 16 of a-z"),
        ("flash_bytes = 0x800000", "flash_bytes = -1", "flash_bytes is -1, a whole number from 65536"),
        ("flash_bytes = 0x800000", "flash_bytes = true", "flash_bytes is True"),
        ("flash_bytes = 0x800000", "flash_bytes = 0x400000", "a size within 4194304 bytes of flash"),
        ('"303a:4001"', '"303A4001"', "usb is '303A4001'"),
        ('support_end = "2032-12-31"', 'support_end = "some day"', "support_end is 'some day', a day like"),
        ("offset = 0x500000", "offset = 0x400000", "region journal is 4194304, an offset behind the region files"),
        ("offset = 0x500000", "offset = 0x500001", "whole sectors of 4096 bytes"),
        ('label = "journal"\n', "", "region journal is None, a label for the partition table"),
        ('name = "journal"', 'name = "files"', "each use once"),
        ('"board_port"]', '"app"]', "modules is 'app', a module of lightnode that begins with board_ belongs here"),
        ('"board_port"]', '"board_../x"]', "modules is 'board_../x'"),
        ('chip = "esp32s3"', 'chip = "esp32s3; rm"', "firmware.chip is"),
        ("lookahead_bytes = 32", "lookahead_bytes = 33", "a multiple of 8"),
        ('title = "ESP32-S3, 8 MB of flash"\n', "", "title is None, a value belongs here"),
        ("sector_bytes = 4096", "sector_bytes = 4096\ncolour = 1", "colour is 1, nothing: no such key"),
        ('kind = "esptool"', 'kind = "uf2"', "firmware.chip is 'esp32s3', nothing: no such key"),
        ("[littlefs]", "[[littlefs]]", "littlefs is [{"),
    ],
)
def test_a_wrong_value_is_one_line_with_file_key_value_and_what_belongs_there(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = (FOLDER / "esp32-s3.toml").read_text()
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FlashError) as refused:
        boards.read(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"=", b"[" * 70_000, b"a=" + b"[" * 30_000, b"name = 1", b"firmware = 3"]
)
def test_any_bytes_give_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(data)
    with pytest.raises(FlashError) as refused:
        boards.read(path)
    assert "\n" not in str(refused.value)


def test_regions_that_are_no_list_are_refused() -> None:
    document: dict[str, Any] = tomllib.loads((FOLDER / "unix.toml").read_text())
    with pytest.raises(ValueError, match="regions is 7, a list"):
        boards.parse({**document, "regions": 7})
