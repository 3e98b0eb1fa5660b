"""Firmware files and their pins: no file passes that is not the pinned one, every wrong word is named."""

import hashlib
from pathlib import Path

import pytest
from lightflash.errors import FlashError
from lightflash.esptool import segments
from lightflash.firmware_file import pin, pins, with_table

CONTENT = b"firmware" * 100
SHA = hashlib.sha256(CONTENT).hexdigest()
LIST = f'[esp32-s3]\nfile = "s3.bin"\nsha256 = "{SHA}"\nversion = "1.26.1"\n'


def listed(folder: Path, text: str) -> Path:
    (folder / "s3.bin").write_bytes(CONTENT)
    path = folder / "firmware.toml"
    path.write_text(text)
    return path


def test_a_list_names_a_file_beside_it_and_what_it_is(tmp_path: Path) -> None:
    found = pins(listed(tmp_path, LIST))["esp32-s3"].opened()
    assert (found.content, found.sha256, found.version) == (CONTENT, SHA, (1, 26, 1))


def test_a_pin_may_be_in_capitals(tmp_path: Path) -> None:
    assert pins(listed(tmp_path, LIST.replace(SHA, SHA.upper())))["esp32-s3"].opened().sha256 == SHA


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[esp32-s3", "is not TOML"),
        ('esp32-s3 = "x"', r"\[esp32-s3\] is not a table of file, sha256, version"),
        (LIST.replace("version", "vision"), r"\[esp32-s3\] is not a table of file, sha256, version"),
        (LIST.replace('"1.26.1"', "1.26"), r"\[esp32-s3\] is not a table of file, sha256, version"),
        (LIST.replace("1.26.1", "latest"), "version is 'latest'; a version as 1.26.1 belongs there"),
        (LIST.replace(SHA, SHA[:-1]), "sha256 is .*; 64 hexadecimal digits belong there"),
    ],
)
def test_a_wrong_list_is_named_with_what_belongs_there(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FlashError, match=says):
        pins(listed(tmp_path, text))


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"\0", CONTENT[:-1] + b"!"])
def test_a_file_with_another_content_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s3.bin").write_bytes(content)
    with pytest.raises(FlashError, match=r"s3\.bin has SHA-256 .*, pinned is "):
        pin(tmp_path / "s3.bin", SHA, "1.26.1").opened()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=r"none\.bin cannot be read"):
        pin(tmp_path / "none.bin", SHA, "1.26.1").opened()


def test_long_runs_of_erased_bytes_are_not_written_and_short_ones_are() -> None:
    """What stays out is where a board keeps its keys: in an image of an ESP32 from 0x9000 to 0xFFFF."""
    image = b"\x01" * 0x5000 + b"\xff" * 0x3000 + b"\x02" * 0x1000 + b"\xff" * 0x7000 + b"\x03" * 0x2345
    assert segments(image) == [(0, image[:0x9000]), (0x10000, image[0x10000:])]
    assert segments(b"\xff" * 65536) == []
    assert segments(b"\x01") == [(0, b"\x01")]


def test_a_builds_partition_table_takes_the_place_of_the_files_own(tmp_path: Path) -> None:
    found = pins(listed(tmp_path, LIST))["esp32-s3"].opened()
    made = with_table(found, b"TABLE", 100)
    assert made.content == CONTENT[:100] + b"TABLE" + CONTENT[105:]
    assert made.sha256 == hashlib.sha256(made.content).hexdigest() != found.sha256
    with pytest.raises(FlashError, match="has 800 bytes and no partition table"):
        with_table(found, b"TABLE", 796)
