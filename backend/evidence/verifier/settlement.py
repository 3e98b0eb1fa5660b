"""A statement of settlement, made again from orders, set-points and readings: the rules, written a second time.

1. A quarter-hour is measured by readings, else by registers (metered.py), else its lines are held.
2. An order of several PODs has one document of totals, and no other order has; it is held if this POD's evidence is missing.
3. All orders of the POD in one quarter-hour have one direction. Delivered up is baseline minus measured; it goes to the
   orders in order of id, each up to what it ordered, the last has the rest; what an order is worth, and which part of it
   this POD has, say its totals (totals.py).
4. Each quarter-hour of the period with orders has exactly one set-point, of this POD's net power, over the whole of it,
   that names the orders (first 16 bytes of SHA-256 of their ids joined with "/"); no other set-point reaches into it.
5. The baseline is what that set-point was made from: its value plus (up) or minus (down) the ordered W; where the statement
   says so, less of it is delivery by the rebound of earlier orders the other way, at most by their W of the 95 quarter-hours
   before.
6. Price, ordered W and terms are those of the orders document. The statement is equal to the one made so, field by field.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message
from backend.evidence.verifier.metered import FRAME_S, Metered
from backend.evidence.verifier.order import FRAME_MS, Book, Order
from backend.evidence.verifier.setpoint import Answered
from backend.evidence.verifier.sheet import compare, number
from backend.evidence.verifier.totals import Totals, total_of

_TARGET, _POD_NET = 1, 0
_REBOUND_FRAMES = 95


@dataclass(frozen=True, slots=True)
class Case:
    """What a statement follows from: period, orders, set-points, readings, totals by id of the orders of several PODs."""

    pod: str
    start_ms: int
    end_ms: int
    book: Book
    setpoints: Sequence[Answered]
    metered: Metered
    totals: Mapping[str, Totals]


def check_statement(statement: object, case: Case, where: str) -> int:
    """How many lines were made again; NotValid for the first field that differs."""
    expected = _expected(case, _rebound_w(statement, case, where))
    compare(_without_late(statement, expected), expected, where)
    return len(expected["lines"])


def _rebound_w(statement: object, case: Case, where: str) -> dict[str, int]:
    """W by which baselines are moved, by quarter-hour as text (rule 5); empty where the statement names none."""
    if not isinstance(statement, dict) or "rebound_w" not in statement:
        return {}
    table, found = statement["rebound_w"], {}
    for frame, mine in case.book.by_frame.items():
        if isinstance(table, dict) and str(frame) in table:
            up = _is_up(mine, frame)
            earlier = (one for at in range(frame - _REBOUND_FRAMES, frame) for one in case.book.by_frame.get(at, ()))
            most = sum(one.watts for one in earlier if (one.direction == "up") is not up)
            sign = -1 if up else 1
            found[str(frame)] = sign * number(sign * table[str(frame)], f"{where}, rebound_w, {frame}", 1, most)
    if not found or found != table:
        raise NotValid(f"{where}, rebound_w", "is not W by quarter-hours with orders")
    return found


def _expected(case: Case, rebound_w: Mapping[str, int]) -> dict[str, Any]:
    """The statement as it must be."""
    frames = range(case.start_ms // FRAME_MS, case.end_ms // FRAME_MS)
    orders = {f: mine for f, mine in sorted(case.book.by_frame.items()) if f in frames}
    points = _points(case, orders)
    baseline_w, lines = {}, []
    for frame, mine in orders.items():
        up = _is_up(mine, frame)
        ordered_w = sum(one.watts for one in mine)
        made_from_w = points[frame].number("value") + (ordered_w if up else -ordered_w)
        baseline_w[str(frame)] = made_from_w + rebound_w.get(str(frame), 0)
        lines += _lines(
            case, mine, up, baseline_w[str(frame)], case.metered.measured(frame, case.book.terms.completeness_ppm)
        )
    return {
        "format": "lightnode-statement/1",
        "pod": case.pod,
        "start_ms": case.start_ms,
        "end_ms": case.end_ms,
        "baseline_w": baseline_w,
        "terms": dict(case.book.terms.document),
        "setpoints": [
            {"id": one.point.octets("id").hex(), "decision": one.decision, "execution": one.execution}
            for one in case.setpoints
            if _reaches(one.point, case)
        ],
        "lines": lines,
        **({"rebound_w": rebound_w} if rebound_w else {}),
    }


def _reaches(point: Message, case: Case) -> bool:
    return point.number("not_before_ms") < case.end_ms and point.number("not_after_ms") > case.start_ms


def _is_up(orders: Sequence[Order], frame: int) -> bool:
    directions = {one.direction for one in orders}
    if len(directions) > 1:
        raise NotValid(f"orders, quarter-hour {frame}", "go up and down at once: one meter cannot tell them apart")
    return directions == {"up"}


def _points(case: Case, orders: Mapping[int, Sequence[Order]]) -> dict[int, Message]:
    """The one set-point of each quarter-hour with orders (rule 4)."""
    found: dict[int, Message] = {}
    for one in case.setpoints:
        point = one.point
        if not _reaches(point, case):
            continue
        frame = point.number("not_before_ms") // FRAME_MS
        window = (point.number("not_before_ms"), point.number("not_after_ms"))
        if window != (frame * FRAME_MS, (frame + 1) * FRAME_MS):
            raise NotValid(one.where, "its window is not one whole quarter-hour")
        if (point.number("control"), point.number("resource")) != (_TARGET, _POD_NET):
            raise NotValid(one.where, "is no target of the POD's net power")
        if frame not in orders:
            raise NotValid(one.where, f"no order of this POD is for quarter-hour {frame}")
        if frame in found:
            raise NotValid(one.where, f"is a second one for quarter-hour {frame}")
        named = hashlib.sha256("/".join(o.id for o in orders[frame]).encode()).digest()[:16]
        if point.octets("order") != named:
            raise NotValid(one.where, f"names other orders than those of quarter-hour {frame}")
        found[frame] = point
    for frame in orders:
        if frame not in found:
            raise NotValid("setpoints", f"none for quarter-hour {frame}, which has orders")
    return found


def _lines(
    case: Case, orders: Sequence[Order], up: bool, baseline_w: int, found: tuple[str, int]
) -> list[dict[str, Any]]:
    """The lines of one quarter-hour (rule 3)."""
    source, energy_ws = found
    held = source == "missing"
    up_ws = baseline_w * FRAME_S - energy_ws
    left = up_ws if up else -up_ws
    lines = []
    for k, one in enumerate(orders):
        ordered = one.watts * FRAME_S
        delivered = 0 if held else left if k == len(orders) - 1 else min(left, ordered)
        left -= delivered
        lines.append(_line(case, one, delivered, source))
    return lines


def _line(case: Case, one: Order, delivered: int, source: str) -> dict[str, Any]:
    total = case.totals.get(one.id) or total_of(one, delivered, source == "missing", case.book.terms)
    if source == "missing" and not total.held:
        raise NotValid(f"orders, quarter-hour {one.frame}", f"the totals of {one.id} count a POD without evidence")
    return {
        "order": one.id,
        "offer": one.offer,
        "buyer": one.buyer,
        "aggregator": one.aggregator,
        "pod": case.pod,
        "frame": one.frame,
        "ordered_ws": one.watts * FRAME_S,
        "price_ueur_per_mwh": one.price_ueur_per_mwh,
        "source": source,
        "held": total.held,
        "code": total.code,
        "delivered_ws": 0 if total.held else delivered,
        **total.part(one),
    }


def grouped(by_frame: Mapping[int, Sequence[Order]], start_ms: int, end_ms: int) -> list[Order]:
    """The orders of several PODs in a period, by quarter-hour and id: those that have totals (rule 2)."""
    frames = range(start_ms // FRAME_MS, end_ms // FRAME_MS)
    return [one for frame in sorted(by_frame) if frame in frames for one in by_frame[frame] if one.is_shared]


def _without_late(statement: object, expected: Mapping[str, Any]) -> object:
    """The statement with the answers that came after it was made: where it names none, the bundle may hold one."""
    rows = statement.get("setpoints") if isinstance(statement, dict) else None
    if not isinstance(statement, dict) or not isinstance(rows, list) or len(rows) != len(expected["setpoints"]):
        return statement
    filled = []
    for row, known in zip(rows, expected["setpoints"], strict=True):
        late = {n: known[n] for n in ("decision", "execution") if isinstance(row, dict) and row.get(n) == ""}
        filled.append({**row, **late} if isinstance(row, dict) else row)
    return {**statement, "setpoints": filled}
