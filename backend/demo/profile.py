"""Published profiles: one integer (1e-6 of nominal) per profile and quarter-hour."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.errors import Rejected
from backend.grid.flow import Integers


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """``values``: column name ("load/H0-A/p") to ppm of nominal per quarter; quarter 0 is the market day's first."""

    first_quarter: int
    values: Mapping[str, Integers]

    @property
    def count(self) -> int:
        """Number of quarter-hours."""
        return len(next(iter(self.values.values())))


def read_profiles(text: str) -> Profiles:
    """The table in ``text``. Raises Rejected naming line and column of the first cell that is not a whole number."""
    lines = text.splitlines()
    names = lines[0].split(",") if lines else []
    if len(names) < 2 or names[0] != "quarter":
        raise Rejected("profiles: line 1, expected 'quarter' and at least one column")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(",")
        if len(cells) != len(names):
            raise Rejected(f"profiles: line {number} has {len(cells)} cells, expected {len(names)}")
        for name, cell in zip(names, cells, strict=True):
            if not cell.lstrip("-").isdigit():
                raise Rejected(f"profiles: line {number} {name} = {cell!r}, expected a whole number (1e-6 of nominal)")
        rows.append([int(cell) for cell in cells])
    table = np.array(rows, dtype=np.int64)
    if not len(rows) or (np.diff(table[:, 0]) != 1).any():
        raise Rejected("profiles: quarter, expected one row for each quarter-hour without a gap")
    return Profiles(int(table[0, 0]), {name: table[:, k + 1] for k, name in enumerate(names[1:])})
