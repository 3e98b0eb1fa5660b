"""The command line: usage, examples, exit codes, and where each kind of text goes."""

import subprocess
import sys
from pathlib import Path

import pytest
from lightflash.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def flash(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lightflash", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help_with_an_example_and_json(name: str) -> None:
    done = flash(name, "--help")
    assert done.returncode == 0
    assert "example: ./run flash " + name in done.stdout
    assert "--json" in done.stdout


def test_without_a_command_it_is_wrong_usage() -> None:
    done = flash()
    assert (done.returncode, done.stdout) == (2, "")


def test_a_refusal_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = flash("config", str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "none.json: no such file; " in done.stderr
