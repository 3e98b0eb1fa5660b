"""PowerFlow over power-grid-model: one batch for all scenarios; the only module with floating point of the grid.

1. The source is stiff (``sk`` set): the default of the engine is not.
2. A scenario that does not converge fails alone; its row holds uninitialised memory in the engine's answer, so it is
   masked here and its numbers are zero.
3. Transformer loading is apparent power over the rated power.
4. Results are rounded once to 1e-12 of rated.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)

from backend.errors import Rejected
from backend.grid.flow import Integers, Scenarios, States
from backend.grid.network import Network

PPT = 1e12
STIFF_VA = 1e20
TOLERANCE = 1e-10
_OUTPUT = {
    ComponentType.node: ["energized", "u_pu"],
    ComponentType.line: ["loading"],
    ComponentType.transformer: ["loading", "p_from", "q_from"],
}


class PowerGridFlow:
    """One network in the engine. ``threads``: 0 all hardware threads, -1 none; the answer does not depend on it."""

    def __init__(self, network: Network, threads: int = -1) -> None:
        self._network = network
        self._threads = threads
        self._ids = _Ids(network)
        self._model = PowerGridModel(_input(network, self._ids), system_frequency=float(network.frequency_hz))

    @property
    def network(self) -> Network:
        """The grid whose states it solves."""
        return self._network

    def solve(self, scenarios: Scenarios) -> States:
        """States of all scenarios; raises Rejected if the columns are not those of the network."""
        self._check(scenarios)
        count = scenarios.count
        if count == 0:
            return self._states(np.zeros(0, dtype=bool), None)
        solved = np.ones(count, dtype=bool)
        answer = self._model.calculate_power_flow(
            update_data=self._update(scenarios),
            calculation_method=CalculationMethod.newton_raphson,
            error_tolerance=TOLERANCE,
            max_iterations=20,
            threading=self._threads,
            output_component_types=_OUTPUT,  # type: ignore[arg-type]
            continue_on_batch_error=True,
        )
        failed = self._model.batch_error
        if failed is not None:
            solved[np.asarray(failed.failed_scenarios, dtype=np.int64)] = False
        return self._states(solved, answer)

    def _check(self, scenarios: Scenarios) -> None:
        net = self._network
        for name, array, width in (
            ("load_w", scenarios.load_w, len(net.loads)),
            ("load_var", scenarios.load_var, len(net.loads)),
            ("generator_w", scenarios.generator_w, len(net.generators)),
            ("delta_w", scenarios.delta_w, len(net.connections)),
            ("tap", scenarios.tap, len(net.transformers)),
        ):
            if array.shape != (scenarios.count, width):
                raise Rejected(f"scenarios {name}: shape {array.shape}, expected {(scenarios.count, width)}")

    def _update(self, scenarios: Scenarios) -> dict[Any, npt.NDArray[Any]]:
        count, ids = scenarios.count, self._ids
        update: dict[Any, npt.NDArray[Any]] = {}
        loads = initialize_array(DatasetType.update, ComponentType.sym_load, (count, len(ids.load) + len(ids.pod)))
        loads["id"] = np.concatenate([ids.load, ids.pod])
        loads["p_specified"] = np.concatenate([scenarios.load_w, scenarios.delta_w], axis=1)
        loads["q_specified"] = np.concatenate([scenarios.load_var, np.zeros_like(scenarios.delta_w)], axis=1)
        if loads.shape[1]:
            update[ComponentType.sym_load] = loads
        generators = initialize_array(DatasetType.update, ComponentType.sym_gen, (count, len(ids.generator)))
        generators["id"] = ids.generator
        generators["p_specified"] = scenarios.generator_w
        if generators.shape[1]:
            update[ComponentType.sym_gen] = generators
        taps = initialize_array(DatasetType.update, ComponentType.transformer, (count, len(ids.transformer)))
        taps["id"] = ids.transformer
        taps["tap_pos"] = scenarios.tap
        if taps.shape[1]:
            update[ComponentType.transformer] = taps
        return update

    def _states(self, solved: npt.NDArray[np.bool_], answer: Any) -> States:
        net = self._network

        def whole(kind: str, column: str, width: int, unit: float) -> Integers:
            if answer is None or width == 0:
                return np.zeros((len(solved), width), dtype=np.int64)
            values = np.where(solved[:, None], answer[kind][column], 0.0)
            return np.rint(values * unit).astype(np.int64)

        return States(
            solved=solved,
            voltage_ppt=whole("node", "u_pu", len(net.nodes), PPT),
            line_ppt=whole("line", "loading", len(net.lines), PPT),
            transformer_ppt=whole("transformer", "loading", len(net.transformers), PPT),
            transformer_w=whole("transformer", "p_from", len(net.transformers), 1.0),
            transformer_var=whole("transformer", "q_from", len(net.transformers), 1.0),
        )


class _Ids:
    """The engine wants ids unique over all kinds: numbered through in the network's order."""

    def __init__(self, network: Network) -> None:
        start = 0

        def take(count: int) -> npt.NDArray[np.int32]:
            nonlocal start
            start += count
            return np.arange(start - count, start, dtype=np.int32)

        self.node = take(len(network.nodes))
        self.of_node = {node.id: k for k, node in enumerate(network.nodes)}
        self.line = take(len(network.lines))
        self.transformer = take(len(network.transformers))
        self.link = take(len(network.links))
        self.source = take(len(network.sources))
        self.load = take(len(network.loads))
        self.generator = take(len(network.generators))
        self.pod = take(len(network.connections))


def _input(network: Network, ids: _Ids) -> dict[Any, npt.NDArray[Any]]:
    at = ids.of_node
    node = initialize_array(DatasetType.input, ComponentType.node, len(network.nodes))
    node["id"], node["u_rated"] = ids.node, [n.u_rated_v for n in network.nodes]
    link = initialize_array(DatasetType.input, ComponentType.link, len(network.links))
    link["id"] = ids.link
    link["from_node"], link["to_node"] = (
        [at[k.from_node] for k in network.links],
        [at[k.to_node] for k in network.links],
    )
    link["from_status"] = link["to_status"] = [k.closed for k in network.links]
    source = initialize_array(DatasetType.input, ComponentType.source, len(network.sources))
    source["id"], source["node"], source["status"] = ids.source, [at[s.node] for s in network.sources], 1
    source["u_ref"], source["sk"] = [s.u_ref_ppm / 1e6 for s in network.sources], STIFF_VA
    parts = {
        ComponentType.node: node,
        ComponentType.line: _lines(network, ids),
        ComponentType.transformer: _transformers(network, ids),
        ComponentType.link: link,
        ComponentType.source: source,
        ComponentType.sym_load: _injections(
            "sym_load",
            np.concatenate([ids.load, ids.pod]),
            [at[e.node] for e in network.loads] + [at[c.node] for c in network.connections],
        ),
        ComponentType.sym_gen: _injections("sym_gen", ids.generator, [at[e.node] for e in network.generators]),
    }
    return {kind: array for kind, array in parts.items() if len(array)}


def _injections(kind: str, ids: npt.NDArray[np.int32], nodes: list[int]) -> npt.NDArray[Any]:
    array = initialize_array(DatasetType.input, ComponentType(kind), len(ids))
    array["id"], array["node"], array["status"] = ids, nodes, 1
    array["type"] = LoadGenType.const_power
    array["p_specified"] = array["q_specified"] = 0.0
    return array


def _lines(network: Network, ids: _Ids) -> npt.NDArray[Any]:
    lines = network.lines
    array = initialize_array(DatasetType.input, ComponentType.line, len(lines))
    array["id"] = ids.line
    array["from_node"] = [ids.of_node[e.from_node] for e in lines]
    array["to_node"] = [ids.of_node[e.to_node] for e in lines]
    array["from_status"], array["to_status"] = [e.from_closed for e in lines], [e.to_closed for e in lines]
    array["r1"], array["x1"] = [e.r_uohm / 1e6 for e in lines], [e.x_uohm / 1e6 for e in lines]
    array["c1"], array["tan1"] = [e.c_pf / 1e12 for e in lines], 0.0
    array["i_n"] = [e.rated_ma / 1e3 for e in lines]
    return array


def _transformers(network: Network, ids: _Ids) -> npt.NDArray[Any]:
    units = network.transformers
    array = initialize_array(DatasetType.input, ComponentType.transformer, len(units))
    array["id"] = ids.transformer
    array["from_node"] = [ids.of_node[t.from_node] for t in units]
    array["to_node"] = [ids.of_node[t.to_node] for t in units]
    array["from_status"] = array["to_status"] = [t.closed for t in units]
    array["u1"], array["u2"] = [t.u_from_v for t in units], [t.u_to_v for t in units]
    array["sn"], array["uk"] = [t.sn_va for t in units], [t.uk_ppm / 1e6 for t in units]
    array["pk"], array["p0"] = [t.pk_w for t in units], [t.p0_w for t in units]
    array["i0"] = [max(t.i0_ppm / 1e6, t.p0_w / t.sn_va) for t in units]
    odd = [t.clock % 2 == 1 for t in units]
    array["winding_from"] = np.where(odd, WindingType.delta.value, WindingType.wye_n.value)
    array["winding_to"] = WindingType.wye_n
    array["clock"] = [t.clock for t in units]
    array["tap_side"] = [0 if t.tap_side == "from" else 1 for t in units]
    array["tap_pos"], array["tap_nom"] = [t.tap_position for t in units], [t.tap_nominal for t in units]
    array["tap_min"], array["tap_max"] = [t.tap_min for t in units], [t.tap_max for t in units]
    array["tap_size"] = [t.tap_size_mv / 1e3 for t in units]
    return array
