"""The page and its pictures, from the indicators alone."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from backend.campaign.kpi import check_document, kpi_document
from backend.campaign.plots import PICTURES, draw, draw_all
from backend.campaign.report import page
from tests.backend.campaign.records import CHECKED, record

KPI = kpi_document([record(date(2026, 1, 5) + timedelta(days=k)) for k in range(3)], 7)


def test_a_picture_is_the_same_twice(tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        draw("violations", KPI, tmp_path)
        drawn.append((tmp_path / "violations.png").read_bytes())
    assert drawn[0] == drawn[1] and drawn[0].startswith(b"\x89PNG")


@pytest.mark.long
def test_every_picture_is_drawn_and_has_words(tmp_path: Path) -> None:
    drawn = draw_all(KPI, tmp_path)
    assert [file for file, _ in drawn] == [f"{picture}.png" for picture in PICTURES] and all(says for _, says in drawn)
    assert all((tmp_path / file).read_bytes().startswith(b"\x89PNG") for file, _ in drawn)


def test_the_page_stands_alone_beside_its_pictures_and_shows_every_figure() -> None:
    told = page(KPI, None, [("x.png", "what <x> shows")])
    assert '<img src="x.png"' in told and "what &lt;x&gt; shows" in told
    assert not any(word in told for word in ("<script", "http", "@import", "<link"))
    for words in (
        "15 → 9",
        "9 → 6",
        "80.0 %",
        "1.50 MWh",
        "10 s / 40 s",
        "65.25 EUR",
        "nobody could help",
        "sum of all",
    ):
        assert words in told, words
    assert "Not checked by another engine" in told


def test_the_page_says_whether_another_engine_agrees() -> None:
    looked = check_document([record(checked=CHECKED)])
    assert looked is not None
    assert "4 violations found by both, 1 by one only" in page(KPI, looked, [])
    assert "none by one only" in page(KPI, {**looked, "differs": []}, [])
