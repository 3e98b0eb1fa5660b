"""The README of the rig tells what the meters do: its commands run, its lists are whole."""

import re
import shlex
from pathlib import Path

import pytest

from hil import cli
from hil.meters.catalogue import models
from hil.meters.faults import Kind, fault

README = (Path(__file__).parents[2] / "hil" / "README.md").read_text()
COMMANDS = re.findall(r"^    \./run hil (meter .*)$", README, re.MULTILINE)


def test_it_names_every_model_and_every_fault() -> None:
    for name in models():
        assert f"`{name}`" in README
    for kind in Kind:
        row = next(line for line in README.splitlines() if line.startswith(f"| `{kind}`"))
        number = fault(kind).number
        assert not number or f", {number} |" in row


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_run(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "day.csv").write_text("time_s,w_l1\n0,5\n60,6\n")
    words = shlex.split(line.replace("5020", "0"))
    if "--list" not in words:
        words += ["--seconds", "0.05"]
    code = cli.main(words)
    if "--serial" in words and not Path("/dev/ttyUSB0").exists():
        assert code == 3 and "/dev/ttyUSB0 cannot be had" in capsys.readouterr().err
    else:
        assert code == 0


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) == 4
