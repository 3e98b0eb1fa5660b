"""What a device says and how it ends when it starts, in the real VM."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from lightboot import state as states

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
    done = subprocess.run(
        command, env=paths, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


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


MACHINE = "import sys\ndef reset():\n    print('reset')\n    sys.exit(0)\n"
TIME = "slept = 0\ndef sleep(seconds):\n    global slept\n    slept += seconds\n    print('slept', slept)\n    {}\n"


def on_a_board(device: Path, meanwhile: str = "pass") -> list[str]:
    """What its console shows: a board has `machine`, and a technician who may do something while it waits."""
    (device / "machine.py").write_text(MACHINE)
    (device / "time.py").write_text(TIME.format(meanwhile))
    return start(device)[1].splitlines()


def damaged(device: Path) -> None:
    """Both directories hold a committed release, and a file of each has changed."""
    root = device / "app"
    shutil.copytree(root / "a", root / "b")
    shutil.copy(root / "a.release", root / "b.release")
    state, _ = states.read(str(root))
    assert state is not None
    state.set_release(2, state.release(1))
    states.write(str(root), state)
    for slot in "ab":
        (root / slot / "lightnode" / "app.py").write_text("print('evil')")


def test_2_with_both_directories_damaged_a_board_says_what_and_how_to_mend_it_until_somebody_comes(
    device: Path,
) -> None:
    damaged(device)
    said = on_a_board(device)
    root = device / "app"
    for line in (
        f"boot: {root}/a/lightnode/app.py is not as it was released",
        f"boot: {root}/b/lightnode/app.py is not as it was released",
        "boot: no application is whole; put a release back with lightnode-flash write (firmware/README.md, Recovery)",
    ):
        assert said.count(line) == 61, line
    assert [line for line in said if line.startswith("boot: the application of the firmware failed: ImportError")]
    assert said[-1] == "reset" and said[-2].endswith("else it starts again in 0 s") and "slept 600" in said
    assert "evil" not in "".join(said)


def test_2_what_a_technician_puts_back_meanwhile_runs_after_ctrl_c_and_a_reset(device: Path) -> None:
    damaged(device)
    said = on_a_board(device, "raise KeyboardInterrupt")
    assert "KeyboardInterrupt" in said[-2] + said[-1] and "reset" not in said, "the prompt is there"
    shutil.rmtree(device / "app")
    install(device / "app", made(FILES, sequence=10))
    assert on_a_board(device)[:1] == ["ran ['config.json', 'run']"]


def test_2_state_and_both_releases_lost_is_told_as_well(device: Path) -> None:
    shutil.rmtree(device / "app")
    said = on_a_board(device)
    assert (
        said.count(
            "boot: no application is whole; put a release back with lightnode-flash write (firmware/README.md, Recovery)"
        )
        == 61
    )


def test_1_after_a_failure_a_board_waits_twenty_seconds_so_that_it_can_be_stopped(device: Path) -> None:
    shutil.rmtree(device / "app")
    install(device / "app", made({**FILES, "lightnode/app.py": b"raise ValueError('broken')\n"}, sequence=10))
    said = on_a_board(device)
    assert "slept 20" in said and "slept 30" not in said and said[-1] == "reset"
    assert [line for line in said if "ValueError('broken'" in line]


def test_1_after_an_end_that_is_no_failure_it_starts_again_at_once(device: Path) -> None:
    assert on_a_board(device) == ["ran ['config.json', 'run']", "reset"]
