"""Key performance indicators of a campaign: of each session, each day, and all days together. Whole numbers that add up.

1. Energies Ws, money micro-EUR, shares 1e-6 (None of nothing), violations (element, quarter-hour); a need is in ppt or W.
2. Requested: of the DSO the least change that heals the grid as a session expected it, of the TSO its volume. A need that is
   still there near real time is asked for again, and an offer that nobody took is offered again: volumes of the day-ahead
   sessions are therefore given apart.
3. Violations of reality: devices as they stood, after own remedies, if all orders were wholly delivered, as it was. What is
   left at the end was not expected (the forecast), not deliverable (named as unserved), or not delivered.
4. Forecast error: sum of |forecast - actual| of the grid's total by quarter-hour, as part of the sum of actual.
5. Renewable energy: saved is what plants would have had to withhold without the market less what they have to with it.
6. Settled: lines by their code, flags by theirs, and by how much each BRP's scheduled withdrawal is corrected (Ws).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from backend.campaign.record import DayRecord, Named, SessionRecord
from backend.domain.quantity import PPM, half_even
from backend.grid.congestion import Violation
from backend.market.indicators import indicators
from backend.market.settled_money import Paid, added_up, gained_ueur, together

FORMAT = "lightnode-kpi/1"
DAY_AHEAD = "-da"
Document = dict[str, Any]


def kpi_document(records: Sequence[DayRecord], seed: int) -> Document:
    """The whole campaign; records in order of days."""
    sessions = [session for record in records for session in record.sessions]
    made = added_up(paid for record in records for paid in record.settled.payments)
    gained = gained_ueur(made)
    return {
        "format": FORMAT,
        "first": records[0].day.isoformat(),
        "days": len(records),
        "quarter_hours": sum(len(record.frames) for record in records),
        "seed": seed,
        "campaign": _together(records, sessions),
        "by_day": [{"day": r.day.isoformat(), **_together([r], r.sessions)} for r in records],
        "by_session": [_session(session) for session in sessions],
        "unserved": [_named(record, one) for record in records for one in record.unserved],
        "violations_left": [_violation(record, v) for record in records for v in record.real.after_market],
        "payments": [_payment(one) for one in made],
        "balance_ueur": dict(sorted(gained.items())),
        "sum_ueur": sum(gained.values()),
    }


def _together(records: Sequence[DayRecord], sessions: Sequence[SessionRecord]) -> Document:
    found = asdict(indicators(session.what for session in sessions))
    ahead = [s.what for s in sessions if s.session.endswith(DAY_AHEAD)]
    return {
        **_without_sessions_own(found),
        "requested_ws": _requested(sessions),
        "requested_day_ahead_ws": _requested([s for s in sessions if s.session.endswith(DAY_AHEAD)]),
        "offered_day_ahead_ws": indicators(ahead).offered_ws,
        "orders": sum(len(r.orders) for r in records),
        "rounds_most": max(s.rounds for s in sessions),
        "violations": _violations(records),
        "needs_unserved_named": sum(len(r.unserved) for r in records),
        "forecast_error_ppm": _errors(records),
        "renewable": _renewable(records),
        "response": _response([s for r in records for s in r.response_s]),
        "customers": {
            "absent_days": sum(len(r.absent) for r in records),
            "silent_days": sum(len(r.silent) for r in records),
            "weak_days": sum(len(r.weak) for r in records),
        },
        "tap_operations": sum(r.tap_operations for r in records),
        "payments_ueur": sum(line.payment_ueur for r in records for line in r.settled.lines),
        "penalties_ueur": sum(line.penalty_ueur for r in records for line in r.settled.lines),
        "unbalanced_ueur": sum(r.settled.unbalanced_ueur for r in records),
        "settled_as": _counted(line.code.value for r in records for line in r.settled.lines),
        "flags": _counted(flag.code.value for r in records for flag in r.settled.flags),
        "adjustments_ws": _adjustments(records),
    }


def _counted(codes: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(codes).items()))


def _adjustments(records: Iterable[DayRecord]) -> dict[str, int]:
    """Rule 6, by BRP."""
    found: dict[str, int] = {}
    for one in together(moved for record in records for moved in record.settled.adjustments):
        found[one.brp] = found.get(one.brp, 0) + one.volume_ws
    return found


def _without_sessions_own(found: Document) -> Document:
    """The sessions' own violations stand under `violations`."""
    return {name: value for name, value in found.items() if not name.startswith("violations_")}


def _requested(sessions: Iterable[SessionRecord]) -> dict[str, int]:
    found = {"DSO": 0, "TSO": 0}
    for session in sessions:
        for buyer, energy in session.requested_ws.items():
            found[buyer] += energy
    return found


def _violations(records: Iterable[DayRecord]) -> dict[str, int]:
    names = ("standing", "after_remedy", "as_ordered", "after_market")
    found = {f"real_{name}": 0 for name in names} | {"expected": 0, "expected_after_remedy": 0, "planned": 0}
    for record in records:
        for name in names:
            found[f"real_{name}"] += len(getattr(record.real, name))
        found["expected"] += len(record.expected.standing)
        found["expected_after_remedy"] += len(record.expected.after_remedy)
        found["planned"] += len(record.expected.after_market)
    found["avoided_by_remedies"] = found["real_standing"] - found["real_after_remedy"]
    found["avoided_by_market"] = found["real_after_remedy"] - found["real_after_market"]
    found["unexpected"] = sum(len(_unexpected(record)) for record in records)
    return found


def _unexpected(record: DayRecord) -> list[Violation]:
    """Left violations in quarter-hours whose plan had none: the forecast, or what was not delivered."""
    planned = {v.frame for v in record.expected.after_market}
    return [v for v in record.real.after_market if v.frame not in planned]


def _errors(records: Sequence[DayRecord]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in records[0].error_ws:
        whole = sum(r.actual_ws[name.split(" ")[1]] for r in records)
        found[name] = half_even(sum(r.error_ws[name] for r in records) * PPM, whole) if whole else None
    return found


def _renewable(records: Iterable[DayRecord]) -> dict[str, int]:
    rows = list(records)
    without = sum(r.curtailed_ws["without market"] for r in rows)
    with_market = sum(r.curtailed_ws["with market"] for r in rows)
    return {
        "generated_ws": sum(r.actual_ws["generation"] for r in rows),
        "curtailed_without_market_ws": without,
        "curtailed_ws": with_market,
        "saved_ws": without - with_market,
    }


def _response(seconds: Sequence[int]) -> dict[str, int | None]:
    ranked = sorted(seconds)
    at = {"median_s": len(ranked) // 2, "p95_s": len(ranked) * 95 // 100}
    return {"activations": len(ranked), **{name: ranked[k] if ranked else None for name, k in at.items()}}


def _session(session: SessionRecord) -> Document:
    found = asdict(indicators([session.what]))
    return {"session": session.session, "rounds": session.rounds, "requested_ws": dict(session.requested_ws), **found}


def _named(record: DayRecord, one: Named) -> Document:
    return {"day": record.day.isoformat(), **asdict(replace(one, frame=one.frame - record.frames[0]))}


def _violation(record: DayRecord, v: Violation) -> Document:
    return {
        "day": record.day.isoformat(),
        "frame": v.frame - record.frames[0],
        "element": v.element,
        "amount_ppt": v.amount_ppt,
        "planned": any(v.frame == p.frame for p in record.expected.after_market),
    }


def _payment(one: Paid) -> Document:
    return {"payer": one.payer, "payee": one.payee, "what": one.what.value, "amount_ueur": one.amount_ueur}


def check_document(records: Iterable[DayRecord]) -> Document | None:
    """What the independent look found, day by day together; None without one."""
    looked = [(record, record.checked) for record in records if record.checked is not None]
    if not looked:
        return None
    return {
        "format": "lightnode-kpi-check/1",
        "engine": looked[0][1].engine,
        "states": sum(one.states for _, one in looked),
        "violations_found_by_both": sum(one.agreed for _, one in looked),
        "differs": [
            {"day": record.day.isoformat(), **asdict(replace(d, frame=d.frame - record.frames[0]))}
            for record, one in looked
            for d in one.differs
        ],
    }
