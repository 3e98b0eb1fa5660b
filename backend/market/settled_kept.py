"""Evidence that a settlement stands on is not lost in the next one: its input may add to it and put it right, no more.

1. A POD and quarter-hour that had 4 s readings has them, as complete as they were; the same of registers. Another energy is a
   correction, which the difference shows and a second person approves.
2. A baseline that had a power has one, as long as the POD's method is the same.
3. What an owner said cannot deliver stays said.
4. Only of what the next settlement still needs: an order or award that a corrected outcome took away needs no evidence.
"""

from collections.abc import Iterable, Iterator

from backend.errors import Rejected
from backend.market.settled_delivered import looked_at, sold_by
from backend.market.settled_input import BaselineRow, MeasuredRow, SettlementInput

Lost = tuple[str, int, str]


def check_kept(before: SettlementInput, after: SettlementInput, version: int) -> None:
    """Rejected, with the first of what was lost since this version, whose input is ``before``, and how much more was."""
    lost = sorted({*_unmeasured(before, after), *_without_baseline(before, after), *_unsaid(before, after)})
    if lost:
        pod, frame, what = lost[0]
        more = f" (and {len(lost) - 1} more)" if lost[1:] else ""
        raise Rejected(
            f"settlement input: POD {pod}, quarter-hour {frame}: {what} of version {version} is missing or less{more}:"
            f" keep that row of its input, which `market bundle` has, beside what is new"
        )


def _unmeasured(before: SettlementInput, after: SettlementInput) -> Iterator[Lost]:
    """Rule 1."""
    held = {
        (one.point(pod), one.frame) for one in after.awards if one.availability_ueur_per_mw_h for pod in one.parts_w
    }
    needed, now = _asked(after) | held, {(one.pod, one.frame): one for one in after.measured}
    for was in before.measured:
        one = now.get((was.pod, was.frame), MeasuredRow(was.pod, was.frame, None, 0, None))
        if (was.pod, was.frame) not in needed:
            continue
        if was.readings_ws is not None and (one.readings_ws is None or one.completeness_ppm < was.completeness_ppm):
            yield was.pod, was.frame, "4 s readings"
        if was.registers_ws is not None and one.registers_ws is None:
            yield was.pod, was.frame, "energy by registers"


def _without_baseline(before: SettlementInput, after: SettlementInput) -> Iterator[Lost]:
    """Rule 2."""
    needed, now = _asked(after), _powers(after.baselines)
    methods = [{one.pod: one for one in of.pods} for of in (before, after)]
    for (pod, frame), power_w in _powers(before.baselines).items():
        if power_w is None or (pod, frame) not in needed or now.get((pod, frame)) is not None:
            continue
        was, one = (of[pod.removesuffix("/var")].method_of(pod) for of in methods)
        if was == one:
            yield pod, frame, "baseline"


def _unsaid(before: SettlementInput, after: SettlementInput) -> Iterator[Lost]:
    """Rule 3."""
    pods, said = {one.pod for one in after.pods}, {(one.pod, one.frame) for one in after.unavailable}
    for one in before.unavailable:
        if one.pod in pods and (one.pod, one.frame) not in said:
            yield one.pod, one.frame, "unavailability"


def _asked(made: SettlementInput) -> set[tuple[str, int]]:
    """Where something is ordered, or may move back, or has moved what is moved back there."""
    return looked_at(sold_by(made.session, made.awards, made.orders), made.others, made.watched_frames)


def _powers(rows: Iterable[BaselineRow]) -> dict[tuple[str, int], int | None]:
    return {(one.pod, one.frame): one.power_w for one in rows}
