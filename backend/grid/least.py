"""The least change of power that keeps limits, as a linear programme; floating point goes in and out here, integers outside.

1. Least watts (vars weigh ``VAR_WEIGHT`` of a watt); of equal choices the first in the order given.
2. A limit that holds is kept; one that cannot be reached is approached as far as it goes, before anything is spared.
3. Whoever has less than a thousandth of the strongest effect on a limit is not asked because of it.
4. Changes are rounded away from nothing to whole W and var; one thread, so the answer is the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from backend.errors import Rejected
from backend.grid.flow import Integers

VAR_WEIGHT = 0.25
_PPM = 1e6
_KILO = 1e3
_TIE = 1e-7
_PER_MISSED_PPM = 1e6
_WEAK = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One thing that may be changed: between ``low`` and ``high`` (W or var of withdrawal, 0 between them)."""

    name: str
    low: int
    high: int
    is_reactive: bool = False


def least(changes: Sequence[Change], effect: Integers, margin_ppt: Integers, spare_ppt: Integers) -> Integers:
    """The change of each (W or var), so that every limit keeps ``spare_ppt``: margin - effect @ change >= spare.

    effect: limits x changes, head-room used in ppt per W or var; margin_ppt, spare_ppt: per limit. Raises Rejected if
    the solver finds no answer, which happens only for numbers that are not of a grid.
    """
    strongest = np.abs(effect).max(axis=1, initial=0)
    matrix = np.where(np.abs(effect) * _WEAK >= strongest[:, None], effect, 0) * (_KILO / _PPM)
    short = (spare_ppt - margin_ppt) / _PPM
    count, limits = len(changes), len(short)
    weight = np.array([VAR_WEIGHT if c.is_reactive else 1.0 for c in changes]) + _TIE * np.arange(count)
    solver = _Quiet()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("solver", "simplex")
    solver.passModel(_programme(changes, matrix, short, weight))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise Rejected(f"need: the linear programme of {count} changes and {limits} limits has no answer")
    found = np.array(solver.getSolution().col_value[: 2 * count]) * _KILO
    net = found[:count] - found[count:]
    away = np.sign(net) * np.ceil(np.abs(net) - 1e-6)
    bounds = np.array([(c.low, c.high) for c in changes], dtype=np.int64).reshape(count, 2)
    return np.clip(away.astype(np.int64), bounds[:, 0], bounds[:, 1])


class _Quiet(highspy.Highs):
    """The solver without the banner that its callbacks print on stdout."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()
        self.silent()


def _programme(
    changes: Sequence[Change],
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    short: np.ndarray[tuple[int], np.dtype[np.float64]],
    weight: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> highspy.HighsLp:
    """Columns: more and less of each change in kW, then what is missed of each limit in ppm; rows: the limits."""
    count, limits = len(changes), len(short)
    table = np.hstack([-matrix, matrix, np.eye(limits)])
    most = [max(0, c.high) / _KILO for c in changes] + [max(0, -c.low) / _KILO for c in changes]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 2 * count + limits, limits
    lp.col_cost_ = np.concatenate([weight, weight, np.full(limits, _PER_MISSED_PPM)])
    lp.col_lower_ = np.zeros(2 * count + limits)
    lp.col_upper_ = np.concatenate([most, np.maximum(short, 0.0)])
    lp.row_lower_, lp.row_upper_ = short, np.full(limits, highspy.kHighsInf)
    columns, rows = np.nonzero(table.T)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=table.shape[1]))])
    lp.a_matrix_.index_ = rows
    lp.a_matrix_.value_ = table.T[columns, rows]
    return lp
