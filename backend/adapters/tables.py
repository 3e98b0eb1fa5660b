"""A bundle as tables for analysis, CSV or Parquet: readings, quarter-hours, set-points, settlement lines.

1. A bundle that does not hold gives no table: it is verified first, its anchors are another matter.
2. Columns have the names and units of the wire format; identifiers and digests are hexadecimal text. What there is none of
   is empty (CSV) or null (Parquet).
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from backend.adapters.bounded import read_bounded
from backend.errors import Rejected
from backend.evidence.verifier.bundle import FORMAT
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.message import parse_payload, split
from backend.evidence.verifier.run import COLUMNS, SLOT_MS
from backend.evidence.verifier.sheet import head, rest

Row = Mapping[str, object]
_READING, _STATEMENT = 1, 2
_READING_CELLS = ("device", "generation", "boot", "seq", "time_ms", "flags", *COLUMNS)
_LINE = (
    "order", "offer", "buyer", "aggregator", "pod", "frame", "ordered_ws", "delivered_ws", "paid_ws", "price_ueur_per_mwh",
    "payment_ueur", "penalty_ueur", "fee_ueur", "source", "held", "code",
)  # fmt: skip


def export(bundle: Path, out: Path, form: str) -> list[Path]:
    """Writes one file for each table into the folder `out`, made if need be; form: "csv" or "parquet". NotValid (rule 1)."""
    data = read_bounded(bundle)
    verify(data, None)
    document = json.loads(head(data))
    if document["format"] != FORMAT:
        raise Rejected(f"{bundle}: only a bundle has tables")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in tables(document, rest(data)).items():
        written.append(out / f"{name}.{form}")
        _WRITERS[form](written[-1], rows)
    return written


def tables(document: Mapping[str, Any], batches: Iterable[bytes]) -> dict[str, list[Row]]:
    """The rows of every table of a bundle that holds: its first line, and those of its batches."""
    readings: list[Row] = []
    quarters: list[Row] = []
    for batch in map(json.loads, batches):
        statement = _columns(batch["statement"])
        quarters.append(statement)
        readings += _readings(batch["records"], statement)
    orders, statement = (json.loads(row["body"]) for row in document["documents"][:2])
    prices = {row["id"]: row for row in orders["orders"]}
    settled: list[Row] = [
        {**{name: line[name] for name in _LINE}, "direction": prices[line["order"]]["direction"]}
        for line in statement["lines"]
    ]
    return {
        "readings": readings,
        "quarter_hours": quarters,
        "setpoints": [_answered(row) for row in document["setpoints"]],
        "lines": settled,
    }


def _readings(records: Iterable[Any], statement: Row) -> Iterator[Row]:
    """Those of one batch, whether they stand in full or in columns; statement: its cells."""
    seq = int(str(statement["first_seq"]))
    for one in records:
        if isinstance(one, dict):
            columns = {name: accumulate(one[name]) for name in COLUMNS}
            same = {"device": statement["device"], "generation": statement["generation"], "boot": one["boot"]}
            for k, values in enumerate(zip(*columns.values(), strict=True)):
                when = {"seq": seq, "time_ms": one["time_ms"] + k * SLOT_MS, "flags": one["flags"]}
                yield _in_order({**same, **when, **dict(zip(COLUMNS, values, strict=True))})
                seq += 1
        else:
            seq += 1
            if "power_w" in (row := _columns(one)):
                yield _in_order(row)


def _in_order(row: Row) -> Row:
    """The cells of a reading in the order of its record, wherever they came from."""
    return {name: row[name] for name in _READING_CELLS}


def _columns(sealed: str) -> Row:
    """The fields of a record as cells; three voltages are three columns."""
    kind, fields = parse_payload(split(bytes.fromhex(sealed), "record")[1], "record")
    if kind not in (_READING, _STATEMENT):
        return {}
    found: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, tuple):
            found.update({f"voltage_l{k}_mv": volts for k, volts in enumerate(value, 1)})
        else:
            found[name] = value.hex() if isinstance(value, bytes) else value
    return found


def _answered(row: Mapping[str, str]) -> Row:
    point = _plain(row["setpoint"])
    decision, execution = (_plain(row[name]) if row[name] else {} for name in ("decision", "execution"))
    names = ("id", "device", "command", "not_before_ms", "not_after_ms", "resource", "control", "value", "ramp_w_per_s")
    return {
        **{name: point[name] for name in names},
        "outcome": decision.get("outcome"),
        "outcome_reason": decision.get("reason"),
        "decided_ms": decision.get("time_ms"),
        "state": execution.get("state"),
        "state_reason": execution.get("reason"),
        "executed_ms": execution.get("time_ms"),
        "commanded_w": execution.get("commanded_w"),
        "readback_w": execution.get("readback_w"),
    }


def _plain(sealed: str) -> dict[str, object]:
    fields = parse_payload(split(bytes.fromhex(sealed), "record")[1], "record")[1]
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="ascii") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)


_WRITERS: Mapping[str, Callable[[Path, Sequence[Row]], None]] = {"csv": _write_csv, "parquet": _write_parquet}
