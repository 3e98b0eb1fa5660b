"""PowerFlow over power-grid-model: one batch for all scenarios.

1. A scenario that does not converge fails alone; its row holds uninitialised memory in the engine's answer, so it is
   masked here and its numbers are zero.
2. Transformer loading is apparent power over the rated power.
3. Results are rounded once: to 1e-12 of rated, to W, var and mA.
4. Couplers are taken together with their nodes unless they are switched or their flow is asked for. Models with couplers, and
   that per phase, are made when first asked for. Many couplers make noise above 1e-10: these are solved to 1e-8, which the
   last step of Newton's method betters by far.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
from power_grid_model import CalculationMethod, ComponentType, DatasetType, PowerGridModel, initialize_array
from power_grid_model.errors import PowerGridError  # type: ignore[attr-defined]

from backend.adapters.power_grid_equivalent import column_of
from backend.adapters.power_grid_input import Ids, model_input
from backend.adapters.power_grid_update import branch_update, injection_update, phase_update
from backend.errors import Rejected
from backend.grid.check import called
from backend.grid.element import Transformer
from backend.grid.flow import Booleans, Flows, Integers, PhaseStates, Scenarios, States
from backend.grid.network import Network

PPT = 1e12
_MOST_NAMED = 5
TOLERANCE, COUPLED_TOLERANCE = 1e-10, 1e-8
_STATE = {
    ComponentType.node: ["energized", "u_pu"],
    ComponentType.line: ["loading"],
    ComponentType.transformer: ["loading", "p_from", "q_from"],
    ComponentType.generic_branch: ["loading", "p_from", "q_from"],
    ComponentType.three_winding_transformer: ["loading"],
    ComponentType.source: ["p", "q"],
}
_FLOWS = {
    ComponentType.line: ["p_from", "q_from", "p_to", "q_to", "i_from", "i_to"],
    ComponentType.transformer: ["p_to", "q_to"],
    ComponentType.generic_branch: ["p_to", "q_to"],
    ComponentType.link: ["p_from", "q_from"],
}
_PHASES = {
    ComponentType.node: ["u_pu"],
    ComponentType.line: ["loading", "i_from"],
    ComponentType.transformer: ["loading"],
}


class PowerGridFlow:
    """One network in the engine. ``threads``: 0 all hardware threads, -1 none; the answer does not depend on it."""

    def __init__(self, network: Network, threads: int = -1) -> None:
        self._network = network
        self._threads = threads
        self._ids = Ids(network, couplers=False)
        self._model = self._made(self._ids)
        self._others: dict[bool, tuple[Ids, PowerGridModel]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to a worker process as its network; the engine is made again there."""
        return PowerGridFlow, (self._network, self._threads)

    @property
    def network(self) -> Network:
        """The grid whose states it solves."""
        return self._network

    def solve(self, scenarios: Scenarios) -> States:
        """States of all scenarios; raises Rejected if the columns are not those of the network."""
        ids, model = (self._ids, self._model) if scenarios.link_closed is None else self._other(per_phase=False)
        solved, answer = self._batch(model, ids, self._update(ids, scenarios), scenarios.count, _STATE)
        return self._states(ids, solved, answer)

    def nominal(self) -> States:
        """The one state that the network's own document describes, rests included."""
        solved, answer = np.ones(1, dtype=bool), None
        try:
            alone: Any = self._model.calculate_power_flow(
                calculation_method=CalculationMethod.newton_raphson,
                error_tolerance=TOLERANCE,
                max_iterations=30,
                output_component_types=_STATE,  # type: ignore[arg-type]
            )
            answer = {kind: {name: c[None] for name, c in columns.items()} for kind, columns in alone.items()}
        except PowerGridError:
            solved[:] = False
        return self._states(self._ids, solved, answer)

    def flows(self, scenarios: Scenarios) -> Flows:
        """P, Q and current of the branches; raises Rejected if the columns are not those of the network."""
        ids, model = self._other(per_phase=False)
        solved, answer = self._batch(model, ids, self._update(ids, scenarios), scenarios.count, _FLOWS)
        read, net = _Reader(solved, answer, ids.equivalent), self._network
        lines, units = len(net.lines), len(net.transformers)
        return Flows(
            solved=solved,
            line_from_w=read("line", "p_from", lines, 1.0),
            line_from_var=read("line", "q_from", lines, 1.0),
            line_to_w=read("line", "p_to", lines, 1.0),
            line_to_var=read("line", "q_to", lines, 1.0),
            line_from_ma=read("line", "i_from", lines, 1e3),
            line_to_ma=read("line", "i_to", lines, 1e3),
            transformer_to_w=read("transformer", "p_to", units, 1.0),
            transformer_to_var=read("transformer", "q_to", units, 1.0),
            link_from_w=read("link", "p_from", len(net.links), 1.0),
            link_from_var=read("link", "q_from", len(net.links), 1.0),
        )

    def solve_phases(self, scenarios: Scenarios) -> PhaseStates:
        """The states with every phase on its own; raises Rejected if the columns are not those of the network."""
        self._check(scenarios)
        ids, model = self._other(per_phase=True)
        update = phase_update(self._network, ids, scenarios)
        update.update(branch_update(self._network, ids, scenarios))
        solved, answer = self._batch(model, ids, update, scenarios.count, _PHASES, symmetric=False)
        read, net = _Reader(solved, answer, ids.equivalent), self._network
        return PhaseStates(
            solved=solved,
            voltage_ppt=read("node", "u_pu", len(net.nodes), PPT, phases=3),
            line_ppt=read("line", "loading", len(net.lines), PPT),
            line_ma=read("line", "i_from", len(net.lines), 1e3, phases=3),
            transformer_ppt=read("transformer", "loading", len(net.transformers), PPT),
        )

    def _other(self, *, per_phase: bool) -> tuple[Ids, PowerGridModel]:
        if per_phase not in self._others:
            if per_phase and (apart := [t for t in self._network.transformers if t.equivalent]):
                raise Rejected(_balanced_only(apart))
            ids = Ids(self._network)
            self._others[per_phase] = ids, self._made(ids, per_phase=per_phase)
        return self._others[per_phase]

    def _made(self, ids: Ids, *, per_phase: bool = False) -> PowerGridModel:
        network = self._network
        made = model_input(network, ids, per_phase=per_phase)
        try:
            return PowerGridModel(made, system_frequency=float(network.frequency_hz))
        except PowerGridError as error:
            raise Rejected(f"network {network.name!r}: the engine cannot calculate it: {error}") from error

    def _batch(
        self, model: PowerGridModel, ids: Ids, update: Any, count: int, output: Any, *, symmetric: bool = True
    ) -> tuple[Booleans, Any]:
        solved = np.ones(count, dtype=bool)
        if count == 0:
            return solved, None
        answer = model.calculate_power_flow(
            update_data=update or _unchanged(ids, count),
            symmetric=symmetric,
            calculation_method=CalculationMethod.newton_raphson,
            error_tolerance=TOLERANCE if model is self._model else COUPLED_TOLERANCE,
            max_iterations=20,
            threading=self._threads,
            output_component_types=output,
            continue_on_batch_error=True,
        )
        failed = model.batch_error
        if failed is not None:
            solved[np.asarray(failed.failed_scenarios, dtype=np.int64)] = False
        return solved, answer

    def _update(self, ids: Ids, scenarios: Scenarios) -> dict[Any, npt.NDArray[Any]]:
        self._check(scenarios)
        update = injection_update(self._network, ids, scenarios)
        update.update(branch_update(self._network, ids, scenarios))
        return update

    def _check(self, scenarios: Scenarios) -> None:
        net = self._network
        width = {
            "load": len(net.loads),
            "generator": len(net.generators),
            "delta": len(net.connections),
            "storage": len(net.storages),
            "shunt": len(net.shunts),
            "tap": len(net.transformers),
            "line": len(net.lines),
            "transformer": len(net.transformers),
            "link": len(net.links),
            "three": len(net.three_windings),
        }
        for f in fields(scenarios):
            array, expected = getattr(scenarios, f.name), (scenarios.count, width[f.name.split("_")[0]])
            if array is not None and array.shape != expected:
                raise Rejected(f"scenarios {f.name}: shape {array.shape}, expected {expected}")
        steps = scenarios.shunt_step
        if steps is not None and (steps < 0).any() | (steps > [s.steps_max for s in net.shunts]).any():
            raise Rejected("scenarios shunt_step: outside 0 to steps_max of a shunt")

    def _states(self, ids: Ids, solved: Booleans, answer: Any) -> States:
        net, read = self._network, _Reader(solved, answer, ids.equivalent)
        units = len(net.transformers)
        return States(
            solved=solved,
            voltage_ppt=read("node", "u_pu", len(ids.node), PPT)[:, ids.place],
            line_ppt=read("line", "loading", len(net.lines), PPT),
            transformer_ppt=read("transformer", "loading", units, PPT),
            transformer_w=read("transformer", "p_from", units, 1.0),
            transformer_var=read("transformer", "q_from", units, 1.0),
            three_winding_ppt=read("three_winding_transformer", "loading", len(net.three_windings), PPT),
            source_w=read("source", "p", len(net.sources), 1.0),
            source_var=read("source", "q", len(net.sources), 1.0),
            energized=read("node", "energized", len(ids.node), 1.0).astype(bool)[:, ids.place],
        )


def _balanced_only(apart: Sequence[Transformer]) -> str:
    """Why a grid with these equivalents is not calculated per phase, in one line that names each of the first ones."""
    words = [
        f"{called('transformer', t)} (turns the phase by {t.turn_mdeg} mdeg)"
        if t.turn_mdeg
        else called("transformer", t)
        for t in apart[:_MOST_NAMED]
    ]
    more = f" and {len(apart) - _MOST_NAMED} more" if len(apart) > _MOST_NAMED else ""
    return (
        f"{', '.join(words)}{more}: equivalent = true, which the engine calculates for balanced states only; per phase, "
        "expected none of them: calculate the grid balanced"
    )


class _Reader:
    """Columns of an answer as integers, rows without a solution as zeros."""

    def __init__(self, solved: Booleans, answer: Any, apart: Booleans) -> None:
        self._solved = solved
        self._answer = answer
        self._apart = apart

    def __call__(self, kind: str, column: str, width: int, unit: float, phases: int = 0) -> Integers:
        shape = (len(self._solved), width, phases) if phases else (len(self._solved), width)
        if self._answer is None or width == 0:
            return np.zeros(shape, dtype=np.int64)
        solved = self._solved.reshape((-1,) + (1,) * (len(shape) - 1))
        values = np.where(solved, column_of(self._answer, kind, column, self._apart), 0.0)
        return np.rint(values * unit).astype(np.int64)


def _unchanged(ids: Ids, count: int) -> dict[Any, npt.NDArray[Any]]:
    """An update that changes nothing, so that the batch has its rows."""
    source = initialize_array(DatasetType.update, ComponentType.source, (count, len(ids.source)))
    source["id"], source["status"] = ids.source, 1
    return {ComponentType.source: source}
