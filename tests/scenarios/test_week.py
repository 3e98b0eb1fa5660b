"""A short week: one light node in the VM lives through every fault once, and every slot is accounted for."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hil.cli import main
from hil.week.schedule import HEAVY, LIGHT

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_four_hours_of_every_fault_lose_nothing_and_tell_every_slot(
    tmp_path: Path, mosquitto: list[str], micropython: object, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["week", "--seed", "5", "--hours", "3.8", "--out", str(tmp_path / "week")])
    found = json.loads((tmp_path / "week" / "week.json").read_text())
    assert code == 0, capsys.readouterr().out
    assert found["holds"] and all(claim["looked_at"] for claim in found["claims"])
    assert set(found["struck"]) == {*LIGHT, *HEAVY} and found["struck"]["outage"] == 1
    assert found["slots"] > 3000 and found["produced"] > 2500


@pytest.mark.long
def test_a_week_that_is_cut_short_gives_its_account(tmp_path: Path, mosquitto: list[str], micropython: object) -> None:
    """SIGINT to the whole group, as Ctrl-C on a terminal."""
    out = tmp_path / "week"
    command = [sys.executable, "-m", "hil", "week", "--seed", "5", "--days", "7", "--out", str(out)]
    week = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, process_group=0)
    assert week.stderr is not None
    while not week.stderr.readline().startswith("1 h in"):
        assert week.poll() is None
    os.killpg(week.pid, signal.SIGINT)
    assert "the week ends here" in week.stderr.read()
    assert week.wait() == 0
    found = json.loads((out / "week.json").read_text())
    assert found["is_cut"] and found["holds"] and 850 < found["slots"] < 2000


def test_a_week_too_short_for_its_journal_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["week", "--hours", "1"])
    assert ended.value.code == 2
    assert "hours or more belong here" in capsys.readouterr().err
