"""lightnode-flash write as a technician calls it: plan, JSON, status, exit codes; the emulated chip; a missing esptool."""

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lightflash.cli import main
from lightflash.errors import PartMissing
from lightflash.esptool import Esptool
from lightflash.micropython import MicroPython
from shelf import FILES, a_board, a_build, files_on, firmware_list, pins, put_on

from hil.process import die_with_parent
from hil.targets.chip import Chip

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micropython: object) -> Path:
    monkeypatch.chdir(tmp_path)
    a_build(tmp_path / "build", "esp32-s3")
    firmware_list(tmp_path / "firmware.toml", pins(tmp_path, "esp32-s3"))
    return tmp_path


def test_one_board_by_its_port_from_nothing_to_done(bench: Path, capsys: Captured) -> None:
    with a_board(bench / "board") as board:
        words = ["write", "--board", "esp32-s3", "--port", str(board.port), "--name", "N01", "--build", "build"]
        assert main(words) == 0
    told = capsys.readouterr()
    assert told.out == f"N01 ({board.port}) 7cdf00000001: done\n"
    assert told.err.splitlines() == [
        f"N01: {step}" for step in ("identify", "firmware", "application", "settings", "start", "done")
    ]
    assert files_on(board) == FILES


def test_a_dry_run_says_what_would_be_done_and_touches_nothing(bench: Path, capsys: Captured) -> None:
    board = a_board(bench / "board")
    put_on(board, {"/kept.txt": b"kept"})
    before = board.files.read_bytes()
    with board:
        words = [
            "write",
            "--board",
            "esp32-s3",
            "--port",
            str(board.port),
            "--build",
            "build",
            "--firmware",
            "firmware.toml",
        ]
        assert main([*words, "--dry-run"]) == 0
        assert board.received == 0 and board.files.read_bytes() == before
    (line,) = capsys.readouterr().out.splitlines()
    assert (
        "unknown to the log: ask who it is, refuse it if it is no esp32-s3; write esp32-s3-1.26.1.bin (16384 bytes)"
        in line
    )
    assert (
        "unless it runs MicroPython 1.26.1; write of 4 files (2333 bytes) of the application those that differ" in line
    )
    assert not (bench / "flash-log").exists()


def test_a_dry_run_refuses_what_the_run_would_refuse(bench: Path, capsys: Captured) -> None:
    next(bench.glob("*.bin")).write_bytes(b"other")
    with a_board(bench / "board") as board:
        words = [
            "write",
            "--board",
            "esp32-s3",
            "--port",
            str(board.port),
            "--build",
            "build",
            "--firmware",
            "firmware.toml",
        ]
        assert main([*words, "--dry-run", "--json"]) == 1
    (entry,) = json.loads(capsys.readouterr().out)["devices"]
    assert entry["state"] == "refused" and "esp32-s3-1.26.1.bin has SHA-256" in entry["cause"]


def test_the_status_lists_a_half_done_device_with_step_and_cure_and_exit_code_4(bench: Path, capsys: Captured) -> None:
    board = a_board(bench / "board")
    board.plug(120)
    words = ["write", "--board", "esp32-s3", "--port", str(board.port), "--name", "N01", "--build", "build"]
    assert main(words) == 4
    board.plug()
    capsys.readouterr()
    assert main(["write", "--status"]) == 4
    told = capsys.readouterr().out
    assert re.match(
        r"N01 \(\S+\) 7cdf00000001: half-done at application: the board went away \(.*\); plug the cable in again", told
    )
    assert main(words) == 0
    board.unplug()
    capsys.readouterr()
    assert main(["write", "--status", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["devices"]
    assert (entry["name"], entry["state"], entry["begun"]) == ("N01", "done", "")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 1, "it is not said which boards; give --board with --port, or --batch"),
        (["--board", "chip"], 1, "no port has the USB ids of chip"),
        (["--board", "pdp-11", "--port", "/dev/x"], 1, "pdp-11"),
        (["--board", "esp32", "--port", "/dev/x", "--build", "nowhere"], 1, "nowhere"),
        (["--board", "esp32-s3", "--port", "/nowhere", "--build", "build"], 3, "there is no such port"),
        (["--board", "esp32", "--port", "/a", "--port", "/b", "--name", "N01", "--build", "build"], 1, "for one device, here are 2"),
        (["--batch", "none.csv"], 1, "none.csv cannot be read"),
        (["--colour"], 2, "unrecognized arguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_an_exit_code(
    bench: Path, capsys: Captured, words: list[str], code: int, says: str
) -> None:
    try:
        found = main(["write", *words])
    except SystemExit as usage:
        found = int(usage.code or 0)
    told = capsys.readouterr()
    assert found == code and says in (told.err + told.out).splitlines()[-1]


def test_without_esptool_the_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(
        PartMissing, match=r"esptool is not installed; install it with: pip install 'esptool>=5'"
    ) as missing:
        Esptool("/dev/ttyUSB0").identify()
    assert missing.value.exit_code == 3


@contextmanager
def chip_on_a_terminal(flash: Path) -> Iterator[str]:
    with Chip(flash=flash).started({}):
        pass  # makes the flash
    command = Chip().command(flash, "", "pty")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
    try:
        assert process.stdout is not None
        found = re.search(rb"redirected to (\S+)", process.stdout.readline())
        assert found is not None
        yield found[1].decode()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(1200)
def test_the_emulated_chip_takes_files_and_gives_them_back(tmp_path: Path, capsys: Captured) -> None:
    if reason := Chip().missing():
        pytest.skip(reason)
    build = str(a_build(tmp_path / "build", "chip"))
    words = ["--name", "C01", "--build", build, "--log", str(tmp_path / "log")]
    with chip_on_a_terminal(tmp_path / "flash") as port:
        assert main(["write", "--board", "chip", "--port", port, *words]) == 0, capsys.readouterr()
        assert "C01" in capsys.readouterr().out
    with chip_on_a_terminal(tmp_path / "flash") as port:  # a reset ends the emulator; its flash stays
        board = MicroPython(lambda: port)
        assert board.run("print(open('/main.py').read())", 10) == "print('started')\n\n"
        board.close()
        assert main(["write", "--board", "unix", "--port", port, *words[:2], *words[4:]]) == 1
