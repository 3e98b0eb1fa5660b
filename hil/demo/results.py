"""From the store to money: what each POD measured, the settlement, the statements, the grid as it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.adapters.sqlite import SqliteStore
from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.domain.quantity import FRAME_MS, FRAME_S, half_even
from backend.domain.trade import Order
from backend.flows.bundle import reaches
from backend.grid.congestion import Violation
from backend.grid.flow import Scenarios
from backend.grid.series import measured_violations
from backend.market.canonical import text
from backend.market.settlement import (
    Line,
    Measured,
    Payment,
    Source,
    Terms,
    Totals,
    lines,
    payments,
    totals,
    unbalanced_ueur,
)
from backend.market.statement import Answered, statement_document
from hil.demo.market import Market

SLOTS = 225
TERMS = Terms(tolerance_ppm=50_000, penalty_ppm=500_000, fee_ppm={"Aggregator A": 100_000, "Aggregator B": 120_000})


@dataclass(frozen=True, slots=True)
class Settlement:
    """The settled window."""

    measured: Mapping[tuple[str, int], Measured]
    lines: tuple[Line, ...]
    totals: tuple[Totals, ...]
    payments: tuple[Payment, ...]
    unbalanced_ueur: int


def measure(store: SqliteStore, device: bytes, frame: int) -> Measured:
    """Energy of a quarter-hour: from its 4 s readings if 90 % are there, else from the registers at its ends."""
    start = frame * FRAME_MS
    rows = store.readings(device, start, start + FRAME_MS + 1)
    powers = [power for t, power, _, _ in rows if t < start + FRAME_MS]
    complete = len(powers) * 1_000_000 // SLOTS
    if len(powers) * 10 >= SLOTS * 9:
        return Measured(half_even(sum(powers) * FRAME_S, len(powers)), Source.READINGS, complete)
    ends = {t: imported - exported for t, _, imported, exported in rows if t in (start, start + FRAME_MS)}
    if len(ends) == 2:
        return Measured((ends[start + FRAME_MS] - ends[start]) * 3600, Source.REGISTERS, complete)
    return Measured(0, Source.MISSING, complete)


def settle(
    store: SqliteStore,
    devices: Mapping[str, bytes],
    customers: Sequence[Customer],
    frames: Sequence[int],
    orders: Sequence[Order],
    baseline_w: Mapping[tuple[str, int], int],
    aggregator_of: Mapping[str, str],
) -> Settlement:
    """Settles the orders of the customers that have a light node; aggregator_of: of each offer."""
    measured = {(pod, f): measure(store, device, f) for pod, device in devices.items() for f in frames}
    mine = [
        Order(o.id, o.offer, o.request, o.buyer, o.frame, {p: w for p, w in o.parts_w.items() if p in devices}, o.direction,
              o.price_ueur_per_mwh)
        for o in orders
    ]  # fmt: skip
    case = mine, aggregator_of, baseline_w, measured, TERMS
    found = lines(*case)
    owner_of = {c.pod: c.owner for c in customers}
    made = payments(found, owner_of)
    return Settlement(measured, found, totals(*case), made, unbalanced_ueur(found, made, owner_of))


def statement(
    store: SqliteStore,
    pod: str,
    period_ms: tuple[int, int],
    settled: Sequence[Line],
    baseline_w: Mapping[tuple[str, int], int],
    terms: Terms = TERMS,
) -> str:
    """What one customer gets in hand: its lines and all that is needed to make them again, as canonical JSON."""
    answered = [
        Answered(row.id, row.decision, row.execution)
        for row in store.setpoints()
        if row.pod == pod and reaches(row.sealed, period_ms)
    ]
    return text(statement_document(pod, period_ms, settled, baseline_w, terms, answered))


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
