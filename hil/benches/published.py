"""What the guarded order costs more than the optimum on published grids, from the need to the outcome.

Loads of a grid grow together until something breaks a limit, then by 0 to 8 % more, a quarter-hour each. Everybody at a node
with a load can move three tenths of it either way, at a price drawn from the seed; the TSO asks for a twentieth of that. The
example day's session comes as it is.
"""

import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend.adapters.planner.network import import_grid
from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.domain.bids import Direction, Offer
from backend.flows.market_day import MarketDay, Session, Slot, Trading
from backend.grid.congestion import Limits, constraints, violations
from backend.grid.flow import PowerFlow, Scenarios, nominal_scenario
from backend.grid.need import Capability
from backend.grid.transmission import TransmissionRequest
from backend.market.awarded import unserved
from backend.market.book import book_of
from backend.market.clearing import clear, decide
from backend.market.limits import limits_of
from backend.market.literal import clear_literally
from backend.market.merit_order import in_turn
from backend.market.optimal import clear_optimally, cost_ueur
from hil.benches.figure import Figure
from hil.demo.cast import cast
from hil.demo.market import Market

_GRIDS = Path(__file__).parents[2] / "tests" / "vectors" / "grid"
_NAMES = {
    "case33bw": "Baran-Wu, 33 nodes",
    "create_cigre_network_mv": "CIGRE MV, 15",
    "mv_oberrhein": "Oberrhein, 179",
    "create_kerber_landnetz_freileitung_1": "Kerber, 15",
    "1-MV-semiurb--2-sw": "SimBench MV semi-urban, 122",
    "1-LV-urban6--1-no_sw": "SimBench LV urban, 59",
}
_FIRST = 1_993_108
_GROWN_PERCENT = (100, 102, 104, 106, 108)
_MARGIN = Limits(200, 1_000)
_NEAR_PPM = 60_000
_CAP = 1_000_000_000
_CUSTOMERS = 16
_EUR = 1_000_000


def measure(seed: int) -> dict[str, Figure]:
    """Figures by grid: cost of the optimum, what the guarded order costs more, needs left by each engine."""
    day = load_day(seed=seed)
    market = Market(day, seed, cast(day, _CUSTOMERS))
    found = _beside(
        "example", _Case(market.flow, tuple(market.frames), day.margin_kept, market.trade().day_ahead)
    )  # fmt: skip
    for code in _NAMES:
        found |= _beside(code, _case(code, seed))
    return found


@dataclass(frozen=True, slots=True)
class _Case:
    flow: PowerFlow
    frames: tuple[int, ...]
    margin: Limits
    session: Session


def _beside(name: str, case: _Case) -> dict[str, Figure]:
    table = constraints(case.flow, case.session.scenarios, list(case.frames), case.margin, near_ppm=_NEAR_PPM)
    asked, offers = list(case.session.requests), list(case.session.offers)
    book = book_of(offers)
    guarded = cost_ueur(decide(in_turn(asked), book, limits_of(table, book), {}))
    outcome, report = clear_optimally("bench", asked, offers, table)
    literal = clear_literally("bench", asked, offers, table)
    merit = clear("bench", asked, offers, table)
    more = guarded - report.cost_ueur
    return {
        f"published.{name}.optimal": Figure(round(report.cost_ueur / _EUR, 2), "EUR"),
        f"published.{name}.optimal.gap": Figure(report.gap_ppm, "ppm of the cost"),
        f"published.{name}.guarded_beyond": Figure(round(100 * more / max(1, report.cost_ueur), 2), "% of the optimum"),
        f"published.{name}.unserved.guarded": Figure(len(merit.unserved), "needs"),
        f"published.{name}.unserved.optimal": Figure(len(outcome.unserved), "needs"),
        f"published.{name}.unserved.literal": Figure(len(unserved(asked, offers, literal.awards, table)), "needs"),
    }


def _case(code: str, seed: int) -> _Case:
    plain = import_grid(gzip.decompress((_GRIDS / f"{code}.json.gz").read_bytes()).decode(), _NAMES[code]).network
    pods = {f"pod-{node}": node for node in sorted({load.node for load in plain.loads})}
    network = plain.connected(pods)
    flow = PowerGridFlow(network)
    states = _grown(flow)
    can_w = {pod: max(1, 3 * _load_w(flow, states, node) // 10) for pod, node in pods.items()}
    frames = tuple(_FIRST + k for k in range(states.count))
    trading = Trading(
        _MARGIN, Limits(), tuple(Capability(pod, watts, watts) for pod, watts in can_w.items()),
        dict.fromkeys(can_w, "A"), _offers(can_w, frames, seed), _CAP, _CAP,
    )  # fmt: skip
    wanted = (sum(can_w.values()) // 20,) * len(frames)
    asks = TransmissionRequest("up", frames, wanted, ("",) * len(frames), ())
    one = MarketDay(flow, frames, lambda _gate: states, lambda _profile: asks, trading)
    done = one.trade(Slot("ahead", frames, frames[0] - 48, tso_asks=True), [Slot("near", frames, frames[0] - 1)])
    return _Case(flow, frames, _MARGIN, done.day_ahead)


def _grown(flow: PowerFlow) -> Scenarios:
    """The states, one per quarter-hour."""
    one = nominal_scenario(flow.network).rows([0])

    def grown(permille: Sequence[int]) -> Scenarios:
        many = one.rows([0] * len(permille))
        load_w, load_var = many.load_w.copy(), many.load_var.copy()
        for row, factor in enumerate(permille):
            load_w[row], load_var[row] = load_w[row] * factor // 1000, load_var[row] * factor // 1000
        return replace(many, load_w=load_w, load_var=load_var)

    steps = range(500, 4_000, 20)
    first = next(f for f in steps if violations(flow.network, flow.solve(grown([f])), [0], _MARGIN))
    return grown([first * percent // 100 for percent in _GROWN_PERCENT])


def _load_w(flow: PowerFlow, states: Scenarios, node: int) -> int:
    return sum(int(states.load_w[0, k]) for k, load in enumerate(flow.network.loads) if load.node == node)


def _offers(can_w: dict[str, int], frames: Sequence[int], seed: int) -> tuple[Offer, ...]:
    draw = random.Random(seed)
    return tuple(
        Offer(
            f"{way.value}-{pod}", "A", way, dict.fromkeys(frames, watts), {pod: watts},
            draw.randrange(30, 400) * _EUR, draw.randrange(1_000),
        )
        for pod, watts in can_w.items()
        for way in Direction
    )  # fmt: skip
