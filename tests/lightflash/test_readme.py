"""The README: its commands run, its table of boards is the boards, its list of files is what a build makes."""

import argparse
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from lightflash import board as boards
from lightflash.build import RECORD
from lightflash.cli import COMMANDS as COMMANDS_OF_CLI
from shelf import FILES, a_board, a_build, files_on, firmware_list, pins

from tests.lightflash.building import signed
from tests.lightflash.consoles import console
from tests.lightflash.serviced import POD, built, in_service, made, now_ms

ROOT = Path(__file__).parents[2]
README = (ROOT / "firmware/lightflash/README.md").read_text()
BYTES_OF_A_DAY = 640 << 10  # the journal's: firmware/README.md


ENROLLING = ("enrol", "sync")  # test_sync.py runs them
TALKING = ("status", "console")
COMMISSIONING = ("verify", "record", "label")  # test_verify_command.py and test_commissioning.py run them
CHANGING = ("update", "rollback", "rotate-key", "factory-reset")
COMMANDS = re.findall(r"^\./run flash (.*)$", README, re.MULTILINE)


def ran(folder: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "lightflash", *words]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def test_every_command_without_a_board_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "firmware/device", tmp_path / "firmware/device")
    others = ("write", *ENROLLING, *TALKING, *COMMISSIONING, *CHANGING)
    commands = [words for words in map(shlex.split, COMMANDS) if words[0] not in others]
    assert len(commands) >= 4
    for words in commands:
        ran(tmp_path, words)


def test_every_command_that_writes_runs_on_simulated_boards(tmp_path: Path, micropython: object) -> None:
    kinds = ("esp32-s3", "rp2040-w")
    shelf = [a_board(tmp_path / f"b{number}", kind, number) for number, kind in enumerate(kinds, start=1)]
    for kind in kinds:
        a_build(tmp_path / "build" / kind, kind)
    shutil.copy(ROOT / "firmware/device/config.example.json", tmp_path / "n01.json")
    firmware_list(tmp_path / "firmware.toml", pins(tmp_path, *kinds))
    rows = [f"N{n:02},{board.model},{board.port}\n" for n, board in enumerate(shelf, start=1)]
    (tmp_path / "list.csv").write_text("name,board,port\n" + "".join(rows))
    commands = [words for words in map(shlex.split, COMMANDS) if words[0] == "write"]
    assert len(commands) >= 4
    with shelf[0], shelf[1]:
        for words in commands:
            ran(tmp_path, [str(shelf[0].port) if word == "/dev/ttyACM0" else word for word in words])
    assert all(FILES.items() <= files_on(board).items() for board in shelf)


def test_every_command_that_talks_to_a_device_runs(tmp_path: Path) -> None:
    commands = [words for words in map(shlex.split, COMMANDS) if words[0] in TALKING]
    assert {words[0] for words in commands} == set(TALKING)
    with console(tmp_path) as port:
        for words in commands:
            ran(tmp_path, [port if word == "/dev/ttyACM0" else word for word in words])


def changing(replaced: Mapping[str, str]) -> list[list[str]]:
    """The README's commands that change a device, with these words in the place of others."""
    found = [words for words in map(shlex.split, COMMANDS) if words[0] in CHANGING]
    return [[replaced.get(word, word) for word in words] for words in found]


def test_every_command_that_changes_a_device_is_understood() -> None:
    commands = changing({"DEVICE-KEY": "02" * 33})
    assert {words[0] for words in commands} == set(CHANGING)
    for words in commands:
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(COMMANDS_OF_CLI[words[0]][0]).add_arguments(parser)
        parser.parse_args(words[1:])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_command_that_changes_a_device_runs_in_this_order(
    tmp_path: Path, micropython: object, mosquitto: object
) -> None:
    with in_service(tmp_path) as device:
        access, deployment = device.site.access, device.site.identity.deployment
        nonce = "00112233445566778899aabbccddeeff"
        commands = changing({
            "/dev/ttyACM0": device.port, "broker.example:8883": f"{access.host}:{access.port}", "ca.pem": str(access.ca),
            "backend.pem": str(access.cert), "backend.key": str(access.key), "0123456789abcdef": device.id,
            "DEVICE-KEY": device.public_key.hex(),
        })  # fmt: skip
        for sequence, words in enumerate(commands, start=11):
            if words[0] == "update":
                shutil.rmtree(tmp_path / "build", ignore_errors=True)
                (tmp_path / "build").mkdir()
                built(tmp_path / "build" / "esp32-s3", made(sequence, deployment))
                words = [deployment.hex() if word == nonce else word for word in words]
            if "--restart" in words:
                said = json.loads((tmp_path / "rotation.json").read_text())
                device.site.backend.register.approve(
                    bytes.fromhex(said["enrolment"]), bytes.fromhex(nonce), "node", POD, now_ms()
                )
            ran(tmp_path, words)
            device.is_well() if words[0] != "factory-reset" else None
        listed = json.loads((tmp_path / "service-log" / "status.json").read_text())["devices"]
        assert [(entry["device"], entry["state"]) for entry in listed] == [(device.id, "done")]


def test_the_table_of_boards_is_what_the_boards_have() -> None:
    rows = {}
    for row in re.findall(
        r"^\| ([a-z0-9-]+)(?: \([^)]*\))? \| (\d+) KiB \| ([^|]*) \| ([^|]*) \| (yes|no) \|$", README, re.M
    ):
        rows[row[0]] = row[1:]
    assert set(rows) == set(boards.names())
    for name, (files, journal, hours, updates) in rows.items():
        board = boards.board(name)
        assert int(files) << 10 == board.files.bytes
        assert updates == ("yes" if board.slots == 2 else "no")
        region = board.region("journal")
        if region:
            assert journal == f"{region.bytes >> 10} KiB"
            assert hours == f"{region.bytes * 24 // BYTES_OF_A_DAY} h"


def test_the_list_of_files_is_what_a_build_makes() -> None:
    made = {path.split("/")[0] for path in signed("esp32-s3").outputs} | {RECORD}
    table = README[README.index("| file in the build") : README.index("On the device lie")]
    assert {name.rstrip("/") for name in re.findall(r"`([a-z.]+/?)`", table)} == made
