"""The backlog of an outage drains in order, beside live readings that keep their slots, also when acknowledgements get lost."""

import json
from pathlib import Path

import pytest

from hil.cli import main


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_backlog_drains_in_order_while_live_readings_keep_their_slots(
    tmp_path: Path, mosquitto: list[str], micropython: object, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["drain", "--hours", "1", "--speed", "2", "--out", str(tmp_path / "drain")])
    found = json.loads((tmp_path / "drain" / "drain.json").read_text())
    assert code == 0 and found["holds"], capsys.readouterr().out
    assert found["backlog"] > 900 and found["live_slots"] > 3
    assert [found[name] for name in ("out_of_order", "missing", "refused", "slots_without_reading")] == [0] * 4
    assert found["pubacks_lost"] and found["sent_with_dup"] and found["arrived_twice"] >= found["sent_with_dup"]
    assert found["memory_grown_kib"] < 1024


@pytest.mark.parametrize("words", [["--hours", "25"], ["--speed", "0"], ["--lost", "32"]])
def test_what_cannot_be_drained_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["drain", *words])
    assert ended.value.code == 2
    assert "0.2 to 24 hours" in capsys.readouterr().err
