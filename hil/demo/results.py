"""From the store to money: what each POD measured, the settlement, the statements, the grid as it was."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.adapters.settled_meter import SettledMeter
from backend.adapters.sqlite import SqliteStore
from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.demo.terms import TERMS, settings_for
from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_S, half_even
from backend.flows.bundle import reaches
from backend.grid.congestion import Violation
from backend.grid.flow import Scenarios
from backend.grid.series import measured_violations
from backend.market.canonical import text
from backend.market.party_statement import parties, party_statement
from backend.market.settled import settlement_text
from backend.market.settled_day import SettledDay, Sold, settled_day
from backend.market.settled_energy import EnergyLine
from backend.market.settled_evidence import chosen
from backend.market.settled_making import Knowledge
from backend.market.settled_order import Measured
from backend.market.settled_terms import SettlementTerms
from backend.market.statement import Answered, statement_document
from hil.demo.market import Market, Trades


@dataclass(frozen=True, slots=True)
class Settlement:
    """The settled window: what each POD with a light node measured, and the settlements of both sessions."""

    measured: Mapping[tuple[str, int], Measured]
    day: SettledDay


def settle(
    store: SqliteStore, pods: Iterable[str], customers: Sequence[Customer], frames: Sequence[int], trades: Trades,
    calendar: Calendar,
) -> Settlement:  # fmt: skip
    """Settles the orders of these quarter-hours by what the store knows; pods: those with a light node."""
    meter = SettledMeter(store)
    orders = [one for one in trades.orders if one.frame in frames]
    ordered = frozenset((pod, one.frame) for one in orders for pod in one.parts_w)
    known = Knowledge(meter.measured, ordered, trades.baseline_w, told=meter.told)
    sold = [Sold(one.outcome, one.offers, one.requests) for one in (trades.day_ahead, trades.near_real_time)]
    measured = {(pod, frame): chosen(meter.measured(pod, frame), TERMS) for pod in pods for frame in frames}
    return Settlement(measured, settled_day(sold, orders, settings_for(customers, calendar), known))


def hand_out(day: SettledDay, out: Path) -> None:
    """A file for each session and party, below out: SESSION/PARTY.json; the settlement itself beside them."""
    for one in day.settlements:
        folder = out / one.session
        folder.mkdir(parents=True)
        body = settlement_text(one)
        (folder / "settlement.json").write_text(body + "\n")
        said = json.loads(body)
        for party in parties(said):
            (folder / f"{re.sub('[^A-Za-z0-9]+', '-', party)}.json").write_text(
                text(party_statement(said, party)) + "\n"
            )


def statement(
    store: SqliteStore,
    pod: str,
    period_ms: tuple[int, int],
    settled: Sequence[EnergyLine],
    terms: SettlementTerms = TERMS,
) -> str:
    """What one customer gets in hand: its lines and all that is needed to make them again, as canonical JSON."""
    answered = [
        Answered(row.id, row.decision, row.execution)
        for row in store.setpoints()
        if row.pod == pod and reaches(row.sealed, period_ms)
    ]
    return text(statement_document(pod, period_ms, settled, terms, answered))


def violations_measured(
    market: Market,
    day: ExampleDay,
    actual: Scenarios,
    measured: Mapping[tuple[str, int], Measured],
    frames: Sequence[int],
) -> tuple[tuple[Violation, ...], dict[str, list[int]], dict[str, list[int]]]:
    """Violations by power flow with what the meters measured; and base and measured W per POD and frame."""
    rows = [f - day.first_frame for f in frames]
    pods = sorted({pod for pod, _ in measured})
    base = {pod: [day.base_w(day.actual(), pod)[row] for row in rows] for pod in pods}
    mean = {pod: [half_even(measured[pod, f].energy_ws, FRAME_S) for f in frames] for pod in pods}
    found = measured_violations(market.flow, actual, frames, base, mean, day.limits)
    return tuple(found), base, mean
