"""Loads the example day: published grid and profiles, and day.json, which says what was changed and who takes part.

1. Nominal powers and profiles are as published; day.json scales them, splits a load between a customer and the rest,
   opens and closes lines, and limits a line; nothing is hidden in code.
2. The series covers the seven days before and the market day; what a forecast may see of it is the forecast's rule.
3. Customers keep closer to their schedule than the loads around them: a part of their deviation is kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from backend.demo.customer import Customer, customers_of
from backend.demo.profile import Profiles, read_profiles
from backend.errors import Rejected
from backend.grid.congestion import Limits
from backend.grid.document import parse_network
from backend.grid.flow import Integers
from backend.grid.forecast import QUARTERS, Series, divide_half_even, forecast
from backend.grid.network import Injection, Network

HERE = Path(__file__).resolve().parent
QUARTER_MS = 900_000


@dataclass(frozen=True, slots=True, eq=False)
class ExampleDay:
    """One market day, ready for the grid rules. Frames are UTC quarter-hours, utc_ms // 900000."""

    day: date
    zone: str
    offset_quarters: int
    network: Network
    customers: tuple[Customer, ...]
    first_frame: int
    frame_count: int
    window_first: int
    window_count: int
    day_ahead_gate: int
    near_real_time_gate: int
    series: Series
    pod_column: Mapping[str, int]
    limits: Limits
    margin_kept: Limits
    prices: Mapping[str, int]
    hv_text: str

    @property
    def frames(self) -> range:
        """All quarter-hours of the day."""
        return range(self.first_frame, self.first_frame + self.frame_count)

    @property
    def window(self) -> range:
        """The quarter-hours in which every 4 s slot is measured."""
        return range(self.window_first, self.window_first + self.window_count)

    def actual(self) -> Series:
        """What really happens on the market day without any activation."""
        return self.series.between(self.first_frame, self.first_frame + self.frame_count)

    def forecast(self, gate: int) -> Series:
        """Forecast of the whole market day from what is known before ``gate`` only."""
        return forecast(self.series, gate, self.first_frame, self.frame_count, self.offset_quarters)

    def base_w(self, series: Series, pod: str) -> tuple[int, ...]:
        """Base load (W, withdrawal positive) of a POD in each row of a series of this day: no device acting."""
        return tuple(int(w) for w in series.load_w[:, self.pod_column[pod]])

    def baseline_w(self, pod: str) -> tuple[int, ...]:
        """The BRP's schedule of a POD (I-03), W per quarter-hour of the day, made before the day-ahead gate."""
        return self.base_w(self.forecast(self.day_ahead_gate), pod)


def load_day(path: Path = HERE / "day.json", seed: int = 1) -> ExampleDay:
    """The example day of ``path``; network.json, profiles.csv and hv.json lie beside it. POD codes come from the seed.

    Raises Rejected for a document that does not fit.
    """
    plan = json.loads(path.read_text())
    published = parse_network((path.parent / "network.json").read_text())
    profiles = read_profiles((path.parent / "profiles.csv").read_text())
    try:
        return _day(plan, published, profiles, (path.parent / "hv.json").read_text(), seed)
    except KeyError as error:
        raise Rejected(f"{path.name}: field {error} is missing") from error


def _day(plan: Mapping[str, Any], published: Network, profiles: Profiles, hv_text: str, seed: int) -> ExampleDay:
    node_of_load = {load.name: load.node for load in published.loads}
    customers = customers_of(plan["customers"], node_of_load, seed)
    network = operated(published, plan, customers)
    local, zone = date.fromisoformat(plan["date"]), ZoneInfo(plan["time_zone"])
    midnight = datetime.combine(local, time(), zone)
    first = round(midnight.timestamp() * 1000) // QUARTER_MS
    offset = round((midnight.utcoffset() or midnight - midnight).total_seconds()) // 900
    place = {load.name: k for k, load in enumerate(network.loads)}
    pod_column = {c.pod: place[c.pod] for c in customers}
    series = series_of(network, Profiles(first + profiles.first_quarter, profiles.values), plan)
    series = _as_it_happens(series, plan, first, offset, tuple(pod_column.values()))
    return ExampleDay(
        day=local,
        zone=plan["time_zone"],
        offset_quarters=offset,
        network=network,
        customers=customers,
        first_frame=first,
        frame_count=QUARTERS,
        window_first=first + plan["window"]["first_quarter"],
        window_count=plan["window"]["quarters"],
        day_ahead_gate=first + plan["day_ahead_gate_quarter"],
        near_real_time_gate=first + plan["near_real_time_gate_quarter"],
        series=series,
        pod_column=pod_column,
        limits=Limits(),
        margin_kept=Limits(**plan["operator_margin"]),
        prices=plan["prices"],
        hv_text=hv_text,
    )


def operated(published: Network, plan: Mapping[str, Any], customers: tuple[Customer, ...]) -> Network:
    """The published grid as the day's plan has it, with the customers as PODs. Raises Rejected for an unknown line."""
    return _operated(_with_customers(published, customers), plan).connected({c.pod: c.node for c in customers})


def _with_customers(network: Network, customers: tuple[Customer, ...]) -> Network:
    """Each customer's share of a published load becomes a load of its own, named by its POD; sums stay as they were."""
    by_name = {load.name: load for load in network.loads}
    loads = list(network.loads)
    for number, customer in enumerate(customers):
        whole = by_name[customer.load_name]
        p_w = whole.p_nominal_w * customer.share_ppm // 1_000_000
        q_var = whole.q_nominal_var * customer.share_ppm // 1_000_000
        loads.append(Injection(10_001 + number, customer.pod, whole.node, whole.profile, p_w, q_var))
        rest = replace(whole, p_nominal_w=whole.p_nominal_w - p_w, q_nominal_var=whole.q_nominal_var - q_var)
        loads[loads.index(whole)] = by_name[customer.load_name] = rest
    return replace(network, loads=tuple(loads))


def _operated(network: Network, plan: Mapping[str, Any]) -> Network:
    known = {line.name for line in network.lines}
    ratings = {row["line"]: row["rated_ma"] for row in plan["line_ratings"]}
    for name in (*plan["open_lines"], *plan["closed_lines"], *ratings):
        if name not in known:
            raise Rejected(f"day: line {name!r} is not in the grid")
    lines = []
    for line in network.lines:
        if line.name in plan["open_lines"]:
            line = replace(line, from_closed=False, to_closed=False)
        if line.name in plan["closed_lines"]:
            line = replace(line, from_closed=True, to_closed=True)
        lines.append(replace(line, rated_ma=ratings.get(line.name, line.rated_ma)))
    sources = tuple(replace(source, u_ref_ppm=plan["source_u_ppm"]) for source in network.sources)
    return replace(network, lines=tuple(lines), sources=sources)


def series_of(network: Network, profiles: Profiles, plan: Mapping[str, Any]) -> Series:
    """What profiles make of a grid's loads and generators, scaled as planned; quarters of the profiles are frames."""
    scale = plan["scale"]
    grown = {node: group["ppm"] for group in scale["groups"] for node in group["nodes"]}

    def column(nominal: int, name: str, ppm: int) -> Integers:
        return divide_half_even(nominal * profiles.values[name] * ppm // 1_000, 1_000_000_000)

    factor = {load.id: grown.get(load.node, scale["load_ppm"]) for load in network.loads}
    return Series(
        profiles.first_quarter,
        np.stack([column(e.p_nominal_w, f"load/{e.profile}/p", factor[e.id]) for e in network.loads], axis=1),
        np.stack([column(e.q_nominal_var, f"load/{e.profile}/q", factor[e.id]) for e in network.loads], axis=1),
        np.stack(
            [column(e.p_nominal_w, f"generator/{e.profile}/p", scale["generator_ppm"]) for e in network.generators],
            axis=1,
        ),
    )


def _as_it_happens(series: Series, plan: Mapping[str, Any], first: int, offset: int, pods: tuple[int, ...]) -> Series:
    """The market day with the customers closer to their schedule than the loads around them."""
    gate = first + plan["day_ahead_gate_quarter"]
    expected = forecast(series, gate, first, QUARTERS, offset)
    load_w = series.load_w.copy()
    today = slice(first - series.first_frame, first - series.first_frame + QUARTERS)
    for column in pods:
        deviation = load_w[today, column] - expected.load_w[:, column]
        kept = divide_half_even(deviation * plan["customer_deviation_ppm"], 1_000_000)
        load_w[today, column] = expected.load_w[:, column] + kept
    return Series(series.first_frame, load_w, series.load_var, series.generator_w)
