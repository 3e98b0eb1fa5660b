"""Twenty boards at once by the command line: three cables pulled at random steps, a wrong board, a bad firmware file."""

import csv
import json
import os
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from shelf import FILES, NEW, OLD, a_board, a_build, files_on, firmware_list, pins, put_on

from hil.boards.board import Board

pytestmark = [pytest.mark.usefixtures("micropython"), pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
KEPT = {"/kept.txt": b"of the board"}
MODELS = (
    [("esp32-s3", NEW)] * 5 + [("esp32-s3", OLD)] + [("esp32-s3", None)] * 2 + [("esp32", None)] + [("esp32-c3", NEW)] * 2
    + [("rp2040-w", NEW)] * 2 + [("rp2040-w", None)] * 3 + [("rp2350-w", OLD), ("rp2350-w", None)]
)  # fmt: skip
LEAST = 100  # transfers that a run of any of them takes, also on a busy computer, where several writes come as one
KINDS = ("esp32", "esp32-c3", "esp32-s3", "rp2040-w", "rp2350-w")


def shelf(folder: Path) -> list[Board]:
    """18 good boards, then the wrong one and the one with the bad firmware file."""
    boards = [a_board(folder / f"b{n:02}", model, n, runs) for n, (model, runs) in enumerate(MODELS, start=1)]
    boards += [a_board(folder / "b19", "esp32-c3", 19, NEW), a_board(folder / "b20", "esp32-s3", 20, OLD)]
    for board in boards:
        put_on(board, KEPT)
    return boards


def listed(path: Path, boards: list[Board]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "pod", "board", "port", "drive", "firmware"])
        for number, board in enumerate(boards, start=1):
            kind = "rp2040-w" if number == 19 else board.model
            drive = str(board.drive) if board.kind.drive else ""
            rows.writerow([f"N{number:02}", f"POD{number:02}", kind, board.port, drive, "bad" if number == 20 else ""])
    return path


def written(folder: Path, *more: str) -> tuple[int, list[dict[str, Any]], str]:
    builds = [word for kind in KINDS for word in ("--build", str(folder / "build" / kind))]
    command = [
        sys.executable,
        "-m",
        "lightflash",
        "write",
        "--batch",
        "list.csv",
        "--firmware",
        "firmware.toml",
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'firmware'}"}
    done = subprocess.run(
        [*command, *builds, *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)["devices"], done.stderr


def test_three_cables_a_wrong_board_and_a_bad_file_end_as_18_correct_devices_and_2_refused_by_name(
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("LIGHTNODE_SEED", str(random.randrange(1 << 32))))
    print(f"repeat it with LIGHTNODE_SEED={seed}")
    draw = random.Random(seed)
    boards = shelf(tmp_path)
    pulled = {number: draw.randrange(2, LEAST) for number in draw.sample(range(18), 3)}
    print(f"cables pulled after so many transfers: { {f'N{n + 1:02}': at for n, at in pulled.items()} }")
    listed(tmp_path / "list.csv", boards)
    made = pins(tmp_path, *KINDS)
    bad = tmp_path / "bad-firmware.bin"
    bad.write_bytes(made["esp32-s3"].path.read_bytes()[:-4] + b"evil")
    firmware_list(
        tmp_path / "firmware.toml", {**made, "bad": type(made["esp32-s3"])(bad, made["esp32-s3"].sha256, NEW)}
    )
    for kind in KINDS:
        a_build(tmp_path / "build" / kind, kind)
    before = [(bytes(board.flash), board.files.read_bytes()) for board in boards]

    with ExitStack() as stack:
        for number, board in enumerate(boards):
            stack.callback(board.unplug)
            board.plug(pulled.get(number))
        code, first, told = written(tmp_path)
        states = {entry["name"]: entry["state"] for entry in first}
        assert code == 1 and len(first) == 20
        for number in range(18):
            allowed = ("untouched", "half-done") if number in pulled else ("done",)
            assert states[f"N{number + 1:02}"] in allowed, [e for e in first if e["name"] == f"N{number + 1:02}"]
        log = json.loads((tmp_path / "flash-log" / "status.json").read_text())["devices"]
        unfinished = {entry["name"]: entry for entry in log if entry["state"] != "done"}
        assert set(unfinished) == {*(f"N{n + 1:02}" for n in pulled), "N19", "N20"}
        assert all(entry["step"] and entry["cause"] and entry["cure"] for entry in unfinished.values())

        received = [board.received for board in boards]
        for number in pulled:
            boards[number].plug()
        code, second, told = written(tmp_path)
        states = {entry["name"]: entry["state"] for entry in second}
        assert code == 1
        assert states == {**{f"N{n:02}": "done" for n in range(1, 19)}, "N19": "refused", "N20": "refused"}
        assert boards[19].received == received[19] == 0

    by_name = {entry["name"]: entry for entry in second}
    assert (
        "RP" not in by_name["N19"]["cause"]
        and "ESP32C3" in by_name["N19"]["cause"]
        and "rp2040-w" in by_name["N19"]["cause"]
    )
    assert "bad-firmware.bin" in by_name["N20"]["cause"] and "SHA-256" in by_name["N20"]["cause"]
    assert "N07: done" in told and "\x1b" not in told
    for number, board in enumerate(boards):
        if number >= 18:
            assert (bytes(board.flash), board.files.read_bytes()) == before[number], f"N{number + 1:02} was changed"
            continue
        assert files_on(board) == {**FILES, **KEPT}, f"N{number + 1:02}"
        firmware = made[board.model].path.stat().st_size
        content = board.flash[board.kind.offset :]
        assert content[firmware:] == before[number][0][board.kind.offset + firmware :], "flash behind the firmware"
