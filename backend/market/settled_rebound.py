"""What moved back behind an order: as its offer declared (I-05), or otherwise.

1. A rebound that an offer declares is part of the offer: so many quarter-hours later its PODs move the other way, by a part of
   what they delivered of the order. Its price is in the offer's: nothing is paid or fined for it.
2. What a POD moved back is measured against its baseline, as a delivery is. Up to what was declared the position of its BRP is
   corrected by it, more withdrawal behind up, less behind down: the BRP's schedule could not know of it.
3. What is more than that no offer holds: it stays the BRP's own, is told, and is flagged beyond the tolerance of the order's
   table. It is not fined: where nobody ordered anything, a wrong baseline looks the same.
4. So are the quarter-hours behind the last order of a POD in which nothing was declared, as many as the settings watch.
5. Where the POD is ordered in that quarter-hour, of whatever session, the way in which it moves back, it is told as far as
   settled_delivered.py counts it as the rebound, and not as a delivery; where it is ordered the other way nothing is told.
   Several rebounds of one POD and quarter-hour, of whatever session, are told in order of order id, each up to what it
   declared, and where nothing is ordered the last has the rest; of both directions at once nothing is told.
6. Without measurement or baseline, or while the order is held, the rebound is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.bids import Direction, Product
from backend.domain.quantity import FRAME_S, PPM
from backend.market.settled_delivered import Back, Deliveries, declared, every_order, watched
from backend.market.settled_energy import Energy, EnergyLine
from backend.market.settled_evidence import Evidence, Flag, FlagCode, Point
from backend.market.settled_input import OtherOrder, SettlementInput
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


def rebounds(
    made: SettlementInput, energy: Energy, evidence: Evidence
) -> tuple[tuple[ReboundLine, ...], tuple[Flag, ...]]:
    """The lines, by POD, quarter-hour and order, and flags of what is beyond (rule 3)."""
    every = every_order(made)
    own = [one for one in every if one.session == made.session]
    by_point: dict[Point, list[Back]] = {}
    for one in [*declared(every), *watched(own, made.watched_frames)]:
        by_point.setdefault((one.pod, one.frame), []).append(one)
    sold = {(line.order, line.pod): line for line in energy.lines}
    ways = {(pod, one.frame): one.direction for one in every for pod in one.parts_w}
    found, flags = [], []
    for point, here in sorted(by_point.items()):
        told = _Told(point, ways.get(point), energy.done, {line: one.held for line, one in sold.items()}, evidence)
        for one, back_ws, untold in told.of(here):
            line = sold.get((one.order.id, one.pod))
            if line is not None:
                made_line = _line(one, line, back_ws, untold)
                found.append(made_line)
                if made_line.beyond_ws > _tolerated_ws(line, made.terms):
                    flags.append(Flag(*point, FlagCode.REBOUND, made_line.reason))
    return tuple(found), tuple(flags)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one POD and quarter-hour; way: in which it is ordered there, None if it is not; held: by (order, POD) of
    the session."""

    point: Point
    way: Direction | None
    done: Deliveries
    held: Mapping[tuple[str, str], bool]
    evidence: Evidence

    def of(self, here: Sequence[Back]) -> Iterable[tuple[Back, int | None, tuple[ReboundCode, str] | None]]:
        """What each moved back (Ws), or why nothing is told (rules 5 and 6)."""
        is_told = self.point not in self.done.both
        same = [one for one in here if is_told and one.order.direction is not self.way]
        for one in here:
            if one not in same:
                yield one, None, (ReboundCode.ORDERED, "ordered again in that quarter-hour: settled by that order")
        untold = self._untold(same)
        left = 0 if untold else self._moved_ws(same)
        for k, one in enumerate(same):
            part = max(0, min(left, one.declared_ws(self.done.ws.get((one.order.id, one.pod), 0))))
            if self.way is None and k == len(same) - 1:
                part = left
            left -= part
            yield one, None if untold else part, untold

    def _untold(self, here: Sequence[Back]) -> tuple[ReboundCode, str] | None:
        """Why nothing is told of any of them, None if something is."""
        if len({one.order.direction for one in here}) > 1:
            return ReboundCode.BOTH_WAYS, "orders up and down rebound at once, one meter cannot tell them apart"
        keys = [(one.order.id, one.pod) for one in here]
        if any(self.held.get(key, False) or key not in self.done.ws for key in keys):
            return ReboundCode.ORDER_HELD, "held: an order that it is a rebound of is held"
        if self.evidence.measured(self.point).source is Source.MISSING:
            return ReboundCode.NO_MEASUREMENT, "held: what its POD measured is not known"
        if self.evidence.baseline_w(self.point) is None:
            return ReboundCode.NO_BASELINE, "held: its POD has no baseline there"
        return None

    def _moved_ws(self, here: Sequence[Back]) -> int:
        """What the POD moved back in all; where it is ordered what is no delivery of it."""
        baseline_w = self.evidence.baseline_w(self.point)
        if not here or baseline_w is None:
            return 0
        if self.way is not None:
            return abs(self.done.moved_w.get(self.point, 0)) * FRAME_S
        return _sign(here[0].order) * (self.evidence.measured(self.point).energy_ws - baseline_w * FRAME_S)


def _sign(order: OtherOrder) -> int:
    """Behind up it is withdrawal, behind down the contrary."""
    return 1 if order.direction is Direction.UP else -1


def _tolerated_ws(line: EnergyLine, terms: SettlementTerms) -> int:
    """Ws of an order at a POD below the first step of its table."""
    table = terms.table(line.buyer.value, line.product.value)
    return 0 if table is None else line.ordered_ws * table.steps[0].from_ppm // PPM


def _line(one: Back, line: EnergyLine, back_ws: int | None, untold: tuple[ReboundCode, str] | None) -> ReboundLine:
    declared_ws = one.declared_ws(line.delivered_ws)
    beyond_ws = 0 if back_ws is None else max(0, back_ws - declared_ws)
    own_ws = max(0, min(back_ws or 0, declared_ws)) if line.product is Product.ACTIVE else 0
    code, reason = untold or _explained(one, line.product, declared_ws, back_ws or 0)
    return ReboundLine(
        f"rebound/{line.order}/{line.pod}/{one.frame}", line.order, line.offer, line.aggregator, line.owner, line.brp, line.pod,
        line.product, line.frame, one.frame, declared_ws, back_ws, beyond_ws, _sign(one.order) * own_ws, code in _HELD, code,
        reason,
    )  # fmt: skip


def _explained(one: Back, product: Product, declared_ws: int, back_ws: int) -> tuple[ReboundCode, str]:
    words = f"{max(0, back_ws)} {'Ws' if product is Product.ACTIVE else 'var s'} back"
    if back_ws <= 0:
        return ReboundCode.NONE, words
    if not one.ppm:
        return ReboundCode.UNDECLARED, f"{words}, none declared: not part of any offer"
    if back_ws > declared_ws:
        return ReboundCode.BEYOND, f"{words}, {declared_ws} declared: what is more is not part of the offer"
    return ReboundCode.DECLARED, f"{words}, {declared_ws} declared"
