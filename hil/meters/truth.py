"""The truth log: JSON lines of all that a meter offered, and of each fault it played.

1. An offer names each quantity with its unit: what a reading is compared with, within the register's resolution.
2. Other lines are events: fault_on and fault_off with the fault; answer with its faults, the request and what was sent
   with its delay, in hexadecimal; restart; register_reset. No answer that differs from an honest one goes unlogged.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

_UNITS = {
    "voltage": "mv", "current": "ma", "power": "w", "reactive": "var", "frequency": "mhz", "import": "wh", "export": "wh",
}  # fmt: skip
_FIELDS = ("pod", "utc_ms", "event")


def truth_key(quantity: str) -> str:
    """The name of a quantity in the log: with its unit."""
    return f"{quantity}_{_UNITS[quantity.partition('_')[0]]}"


@dataclass(frozen=True, slots=True)
class Offered:
    """What a meter offered from an instant on, primary side, by quantity: mV, mA, W, var, mHz, Wh."""

    pod: str
    utc_ms: int
    values: Mapping[str, int]

    @property
    def power_w(self) -> int:
        """The total power."""
        return self.values["power_total"]


@dataclass(frozen=True, slots=True)
class Event:
    """What else happened at a meter."""

    pod: str
    utc_ms: int
    event: str
    facts: Mapping[str, Any]


class TruthLog:
    """Writes to a text file that the caller opens, flushes and closes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, entry: Offered | Event) -> None:
        """One JSON line."""
        head: dict[str, Any] = {"pod": entry.pod, "utc_ms": entry.utc_ms}
        if isinstance(entry, Offered):
            head |= {"event": "offer"} | {truth_key(name): value for name, value in entry.values.items()}
        else:
            head |= {"event": entry.event} | dict(entry.facts)
        self._out.write(json.dumps(head) + "\n")

    def flush(self) -> None:
        """All lines are with the operating system."""
        self._out.flush()


def offers(path: Path) -> Iterator[Offered]:
    """All offers of a log, in order, one after the other: a week of them is large."""
    for row in _rows(path):
        if row["event"] == "offer":
            values = {k.rpartition("_")[0]: v for k, v in row.items() if k not in _FIELDS}
            yield Offered(row["pod"], row["utc_ms"], values)


def read_truth(path: Path) -> list[Offered]:
    """All offers of a log, in order."""
    return list(offers(path))


def read_events(path: Path) -> list[Event]:
    """All else of a log, in order."""
    return [
        Event(row["pod"], row["utc_ms"], row["event"], {k: v for k, v in row.items() if k not in _FIELDS})
        for row in _rows(path)
        if row["event"] != "offer"
    ]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)
