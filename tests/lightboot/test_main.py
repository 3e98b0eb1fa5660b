"""What a device says and how it ends when it starts, in the real VM."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hil.runtime import micropython_command
from hil.updates import FIRMWARE, install
from tests.lightnode.updating import made

APP = b"def main(arguments):\n    print('ran', arguments)\n    return 7\n"
FILES = {"lightnode/__init__.py": b"", "lightnode/app.py": APP}


@pytest.fixture
def device(tmp_path: Path, micropython: object) -> Path:
    """A folder with main.py, the chooser and a release."""
    shutil.copytree(FIRMWARE / "lightboot", tmp_path / "lightboot", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FIRMWARE / "device" / "main.py", tmp_path)
    install(tmp_path / "app", made(FILES, sequence=10))
    return tmp_path


def start(device: Path) -> tuple[int, str]:
    """(exit code, all it said)."""
    command = [*micropython_command(), str(device / "main.py"), str(device / "app"), "config.json", "run"]
    paths = {**os.environ, "MICROPYPATH": f"{device}:.frozen"}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_application_gets_the_arguments_and_gives_the_exit_code(device: Path) -> None:
    assert start(device) == (7, "ran ['config.json', 'run']\n")


def test_with_nothing_whole_it_says_so_and_ends_with_1(device: Path) -> None:
    (device / "app" / "a" / "lightnode" / "app.py").write_text("print('evil')")
    code, said = start(device)
    assert code == 1 and "app.py is not as it was released" in said and "evil" not in said
    assert "the application of the firmware failed" in said


def test_an_application_that_raises_ends_with_1_and_its_reason(device: Path) -> None:
    shutil.rmtree(device / "app")
    install(device / "app", made({**FILES, "lightnode/app.py": b"raise ValueError('broken')\n"}, sequence=10))
    code, said = start(device)
    assert code == 1 and "ValueError('broken'" in said


def test_a_file_put_beside_the_application_is_not_imported(device: Path) -> None:
    (device / "app" / "a" / "sys.py").write_text("print('evil')")
    (device / "app" / "a" / "lightnode" / "app").mkdir()
    (device / "app" / "a" / "lightnode" / "app" / "__init__.py").write_text("print('evil')")
    code, said = start(device)
    assert code == 7 and "print" not in said and "evil" not in said and said.count("no release lists it") == 3
