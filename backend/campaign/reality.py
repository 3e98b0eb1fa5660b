"""The grid of a day as it really was: what broke its limits, what had to be curtailed, and whether another engine agrees.

1. What happens is the published day with each customer at what its meter was at; the operator's taps stand as planned.
2. Renewable energy is curtailed where the grid would else break: the least that plants of 100 kW and more must withhold, by
   full power flow. It stands in the accounts only: no state is changed by it.
3. Engines agree on a violation unless it is by less than 2e-6 of rated: there either may be right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from backend.adapters.power_grid import PowerGridFlow
from backend.campaign.record import Checked, Differs
from backend.demo.season import Season, SeasonDay
from backend.domain.quantity import FRAME_S
from backend.grid.congestion import NO_SOLUTION, Limits, Violation, violations
from backend.grid.flow import Integers, Scenarios
from backend.grid.forecast import Series, day_scenarios
from backend.grid.need import Capability, size

CURTAILED_FROM_W = 100_000
_MANY = "lv_"  # profiles of whole low-voltage grids: many small plants, none that could be told to withhold
ROUNDING_PPT = 2_000_000


class Checker(Protocol):
    """Another power flow."""

    @property
    def version(self) -> str:
        """What it is."""
        ...

    def violations(self, scenarios: Scenarios, frames: Sequence[int]) -> tuple[Violation, ...]:
        """What is beyond its limit, by quarter-hour and element."""
        ...


class Reality:
    """States of one season's grid. making: an engine for the same grid with its plants as what can move."""

    def __init__(self, season: Season) -> None:
        self.flow = PowerGridFlow(season.network)
        self._plants = {
            f"generator:{g.id}": k
            for k, g in enumerate(season.network.generators)
            if g.p_nominal_w >= CURTAILED_FROM_W and not g.profile.startswith(_MANY)
        }
        at = {f"generator:{g.id}": g.node for g in season.network.generators}
        self._making = PowerGridFlow(season.network.connected({name: at[name] for name in self._plants}))

    def states(self, series: Series, tap: Integers | None = None) -> Scenarios:
        """The states of a series, taps where they stand or as given."""
        plain = day_scenarios(self.flow.network, series)
        return plain if tap is None else plain.with_tap(tap)

    def broken(self, scenarios: Scenarios, frames: Sequence[int]) -> tuple[Violation, ...]:
        """What is beyond its limit, no margin kept."""
        return violations(self.flow.network, self.flow.solve(scenarios), frames, Limits())

    def curtailed_ws(self, series: Series, tap: Integers, frames: Sequence[int], broken: Iterable[Violation]) -> int:
        """Rule 2, for the quarter-hours that are broken by too much."""
        hit = {v.frame for v in broken if v.element != NO_SOLUTION and not v.element.endswith(":low")}
        plain, total_w = day_scenarios(self._making.network, series).with_tap(tap), 0
        for row, frame in enumerate(frames):
            if frame in hit:
                made = series.generator_w[row]
                can = [Capability(name, 0, max(0, int(made[k]))) for name, k in self._plants.items()]
                least = size(self._making, plain.rows([row]), (frame,), Limits(), can).least_w
                total_w += sum(watts[0] for watts in least.values())
        return total_w * FRAME_S


def with_customers(season: Season, series: Series, watts: Mapping[str, Sequence[int]]) -> Series:
    """A series with these PODs at these W in each row (rule 1)."""
    load_w, place = series.load_w.copy(), {load.name: k for k, load in enumerate(season.network.loads)}
    for pod, row in watts.items():
        load_w[:, place[pod]] = row
    return replace(series, load_w=load_w)


def errors_ws(day: SeasonDay, gates: Mapping[int, Sequence[int]], actual: Series) -> dict[str, int]:
    """Sum over the quarter-hours of |forecast - actual| of the grid's load and generation, day-ahead and near real time.

    gates: of the near-real-time sessions, and their quarter-hours."""
    ahead = day.expected(day.day_ahead_gate)
    found = {"day-ahead load": 0, "day-ahead generation": 0, "near-real-time load": 0, "near-real-time generation": 0}
    for gate, frames in gates.items():
        rows = [frame - day.frames[0] for frame in frames]
        near = day.expected(gate)
        for name, made, was in (("load", "load_w", actual.load_w), ("generation", "generator_w", actual.generator_w)):
            for horizon, series in (("day-ahead", ahead), ("near-real-time", near)):
                gap = getattr(series, made)[rows].sum(axis=1) - was[rows].sum(axis=1)
                found[f"{horizon} {name}"] += int(abs(gap).sum()) * FRAME_S
    return found


def energy_ws(watts: Integers) -> int:
    """Of all columns and rows together."""
    return int(watts.sum()) * FRAME_S


def checked(
    checker: Checker,
    states: Mapping[str, tuple[Scenarios, Sequence[Violation]]],
    frames: Sequence[int],
) -> Checked:
    """The other engine's look at these states; beside each what ours found. A state that is the last one's is not solved twice."""
    count, agreed, differs = 0, 0, []
    before: Scenarios | None = None
    for name, (scenarios, ours) in states.items():
        same = np.zeros(len(frames), bool) if before is None else (scenarios.load_w == before.load_w).all(axis=1)
        rows = np.flatnonzero(~same).tolist()
        mine = [frames[row] for row in rows]
        both, only = compared([v for v in ours if v.frame in mine], checker.violations(scenarios.rows(rows), mine))
        count, agreed = count + len(rows), agreed + both
        differs += [Differs(name, frame, element, who) for frame, element, who in only]
        before = scenarios
    return Checked(checker.version, count, agreed, tuple(differs))


def compared(ours: Iterable[Violation], theirs: Iterable[Violation]) -> tuple[int, list[tuple[int, str, str]]]:
    """How many (quarter-hour, element) both name, and what only one does (rule 3): quarter-hour, element, who."""
    left, right = ({(v.frame, v.element): v.amount_ppt for v in found} for found in (ours, theirs))
    only = [(*key, "ours") for key, amount in left.items() if key not in right and amount > ROUNDING_PPT]
    only += [(*key, "theirs") for key, amount in right.items() if key not in left and amount > ROUNDING_PPT]
    return len(left.keys() & right.keys()), sorted(only)
