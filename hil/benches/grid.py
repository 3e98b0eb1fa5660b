"""The grid: a day's validation beside the engine's raw batch rate and beside pandapower; remedies, requests, a year, growth.

1. Work is counted in power flows; time is the processor's, one thread, so that a busy machine does not change a ratio.
2. The raw rate is the engine's own batch call on the same states in the same batches, with the same tolerance and the same
   columns; beside it stands the rate of its best batch, two thousand states in one call.
3. pandapower solves states of the same grid one after the other; it is not installed with us: it runs if it can be
   imported, or in the interpreter that LIGHTNODE_PEER_PYTHON names, and is left out otherwise.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from power_grid_model import CalculationMethod, ComponentType, PowerGridModel

import backend.demo
from backend.adapters.power_grid import TOLERANCE, PowerGridFlow
from backend.adapters.power_grid_input import Ids, model_input
from backend.adapters.power_grid_update import branch_update, injection_update
from backend.demo.day import ExampleDay, load_day
from backend.grid.congestion import Limits
from backend.grid.document import parse_network
from backend.grid.flow import Integers, PowerFlow, Scenarios, States, nominal_scenario
from backend.grid.forecast import day_scenarios
from backend.grid.localisation import localise
from backend.grid.need import Capability, size
from backend.grid.network import Injection, Line, Network, Node, Source
from backend.grid.plan import Allowed, plan_day
from backend.grid.remedy import own_remedy
from backend.grid.validation import Proposal, validate
from hil.benches import grid_peer
from hil.benches.figure import Figure

WHAT = "the grid: a day's validation, remedies, requests, a year, growth; beside the raw engine and pandapower"
OFFERS = 240
HOSTILE = 24
QUARTERS = 96
YEAR = 365 * QUARTERS
BUSES = (100, 300, 1_000, 3_000, 9_000)
_RAW, _PEER = "the engine's own batch", "pandapower"
_READ = {
    ComponentType.node: ["energized", "u_pu"], ComponentType.line: ["loading"], ComponentType.source: ["p", "q"],
    ComponentType.transformer: ["loading", "p_from", "q_from"],
}  # fmt: skip
_LEAST_RATIO = 0.8
_ROUNDS = 3
_FEEDER = 50


class Kept:
    """A power flow that keeps what it was asked to solve."""

    def __init__(self, flow: PowerGridFlow) -> None:
        self._flow = flow
        self.batches: list[Scenarios] = []

    @property
    def network(self) -> Network:
        """The grid."""
        return self._flow.network

    def solve(self, scenarios: Scenarios) -> States:
        """As the flow itself."""
        self.batches.append(scenarios)
        return self._flow.solve(scenarios)


def measure() -> dict[str, Figure]:
    """Every figure of the area, in one run."""
    day = load_day()
    figures = _validation(day)
    figures.update(_measures(day))
    figures.update(_year(day))
    figures.update(_growth())
    return figures


def versions() -> dict[str, str]:
    """What it was measured with."""
    return {name: version(name) for name in ("power-grid-model", "highspy", "numpy")} | grid_peer.versions()


def _took(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _least(work: Callable[[], object]) -> float:
    return min(_took(work) for _ in range(_ROUNDS))


def _raw_s(network: Network, batches: Sequence[Scenarios]) -> float:
    """Seconds of the engine's own batch calls on these states; making their arrays is not counted."""
    ids = Ids(network)
    model = PowerGridModel(model_input(network, ids, per_phase=False), system_frequency=50.0)
    updates = [injection_update(network, ids, one) | branch_update(network, ids, one) for one in batches]

    def solved() -> None:
        for update in updates:
            model.calculate_power_flow(
                update_data=update,
                calculation_method=CalculationMethod.newton_raphson,
                error_tolerance=TOLERANCE,
                max_iterations=20,
                threading=-1,
                output_component_types=_READ,  # type: ignore[arg-type]
            )

    return _least(solved)


def _us(seconds: float, flows: int) -> float:
    return round(seconds * 1e6 / flows, 1)


def _validation(day: ExampleDay) -> dict[str, Figure]:
    """A day of a grid of 111 buses: a list that a market chose, and one that no market would choose."""
    flow = PowerGridFlow(day.network)
    plain = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
    states, _ = own_remedy(flow, plain, list(day.frames), day.margin_kept)
    figures = _validated("validation", day, states, _offers(day, OFFERS, 4))
    figures |= _validated("validation.hostile", day, states, _offers(day, HOSTILE, 0))
    many = states.rows(np.tile(np.arange(QUARTERS), 20))
    own_us, best_us = figures["validation.power_flow"].value, _us(_raw_s(day.network, [many]), many.count)
    figures["validation.beside_best_batch"] = Figure(own_us, "us, validated", f"{_RAW} of {many.count}", best_us)
    peer_us = grid_peer.power_flow_us(day.network, states.rows(list(range(0, QUARTERS, 4))))
    if peer_us is not None:
        figures["validation.beside_pandapower"] = Figure(own_us, "us, validated", _PEER, round(peer_us, 1))
    return figures


def _validated(name: str, day: ExampleDay, states: Scenarios, offers: list[Proposal]) -> dict[str, Figure]:
    """A list judged, beside the engine's own calls on the very batches that judging it asks for."""
    kept = Kept(PowerGridFlow(day.network))
    validate(kept, states, list(day.frames), day.margin_kept, offers)
    flows = sum(one.count for one in kept.batches)
    flow = PowerGridFlow(day.network)
    spent = _least(lambda: validate(flow, states, list(day.frames), day.margin_kept, offers))
    raw_us = _us(_raw_s(day.network, kept.batches), flows)
    return {
        f"{name}.power_flow": Figure(_us(spent, flows), "us, validated", _RAW, raw_us, _LEAST_RATIO),
        f"{name}.day": Figure(round(spent, 2), f"s, {len(offers)} offers"),
        f"{name}.power_flows": Figure(flows, f"power flows in {len(kept.batches)} batches"),
    }


def _offers(day: ExampleDay, count: int, relief: int) -> list[Proposal]:
    """Of every customer in turn; ``relief`` of four are less withdrawal, as a market chooses them, the others more."""
    found = []
    for k in range(count):
        customer = day.customers[k % len(day.customers)]
        most = customer.up_w if k % 4 < relief else -customer.down_w
        watts = [-(most // (2 + k % 7)) if (q + k) % 5 else 0 for q in range(QUARTERS)]
        found.append(Proposal(f"offer-{k}", {customer.pod: tuple(watts)}, 250_000 * (k % 2)))
    return found


def _measures(day: ExampleDay) -> dict[str, Figure]:
    frames, flow = list(day.frames), PowerGridFlow(day.network)
    plain = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
    states, _ = own_remedy(flow, plain, frames, day.margin_kept)
    able = [Capability(c.pod, c.up_w, c.down_w) for c in day.customers]
    levels = {100_000: plain, 500_000: plain, 900_000: plain}
    outages = [f"line:{line.id}" for line in day.network.lines[:10]]
    grid = parse_network((Path(backend.demo.__file__).parent / "baran_wu_33.json").read_text())
    feeder, one = PowerGridFlow(grid), nominal_scenario(grid).rows([0] * QUARTERS)
    allowed = Allowed(for_losses=True, switchable=tuple(f"line:{line.id}" for line in grid.lines))

    def work(name: str, unit: str, call: Callable[[], object]) -> tuple[str, Figure]:
        return name, Figure(round(_took(call), 2), unit)

    return dict(
        (
            work("localise.day", "s, 3 levels, 10 outages", lambda: localise(flow, levels, frames, Limits(), outages)),
            work("remedy.taps.day", "s, 19 positions", lambda: own_remedy(flow, plain, frames, day.margin_kept)),
            work("remedy.switches.day", "s, 33 buses", lambda: plan_day(feeder, one, frames, Limits(), allowed)),
            work("request.day", "s, 16 PODs", lambda: size(flow, states, frames, day.margin_kept, able)),
        )
    )


def _year(day: ExampleDay) -> dict[str, Figure]:
    """A year of quarter-hours located on the medium- and low-voltage grid, and on the low-voltage grid alone."""
    plain = day_scenarios(day.network, day.forecast(day.day_ahead_gate))
    figures = {}
    for name, network, states in (("mv_and_lv", day.network, plain), ("lv", *_low_voltage(day.network, plain))):
        flow = PowerGridFlow(network)
        year = states.rows(np.tile(np.arange(QUARTERS), YEAR // QUARTERS))

        def located(flow: PowerFlow = flow, year: Scenarios = year) -> None:
            for k, part in enumerate(year.parts(QUARTERS * 20)):
                frames = range(k * QUARTERS * 20, k * QUARTERS * 20 + part.count)
                localise(flow, {500_000: part}, frames, Limits())

        raw = _raw_s(network, [states.rows(np.tile(np.arange(QUARTERS), 20))])
        spent = _took(located)
        figures[f"year.{name}"] = Figure(round(spent, 2), f"s, {len(network.nodes)} buses, {YEAR} states")
        figures[f"year.{name}.power_flow"] = Figure(_us(spent, YEAR), "us, located", _RAW, _us(raw, QUARTERS * 20))
    return figures


def _low_voltage(network: Network, states: Scenarios) -> tuple[Network, Scenarios]:
    """The low-voltage part behind its transformer, fed at the medium-voltage side."""
    unit = next(t for t in network.transformers if not t.on_load)
    low = {n.id for n in network.nodes if n.u_rated_v < 1_000}
    nodes = tuple(n for n in network.nodes if n.id in low or n.id == unit.from_node)
    loads = [k for k, e in enumerate(network.loads) if e.node in low]
    makes = [k for k, e in enumerate(network.generators) if e.node in low]
    pods = [k for k, c in enumerate(network.connections) if c.node in low]
    part = replace(
        network,
        name="low voltage",
        nodes=nodes,
        lines=tuple(e for e in network.lines if e.from_node in low),
        transformers=(unit,),
        links=(),
        sources=(Source(1, unit.from_node, 1_000_000),),
        loads=tuple(network.loads[k] for k in loads),
        generators=tuple(network.generators[k] for k in makes),
        connections=tuple(network.connections[k] for k in pods),
    )
    tap = states.tap[:, [network.transformers.index(unit)]]
    columns = (
        states.load_w[:, loads],
        states.load_var[:, loads],
        states.generator_w[:, makes],
        states.delta_w[:, pods],
    )
    return part, Scenarios(*columns, tap)


def _growth() -> dict[str, Figure]:
    """Microseconds a bus of one located power flow, for feeders of fifty buses on one busbar."""
    figures = {}
    for buses in BUSES:
        flow = PowerGridFlow(feeders(buses))
        states = _light(flow.network, max(8, 20_000 // buses))
        spent = _least(partial(localise, flow, {500_000: states}, range(states.count), Limits()))
        raw = _raw_s(flow.network, [states])
        per = states.count * buses
        figures[f"growth.buses_{buses}"] = Figure(
            round(spent * 1e6 / per, 3), "us a bus and state", _RAW, round(raw * 1e6 / per, 3)
        )
    return figures


def feeders(buses: int) -> Network:
    """Feeders of fifty buses at 20 kV on one busbar, every bus but the busbar with a load."""
    nodes = tuple(Node(k, f"bus {k}", 20_000, 900_000, 1_100_000) for k in range(buses))
    lines = tuple(
        Line(k, f"line {k}", 0 if k % _FEEDER == 1 else k - 1, k, True, True, 60_000, 40_000, 60_000, 300_000)
        for k in range(1, buses)
    )
    loads = tuple(Injection(k, f"load {k}", k, "", 15_000 + k % 7 * 1_000, 4_000) for k in range(1, buses))
    return Network("feeders", 50, nodes, lines, (), (), (Source(1, 0, 1_000_000),), loads, ())


def _light(network: Network, count: int) -> Scenarios:
    """States at 60 to 100 % of the nominal loads."""
    state = nominal_scenario(network).rows([0] * count)
    percent: Integers = 60 + np.arange(count, dtype=np.int64)[:, None] % 41
    return replace(state, load_w=state.load_w * percent // 100, load_var=state.load_var * percent // 100)
