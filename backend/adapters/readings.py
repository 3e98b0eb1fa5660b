"""The readings of a store as lines, read only: opens a running back end's file without disturbing it.

1. One line per stored reading, in order of device and seq: device (hex), boot, seq, time_ms, power_w.
2. A reading whose boot has no clock link yet has no time: time_ms is null, monotonic_ms says when in its boot it was. It
   is exported when no bound of time is given.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Unavailable

_ALWAYS = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which readings: of one device (8 bytes) or all; slot marks in [start_ms, end_ms), None is without a bound."""

    device: bytes | None = None
    start_ms: int | None = None
    end_ms: int | None = None


def exported(path: Path, wanted: Selection) -> Iterator[dict[str, object]]:
    """The lines of a database file (rules 1 and 2); Unavailable if it is not there or no database of ours."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            for device, boot, seq, time_ms, power_w in database.execute(*_query(wanted)):
                yield _line(device, boot, seq, time_ms, power_w)
    except sqlite3.Error as error:
        raise Unavailable("database", f"{path}: {error}") from error


def _query(wanted: Selection) -> tuple[str, list[object]]:
    low, high = _ALWAYS
    if wanted.start_ms is not None or wanted.end_ms is not None:
        low = wanted.start_ms or 0
        high = _ALWAYS[1] if wanted.end_ms is None else wanted.end_ms
    values: list[object] = [low, high]
    sql = "select device, boot, seq, time_ms, power_w from message where kind = 1 and time_ms >= ? and time_ms < ?"
    if wanted.device is not None:
        sql += " and device = ?"
        values.append(wanted.device)
    return sql + " order by device, seq", values


def _line(device: bytes, boot: int, seq: int, time_ms: int, power_w: int) -> dict[str, object]:
    found: dict[str, object] = {
        "device": device.hex(),
        "boot": boot,
        "seq": seq,
        "time_ms": time_ms,
        "power_w": power_w,
    }
    if time_ms < 0:
        found |= {"time_ms": None, "monotonic_ms": -1 - time_ms}
    return found
