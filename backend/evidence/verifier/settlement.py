"""A statement of settlement, computed again from verified readings: the rules, written a second time.

1. A quarter-hour is measured by its 4 s readings if at least 90 % of 225 are there: mean power x 900 s, half to even.
2. Else by the registers at its two ends; else the line is held.
3. Delivered up is baseline minus measured; it goes to the POD's orders in order of id, each up to what it ordered, the
   last has the rest; paid is max(0, min(delivered, ordered)); missing beyond the tolerance pays the penalty.
"""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import Message

FRAME_MS, SLOT_MS, SLOTS = 900_000, 4000, 225


def _times(records: Sequence[Message]) -> list[tuple[int, Message]]:
    """(slot mark, reading); readings on monotonic time are placed by their boot's clock link, at the nearest slot."""
    shifts = {m.number("boot"): m.number("utc_ms") - m.number("monotonic_ms") for m in records if m.kind == 4}
    found = []
    for message in records:
        if message.kind != 1:
            continue
        time_ms = message.number("time_ms")
        if message.number("flags") & 1:
            if message.number("boot") not in shifts:
                continue
            time_ms = (time_ms + shifts[message.number("boot")] + SLOT_MS // 2) // SLOT_MS * SLOT_MS
        found.append((time_ms, message))
    return sorted(found, key=lambda row: row[0])


def measured(records: Sequence[Message], frame: int) -> tuple[str, int]:
    """(source, energy in Ws) of a quarter-hour by rules 1 and 2."""
    start = frame * FRAME_MS
    timed = _times(records)
    powers = [m.number("power_w") for t, m in timed if start <= t < start + FRAME_MS]
    if len(powers) * 10 >= SLOTS * 9:
        return "4 s readings", round(Fraction(sum(powers) * 900, len(powers)))
    ends = {t: m.number("import_wh") - m.number("export_wh") for t, m in timed if t in (start, start + FRAME_MS)}
    if len(ends) == 2:
        return "registers of the quarter-hour", (ends[start + FRAME_MS] - ends[start]) * 3600
    return "missing", 0


def check_statement(body: str, pod: str, records: Sequence[Message], where: str) -> int:
    """How many lines were computed again; NotValid for the first that differs."""
    try:
        document: Any = json.loads(body)
        rows: list[Mapping[str, Any]] = document["lines"]
        if document["pod"] != pod:
            raise NotValid(where, "is the statement of another POD")
        by_frame: dict[int, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_frame.setdefault(int(row["frame"]), []).append(row)
        for frame, mine in sorted(by_frame.items()):
            _check_frame(document, sorted(mine, key=lambda r: str(r["order"])), records, f"{where}, frame {frame}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotValid(where, f"is not a statement: {error}") from error
    return len(rows)


def _check_frame(document: Any, rows: list[Mapping[str, Any]], records: Sequence[Message], where: str) -> None:
    frame = int(rows[0]["frame"])
    source, energy_ws = measured(records, frame)
    up_ws = document["baseline_w"][str(frame)] * 900 - energy_ws
    left = up_ws if document["direction"][rows[0]["order"]] == "up" else -up_ws
    terms = document["terms"]
    for k, row in enumerate(rows):
        ordered = row["ordered_ws"]
        held = source == "missing"
        delivered = 0 if held else left if k == len(rows) - 1 else min(left, ordered)
        left -= delivered
        paid = max(0, min(delivered, ordered))
        payment = round(Fraction(paid * row["price_ueur_per_mwh"], 3_600_000_000))
        missing = 0 if held else max(0, ordered - delivered - ordered * terms["tolerance_ppm"] // 1_000_000)
        worth = round(Fraction(missing * row["price_ueur_per_mwh"], 3_600_000_000))
        expected = {
            "source": source,
            "held": held,
            "delivered_ws": delivered,
            "paid_ws": paid,
            "payment_ueur": payment,
            "penalty_ueur": round(Fraction(worth * terms["penalty_ppm"], 1_000_000)),
            "fee_ueur": round(Fraction(payment * terms["fee_ppm"].get(row["aggregator"], 0), 1_000_000)),
        }
        for name, value in expected.items():
            if row[name] != value:
                raise NotValid(where, f"{name} is {row[name]}, the readings give {value}")
