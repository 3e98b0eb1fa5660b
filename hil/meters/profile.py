"""What passes at a meter's terminals over time, from a CSV file.

    time_s,w_l1,w_l2,w_l3,var_l1,var_l2,var_l3,v_l1,v_l2,v_l3,hz
    0,1200,800,-300,100,0,0,230.4,231,229.8,50.01
    4,1250,790,-310,110,0,0,230.1,231,229.9,49.99

1. Columns: time_s, w_l1 and whatever else is known; a phase without w draws nothing, without v it is at 230 V; hz is 50.
2. A row holds until the next; the first row is at time 0, times rise.
3. The last row holds for good, or, repeated, as long as the one before it; then the first comes again.
4. W, var in whole numbers, the rest rounded to mV and mHz.
"""

import csv
from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from hil.meters.meter import Terminals

_PHASES = ("l1", "l2", "l3")
_COLUMNS = ["time_s", *(f"{kind}_{p}" for kind in ("w", "var", "v") for p in _PHASES), "hz"]
_LIMIT = Decimal(2_000_000_000)


class ProfileError(ValueError):
    """A profile that cannot be used, in one line."""


@dataclass(frozen=True, slots=True)
class Profile:
    """starts_ms: when each row of `rows` begins, rising from 0. repeats: see rule 3."""

    starts_ms: tuple[int, ...]
    rows: tuple[Terminals, ...]
    repeats: bool = False

    def at(self, elapsed_ms: int) -> Terminals:
        """What passes so long after the start."""
        if self.repeats:
            last_ms = self.starts_ms[-1]
            elapsed_ms %= (2 * last_ms - self.starts_ms[-2]) if len(self.rows) > 1 else 1
        return self.rows[max(bisect_right(self.starts_ms, elapsed_ms) - 1, 0)]


def steady(power_w: int = 1_000, reactive_var: int = 200, phase_mv: int = 230_000) -> Profile:
    """The same on each phase for good."""
    return Profile((0,), (Terminals((power_w,) * 3, (reactive_var,) * 3, (phase_mv,) * 3),))


def load_profile(path: Path, repeats: bool = False) -> Profile:
    """The profile of a file; ProfileError otherwise."""
    try:
        with path.open(newline="") as lines:
            reader = csv.DictReader(lines)
            columns = reader.fieldnames or []
            if unknown := [c for c in columns if c not in _COLUMNS]:
                raise ProfileError(f"{path}: {unknown[0]!r} is not a column; columns: {', '.join(_COLUMNS)}")
            if missing := [c for c in ("time_s", "w_l1") if c not in columns]:
                raise ProfileError(f"{path}: the column {missing[0]} is missing; the first line names the columns")
            rows = [_row(f"{path}, line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProfileError(f"{path} cannot be read: {error}") from error
    starts_ms = tuple(start for start, _ in rows)
    if not rows or starts_ms[0] != 0:
        raise ProfileError(f"{path}: a row for time_s 0 is missing; the first row is at time 0")
    if any(b <= a for a, b in pairwise(starts_ms)):
        raise ProfileError(f"{path}: the times of the rows do not rise; sort them by time_s")
    return Profile(starts_ms, tuple(terminals for _, terminals in rows), repeats)


def _row(where: str, row: dict[str, str]) -> tuple[int, Terminals]:
    if None in row:
        raise ProfileError(f"{where}: more values than columns; the first line names the columns")

    def number(column: str, usual: str, factor: int) -> int:
        text = row.get(column)
        text = usual if text is None or text == "" else text
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or abs(value) * factor > _LIMIT:
            raise ProfileError(f"{where}: {column} is {text!r}, a number belongs here")
        return int((value * factor).to_integral_value())

    def three(kind: str, usual: str, factor: int) -> tuple[int, ...]:
        return tuple(number(f"{kind}_{p}", usual, factor) for p in _PHASES)

    volts = three("v", "230", 1000)
    if min(volts) < 0:
        raise ProfileError(f"{where}: a voltage is negative; phase to neutral, effective value belongs here")
    return number("time_s", "", 1000), Terminals(
        three("w", "0", 1), three("var", "0", 1), volts, number("hz", "50", 1000)
    )
