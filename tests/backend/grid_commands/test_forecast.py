"""`lightnode grid forecast` and `backtest`: a table in, quantiles and scores out; what does not fit is named in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.history import by_node, frame_of, read_history
from backend.cli import main
from backend.demo.day import load_day
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.grid.candidate import History
from tests.backend.grid import three_nodes as small

FIRST = frame_of("2026-02-01T23:00Z", "test")


def table(folder: Path, days: int = 16, columns: tuple[str, ...] = ("a", "b")) -> Path:
    random = np.random.default_rng(1)
    lines = ["time," + ",".join(columns)]
    for frame in range(FIRST, FIRST + days * 96):
        stamp = str(np.datetime64(frame * 900, "s")) + "Z"
        lines.append(stamp + "," + ",".join(str(1_000 * (frame % 96) + int(random.integers(2_000))) for _ in columns))
    path = folder / "history.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["grid", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_day_ahead_in_json_the_same_bytes_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(table(tmp_path))
    made = [run(capsys, "forecast", path, "--day", "2026-02-17", "--json") for _ in range(2)]
    assert made[0] == made[1] and made[0][0] == 0
    document = json.loads(made[0][1])
    assert document["gate_frame"] == FIRST + 14 * 96 + 48 and len(document["frames"]) == 96
    low, high = (document["columns"]["a"]["values"][level][50] for level in ("50000", "950000"))
    assert 45_000 < low < high < 49_000, "local quarter 50 is quarter 46 of UTC"


def test_the_next_four_hours_from_a_gate_of_the_operators_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(table(tmp_path))
    asked = ("forecast", path, "--next", "2026-02-17T10:00Z", "--levels", "100000,500000,900000")
    code, out, _ = run(capsys, *asked, "--json")
    assert code == 0 and len(json.loads(out)["frames"]) == 16
    assert run(capsys, *asked, "--gate", "2026-02-17T11:00Z")[2].endswith("must begin at the gate or later\n")


def test_backtest_tells_loss_bias_and_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("backtest", str(table(tmp_path)), "--from", "2026-02-16", "--days", "1", "--horizon", "day-ahead")
    code, out, _ = run(capsys, *asked, "--json")
    rows = [row for horizon in json.loads(out)["horizons"] for row in horizon["columns"]]
    assert code == 0 and len(rows) == 2
    assert all({"pinball_w", "persistence_pinball_w", "bias_w", "coverage_ppm"} <= set(row) for row in rows)


def test_states_to_work_on_come_with_what_was_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path, columns=("load:1", "generator:1", "var:1"))
    out = tmp_path / "states.json"
    assert run(capsys, "forecast", str(path), "--day", "2026-02-17", "--states", str(out))[0] == 0
    states = json.loads(out.read_text())
    assert states["format"] == "lightnode-states/1" and states["known_before_frame"] == FIRST + 14 * 96 + 48
    low, high = states["levels"][0], states["levels"][-1]
    assert (
        low["load_w"]["1"][50] < high["load_w"]["1"][50] and low["generator_w"]["1"][50] > high["generator_w"]["1"][50]
    )
    assert low["load_var"] == high["load_var"]
    code, _, err = run(capsys, "forecast", str(table(tmp_path)), "--day", "2026-02-17", "--states", str(out))
    assert code == 1 and "column 'a': expected load:ID" in err


def test_what_is_forecast_is_what_localisation_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From quarter-hours to a level of the grid's states, and to the elements beyond their limits."""
    path, grid, out = table(tmp_path, columns=("load:1", "load:2")), tmp_path / "grid.json", tmp_path / "states.json"
    grid.write_text(json.dumps(small.document()))
    assert run(capsys, "forecast", str(path), "--day", "2026-02-17", "--states", str(out))[0] == 0
    code, said, _ = run(capsys, "localise", str(grid), str(out), "--gate", str(FIRST + 14 * 96 + 48), "--json")
    assert code == 0 and json.loads(said)
    code, _, err = run(capsys, "localise", str(grid), str(out), "--gate", str(FIRST + 14 * 96 + 47))
    assert code == 1 and "known_before_frame" in err


def test_per_node_loads_less_generation() -> None:
    network = load_day().network
    load, made = network.loads[0], network.generators[0]
    both = History(
        0, (f"load:{load.id}", f"generator:{made.id}", f"var:{load.id}"), np.array([[50, 20, 7]], dtype=np.int64)
    )
    nodes = by_node(both, network)
    found = dict(zip(nodes.names, nodes.values[0].tolist(), strict=True))
    expected = (
        {f"node:{load.node}": 30} if load.node == made.node else {f"node:{load.node}": 50, f"node:{made.node}": -20}
    )
    assert found == expected
    with pytest.raises(Rejected, match="column 'load:999999' is no"):
        by_node(History(0, ("load:999999",), np.zeros((1, 1), dtype=np.int64)), network)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "line 1, expected 'time'"),
        ("time,a\n", "no quarter-hour in it"),
        ("time,a\n2026-02-01T23:00Z,1.5\n", "line 2 a = '1.5', expected a whole number"),
        ("time,a\n2026-02-01T23:00Z,nan\n", "line 2 a = 'nan'"),
        ("time,a\n2026-02-01T23:00Z,1,2\n", "line 2 has 3 cells"),
        ("time,a\n2026-02-01T23:00,1\n", "its zone"),
        ("time,a\n2026-02-01T23:01Z,1\n", "start of a quarter-hour"),
        (
            "time,a\n2026-02-01T23:00Z,1\n2026-02-01T23:30Z,1\n",
            "line 3 time = 2026-02-01T23:30Z, expected 15 min after",
        ),
        ("time,a,a\n2026-02-01T23:00Z,1,1\n", "a column is there twice"),
        ("time,a\n2026-02-01T23:00Z," + "9" * 40 + "\n", "expected a whole number"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    code, out, err = run(capsys, "forecast", str(path), "--day", "2026-02-17")
    assert (code, out) == (1, "") and named in err and err.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "forecast", str(tmp_path / "none.csv"), "--day", "2026-02-17", "--json")
    assert code == 1 and "No such file" in json.loads(out)["reason"]


def test_a_weather_without_its_instant_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(table(tmp_path))
    asked = ("forecast", path, "--day", "2026-02-17", "--weather", path)
    assert "needs --weather-issued" in run(capsys, *asked)[2]
    assert "after the gate" in run(capsys, *asked, "--weather-issued", "2026-02-16T12:00Z")[2]


def test_read_history_keeps_every_cell(tmp_path: Path) -> None:
    made = read_history(table(tmp_path, days=1))
    assert made.first_frame == FIRST and made.values.shape == (96, 2)
    assert Calendar().place(FIRST)[1] == 0


def day_until_the_requests(capsys: pytest.CaptureFixture[str], folder: Path, history: Path) -> list[str]:
    """What every command says of 17 February, from the forecast to the requests, as a planner runs them one after another."""
    states, plan, grid = folder / "day.json", folder / "plan.json", folder / "grid.json"
    grid.write_text(json.dumps(small.document() | {"connections": [{"pod": "P", "node": 3}]}))
    gate = ("--gate", str(FIRST + 14 * 96 + 48))
    said = [run(capsys, "forecast", str(history), "--day", "2026-02-17", "--states", str(states), "--json")]
    margin = ("--voltage-margin-ppm", "28000", *gate, "--json")
    said.append(run(capsys, "localise", str(grid), str(states), *margin))
    said.append(run(capsys, "plan", str(grid), str(states), *margin))
    plan.write_text(said[-1][1])
    for command in ("request", "substation"):
        said.append(run(capsys, command, str(grid), str(states), "--plan", str(plan), *margin))
    assert [code for code, _, _ in said[:3]] == [0, 1, 0], said
    assert "requests" in json.loads(said[3][1]) and json.loads(said[3][1])["requests"]
    return [states.read_text(), *(out for _, out, _ in said)]


def test_nothing_after_the_gate_is_read_from_the_history_to_the_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = table(tmp_path, columns=("load:1", "load:2"))
    lines, at = known.read_text().splitlines(), 1 + 14 * 96 + 48
    whole = day_until_the_requests(capsys, tmp_path, known)

    def changed(first: int, last: int) -> Path:
        path = tmp_path / "changed.csv"
        rows = [f"{row.split(',')[0]},999999,0" if first <= k < last else row for k, row in enumerate(lines)]
        path.write_text("\n".join(rows) + "\n")
        return path

    assert day_until_the_requests(capsys, tmp_path, changed(at, len(lines))) == whole, "whatever comes later"
    earlier = day_until_the_requests(capsys, tmp_path, changed(at - 1, at))
    assert all(one != other for one, other in zip(earlier, whole, strict=True)), (
        "the last quarter-hour before it counts"
    )


def test_a_column_in_kw_is_named_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, grid = table(tmp_path, columns=("load:1", "load:2")), tmp_path / "grid.json"
    grid.write_text(json.dumps(small.document()))
    head, *rows = path.read_text().splitlines()
    cells = (row.split(",") for row in rows)
    path.write_text("\n".join([head, *(f"{stamp},{int(w) // 1_000},{v}" for stamp, w, v in cells)]) + "\n")
    code, _, err = run(capsys, "forecast", str(path), "--network", str(grid), "--day", "2026-02-17")
    assert code == 0 and err.count("\n") == 1
    assert "history.csv: load:1: 96 W at most, of 1000000 W nominal (is it kW, or a site at rest?)" in err
