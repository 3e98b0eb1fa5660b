"""A short week: one light node in the VM lives through every fault once, and every slot is accounted for."""

import json
from pathlib import Path

import pytest

from hil.cli import main
from hil.week.schedule import HEAVY, LIGHT

pytestmark = pytest.mark.timeout(600)


@pytest.mark.long
def test_four_hours_of_every_fault_lose_nothing_and_tell_every_slot(
    tmp_path: Path, mosquitto: list[str], micropython: object, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["week", "--seed", "5", "--hours", "3.8", "--no-lies", "--out", str(tmp_path / "week")])
    found = json.loads((tmp_path / "week" / "week.json").read_text())
    assert code == 0, capsys.readouterr().out
    assert found["holds"] and all(claim["looked_at"] for claim in found["claims"])
    assert set(found["struck"]) == {*LIGHT, *HEAVY} and found["struck"]["outage"] == 1
    assert found["slots"] > 3000 and found["produced"] > 2500


def test_a_week_too_short_for_its_journal_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["week", "--hours", "1"])
    assert ended.value.code == 2
    assert "hours or more belong here" in capsys.readouterr().err
