"""A bundle as tables: the cells are the numbers of its records."""

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest
from lightwire import envelope, records

from backend.cli import main
from tests.backend.evidence.made import POD, Made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("tables"), every=75)


@pytest.fixture
def bundle(made: Made, tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_bytes(made.sealed(made.bundle()))
    return tmp_path / "bundle.json"


def test_both_forms_hold_every_reading_and_line(made: Made, bundle: Path, tmp_path: Path) -> None:
    kept = [envelope.peek(row.sealed) for row in made.store.of_kind(made.devices[POD].id, records.READING)]
    for form in ("csv", "parquet"):
        assert main(["evidence", "export", str(bundle), "--out", str(tmp_path / form), "--format", form]) == 0
        names = sorted(path.name for path in (tmp_path / form).iterdir())
        assert names == [f"{name}.{form}" for name in ("lines", "quarter_hours", "readings", "setpoints")]
    found = pyarrow.parquet.read_table(tmp_path / "parquet" / "readings.parquet").to_pylist()
    by_seq = {r.seq: (r.time_ms, r.power_w) for r in kept}
    assert len(found) > 10 and all(by_seq[row["seq"]] == (row["time_ms"], row["power_w"]) for row in found)
    assert {type(row["power_w"]) for row in found} == {int} and found[0]["voltage_l1_mv"] == 230_000
    with (tmp_path / "csv" / "lines.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(row["payment_ueur"]) for row in lines] == [one.payment_ueur for one in made.lines if one.pod == POD]
    assert [row["direction"] for row in lines] == ["up", "up", "up", "down"]
    points = pyarrow.parquet.read_table(tmp_path / "parquet" / "setpoints.parquet").to_pylist()
    assert [row["outcome"] for row in points] == [records.ACCEPTED] * 3


def test_readings_in_columns_give_the_same_table(made: Made, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "columns.json").write_bytes(made.sealed(made.bundle(in_full=0)))
    for name in ("bundle", "columns"):
        assert main(["evidence", "export", str(tmp_path / f"{name}.json"), "--out", str(tmp_path / name)]) == 0
    tables = [(tmp_path / name / "readings.csv").read_text() for name in ("bundle", "columns")]
    assert tables[0] == tables[1] and tables[0].count("\n") > 10


def test_a_bundle_that_does_not_hold_gives_no_table(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.write_bytes(bundle.read_bytes().replace(b'"source":', b'"Source":', 1).replace(b"IT001", b"IT002", 1))
    assert main(["evidence", "export", str(bundle), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
    bundle.write_text(json.dumps({"format": "lightnode-receipt/1"}, separators=(",", ":")))
    assert main(["evidence", "export", str(bundle), "--out", str(tmp_path / "out")]) == 1
