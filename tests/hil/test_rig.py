"""A run of the rig: one record per device under test, JUnit, a page; what fails comes with the command that repeats it."""

import contextlib
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from hil.cli import main
from hil.rig.soak import plan

ROOT = Path(__file__).parents[2]
BODY = """
import pytest
from hil.targets.target import Job

def test_one_plus_one(target):
    assert target.run(Job("print(1 + 1)")).strip() == "2"

def test_wrong(target):
    assert target.run(Job("print(1 + 1)")).strip() == "3"

@pytest.mark.needs("exact_counts")
def test_counts(target):
    pass

@pytest.mark.parametrize("target", [1])
def test_with_a_parameter_of_that_name(target):
    pass
"""


def test_a_run_tells_each_device_apart_and_how_to_repeat_what_failed(tmp_path: Path, micropython: object) -> None:
    body = tmp_path / "test_body.py"
    body.write_text(BODY)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "hil", "run", "--out", str(out), "--target", "cpython,vm", str(body)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1, done.stderr
    record = json.loads((out / "rig.json").read_text())
    assert {d["name"]: (d["passed"], d["failed"], d["skipped"]) for d in record["devices"]} == {
        "cpython": (2, 1, 1), "vm": (1, 1, 1),
    }  # fmt: skip
    assert "again: ./run test" in done.stderr and "test_wrong[vm]" in done.stderr
    skipped = [s for d in record["devices"] for s in d["scenarios"] if s["outcome"] == "skipped"]
    assert all("has no exact_counts" in s["reason"] for s in skipped)
    suite = ElementTree.parse(out / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "2", "2")
    assert "2 did not hold" in (out / "report.html").read_text()
    (out / "report.html").unlink()
    assert main(["report", str(out / "rig.json")]) == 0
    assert "2 did not hold" in (out / "report.html").read_text()


SLEEPER = """
import time

def test_sleeps(target):
    time.sleep(60)
"""


def test_a_killed_run_leaves_no_process(tmp_path: Path, micropython: object) -> None:
    body = tmp_path / "test_body.py"
    body.write_text(SLEEPER)
    command = [sys.executable, "-m", "hil", "run", "--out", str(tmp_path / "out"), "--target", "cpython,vm", str(body)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        wait_for(lambda: len(session(run.pid)) >= 4)
        run.kill()
    wait_for(lambda: not session(run.pid), 10)


def session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "still not so"
        time.sleep(0.1)


def test_a_soak_of_one_seed_has_the_same_faults_and_ends_without_one() -> None:
    pods = ["A", "B"]
    faults = plan(7, 6.0, pods)
    assert faults == plan(7, 6.0, pods) != plan(8, 6.0, pods)
    assert 24 <= len(faults) <= 48
    assert all(0 < f.virtual_s < 6 * 3600 - 900 and f.lasts_s <= 180 for f in faults)
    assert {f.kind for f in faults} >= {"power", "broker", "forged", "silent"}
    assert all((f.pod in pods) != (f.kind == "broker") for f in faults)


def test_something_else_than_a_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "rig.json").write_text('{"format": "other"}')
    assert main(["report", str(tmp_path / "rig.json")]) == 1
