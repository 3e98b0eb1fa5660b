"""The simulated actors' files on days of 92, 96 and 100 quarter-hours: what the clock on the wall shows decides."""

import csv
import io
import json
from datetime import date

import pytest

from backend.demo.actors import EVENING, actor_files, folder_of
from backend.demo.day import load_day
from backend.domain.local_day import Calendar

DAY = load_day()
SPRING, PLAIN, AUTUMN = date(2026, 3, 29), date(2026, 11, 27), date(2026, 10, 25)
CUSTOMER = DAY.customers[0]


def walls(on: date) -> list[int]:
    """By hand: 02:00 to 03:00 is not there in spring and twice in autumn."""
    if on == SPRING:
        return [*range(8), *range(12, 96)]
    return [*range(12), *range(8, 96)] if on == AUTUMN else list(range(96))


@pytest.mark.parametrize(("on", "count"), [(SPRING, 92), (PLAIN, 96), (AUTUMN, 100)])
def test_rule_2_every_quarter_hour_has_what_the_clock_shows(on: date, count: int) -> None:
    files, frames = actor_files(DAY, on), Calendar(DAY.zone).frames(on)
    assert len(frames) == count == len(walls(on))
    states = json.loads(files["dso/states.json"])
    assert states["frames"] == list(frames)
    loads = DAY.forecast(DAY.day_ahead_gate).load_w
    for k, load in enumerate(DAY.network.loads):
        assert states["levels"][0]["load_w"][str(load.id)] == [int(loads[wall, k]) for wall in walls(on)]
    rows = csv.DictReader(io.StringIO(files[f"{folder_of(CUSTOMER.brp)}/profiles.csv"]))
    of_pod = {int(row["frame"]): int(row["w"]) for row in rows if row["pod"] == CUSTOMER.pod}
    schedule = DAY.baseline_w(CUSTOMER.pod)
    assert of_pod == {frame: schedule[wall] for frame, wall in zip(frames, walls(on), strict=True)}


@pytest.mark.parametrize("on", [SPRING, PLAIN, AUTUMN])
def test_rule_3_every_owner_declares_the_evening_of_the_wall(on: date) -> None:
    (row,) = csv.DictReader(io.StringIO(actor_files(DAY, on)[f"owners/{folder_of(CUSTOMER.owner)}/pods.csv"]))
    place = Calendar(DAY.zone).place
    assert place(int(row["from"])) == (on, EVENING[0]) and place(int(row["until"]) - 1) == (on, EVENING[-1])


@pytest.mark.parametrize(("on", "offset"), [(SPRING, 8), (PLAIN, 4), (AUTUMN, 4)])
def test_rule_2_the_tso_follows_the_clock_at_noon(on: date, offset: int) -> None:
    assert json.loads(actor_files(DAY, on)["tso/hv.json"])["offset_quarters"] == offset
