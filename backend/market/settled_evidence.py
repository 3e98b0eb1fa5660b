"""What is known of each POD and quarter-hour, and what is not: the evidence that a settlement stands on.

1. Measured is the energy of the verified 4 s readings if they are complete enough (the terms say), else that of the
   quarter-hour registers, which is flagged; else nothing, which is flagged, and nothing is guessed.
2. Without a baseline's power nothing can be said to be delivered; it is flagged with its maker's reason, as is what its maker
   left out of a baseline that there is.
3. Where 4 s energy and registers are both known their difference is reported; it is flagged where it is more than the terms
   allow. It changes no payment: two meters that differ are a matter for their owners.
4. An ordered POD that was told by no set-point, or whose light node refused it or did not answer, is flagged, where set-points
   are known at all. It changes no payment either: who is to blame is for a dispute to say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.quantity import PPM
from backend.market.settled_input import BaselineRow, MeasuredRow, SettlementInput, Told
from backend.market.settled_order import Measured, Source
from backend.market.settled_terms import SettlementTerms

Point = tuple[str, int]


class FlagCode(StrEnum):
    """What somebody should look at."""

    REGISTERS_USED = "registers-used"
    NO_MEASUREMENT = "no-measurement"
    NO_BASELINE = "no-baseline"
    BASELINE_NOTE = "baseline-note"
    BOTH_WAYS = "both-ways"
    REGISTERS_DIFFER = "registers-differ"
    NOT_TOLD = "not-told"
    REBOUND = "rebound-not-declared"


@dataclass(frozen=True, slots=True)
class Flag:
    """One POD and quarter-hour, and why."""

    pod: str
    frame: int
    code: FlagCode
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Ws of one POD and quarter-hour by 4 s readings and by registers; difference: readings less registers."""

    pod: str
    frame: int
    readings_ws: int
    registers_ws: int
    difference_ws: int
    completeness_ppm: int
    within: bool


class Evidence:
    """Baselines and measurements by (POD, quarter-hour)."""

    def __init__(self, made: SettlementInput) -> None:
        self._terms = made.terms
        self._measured = {(one.pod, one.frame): one for one in made.measured}
        self._baseline = {(one.pod, one.frame): one for one in made.baselines}
        self._told = {(one.pod, one.frame): one.told for one in made.setpoints}

    def measured(self, point: Point) -> Measured:
        """Rule 1."""
        row = self._measured.get(point)
        return Measured(0, Source.MISSING, 0) if row is None else chosen(row, self._terms)

    def baseline_w(self, point: Point) -> int | None:
        """None where there is none."""
        row = self._baseline.get(point)
        return None if row is None else row.power_w

    def flags(self, ordered: Iterable[Point], reserved: Iterable[Point]) -> list[Flag]:
        """Of the points that are ordered, and of those that are only paid for being there (rules 1, 2 and 4)."""
        asked = set(ordered)
        found = []
        for point in sorted(asked | set(reserved)):
            found += [Flag(*point, code, reason) for code, reason in self._of_measured(point)]
            if point in asked:
                found += [Flag(*point, code, reason) for code, reason in _of_baseline(self._baseline.get(point))]
                found += [Flag(*point, FlagCode.NOT_TOLD, _WORDS[told]) for told in self._untold(point)]
        return found

    def _untold(self, point: Point) -> list[Told]:
        """Rule 4."""
        told = self._told.get(point, Told.NOT_SENT)
        return [told] if self._told and told is not Told.ACCEPTED else []

    def _of_measured(self, point: Point) -> list[tuple[FlagCode, str]]:
        seen = self.measured(point)
        short = (
            f"the 4 s readings are complete to {seen.completeness_ppm} ppm, {self._terms.completeness_ppm} are needed"
        )
        if seen.source is Source.REGISTERS:
            return [(FlagCode.REGISTERS_USED, f"{short}: settled by the registers of the quarter-hour")]
        if seen.source is Source.MISSING:
            return [(FlagCode.NO_MEASUREMENT, f"{short}, and there are no registers")]
        return []

    def reconciled(self) -> list[Reconciled]:
        """Rule 3, by point."""
        found = []
        for point in sorted(self._measured):
            row = self._measured[point]
            if row.readings_ws is None or row.registers_ws is None:
                continue
            difference = row.readings_ws - row.registers_ws
            most = max(self._terms.reconcile_ws, abs(row.registers_ws) * self._terms.reconcile_ppm // PPM)
            found.append(
                Reconciled(
                    row.pod,
                    row.frame,
                    row.readings_ws,
                    row.registers_ws,
                    difference,
                    row.completeness_ppm,
                    abs(difference) <= most,
                )
            )
        return found


_WORDS = {
    Told.REFUSED: "its light node refused the set-point of its orders",
    Told.UNANSWERED: "its light node did not answer the set-point of its orders",
    Told.NOT_SENT: "no set-point of its orders was sent to its light node",
}


def differing(rows: Iterable[Reconciled]) -> list[Flag]:
    """The flags of what is too far apart."""
    return [
        Flag(
            one.pod,
            one.frame,
            FlagCode.REGISTERS_DIFFER,
            f"4 s readings and registers are {one.difference_ws} Ws apart",
        )
        for one in rows
        if not one.within
    ]


def chosen(row: MeasuredRow, terms: SettlementTerms) -> Measured:
    """Rule 1."""
    if row.readings_ws is not None and row.completeness_ppm >= terms.completeness_ppm:
        return Measured(row.readings_ws, Source.READINGS, row.completeness_ppm)
    if row.registers_ws is not None:
        return Measured(row.registers_ws, Source.REGISTERS, row.completeness_ppm)
    return Measured(0, Source.MISSING, row.completeness_ppm)


def _of_baseline(row: BaselineRow | None) -> list[tuple[FlagCode, str]]:
    if row is None:
        return [(FlagCode.NO_BASELINE, "no baseline was handed in")]
    if row.power_w is None:
        return [(FlagCode.NO_BASELINE, row.reason or "its method gave none")]
    return [(FlagCode.BASELINE_NOTE, row.reason)] if row.reason else []
