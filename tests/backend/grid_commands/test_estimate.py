"""`lightnode grid estimate`: from a file, from the database of readings and field sensors, from quarter-hours."""

import json
from pathlib import Path

import pytest

from backend.adapters.field_store import FieldSensor, FieldStore
from backend.adapters.sqlite import Party, SqliteStore
from backend.cli import main
from backend.grid.document import parse_network
from backend.grid.field import FieldReading
from backend.grid.measured_document import of_field
from hil.field import FieldDevice
from tests.backend.grid import three_nodes as small

AT = "2026-03-18T18:00:04Z"
AT_MS = 1_773_856_804_000
KEY = bytes(32)


def grid(folder: Path) -> Path:
    """The small grid with a voltage sensor at its end and a breaker device in its second line."""
    point = {"accuracy_ppm": 2_000, "side": ""}
    document = small.document() | {
        "format": "lightnode-network/2",
        "measuring_points": [
            {"id": 1, "name": "U3", "quantity": "voltage", "kind": "node", "element": 3, **point},
            {"id": 2, "name": "Q2", "quantity": "power", "kind": "line", "element": 2, **point, "side": "from"},
            {"id": 3, "name": "Q2", "quantity": "voltage", "kind": "node", "element": 2, **point},
        ],
    }
    path = folder / "grid.json"
    path.write_text(json.dumps(document))
    return path


def measurements(folder: Path, *more: dict[str, object]) -> Path:
    volts = {"quantity": "voltage", "kind": "node", "sigma": 20_000}
    rows = [
        {"sensor": "V1", "element": 1, "value": 20_000_000, **volts},
        {"sensor": "V2", "element": 2, "value": 19_693_000, **volts},
        {"sensor": "V3", "element": 3, "value": 19_509_000, **volts},
        *more,
    ]
    path = folder / "measured.json"
    path.write_text(json.dumps({"format": "lightnode-measurements/1", "measurements": rows}))
    return path


def quarters(folder: Path, load_1: int = 600_000) -> Path:
    path = folder / "quarters.csv"
    path.write_text(f"time,load:1,load:2,var:1\n2026-03-18T18:00Z,{load_1},900000,0\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["grid", "estimate", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_voltages_and_quarter_hours_give_a_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (grid(tmp_path), "--measurements", measurements(tmp_path), "--quarters", quarters(tmp_path), "--at", AT)
    code, out, _ = run(capsys, *asked, "--json")
    document = json.loads(out)
    assert code == 0 and document["method"] == "Newton-Raphson" and document["bad_data"] == []
    assert abs(document["lines"]["2"]["from_w"] - 908_000) < 60_000
    assert run(capsys, *asked, "--json")[1] == out, "the same bytes"
    assert "lowest voltage 0.97" in run(capsys, *asked)[1]


def test_a_lying_sensor_is_named_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liar = {
        "sensor": "old VT",
        "quantity": "voltage",
        "kind": "node",
        "element": 3,
        "value": 19_900_000,
        "sigma": 20_000,
    }
    path = measurements(tmp_path, liar)
    code, out, _ = run(capsys, grid(tmp_path), "--measurements", path, "--quarters", quarters(tmp_path), "--at", AT)
    assert code == 0 and "BAD DATA old VT (field sensor, voltage at node:3): 19900000, the others say 195" in out


def database(folder: Path, watts: int = 900_000) -> Path:
    """A light node that read a minute at the POD named as a load, and the field devices."""
    path = folder / "scd.sqlite"
    store = SqliteStore(path)
    store.register(Party(bytes(8), 1, "node", "l3", 1, bytes(33), 0, 2**62, b"", b""))
    for k in range(15):
        store.change("insert into message values (?,?,1,1,?,?,0,0,x'')", bytes(8), k, AT_MS - 4_000 * (k + 1), watts)
    field = FieldStore(store)
    truth = {"voltage_mv": 19_693_000, "current_ma": 26_000, "power_w": 908_000, "power_var": 0}
    for id, name, kind in (("0" * 16, "U3", "voltage"), ("1" * 16, "Q2", "breaker")):
        field.register(FieldSensor(id, name, KEY))
        here = truth | ({"voltage_mv": 19_509_000} if name == "U3" else {})
        field.keep(FieldDevice(id, KEY, kind, noise_ppm=100).measure(here, AT_MS - 1_000))
    store.close()
    return path


def test_readings_and_field_sensors_come_from_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (grid(tmp_path), "--db", database(tmp_path), "--quarters", quarters(tmp_path), "--at", AT, "--json")
    code, out, _ = run(capsys, *asked)
    document = json.loads(out)
    origins = {(row["sensor"], row["origin"]) for row in document["residuals"]}
    assert code == 0 and {("l3", "4 s reading"), ("U3", "field sensor"), ("Q2", "field sensor")} <= origins
    assert ("load:1", "quarter-hour") in origins and document["unobservable"]["branches"] == []
    assert abs(document["lines"]["2"]["from_w"] - 908_000) < 10_000


def test_what_is_older_or_later_than_the_moment_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = database(tmp_path)
    for moment in ("2026-03-18T18:30:00Z", "2026-03-18T17:30:00Z"):
        code, _, err = run(capsys, grid(tmp_path), "--db", path, "--at", moment)
        assert code == 1 and "nothing was measured" in err


def heard(path: Path, id: str, name: str, at_ms: int = AT_MS - 1_000, seq: int = 1, **said: object) -> None:
    """Registers a device and keeps one message of it."""
    store = SqliteStore(path)
    FieldStore(store).register(FieldSensor(id * 16, name, KEY))
    FieldStore(store).keep(FieldReading(id * 16, seq, at_ms, **said))  # type: ignore[arg-type]
    store.close()


def test_what_a_field_device_says_and_no_place_is_known_for_is_named_and_the_rest_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device of another feeder; a current at a voltage's place; a breaker whose branch is not known; one not heard for long."""
    path = database(tmp_path)
    heard(path, "2", "Q9", voltage_mv=20_000_000)
    heard(path, "0", "U3", seq=2, voltage_mv=19_509_000, current_ma=4, breaker="open")
    made = json.loads(grid(tmp_path).read_text())
    old = {**made["measuring_points"][1], "id": 4, "name": "Q1", "element": 1}
    grid(tmp_path).write_text(json.dumps(made | {"measuring_points": [*made["measuring_points"], old]}))
    heard(path, "3", "Q1", AT_MS - 300_001, power_w=0, power_var=0, breaker="open")
    asked = (tmp_path / "grid.json", "--db", path, "--quarters", quarters(tmp_path), "--at", AT, "--json")
    code, out, err = run(capsys, *asked)
    assert code == 0 and json.loads(out)["opened"] == []
    assert err.splitlines() == [
        "lightnode: field device 0000000000000000 (U3): current_ma has no measuring point of that name in grid 'three nodes', not used",
        "lightnode: field device 0000000000000000 (U3): breaker open, but no measuring point of that name is at a branch of grid "
        "'three nodes', not used",
        "lightnode: field device 2222222222222222 (Q9): no measuring point of that name in grid 'three nodes', not used",
        "lightnode: field device 3333333333333333 (Q1): last heard 300 s before, its breaker open, not used",
    ]


def test_a_device_that_was_never_heard_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = database(tmp_path)
    store = SqliteStore(path)
    store.change("delete from field_reading where sensor = ?", "0" * 16)
    store.close()
    _, _, err = run(capsys, grid(tmp_path), "--db", path, "--quarters", quarters(tmp_path), "--at", AT)
    assert err == "lightnode: field device 0000000000000000 (U3): not heard before, not used\n"


@pytest.mark.parametrize(("later", "stands"), [("open", ["line:2"]), ("closed", [])])
def test_of_two_breakers_that_disagree_the_later_one_stands_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], later: str, stands: list[str]
) -> None:
    path = database(tmp_path)
    made = json.loads(grid(tmp_path).read_text())
    other = {**made["measuring_points"][1], "id": 4, "name": "Q2b", "side": "to"}
    grid(tmp_path).write_text(json.dumps(made | {"measuring_points": [*made["measuring_points"], other]}))
    sooner = "closed" if later == "open" else "open"
    heard(path, "1", "Q2", AT_MS - 900, seq=2, breaker=sooner)
    heard(path, "2", "Q2b", AT_MS - 500, breaker=later)
    asked = (tmp_path / "grid.json", "--db", path, "--quarters", quarters(tmp_path), "--at", AT, "--json")
    code, out, err = run(capsys, *asked)
    assert code == 0 and json.loads(out)["opened"] == stands
    assert f"line:2: breaker of Q2 says {sooner}, that of Q2b, later, {later}: taken as {later}" in err


def test_quarter_hours_that_ended_long_ago_are_said_to_be_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (grid(tmp_path), "--measurements", measurements(tmp_path), "--quarters", quarters(tmp_path), "--at")
    assert run(capsys, *asked, "2026-03-18T18:44:00Z")[2] == ""
    said = run(capsys, *asked, "2026-03-19T18:00:00Z")[2]
    assert said == "lightnode: quarter-hours: the last one began 24 h 0 min before --at, its values stand for now\n"


def test_a_field_that_stands_twice_in_a_document_of_measurements_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = measurements(tmp_path)
    path.write_text(path.read_text().replace('"value": 20000000', '"value": 1, "value": 20000000'))
    code, out, err = run(capsys, grid(tmp_path), "--measurements", path)
    assert (code, out) == (1, "") and "measurements: field 'value' stands twice, expected once" in err


def test_two_measuring_points_of_one_name_for_one_quantity_are_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one device one number would be believed at one of the two places."""
    made = json.loads(grid(tmp_path).read_text())
    made["measuring_points"].append({**made["measuring_points"][0], "id": 9, "element": 2})
    (tmp_path / "grid.json").write_text(json.dumps(made))
    assert main(["grid", "check", str(tmp_path / "grid.json")]) == 1
    assert "measuring_point:9 \"U3\" name = 'U3', expected another name: measuring_point:1 has it for voltage" in (
        capsys.readouterr().err
    )


def test_an_open_breaker_takes_its_line_out() -> None:
    document = small.document() | {
        "format": "lightnode-network/2",
        "measuring_points": [
            {
                "id": 2,
                "name": "Q2",
                "quantity": "current",
                "kind": "line",
                "element": 2,
                "side": "from",
                "accuracy_ppm": 1_000,
            }
        ],
    }
    network = parse_network(json.dumps(document))
    said = [FieldReading("a", 1, 0, current_ma=0, breaker="open")]
    measured, opened, _ = of_field(network, {"a": "Q2"}, said)
    assert opened == ("line:2",) and measured[0].place == "line:2:from" and measured[0].sigma == 50


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"value": 1.5}, "measurement number 1 value = 1.5, expected a whole number"),
        ({"value": float("nan")}, "NaN is no number"),
        ({"value": 10**16}, "expected at most"),
        ({"quantity": "frequency"}, "quantity = 'frequency', expected voltage, power, current"),
        ({"colour": 1}, "no such field as 'colour'"),
        ({"sensor": None}, "sensor = None, expected text"),
        ({"sigma": 0}, "sigma 0"),
        ({"element": 9}, "node:9 is not in grid"),
        ({"kind": "line"}, "voltage at a line"),
    ],
)
def test_a_measurement_that_does_not_fit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], named: str
) -> None:
    path = measurements(tmp_path)
    document = json.loads(path.read_text())
    document["measurements"][0] |= change
    path.write_text(json.dumps(document))
    code, out, err = run(capsys, grid(tmp_path), "--measurements", path)
    assert (code, out) == (1, "") and named in err and err.count("\n") == 1


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = grid(tmp_path)
    assert "nothing was measured" in run(capsys, path)[2]
    assert "need --at" in run(capsys, path, "--quarters", quarters(tmp_path))[2]
    assert run(capsys, path, "--db", tmp_path / "none", "--at", AT)[0] == 3
    assert "with its zone" in run(capsys, path, "--quarters", quarters(tmp_path), "--at", "2026-03-18")[2]
