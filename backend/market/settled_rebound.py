"""What moved back behind an order: as its offer declared (I-05), or otherwise.

1. A rebound that an offer declares is part of the offer: so many quarter-hours later its PODs move the other way, by a part of
   what they delivered of the order. Its price is in the offer's: nothing is paid or fined for it.
2. What a POD moved back is measured against its baseline, as a delivery is. Up to what was declared the position of its BRP is
   corrected by it, more withdrawal behind up, less behind down: the BRP's schedule could not know of it.
3. What is more than that no offer holds: it stays the BRP's own, is told, and is flagged beyond the tolerance of the order's
   table. It is not fined: where nobody ordered anything, a wrong baseline looks the same.
4. So are the quarter-hours behind the last order of a POD in which nothing was declared, as many as the settings watch.
5. Where the POD is ordered in that quarter-hour, of whatever session, what it did there is settled by that order, against the
   baseline alone, and tells nothing of the rebound. Several rebounds of one POD and quarter-hour are told in order of order
   id, each up to what it declared, the last has the rest; of both directions at once nothing is told.
6. Without measurement or baseline, or while the order is held, the rebound is held.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.bids import Direction, Product
from backend.domain.quantity import FRAME_S, PPM
from backend.market.settled_energy import EnergyLine, points_of
from backend.market.settled_evidence import Evidence, Flag, FlagCode, Point
from backend.market.settled_input import Called, Reserved, SettlementInput
from backend.market.settled_order import Source
from backend.market.settled_terms import SettlementTerms


class ReboundCode(StrEnum):
    """What became of a rebound."""

    NONE = "none"
    DECLARED = "as-declared"
    BEYOND = "beyond-declared"
    UNDECLARED = "undeclared"
    ORDERED = "ordered-again"
    BOTH_WAYS = "both-ways"
    ORDER_HELD = "held-with-its-order"
    NO_MEASUREMENT = "held-no-measurement"
    NO_BASELINE = "held-no-baseline"


_HELD = (ReboundCode.ORDER_HELD, ReboundCode.NO_MEASUREMENT, ReboundCode.NO_BASELINE)


@dataclass(frozen=True, slots=True)
class ReboundLine:
    """One order at one POD and one later quarter-hour; Ws the other way: back_ws measured, None where nothing is told; position_ws
    as of an EnergyLine."""

    id: str
    order: str
    offer: str
    aggregator: str
    owner: str
    brp: str
    pod: str
    product: Product
    ordered_frame: int
    frame: int
    declared_ws: int
    back_ws: int | None
    beyond_ws: int
    position_ws: int
    held: bool
    code: ReboundCode
    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """Where an order may move a POD (or POD/var) back; ppm: the part of what was delivered that is declared, 0 of what is only
    watched."""

    order: Called
    pod: str
    frame: int
    ppm: int


def backs(awards: Iterable[Reserved], orders: Iterable[Called], watched_frames: int) -> list[Back]:
    """Every place to look at (rules 1 and 4), by order id."""
    declared = {one.key: one.rebound for one in awards}
    every = sorted(orders, key=lambda one: one.id)
    found = [
        Back(one, pod, one.frame + later, ppm)
        for one in every
        for later, ppm in declared.get(one.key, ())
        for pod in one.points
    ]
    ordered, taken = set(points_of(every)), {(one.pod, one.frame) for one in found}
    for one in every:
        for pod in one.points:
            for frame in range(one.frame + 1, one.frame + 1 + watched_frames):
                if (pod, frame) in ordered:
                    break
                if (pod, frame) not in taken:
                    taken.add((pod, frame))
                    found.append(Back(one, pod, frame, 0))
    return found


def rebounds(
    made: SettlementInput, lines: Iterable[EnergyLine], evidence: Evidence
) -> tuple[tuple[ReboundLine, ...], tuple[Flag, ...]]:
    """The lines, by POD, quarter-hour and order, and flags of what is beyond (rule 3)."""
    by_point: dict[Point, list[Back]] = {}
    for one in backs(made.awards, made.orders, made.watched_frames):
        by_point.setdefault((one.pod, one.frame), []).append(one)
    sold = {(line.order, line.pod): line for line in lines}
    again = {*points_of(made.orders), *((pod, one.frame) for one in made.others for pod in one.parts_w)}
    found, flags = [], []
    for point, here in sorted(by_point.items()):
        of = [sold[one.order.id, one.pod] for one in here]
        untold = _untold(point, here, of, again, evidence)
        for one, line, back_ws in zip(here, of, _shared(point, here, of, evidence, untold), strict=True):
            made_line = _line(one, line, back_ws, untold)
            found.append(made_line)
            if made_line.beyond_ws > _tolerated_ws(line, made.terms):
                flags.append(Flag(*point, FlagCode.REBOUND, made_line.reason))
    return tuple(found), tuple(flags)


def _untold(
    point: Point, here: Sequence[Back], of: Sequence[EnergyLine], again: set[Point], evidence: Evidence
) -> tuple[ReboundCode, str] | None:
    """Why nothing is told of a rebound (rules 5 and 6), None if something is."""
    if point in again:
        return ReboundCode.ORDERED, "ordered again in that quarter-hour: settled by that order"
    if len({one.order.direction for one in here}) > 1:
        return ReboundCode.BOTH_WAYS, "orders up and down rebound at once, one meter cannot tell them apart"
    if any(line.held for line in of):
        return ReboundCode.ORDER_HELD, "held: an order that it is a rebound of is held"
    if evidence.measured(point).source is Source.MISSING:
        return ReboundCode.NO_MEASUREMENT, "held: what its POD measured is not known"
    if evidence.baseline_w(point) is None:
        return ReboundCode.NO_BASELINE, "held: its POD has no baseline there"
    return None


def _shared(
    point: Point,
    here: Sequence[Back],
    of: Sequence[EnergyLine],
    evidence: Evidence,
    untold: tuple[ReboundCode, str] | None,
) -> list[int | None]:
    """What each order moved back of what the POD did (rule 5)."""
    baseline_w = evidence.baseline_w(point)
    if untold is not None or baseline_w is None:
        return [None] * len(here)
    left = _sign(here[0].order) * (evidence.measured(point).energy_ws - baseline_w * FRAME_S)
    found: list[int | None] = []
    for k, (one, line) in enumerate(zip(here, of, strict=True)):
        part = left if k == len(here) - 1 else max(0, min(left, _declared_ws(one, line)))
        found.append(part)
        left -= part
    return found


def _sign(order: Called) -> int:
    """Behind up it is withdrawal, behind down the contrary."""
    return 1 if order.direction is Direction.UP else -1


def _declared_ws(one: Back, line: EnergyLine) -> int:
    """Rule 1; of more than was ordered nothing is declared."""
    return max(0, min(line.delivered_ws, line.ordered_ws)) * one.ppm // PPM


def _tolerated_ws(line: EnergyLine, terms: SettlementTerms) -> int:
    """Ws of an order at a POD below the first step of its table."""
    table = terms.table(line.buyer.value, line.product.value)
    return 0 if table is None else line.ordered_ws * table.steps[0].from_ppm // PPM


def _line(one: Back, line: EnergyLine, back_ws: int | None, untold: tuple[ReboundCode, str] | None) -> ReboundLine:
    declared_ws = _declared_ws(one, line)
    beyond_ws = 0 if back_ws is None else max(0, back_ws - declared_ws)
    own_ws = max(0, min(back_ws or 0, declared_ws)) if line.product is Product.ACTIVE else 0
    code, reason = untold or _explained(one, declared_ws, back_ws or 0)
    return ReboundLine(
        f"rebound/{line.order}/{line.pod}/{one.frame}", line.order, line.offer, line.aggregator, line.owner, line.brp, line.pod,
        line.product, line.frame, one.frame, declared_ws, back_ws, beyond_ws, _sign(one.order) * own_ws, code in _HELD, code,
        reason,
    )  # fmt: skip


def _explained(one: Back, declared_ws: int, back_ws: int) -> tuple[ReboundCode, str]:
    words = f"{max(0, back_ws)} {'Ws' if one.order.product is Product.ACTIVE else 'var s'} back"
    if back_ws <= 0:
        return ReboundCode.NONE, words
    if not one.ppm:
        return ReboundCode.UNDECLARED, f"{words}, none declared: not part of any offer"
    if back_ws > declared_ws:
        return ReboundCode.BEYOND, f"{words}, {declared_ws} declared: what is more is not part of the offer"
    return ReboundCode.DECLARED, f"{words}, {declared_ws} declared"
