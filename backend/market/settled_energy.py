"""What each order delivered and is worth, with the reason in words and code.

1. Delivered energy, paid energy, group and split are those of settled_order.py, whose rules hold here; which orders a POD
   delivered to, and what was its own rebound, is said by settled_delivered.py: what went to an order of another session is
   paid there, and not here.
2. What is missing pays by the table of the terms, the wrong way included (settled_terms.py).
3. An order is held as a whole where one of its PODs has no measurement or no baseline, is ordered up and down at once, or
   moved back something that is not known:
   nothing is paid, fined or guessed until a later version.
4. The BRP's position is corrected by the active energy that is paid for, less withdrawal for up, more for down. Of an order of
   several PODs each has a part by what it delivered itself, not by how it is paid. Over-delivery, what went the wrong way
   and reactive energy stay the BRP's own.
5. Of the reactive product every energy is var s, a price is micro-EUR per Mvarh, and its own penalty table counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from backend.domain.bids import Buyer, Direction, Product
from backend.domain.quantity import part_of
from backend.domain.trade import Order, OrderKind
from backend.market.settled_delivered import Deliveries, deliveries
from backend.market.settled_evidence import Evidence, Flag, FlagCode, Point
from backend.market.settled_input import Called, PodRow, SettlementInput
from backend.market.settled_order import Source, Totals, parts_of, total_of
from backend.market.settled_terms import ProductTerms, SettlementTerms


class LineCode(StrEnum):
    """Why an order is paid as it is."""

    DELIVERED = "delivered"
    OVER = "over-delivered"
    WITHIN = "within-tolerance"
    SHORT = "short"
    WRONG_WAY = "wrong-way"
    EMERGENCY_SHORT = "emergency-short"
    NO_MEASUREMENT = "held-no-measurement"
    NO_BASELINE = "held-no-baseline"
    BOTH_WAYS = "held-both-ways"
    NO_REBOUND = "held-no-rebound"


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """I-16. One order at one POD; Ws, micro-EUR; measured_ws and baseline_w are None where there are none. What an order of
    several PODs delivered decides on the sum: code and reason are the order's, and name none of them. position_ws: by how
    much it corrects the scheduled withdrawal of the POD's BRP (rule 4); rebound_w: by how much baseline_w is moved."""

    id: str
    order: str
    kind: OrderKind
    offer: str
    request: str
    buyer: Buyer
    aggregator: str
    owner: str
    brp: str
    pod: str
    product: Product
    frame: int
    direction: Direction
    baseline_w: int | None
    measured_ws: int | None
    source: Source
    completeness_ppm: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    price_ueur_per_mwh: int
    payment_ueur: int
    penalty_ueur: int
    fee_ueur: int
    position_ws: int
    held: bool
    code: LineCode
    reason: str
    rebound_w: int = field(default=0, metadata={"written": "if set"})


@dataclass(frozen=True, slots=True)
class OrderTotal:
    """One order over all its PODs. missing_ws: ordered less delivered, wrong_way_ws: of it what went the other way;
    bands_ws: (Ws, part of the price in 1e-6) that a penalty is paid for; short: beyond the tolerance."""

    order: str
    kind: OrderKind
    offer: str
    request: str
    frame: int
    step: int
    reserve: bool
    members: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    missing_ws: int
    wrong_way_ws: int
    bands_ws: tuple[tuple[int, int], ...]
    payment_ueur: int
    penalty_ueur: int
    fee_ueur: int
    held: bool
    short: bool
    code: LineCode
    reason: str


@dataclass(frozen=True, slots=True)
class Energy:
    """All lines by POD, quarter-hour and order, totals by order, flags of PODs that were ordered both ways and of baselines
    that were moved, and what was delivered to every order."""

    lines: tuple[EnergyLine, ...]
    totals: tuple[OrderTotal, ...]
    flags: tuple[Flag, ...]
    done: Deliveries


def energy(made: SettlementInput, evidence: Evidence) -> Energy:
    """Settles the orders of an input whose rows are in order."""
    orders, done = {one.id: _order(one, made.terms) for one in made.orders}, deliveries(made, evidence)
    lines, totals, pods = [], [], {row.pod: row for row in made.pods}
    for called in made.orders:
        one = orders[called.id]
        parts_ws = {pod: done.ws[one.id, pod] for pod in one.parts_w if (one.id, pod) in done.ws}
        sums = total_of(one, parts_ws, ProductTerms(made.terms, called.product), called.aggregator)
        total = _total(called, one, sums, made.terms, _held(one, evidence, done))
        totals.append(total)
        lines += _lines(pods, called, one, sums, total, evidence, done.moved_w)
    own = set(points_of(made.orders))
    flags = [Flag(*point, FlagCode.BOTH_WAYS, "ordered up and down at once") for point in sorted(done.both & own)]
    for point in sorted(own & done.moved_w.keys()):
        moved = f"moved by {done.moved_w[point]}: the rebound of an earlier order is no delivery"
        flags.append(Flag(*point, FlagCode.BASELINE_NOTE, moved))
    lines.sort(key=lambda x: (x.pod, x.frame, x.order))
    return Energy(tuple(lines), tuple(totals), tuple(flags), done)


def _order(one: Called, terms: SettlementTerms) -> Order:
    """As settled_order.py takes it, at the price that counts."""
    asked = Order(
        one.id, one.offer, one.request, one.buyer.value, one.frame, one.points, one.direction.value,
        one.price_ueur_per_mwh, one.kind,
    )  # fmt: skip
    price = terms.price_ueur_per_mwh(asked)
    return Order(one.id, one.offer, one.request, asked.buyer, one.frame, one.points, asked.direction, price, one.kind)


def _held(one: Order, evidence: Evidence, done: Deliveries) -> tuple[LineCode, str] | None:
    """Why an order is held (rule 3), None if it is not."""
    points = [(pod, one.frame) for pod in one.parts_w]
    for point in points:
        if point in done.both:
            return (
                LineCode.BOTH_WAYS,
                "held: a POD was ordered up and down at once, one meter cannot tell them apart",
            )
    for point in points:
        if evidence.measured(point).source is Source.MISSING:
            return LineCode.NO_MEASUREMENT, "held: what one of its PODs measured is not known"
    for point in points:
        if evidence.baseline_w(point) is None:
            return LineCode.NO_BASELINE, "held: one of its PODs has no baseline"
    if any(point in done.untold for point in points):
        return LineCode.NO_REBOUND, "held: what an earlier order moved back there is not known"
    return None


def _total(
    called: Called, one: Order, sums: Totals, terms: SettlementTerms, held: tuple[LineCode, str] | None
) -> OrderTotal:
    bands = () if held else tuple(terms.bands_ws(one, called.product, sums.delivered_ws))
    missing_ws = 0 if held else max(0, sums.ordered_ws - sums.delivered_ws)
    untold = terms.table(one.buyer, called.product) is None
    short = one.kind is OrderKind.MARKET and (bool(bands) or (untold and missing_ws > 0))
    code, reason = held or _explained(called, sums, bands, missing_ws, short)
    return OrderTotal(
        one.id, called.kind, called.offer, called.request, called.frame, called.step, called.reserve, sums.members,
        sums.ordered_ws, sums.delivered_ws, sums.paid_ws, missing_ws, max(0, -sums.delivered_ws), bands,
        sums.payment_ueur, sums.penalty_ueur, sums.fee_ueur, sums.held, short, code, reason,
    )  # fmt: skip


def _explained(
    called: Called, sums: Totals, bands: Sequence[tuple[int, int]], missing_ws: int, short: bool
) -> tuple[LineCode, str]:
    """Why an order that is not held is paid as it is."""
    unit = "Ws" if called.product is Product.ACTIVE else "var s"
    words = f"{sums.delivered_ws} of {sums.ordered_ws} {unit} delivered"
    fined = "".join(f", {ws} {unit} at {part} ppm of the price" for ws, part in bands)
    penalty = f": penalty on what is missing{fined}" if bands else ": no penalty"
    if sums.delivered_ws < 0:
        return LineCode.WRONG_WAY, f"{words}, the other way{penalty}"
    if called.kind is OrderKind.EMERGENCY and missing_ws:
        return LineCode.EMERGENCY_SHORT, f"{words} in an emergency: paid for these, no penalty"
    if short:
        return LineCode.SHORT, f"{words}, {missing_ws} {unit} are missing{penalty}"
    if missing_ws:
        return LineCode.WITHIN, f"{words}, {missing_ws} {unit} are missing, within the tolerance"
    if sums.delivered_ws > sums.ordered_ws:
        return LineCode.OVER, f"{words}: what is more is unpaid"
    return LineCode.DELIVERED, f"{words}"


def _lines(
    pods: Mapping[str, PodRow],
    called: Called,
    one: Order,
    sums: Totals,
    total: OrderTotal,
    evidence: Evidence,
    moved_w: Mapping[Point, int],
) -> list[EnergyLine]:
    lines, position_ws = [], _position_ws(called, sums)
    for part in parts_of(one, sums):
        point = part.pod, one.frame
        seen, row, baseline_w = (
            evidence.measured(point),
            pods[part.pod.removesuffix("/var")],
            evidence.baseline_w(point),
        )
        rebound_w = moved_w.get(point, 0)
        baseline_w = None if baseline_w is None else baseline_w + rebound_w
        lines.append(
            EnergyLine(
                f"energy/{one.id}/{part.pod}", one.id, called.kind, called.offer, called.request, called.buyer, called.aggregator,
                row.owner, row.brp, part.pod, called.product, one.frame, called.direction, baseline_w,
                None if seen.source is Source.MISSING else seen.energy_ws, seen.source, seen.completeness_ppm,
                part.ordered_ws, part.delivered_ws, part.paid_ws, one.price_ueur_per_mwh, part.payment_ueur,
                part.penalty_ueur, part.fee_ueur, position_ws[part.pod], total.held, total.code, total.reason,
                rebound_w,
            )
        )  # fmt: skip
    return lines


def _position_ws(called: Called, sums: Totals) -> dict[str, int]:
    """Rule 4, by POD."""
    own = {pod: 0 if sums.held else max(0, sums.parts_ws[pod]) for pod in sorted(called.points)}
    whole, before = sum(own.values()), 0
    sign = -1 if called.direction is Direction.UP else 1
    found = {}
    for pod, ws in own.items():
        moves = whole and called.product is Product.ACTIVE
        found[pod] = sign * part_of(sums.paid_ws, before, ws, whole) if moves else 0
        before += ws
    return found


def points_of(orders: Iterable[Called]) -> list[Point]:
    """Every POD and quarter-hour that is ordered."""
    return [(pod, one.frame) for one in orders for pod in one.points]
