"""A statement of settlement, made again from orders, set-points and readings: the rules, written a second time.

1. A quarter-hour is measured by its 4 s readings if at least 90 % of 225 are there: mean power x 900 s, half to even.
2. Else by the registers at its two ends; else the line is held.
3. All orders of the POD in one quarter-hour have one direction. Delivered up is baseline minus measured; it goes to the
   orders in order of id, each up to what it ordered, the last has the rest; paid is max(0, min(delivered, ordered));
   missing beyond the tolerance pays the penalty.
4. Each quarter-hour of the period with orders has exactly one set-point, of this POD's net power, over the whole of it,
   that names the orders (first 16 bytes of SHA-256 of their ids joined with "/"); no other set-point reaches into it.
5. The baseline is what that set-point was made from: its value plus (up) or minus (down) the ordered W.
6. Price, ordered W and terms are those of the orders document. The statement is equal to the one made so, field by field.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message
from backend.evidence.verifier.order import FRAME_MS, Book, Order
from backend.evidence.verifier.setpoint import Answered
from backend.evidence.verifier.sheet import compare

SLOT_MS, SLOTS, FRAME_S = 4000, 225, 900
_PPM, _WS_PER_MWH = 1_000_000, 3_600_000_000
_TARGET, _POD_NET = 1, 0


@dataclass(frozen=True, slots=True)
class Case:
    """What a statement follows from: the period, the orders, the set-points, the readings."""

    pod: str
    start_ms: int
    end_ms: int
    book: Book
    setpoints: Sequence[Answered]
    records: Sequence[Message]


def check_statement(statement: object, case: Case, where: str) -> int:
    """How many lines were made again; NotValid for the first field that differs."""
    expected = _expected(case)
    compare(_without_late(statement, expected), expected, where)
    return len(expected["lines"])


def readings_by_frame(records: Sequence[Message]) -> dict[int, list[tuple[int, Message]]]:
    """(slot mark, reading) by quarter-hour; readings on monotonic time are placed by their boot's clock link."""
    shifts = {m.number("boot"): m.number("utc_ms") - m.number("monotonic_ms") for m in records if m.kind == 4}
    found: dict[int, list[tuple[int, Message]]] = {}
    for message in records:
        if message.kind != 1:
            continue
        time_ms, flags = message.fields["time_ms"], message.fields["flags"]
        assert isinstance(time_ms, int) and isinstance(flags, int)
        if flags & 1:
            if message.number("boot") not in shifts:
                continue
            time_ms = (time_ms + shifts[message.number("boot")] + SLOT_MS // 2) // SLOT_MS * SLOT_MS
        found.setdefault(time_ms // FRAME_MS, []).append((time_ms, message))
    return found


def measured(by_frame: Mapping[int, list[tuple[int, Message]]], frame: int) -> tuple[str, int]:
    """(source, energy in Ws) of a quarter-hour by rules 1 and 2."""
    mine = by_frame.get(frame, [])
    powers = [m.number("power_w") for _, m in mine]
    if len(powers) * 10 >= SLOTS * 9:
        return "4 s readings", round(Fraction(sum(powers) * FRAME_S, len(powers)))
    start, end = frame * FRAME_MS, (frame + 1) * FRAME_MS
    timed = [*mine, *by_frame.get(frame + 1, [])]
    ends = {t: m.number("import_wh") - m.number("export_wh") for t, m in timed if t in (start, end)}
    if len(ends) == 2:
        return "registers of the quarter-hour", (ends[end] - ends[start]) * 3600
    return "missing", 0


def _expected(case: Case) -> dict[str, Any]:
    """The statement as it must be."""
    frames = range(case.start_ms // FRAME_MS, case.end_ms // FRAME_MS)
    orders = {f: mine for f, mine in sorted(case.book.by_frame.items()) if f in frames}
    points = _points(case, orders)
    by_frame = readings_by_frame(case.records)
    baseline_w, lines = {}, []
    for frame, mine in orders.items():
        up = _is_up(mine, frame)
        ordered_w = sum(one.watts for one in mine)
        baseline_w[str(frame)] = points[frame].number("value") + (ordered_w if up else -ordered_w)
        lines += _lines(case, mine, up, baseline_w[str(frame)], measured(by_frame, frame))
    return {
        "format": "lightnode-statement/1",
        "pod": case.pod,
        "start_ms": case.start_ms,
        "end_ms": case.end_ms,
        "baseline_w": baseline_w,
        "terms": case.book.terms.document(),
        "setpoints": [
            {"id": one.point.octets("id").hex(), "decision": one.decision, "execution": one.execution}
            for one in case.setpoints
            if _reaches(one.point, case)
        ],
        "lines": lines,
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
    terms, held, ordered = case.book.terms, source == "missing", one.watts * FRAME_S
    paid = max(0, min(delivered, ordered))
    payment = _value_ueur(paid, one.price_ueur_per_mwh)
    missing = 0 if held else max(0, ordered - delivered - ordered * terms.tolerance_ppm // _PPM)
    penalty = round(Fraction(_value_ueur(missing, one.price_ueur_per_mwh) * terms.penalty_ppm, _PPM))
    return {
        "order": one.id,
        "offer": one.offer,
        "buyer": one.buyer,
        "aggregator": one.aggregator,
        "pod": case.pod,
        "frame": one.frame,
        "ordered_ws": ordered,
        "price_ueur_per_mwh": one.price_ueur_per_mwh,
        "source": source,
        "held": held,
        "delivered_ws": delivered,
        "paid_ws": paid,
        "payment_ueur": payment,
        "penalty_ueur": penalty,
        "fee_ueur": round(Fraction(payment * terms.fee_ppm.get(one.aggregator, 0), _PPM)),
    }


def _value_ueur(energy_ws: int, price_ueur_per_mwh: int) -> int:
    return round(Fraction(energy_ws * price_ueur_per_mwh, _WS_PER_MWH))


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
