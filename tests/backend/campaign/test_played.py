"""Whole days of a campaign: with `--long`, as each takes some seconds; what the command refuses, always."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from backend.adapters.pandapower import is_installed
from backend.campaign.delivery import Imperfections
from backend.campaign.kpi import kpi_document
from backend.campaign.play import Play, played_all
from backend.cli import main

FIRST = date(2026, 1, 7)
DAYS = [FIRST, FIRST + timedelta(days=1)]
PLAY = Play(1, Imperfections())


@pytest.fixture(scope="module")
def records():
    return list(played_all(PLAY, DAYS, None, lambda _record: None))


@pytest.mark.long
@pytest.mark.timeout(0)
def test_what_a_plan_leaves_broken_lies_in_a_quarter_hour_whose_need_is_named(records) -> None:
    for record in records:
        named = {one.frame for one in record.unserved if "-rt-" in one.session}
        assert {v.frame for v in record.expected.after_market} <= named
        assert len(record.expected.after_market) < len(record.expected.after_remedy)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_every_quarter_hour_has_one_session_near_real_time_and_orders_are_of_it(records) -> None:
    for record in records:
        assert len(record.sessions) == 25 and [s.session[-3:] for s in record.sessions[:2]] == ["-da", "t-1"]
        assert {one.frame for one in record.orders} <= set(record.frames)
        assert len({one.id for one in record.orders}) == len(record.orders)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_money_of_every_day_sums_to_zero(records) -> None:
    for record in records:
        assert record.settled.unbalanced_ueur == 0 and record.settled.payments
        assert [sum(one.gained_ueur.values()) for one in record.settled.settlements] == [0] * 25
        assert {line.order for line in record.settled.lines} == {one.id for one in record.orders if one.parts_w}


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_market_saves_renewable_energy_on_a_windy_day(records) -> None:
    assert records[0].curtailed_ws["with market"] < records[0].curtailed_ws["without market"]


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_same_seed_gives_the_same_bytes_in_two_workers_and_another_seed_does_not(records) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        again = list(played_all(PLAY, DAYS, executor, lambda _record: None))
    assert json.dumps(kpi_document(again, 1)) == json.dumps(kpi_document(records, 1))
    other = list(played_all(Play(2, Imperfections()), DAYS[:1], None, lambda _record: None))
    assert other[0].settled.lines != records[0].settled.lines


def asked_for(first: str, out: Path) -> list[str]:
    """One day of the campaign, on the command line."""
    return ["market", "campaign", "--days", "1", "--first", first, "--out", str(out), "--workers", "1"]


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_command_writes_its_report_and_pandapower_agrees_where_it_is_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asked_for("2026-01-28", tmp_path)
    assert main([*asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["done"] and said["differs"] == 0 and (said["checked_states"] > 96) == is_installed()
    assert len(list(tmp_path.glob("*.png"))) == 7 and (tmp_path / "report.html").exists()
    assert json.loads((tmp_path / "kpi.json").read_text())["campaign"] == said["campaign"]


def test_a_day_outside_the_published_weeks_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asked_for("2026-01-04", tmp_path / "x")
    assert main([*asked, "--check", "none"]) == 1
    assert capsys.readouterr().err == "lightnode: day 2026-01-04: the published weeks have 2026-01-05 to 2026-02-08\n"
    assert not (tmp_path / "x").exists()


def test_an_engine_that_is_not_there_is_an_outside_party(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandapower", None)  # as Python marks what cannot be imported
    assert main(["market", "campaign", "--days", "1", "--out", str(tmp_path), "--check", "pandapower", "--json"]) == 3
    assert "lightnode[import]" in json.loads(capsys.readouterr().out)["reason"]
