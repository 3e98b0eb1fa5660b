"""The README: its commands run, its table of boards is the boards, its list of files is what a build makes."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lightflash import board as boards
from lightflash.build import RECORD

from tests.lightflash.building import signed

ROOT = Path(__file__).parents[2]
README = (ROOT / "firmware/lightflash/README.md").read_text()
BYTES_OF_A_DAY = 640 << 10  # the journal's: firmware/README.md


def test_every_command_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "firmware/device", tmp_path / "firmware/device")
    commands = re.findall(r"^\./run flash (.*)$", README, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "lightflash", *shlex.split(command)],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


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
