"""Estimator over power-grid-model: sensors in, one state out; how far it follows an error, by one batch.

1. What does not converge, is singular or not observable is an answer with its reason, never an exception.
2. How far the estimate follows: the same state with one measurement moved by one deviation, for all channels in one batch.
3. The engine's angle of a current is that of the voltage less that of the current; a lagging current has a positive one.
4. The engine measures no coupler: one with a sensor is a line of the coupler's own admittance.
5. Results are rounded once; the source is stiff, but what it feeds is estimated, not given.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from power_grid_model import (
    AngleMeasurementType,
    CalculationMethod,
    ComponentType,
    DatasetType,
    MeasuredTerminalType,
    PowerGridModel,
    initialize_array,
)
from power_grid_model.errors import PowerGridError  # type: ignore[attr-defined]

from backend.adapters.power_grid_equivalent import column_of
from backend.adapters.power_grid_input import Ids, model_input
from backend.grid.estimate import Method, Solved
from backend.grid.measurement import Measurement, Quantity
from backend.grid.network import Network

_METHODS = {Method.LINEAR: CalculationMethod.iterative_linear, Method.NEWTON: CalculationMethod.newton_raphson}
_SENSORS = {
    Quantity.VOLTAGE: ComponentType.sym_voltage_sensor,
    Quantity.POWER: ComponentType.sym_power_sensor,
    Quantity.CURRENT: ComponentType.sym_current_sensor,
}
_RESIDUALS = {
    Quantity.VOLTAGE: (("u_residual", 1e3),),
    Quantity.POWER: (("p_residual", 1.0), ("q_residual", 1.0)),
    Quantity.CURRENT: (("i_residual", 1e3), ("i_angle_residual", 1e3 * 180 / np.pi)),
}
_UPDATES = {
    Quantity.VOLTAGE: (("u_measured", 1e-3),),
    Quantity.POWER: (("p_measured", 1.0), ("q_measured", 1.0)),
    Quantity.CURRENT: (("i_measured", 1e-3), ("i_angle_measured", 1e-3 * np.pi / 180)),
}
_TERMINALS = {
    ("load", ""): MeasuredTerminalType.load,
    ("storage", ""): MeasuredTerminalType.load,
    ("pod", ""): MeasuredTerminalType.load,
    ("generator", ""): MeasuredTerminalType.generator,
    ("source", ""): MeasuredTerminalType.source,
}
_BRANCHES = (ComponentType.line, ComponentType.transformer, ComponentType.generic_branch, ComponentType.link)
_ENDS = {"from": MeasuredTerminalType.branch_from, "to": MeasuredTerminalType.branch_to}
_LINK_OHM_PER_V2 = 0.5e-12
_ITERATIONS = 500
_TOLERANCE = 1e-6
Array = npt.NDArray[Any]


class PowerGridEstimator:
    """One network in the engine."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._ids = Ids(network)

    @property
    def network(self) -> Network:
        """The grid whose state it estimates."""
        return self._network

    def solve(self, measured: Sequence[Measurement], opened: Sequence[str], method: Method) -> Solved:
        """The state (rule 1)."""
        try:
            answer = self._model(measured, opened)[0].calculate_state_estimation(
                calculation_method=_METHODS[method], error_tolerance=_TOLERANCE, max_iterations=_ITERATIONS
            )
        except PowerGridError as error:
            return self._solved(None, _one_line(error), {}, ())
        if not np.isfinite(answer[ComponentType.node]["u_pu"]).all():
            return self._solved(None, "the state is not finite", {}, ())
        return self._solved(method, "", answer, _residuals(answer, measured))

    def follow_ppm(
        self,
        measured: Sequence[Measurement],
        opened: Sequence[str],
        method: Method,
        channels: Sequence[tuple[int, int]],
    ) -> Sequence[int]:
        """Rule 2; a channel whose moved state does not converge is one that cannot be checked."""
        if not channels:
            return []
        model, first = self._model(measured, opened)
        options: dict[str, Any] = {
            "calculation_method": _METHODS[method], "error_tolerance": _TOLERANCE, "max_iterations": _ITERATIONS
        }  # fmt: skip
        base = _residuals(model.calculate_state_estimation(**options), measured, whole=False)
        found: dict[tuple[int, int], int] = {}
        for quantity in Quantity:
            mine = [(k, part) for k, part in channels if measured[k].quantity is quantity]
            if mine:
                update = _moved(measured, mine, quantity, first[quantity])
                answer = model.calculate_state_estimation(
                    update_data={_SENSORS[quantity]: update}, continue_on_batch_error=True, threading=-1, **options
                )
                failed = () if model.batch_error is None else tuple(int(s) for s in model.batch_error.failed_scenarios)
                found |= _follows(answer[_SENSORS[quantity]], measured, mine, base, failed)
        return [found[channel] for channel in channels]

    def _model(
        self, measured: Sequence[Measurement], opened: Sequence[str]
    ) -> tuple[PowerGridModel, dict[Quantity, int]]:
        """The engine with its sensors, and the id of the first sensor of each quantity."""
        parts = {kind: array for kind, array in model_input(self._network, self._ids).items() if len(array)}
        silent = [
            id for k, id in enumerate(self._ids.pod) if not any(m.kind == "pod" and m.element == k for m in measured)
        ]
        if silent:  # an injection that nobody measures would leave its whole node unknown
            loads = parts[ComponentType.sym_load]
            parts[ComponentType.sym_load] = loads[~np.isin(loads["id"], silent)]
        self._meter_links(parts, {m.element for m in measured if m.kind == "link"})
        out = [
            id
            for kind in ("line", "transformer", "link")
            for id, e in zip(getattr(self._ids, kind), getattr(self._network, f"{kind}s"), strict=True)
            if f"{kind}:{e.id}" in opened
        ]
        for branch in (parts[kind] for kind in _BRANCHES if kind in parts):
            gone = np.isin(branch["id"], out)
            branch["from_status"][gone] = branch["to_status"][gone] = 0
        next_id = 1 + max(int(array["id"].max()) for array in parts.values() if len(array))
        first: dict[Quantity, int] = {}
        for quantity in Quantity:
            mine = [one for one in measured if one.quantity is quantity]
            if mine:
                first[quantity] = next_id
                parts[_SENSORS[quantity]] = self._sensors(quantity, mine, next_id)
                next_id += len(mine)
        return PowerGridModel(parts, system_frequency=float(self._network.frequency_hz)), first

    def _meter_links(self, parts: dict[Any, Array], links: Collection[int]) -> None:
        """Rule 4: these couplers become lines, after the lines, with the same ids in the engine."""
        mine = [(k, e) for k, e in enumerate(self._network.links) if e.id in links]
        if not mine:
            return
        rated_v = {node.id: node.u_rated_v for node in self._network.nodes}
        lines = initialize_array(DatasetType.input, ComponentType.line, len(mine))
        for row, (k, link) in zip(lines, mine, strict=True):
            row["id"], row["from_node"], row["to_node"] = (
                self._ids.link[k], self._ids.of_node[link.from_node], self._ids.of_node[link.to_node]
            )  # fmt: skip
            row["from_status"] = row["to_status"] = link.closed
            row["r1"] = row["x1"] = rated_v[link.from_node] ** 2 * _LINK_OHM_PER_V2
        for name, value in (("c1", 0.0), ("tan1", 0.0), ("i_n", 1e9)):
            lines[name] = value
        parts[ComponentType.link] = parts[ComponentType.link][~np.isin(parts[ComponentType.link]["id"], lines["id"])]
        given = parts.get(ComponentType.line)
        parts[ComponentType.line] = lines if given is None else np.concatenate([given, lines])

    def _sensors(self, quantity: Quantity, mine: Sequence[Measurement], first_id: int) -> Array:
        array = initialize_array(DatasetType.input, _SENSORS[quantity], len(mine))
        array["id"] = np.arange(first_id, first_id + len(mine))
        array["measured_object"] = [self._object(one) for one in mine]
        for part, (name, unit) in enumerate(_UPDATES[quantity]):
            array[name] = [(one.value, one.second)[part] * unit for one in mine]
            sigma = name.replace("_measured", "_sigma")
            array[sigma] = [(one.sigma, one.second_sigma)[part] * unit for one in mine]
        if quantity is not Quantity.VOLTAGE:
            array["measured_terminal_type"] = [_TERMINALS.get((m.kind, m.side)) or _ENDS[m.side] for m in mine]
        if quantity is Quantity.CURRENT:
            array["angle_measurement_type"] = AngleMeasurementType.local_angle
        return array

    def _object(self, one: Measurement) -> int:
        if one.kind == "pod":
            return int(self._ids.pod[one.element])
        place = [e.id for e in getattr(self._network, f"{one.kind}s")].index(one.element)
        return int(getattr(self._ids, one.kind)[place])

    def _solved(self, method: Method | None, reason: str, answer: Any, residual: Sequence[tuple[int, int]]) -> Solved:
        net = self._network

        def whole(kind: str, column: str, width: int, unit: float) -> npt.NDArray[np.int64]:
            if method is None or not width:
                return np.zeros(width, dtype=np.int64)
            values = np.nan_to_num(column_of(answer, kind, column, self._ids.equivalent)[:width] * unit)
            return np.asarray(np.rint(values), dtype=np.int64)

        lines, units = len(net.lines), len(net.transformers)
        return Solved(
            method,
            reason,
            whole("node", "u_pu", len(net.nodes), 1e6),
            whole("node", "energized", len(net.nodes), 1.0),
            whole("line", "loading", lines, 1e6),
            whole("line", "p_from", lines, 1.0),
            whole("line", "q_from", lines, 1.0),
            whole("transformer", "loading", units, 1e6),
            whole("transformer", "p_from", units, 1.0),
            whole("transformer", "q_from", units, 1.0),
            residual,
        )


def _residuals(answer: Any, measured: Sequence[Measurement], whole: bool = True) -> list[Any]:
    """(of value, of second) per measurement in its unit; whole: rounded; of a dead place they are 0."""
    at = dict.fromkeys(Quantity, 0)
    found = []
    for one in measured:
        row = answer[_SENSORS[one.quantity]][at[one.quantity]]
        at[one.quantity] += 1
        parts = [float(np.nan_to_num(row[name])) * unit for name, unit in _RESIDUALS[one.quantity]]
        pair = (parts[0], parts[1] if len(parts) > 1 else 0.0)
        found.append((round(pair[0]), round(pair[1])) if whole else pair)
    return found


def _moved(
    measured: Sequence[Measurement], mine: Sequence[tuple[int, int]], quantity: Quantity, first_id: int
) -> Array:
    """One scenario per channel: its sensor one deviation up."""
    alike = [k for k, one in enumerate(measured) if one.quantity is quantity]
    update = initialize_array(DatasetType.update, _SENSORS[quantity], (len(mine), 1))
    for row, (k, part) in enumerate(mine):
        one = measured[k]
        name, unit = _UPDATES[quantity][part]
        update["id"][row, 0] = first_id + alike.index(k)
        update[name][row, 0] = ((one.value, one.second)[part] + (one.sigma, one.second_sigma)[part]) * unit
    return update


def _follows(
    answer: Array,
    measured: Sequence[Measurement],
    mine: Sequence[tuple[int, int]],
    base: Sequence[Any],
    failed: Sequence[int],
) -> dict[tuple[int, int], int]:
    """ppm of one deviation that the estimate goes along with: 1 - (moved residual - residual) / deviation."""
    quantity = measured[mine[0][0]].quantity
    alike = [k for k, one in enumerate(measured) if one.quantity is quantity]
    found = {}
    for row, (k, part) in enumerate(mine):
        name, unit = _RESIDUALS[quantity][part]
        moved = float(np.nan_to_num(answer[row][alike.index(k)][name])) * unit - base[k][part]
        sigma = (measured[k].sigma, measured[k].second_sigma)[part]
        found[k, part] = 1_000_000 if row in failed else min(1_000_000, max(0, round((1.0 - moved / sigma) * 1e6)))
    return found


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
