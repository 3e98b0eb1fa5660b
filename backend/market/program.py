"""A clearing as a linear program, with whole numbers where blocks, links or directions ask for them: built and solved.

1. A column is a unit, W taken of one price step in one quarter-hour or 1e-6 of a linked offer, for one request. A unit that
   helps several elements stands for the first of its requests in turn; a unit for volume has a column for each request.
2. Rows: volume left of a unit; relief or volume and what is unserved of each need; guard of every element that a column
   moves: none broken that held, none more broken. Rebounds move the limits of their quarter-hours.
3. A least part makes a column 0 or at least it: a whole number beside it. So do two directions of one POD.
4. Quarter-hours that nothing couples are programs of their own.
5. Numbers are scaled: a limit's to a thousandth of the greatest effect, W stay W.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np

from backend.market.book import Ints

_SEED = 20_26
_SLACK = 1e-6
_GREATEST_COST = 1e4


@dataclass(slots=True)
class Rows:
    """Coefficients by row, and the bounds of each."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    row: list[Ints] = field(default_factory=list)
    column: list[Ints] = field(default_factory=list)
    value: list[Ints] = field(default_factory=list)

    def add(self, lower: float, upper: float, columns: Ints | Sequence[int], values: Ints | Sequence[float]) -> int:
        """One more row; its number."""
        number = len(self.lower)
        self.lower.append(lower)
        self.upper.append(upper)
        self.row.append(np.full(len(columns), number, dtype=np.int64))
        self.column.append(np.asarray(columns, dtype=np.int64))
        self.value.append(np.asarray(values, dtype=float))
        return number


@dataclass(slots=True)
class Program:
    """upper: of each column, from 0; whole: which are whole numbers; fixed objectives become rows."""

    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)

    def columns(self, upper: Ints | Sequence[float], whole: Ints | Sequence[bool]) -> Ints:
        """More columns; their numbers."""
        first = len(self.upper)
        self.upper.extend(np.asarray(upper, dtype=float).tolist())
        self.whole.extend(np.asarray(whole, dtype=bool).tolist())
        return np.arange(first, len(self.upper))


@dataclass(frozen=True, slots=True)
class Solved:
    """Values by column, the objective and what it could be at best, and whether the program was solved to the end."""

    values: Ints
    objective: float
    bound: float
    proven: bool


def solve(program: Program, cost: Sequence[float], time_limit_s: int, relative_gap: float = 0.0) -> Solved | None:
    """The least cost, on one thread with a fixed seed; None if not even one solution was found in time."""
    scale = float(np.abs(np.array(cost)).max(initial=0)) / _GREATEST_COST or 1.0
    engine = highspy._Highs()  # type: ignore[attr-defined]  # the class around it prints a banner on stdout
    for name, value in (
        ("output_flag", False), ("threads", 1), ("random_seed", _SEED), ("mip_rel_gap", relative_gap),
        ("mip_abs_gap", 1e-6), ("parallel", "off"), ("primal_feasibility_tolerance", 1e-8),
    ):  # fmt: skip
        engine.setOptionValue(name, value)
    if time_limit_s:
        engine.setOptionValue("time_limit", float(time_limit_s))
    engine.passModel(_model(program, [c / scale for c in cost]))
    engine.run()
    info, status = engine.getInfo(), engine.getModelStatus()
    values = np.array(engine.getSolution().col_value)
    if info.primal_solution_status != 2 or not len(values):
        return None
    proven = status == highspy.HighsModelStatus.kOptimal
    objective = float(info.objective_function_value) * scale
    if any(program.whole):
        return Solved(values, objective, float(info.mip_dual_bound) * scale, proven)
    return Solved(values, objective, objective if proven else -np.inf, proven)


def _model(program: Program, cost: Sequence[float]) -> Any:
    rows, count = program.rows, len(program.upper)
    at, across = np.concatenate(rows.row), np.concatenate(rows.column)
    order = np.lexsort((at, across))
    column = across[order]
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = count, len(rows.lower)
    model.col_cost_ = np.array(cost, dtype=float)
    model.col_lower_, model.col_upper_ = np.zeros(count), np.array(program.upper, dtype=float)
    model.row_lower_, model.row_upper_ = np.array(rows.lower, dtype=float), np.array(rows.upper, dtype=float)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.searchsorted(column, np.arange(count + 1)).astype(np.int32)
    model.a_matrix_.index_ = at[order].astype(np.int32)
    model.a_matrix_.value_ = np.concatenate(rows.value)[order]
    if any(program.whole):
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in program.whole]
    return model


def lexicographic(
    program: Program, objectives: Sequence[dict[int, float]], time_limit_s: int
) -> tuple[Solved, bool] | None:
    """Minimises one objective after the other, each held (to a millionth) while the next is; the last one solved, and
    whether all were solved to the end. None if a stage found nothing in time."""
    proven, last = True, None
    for objective in objectives:
        cost = np.zeros(len(program.upper))
        cost[list(objective)] = list(objective.values())
        solved = solve(program, cost.tolist(), time_limit_s)
        if solved is None:
            return None if last is None else (last, False)
        last, proven = solved, proven and solved.proven
        held = solved.objective + _SLACK * (1 + abs(solved.objective))
        program.rows.add(-np.inf, held, list(objective), list(objective.values()))
    return None if last is None else (last, proven)
