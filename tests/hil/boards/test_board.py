"""A simulated board: boots what is in its flash, keeps what was in flash when its cable is pulled, and loses all else."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lightflash.uf2 import wrapped
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from hil.boards.board import MODELS, Board, firmware
from hil.boards.uf2_drive import FLASH_AT

pytestmark = pytest.mark.usefixtures("micropython")
UID = bytes.fromhex("7cdfa1001122")
VERSION = (1, 26, 1)


def running(folder: Path, model: str = "esp32-s3") -> Board:
    board = Board(folder, model, UID)
    board.install(firmware(model, VERSION, 8192, 1))
    return board


def opened(board: Board) -> SerialTransport:
    serial = SerialTransport(str(board.port), timeout=5)
    serial.enter_raw_repl()
    return serial


def soon(is_true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not is_true() and time.monotonic() < end:
        time.sleep(0.01)
    return is_true()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_mpremote_talks_to_a_board_with_its_names_and_its_files(tmp_path: Path, model: str) -> None:
    with running(tmp_path, model) as board:
        serial = opened(board)
        script = "import sys, machine\nprint(sys.platform, sys.implementation._machine, machine.unique_id().hex())"
        said = serial.exec(script).decode().strip()
        assert said == f"{MODELS[model].platform} {MODELS[model].machine} {UID.hex()}"
        serial.fs_writefile("/kept.txt", b"0123" * 700)
        assert serial.fs_readfile("/kept.txt") == b"0123" * 700
        with pytest.raises(TransportError, match="ZeroDivisionError"):
            serial.exec("1 // 0")
        serial.close()


def test_rule_1_a_board_with_half_a_firmware_does_not_start(tmp_path: Path) -> None:
    board = Board(tmp_path, "esp32-s3", UID)
    board.install(firmware("esp32-s3", VERSION, 8192, 1)[:-1])
    with board, pytest.raises(TransportError):
        serial = SerialTransport(str(board.port), timeout=0.2)
        serial.enter_raw_repl(timeout_overall=1)


def test_rule_2_esptool_gets_the_boot_loader_and_the_next_interrupt_the_new_firmware(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(firmware("esp32-s3", (1, 27, 0), 16_384, 2))
    with running(tmp_path) as board:
        serial = opened(board)
        serial.fs_writefile("/kept.txt", b"kept")
        serial.close()
        command = [
            sys.executable,
            "-m",
            "esptool",
            "--port",
            str(board.port),
            "write-flash",
            "0",
            str(tmp_path / "new"),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        serial = opened(board)
        assert serial.eval("__import__('sys').implementation.version[:3]") == (1, 27, 0)
        assert serial.fs_readfile("/kept.txt") == b"kept"
        serial.close()


@pytest.mark.parametrize("transfers", [1, 12, 40])
def test_rule_3_a_cable_that_is_pulled_leaves_what_was_in_flash(tmp_path: Path, transfers: int) -> None:
    board = running(tmp_path)
    with board:
        serial = opened(board)
        serial.fs_writefile("/kept.txt", b"kept")
        serial.close()
    board.plug(transfers)
    with pytest.raises((TransportError, OSError)):
        serial = opened(board)
        for number in range(40):
            serial.fs_writefile(f"/{number}", b"more")
    assert not board.is_plugged
    with board:
        serial = opened(board)
        assert serial.fs_readfile("/kept.txt") == b"kept"
        serial.close()


def test_rule_4_the_port_has_the_same_path_again_and_none_when_it_is_unplugged(tmp_path: Path) -> None:
    board = running(tmp_path)
    with board:
        assert board.port.exists()
    assert not board.port.exists()
    with board:
        assert board.port.exists()


@pytest.mark.parametrize("model", ["rp2040-w", "rp2350-w"])
def test_a_new_board_shows_its_drive_until_it_has_every_block(tmp_path: Path, model: str) -> None:
    content = firmware(model, VERSION, 8192, 1)
    file = wrapped(content, MODELS[model].family)
    with Board(tmp_path, model, UID) as board:
        assert f"Board-ID: {MODELS[model].drive}" in (board.drive / "INFO_UF2.TXT").read_text()
        assert not board.port.exists()
        (board.drive / "a.uf2").write_bytes(file[:-512])
        assert soon(lambda: bytes(board.flash[: len(content) - 256]) == content[:-256])
        assert board.drive.exists()
        with (board.drive / "a.uf2").open("ab") as more:
            more.write(file[-512:])
        assert soon(board.port.exists) and not board.drive.exists()
        serial = opened(board)
        script = f"__import__('uctypes').bytearray_at({FLASH_AT}, 16)"
        assert serial.eval(f"bytes({script})") == content[:16]
        serial.exec_raw_no_follow("import machine, time\ntime.sleep_ms(100)\nmachine.bootloader()")
        assert soon(board.drive.exists) and not board.port.exists()
        serial.serial.close()


def test_a_drive_drops_the_blocks_of_another_family(tmp_path: Path) -> None:
    with Board(tmp_path, "rp2040-w", UID) as board:
        (board.drive / "a.uf2").write_bytes(wrapped(firmware("rp2350-w", VERSION, 4096, 1), MODELS["rp2350-w"].family))
        (board.drive / "b.uf2").write_bytes(wrapped(bytes(300), MODELS["rp2040-w"].family)[:512])
        assert soon(lambda: board.transfers == 1)
        assert board.drive.exists() and set(board.flash[256:]) == {0xFF}
