"""Exact budgets: instructions, heap and sizes of the firmware on the emulated chip, held by a committed ratchet.

1. A figure counts what is to be small. Work inside the chip is the same to the instruction in every run and on every
   computer; a reading, whose line is outside, within 0.1 %. Another compiler makes another image: then nothing is compared.
2. budget.json says what each figure was and which commit set it. Growth over 2 % fails; so does a figure without an entry.
   A module may grow by 64 bytes whatever its size.
3. A target is what the project wants. A missed target is said, and does not fail: the ratchet alone does.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightflash.board import board, names
from lightflash.compiled import APPLICATION, is_for

from hil.budget_script import BLOCKS, COUNTS, LOW_WATER
from hil.mcu.image import image, made_with
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.targets.chip import Chip
from hil.targets.meter_line import on_a_terminal
from hil.targets.target import Job

RATCHET = Path(__file__).with_suffix(".json")
GROWTH_PERCENT = 2
_MODULE_SLACK_BYTES = 64
_FREE_HEAP = 110 * 1024
_SMALL_HEAP = 96 * 1024
_USUAL_HEAP = 128 * 1024
FLOWS = (  # all inside the chip; node_made: its parts, a new journal, the heap packed
    "node_made", "signature", "acknowledgement", "acknowledgement_first", "set_point", "set_point_first",
)  # fmt: skip
TARGETS = {
    "reading_worst": 8_000_000,
    "small_heap.reading_worst": 12_000_000,
    "longest_block": 700_000,  # 10 ms of an RP2040, whose M0 needs 1.6 instructions for one of an M3; 4 ms of an ESP32-S3
    "compiled": 160 * 1024,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside what it was. was: None for a figure without an entry; target: None if nothing is wanted."""

    name: str
    now: int
    was: int | None
    commit: str
    target: int | None

    @property
    def has_grown(self) -> bool:
        """Whether the ratchet fails (rule 2)."""
        if self.was is None:
            return True
        slack = _MODULE_SLACK_BYTES if self.name.startswith("compiled.") else 0
        return self.now > max(self.was * (100 + GROWTH_PERCENT) / 100, self.was + slack)

    @property
    def misses_target(self) -> bool:
        """Whether the project wants it smaller."""
        return self.target is not None and self.now > self.target

    def __str__(self) -> str:
        """As the ratchet's failure says it."""
        if self.was is None:
            return f"{self.name} is {self.now:,} and has no entry in {RATCHET.name}"
        percent = 100 * (self.now - self.was) / self.was
        return f"{self.name} grew from {self.was:,} to {self.now:,} ({percent:+.1f} %), set by commit {self.commit}"


def measure() -> dict[str, int]:
    """Every figure: instructions with 110 KB of free heap, readings in a heap of 96 KB, bytes of heap, bytes of .mpy."""
    heap = _on_chip(LOW_WATER, _USUAL_HEAP)
    used = heap["heap_total"] - heap["heap_free"]
    roomy = (used + _FREE_HEAP) * _USUAL_HEAP // heap["heap_total"] // 1024 * 1024
    compiled = image().compiled
    small = instructions(_SMALL_HEAP)  # a single flow there costs by chance one collection more or less: readings only
    return {
        **instructions(roomy),
        **{f"small_heap.{name}": count for name, count in small.items() if name not in FLOWS},
        "longest_block": max(_on_chip(BLOCKS, roomy).values()),
        "heap_at_rest": used,
        "heap_at_most": heap["heap_total"] - heap["heap_lowest"],
        "compiled": largest_application(compiled),
        **{f"compiled.{module}": size for module, size in compiled.items()},
    }


def largest_application(compiled: Mapping[str, int]) -> int:
    """Bytes of .mpy that updates replace, on the board that has most; compiled: bytes by module, of all boards.

    Without the chooser (lightboot), and without the board files of other boards.
    """
    paths = {f"{module.replace('.', '/')}.py": size for module, size in compiled.items()}
    of_application = {path: size for path, size in paths.items() if path.split("/")[0] in APPLICATION}
    return max(
        sum(size for path, size in of_application.items() if is_for(path, board(name).modules)) for name in names()
    )


def instructions(heap: int) -> dict[str, int]:
    """Instructions of each flow in a heap of this many bytes; `reading` is the mean of 16 in a row."""
    found = _on_chip(COUNTS, heap)
    readings = found["readings"]
    flows = {name: int(found[name]) for name in FLOWS}
    return {"reading": sum(readings) // len(readings), "reading_worst": max(readings), **flows}


def compare(now: Mapping[str, int], ratchet: Mapping[str, Any]) -> list[Row]:
    """Each figure beside its entry {"value", "commit"}."""
    rows = []
    for name, value in now.items():
        entry = ratchet.get(name, {"value": None, "commit": ""})
        rows.append(Row(name, value, entry["value"], entry["commit"], TARGETS.get(name)))
    return rows


def read_ratchet() -> dict[str, Any]:
    """The committed entries by figure; empty if nothing is."""
    found: dict[str, Any] = _document()["figures"]
    return found


def not_comparable() -> str:
    """Why figures that are measured here cannot be held against the ratchet; "" if they can."""
    here, there = made_with(), _document()["made_with"]
    return "" if not there or here == there else f"the ratchet was measured with {there}; here is {here}"


def _document() -> dict[str, Any]:
    found: dict[str, Any] = {"made_with": "", "figures": {}}
    return json.loads(RATCHET.read_text()) if RATCHET.exists() else found


def accept(rows: list[Row]) -> None:
    """Writes the ratchet."""
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=RATCHET.parent, capture_output=True, text=True, check=True
    ).stdout.strip()
    document = {"made_with": made_with(), "figures": entries(rows, head)}
    RATCHET.write_text(json.dumps(document, indent=1) + "\n")


def entries(rows: list[Row], head: str) -> dict[str, Any]:
    """The ratchet after these rows: a figure that changed is set by the commit that is checked out now."""
    return {r.name: {"value": r.now, "commit": r.commit if r.now == r.was else head} for r in rows}


def table(rows: list[Row]) -> str:
    """The figures for a reader."""
    lines = [f"{'figure':34} {'now':>12} {'ratchet':>12} {'target':>12}  set by"]
    for row in rows:
        was, target = (f"{n:,}" if n is not None else "-" for n in (row.was, row.target))
        marks = ["new" if row.was is None else "GREW"] * row.has_grown + ["target missed"] * row.misses_target
        lines.append(f"{row.name:34} {row.now:>12,} {was:>12} {target:>12}  {row.commit or '-':12} {' '.join(marks)}")
    return "\n".join(line.rstrip() for line in lines)


def _on_chip(script: str, heap: int) -> dict[str, Any]:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20), unit=7)
    station.offer(0, Terminals.spread(3, 50_000, -10_000, 231_400))
    with on_a_terminal(station) as path:
        found: dict[str, Any] = json.loads(Chip(heap=heap, compile=True).run(Job(script, meter=path)))
    return found
