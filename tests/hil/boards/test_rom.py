"""The simulated boot loader of an ESP32: what the real esptool writes, compares and reads on it; hostile frames."""

import os
import re
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.boards.rom import CHIPS, Loader, Slip, framed

pytestmark = pytest.mark.long

MAC = bytes.fromhex("7cdfa1001122")
CONTENT = bytes((i * i >> 3) & 0xFF for i in range(30_000))
SYNC = bytes.fromhex("00082400 00000000 07071220") + b"\x55" * 32


@contextmanager
def loader_on_a_terminal(loader: Loader) -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    end, stop = os.pipe()

    def serve() -> None:
        while end not in (ready := select.select([master, end], [], [])[0]):
            if master in ready and (answer := loader.feed(os.read(master, 4096))):
                os.write(master, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.write(stop, b"x")
        thread.join()
        for file in (master, slave, end, stop):
            os.close(file)


def esptool(port: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "esptool", "--port", port, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("kind", "says"), [("esp32", "ESP32"), ("esp32-s3", "ESP32-S3"), ("esp32-c3", "ESP32-C3")])
def test_esptool_finds_the_chip_writes_compares_and_reads_back(tmp_path: Path, kind: str, says: str) -> None:
    flash = bytearray(os.urandom(1 << 20))
    before = bytes(flash)
    (tmp_path / "content").write_bytes(CONTENT)
    with loader_on_a_terminal(Loader(CHIPS[kind], MAC, flash)) as port:
        read = esptool(port, "read-mac")
        assert re.search(rf"Chip type:\s+{says}\b", read.stdout) and "7c:df:a1:00:11:22" in read.stdout
        written = esptool(port, "write-flash", "0x10000", str(tmp_path / "content"))
        assert written.returncode == 0 and "Hash of data verified" in written.stdout
        assert flash[0x10000 : 0x10000 + len(CONTENT)] == CONTENT
        assert flash[:0x10000] == before[:0x10000] and flash[0x18000:] == before[0x18000:]
        assert esptool(port, "verify-flash", "0x10000", str(tmp_path / "content")).returncode == 0
        assert esptool(port, "read-flash", "0x10000", "30000", str(tmp_path / "back")).returncode == 0
        assert (tmp_path / "back").read_bytes() == CONTENT


def test_a_byte_that_changed_in_flash_is_found(tmp_path: Path) -> None:
    flash = bytearray(b"\xff" * (1 << 20))
    flash[: len(CONTENT)] = CONTENT
    flash[7] ^= 1
    (tmp_path / "content").write_bytes(CONTENT)
    with loader_on_a_terminal(Loader(CHIPS["esp32-s3"], MAC, flash)) as port:
        assert esptool(port, "verify-flash", "0", str(tmp_path / "content")).returncode != 0


def test_another_chip_is_named_and_not_written(tmp_path: Path) -> None:
    flash = bytearray(b"\x55" * (1 << 20))
    (tmp_path / "content").write_bytes(CONTENT)
    with loader_on_a_terminal(Loader(CHIPS["esp32-c3"], MAC, flash)) as port:
        done = esptool(port, "--chip", "esp32s3", "write-flash", "0", str(tmp_path / "content"))
    assert done.returncode != 0 and "This chip is ESP32-C3, not ESP32-S3" in done.stdout + done.stderr
    assert flash == b"\x55" * (1 << 20)


def test_rule_2_the_answers_of_rom_and_stub_differ_by_two_bytes() -> None:
    loader = Loader(CHIPS["esp32"], MAC, bytearray(4096))
    reading = framed(bytes.fromhex("000a0400 00000000 00100040"))
    (rom,) = Slip().feed(loader.feed(reading))
    assert rom == bytes.fromhex("010a0400 831df000 00000000")
    loader.feed(framed(bytes.fromhex("00060800 00000000 00000000 00000040")))
    (stub,) = Slip().feed(loader.feed(reading))
    assert stub == bytes.fromhex("010a0200 831df000 0000")


def test_rule_3_nothing_outside_of_what_was_begun_is_written() -> None:
    flash = bytearray(b"\x00" * 8192)
    loader = Loader(CHIPS["esp32"], MAC, flash)
    loader.feed(framed(bytes.fromhex("00021000 00000000") + bytes.fromhex("00100000 01000000 00200000 00000000")))
    data = b"\x11" * 8192
    head = len(data).to_bytes(4, "little") + bytes(12)
    loader.feed(
        framed(b"\x00\x03" + (16 + len(data)).to_bytes(2, "little") + (0xEF).to_bytes(4, "little") + head + data)
    )
    assert flash == b"\x11" * 4096 + bytes(4096)


def test_rule_4_a_frame_of_another_length_than_it_says_is_not_answered() -> None:
    assert Loader(CHIPS["esp32"], MAC, bytearray(4096)).feed(framed(SYNC[:-1])) == b""
    assert len(list(Slip().feed(Loader(CHIPS["esp32"], MAC, bytearray(4096)).feed(framed(SYNC))))) == 8


@given(st.lists(st.binary(max_size=80), max_size=6), st.integers(1, 40))
def test_frames_come_back_however_they_are_cut(frames: list[bytes], step: int) -> None:
    line = b"".join(framed(frame) for frame in frames if frame)
    slip = Slip()
    found = [frame for at in range(0, len(line), step) for frame in slip.feed(line[at : at + step])]
    assert found == [frame for frame in frames if frame]


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    loader = Loader(CHIPS["esp32-s3"], MAC, bytearray(4096))
    loader.feed(framed(b"\x00" + data))
    loader.feed(data)
