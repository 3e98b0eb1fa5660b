"""Error and bias of each method: three weeks by hand, and on the published profiles as the README says."""

import csv
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from backend.cli import main
from backend.demo.day import load_day
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.market.baseline import Kind, Method
from backend.market.baseline_report import methods, report, words_of

ROME = Calendar()
FIRST = date(2026, 11, 2)  # a Monday
README = Path(__file__).parents[3] / "backend/market/README.md"


def profile(days: int) -> dict[int, int]:
    """1,000 W all day, on the k-th day 100 k W more from 17:00 to 18:00."""
    found = {}
    for k in range(days):
        for frame in ROME.frames(FIRST + timedelta(days=k)):
            found[frame] = 1_000 + (100 * k if 68 <= ROME.place(frame)[1] < 72 else 0)
    return found


def test_by_hand_a_rising_peak_is_judged_on_every_whole_day_by_every_method() -> None:
    """Five working days at 1,000 to 1,400 W. Mid 1 of 2 on Wednesday is the lower of Monday and Tuesday, 1,000 of 1,200, and so
    on: always 200 W too low; high 1 of 2 always 100; the hour before always at 1,000."""
    compared = methods(1, 1, 2, 10)
    windows, judged = report({"a": profile(5)}, {}, (68, 72), compared, ROME)
    found = {one.method: one.accuracy for one in judged}
    assert windows == 5
    mid, high, before = found["mid 1 of 2"], found["high 1 of 2"], found["meter before, 4 quarter-hours"]
    assert (mid.made, mid.unmade, high.made, before.made) == (3, 2, 3, 5)
    assert mid.bias_ppm == -round(600 / 3_900 * 1e6) and high.bias_ppm == -round(300 / 3_900 * 1e6)
    assert before.error_ppm == round(1_000 / 6_000 * 1e6) == -before.bias_ppm


def test_rule_2_schedules_are_judged_where_they_are_given_and_a_pod_without_one_is_unmade() -> None:
    both = {"a": profile(2), "b": profile(2)}
    windows, judged = report(both, {"a": profile(2)}, (68, 72), (), ROME)
    assert windows == 4 and [one.method for one in judged] == ["schedule"]
    assert (judged[0].accuracy.made, judged[0].accuracy.unmade, judged[0].accuracy.error_ppm) == (2, 2, 0)


def test_rule_1_a_window_that_is_not_whole_is_no_window_and_the_clock_is_the_wall_s() -> None:
    torn = profile(3)
    del torn[ROME.frame(FIRST + timedelta(days=1), 70)]
    assert report({"a": torn}, {}, (68, 72), (), ROME)[0] == 2
    autumn = {frame: 1 for k in (24, 25, 26) for frame in ROME.frames(date(2026, 10, k))}
    assert report({"a": autumn}, {}, (8, 12), (), ROME)[0] == 3, "02:00 to 03:00 is there twice on the 25th"
    assert report({}, {}, (0, 96), (), ROME) == (0, ())


@pytest.mark.parametrize("window", [(4, 4), (8, 4), (-1, 4), (0, 97)])
def test_a_window_that_is_none_is_refused(window: tuple[int, int]) -> None:
    with pytest.raises(Rejected, match="expected 0 <= from < to <= 96"):
        report({}, {}, window, (), ROME)


def test_methods_are_named_as_they_are() -> None:
    assert words_of(Method(Kind.SCHEDULE)) == "schedule"
    assert [words_of(one) for one in methods(8, 5, 10, 45)] == [
        "mid 8 of 10", "mid 8 of 10, adjusted", "high 5 of 10", "high 5 of 10, adjusted", "meter before, 4 quarter-hours",
    ]  # fmt: skip


def written(path: Path) -> str:
    """The 8 days of every fourth load of the example grid as a file of profiles."""
    series = load_day().series
    columns = range(0, series.load_w.shape[1], 4)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", *(f"load-{k}" for k in columns)])
        for k, row in enumerate(series.load_w):
            at = datetime.fromtimestamp((series.first_frame + k) * 900, UTC)
            rows.writerow([at.isoformat(), *(int(row[k]) for k in columns)])
    return str(path)


def test_the_readme_s_report_on_published_profiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text().split("## How good a baseline is\n")[1].split("\n## ")[0]
    (line,) = re.findall(r"^    lightnode (market baselines .*)$", section, re.MULTILINE)
    words = [written(tmp_path / "p.csv") if word == "profiles.csv" else word for word in line.split()]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    table = re.findall(r"^\| (.*?) \| (\d+) \| ([0-9.]+) % \| ([+-][0-9.]+) % \|$", section, re.MULTILINE)
    assert table == [
        (row["method"], str(row["made"]), f"{row['error_ppm'] / 1e4:.1f}", f"{row['bias_ppm'] / 1e4:+.1f}")
        for row in said["methods"]
    ]
    assert f"{said['windows']:,} windows" in section


def test_the_report_in_words_has_a_line_for_each_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{datetime.fromtimestamp(f * 900, UTC).isoformat()},{w}" for f, w in profile(2).items()]
    (tmp_path / "p.csv").write_text("\n".join(["time,a", *rows, ""]))
    assert main(["market", "baselines", str(tmp_path / "p.csv"), "--from", "17:00", "--to", "18:00"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("2 windows") and [line.split("  ")[0] for line in lines] == [
        words_of(one) for one in methods(8, 5, 10, 45)
    ]
    assert lines[-1].split()[-6:] == ["2", "made", "0", "not", "4.8", "-4.8"]


def test_what_is_no_file_of_profiles_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.csv").write_text("time,a\n2026-11-02T00:00Z,1.5\n")
    assert main(["market", "baselines", str(tmp_path / "p.csv")]) == 1
    assert main(["market", "baselines", str(tmp_path / "none.csv")]) == 3
    assert main(["market", "baselines", str(tmp_path / "p.csv"), "--from", "20:00", "--to", "17:00", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 2 and "expected a whole number (W)" in said.err
    assert json.loads(said.out)["done"] is False
