"""A network as the input of power-grid-model: the float arrays of its components.

1. The source is stiff (``sk`` set): the default of the engine is not.
2. Ids are unique over all kinds, numbered through in the network's order.
3. The engine's coupler has an impedance that is seen in the voltage where much flows. Without ``couplers``, nodes joined by
   closed couplers are one node of the engine and there are no couplers: exact, for states in which none is switched.
4. Reading per phase, every injection is one of phases; a line without zero sequence has 4 times the series impedance and
   0.6 times the capacitance of the positive one, as a four-wire cable with an equal neutral.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from power_grid_model import ComponentType, DatasetType, LoadGenType, WindingType, initialize_array

from backend.adapters.power_grid_equivalent import equivalents
from backend.grid.element import Injection, Line, Shunt, Storage, ThreeWinding, Transformer, exact
from backend.grid.layout import joined_places
from backend.grid.network import Network

STIFF_VA = 1e30
Array = npt.NDArray[Any]


class Ids:
    """The engine's id of each element, and the place of each node."""

    def __init__(self, network: Network, *, couplers: bool = True) -> None:
        start = 0

        def take(count: int) -> npt.NDArray[np.int32]:
            nonlocal start
            start += count
            return np.arange(start - count, start, dtype=np.int32)

        self.frequency_hz = network.frequency_hz
        self.of_node = {n.id: k for k, n in enumerate(network.nodes)} if couplers else joined_places(network)
        self.node = take(max(self.of_node.values(), default=-1) + 1)
        self.place = np.array([self.of_node[n.id] for n in network.nodes], dtype=np.int64)
        self.line = take(len(network.lines))
        self.transformer = take(len(network.transformers))
        self.equivalent = np.array([t.equivalent for t in network.transformers], dtype=bool)
        self.three_winding = take(len(network.three_windings))
        self.link = take(len(network.links) if couplers else 0)
        self.source = take(len(network.sources))
        self.load = take(len(network.loads))
        self.storage = take(len(network.storages))
        self.generator = take(len(network.generators))
        self.pod = take(len(network.connections))
        self.shunt = take(len(network.shunts))


def model_input(network: Network, ids: Ids, *, per_phase: bool = False) -> dict[Any, Array]:
    """Components of the network as it stands; PODs at 0."""
    at = ids.of_node
    node = initialize_array(DatasetType.input, ComponentType.node, len(ids.node))
    rated = {at[n.id]: exact(n, "u_rated_v") for n in network.nodes}
    node["id"], node["u_rated"] = ids.node, [rated[k] for k in range(len(ids.node))]
    apart = [t for t in network.transformers if t.equivalent]
    rated_v = {n.id: exact(n, "u_rated_v") for n in network.nodes}
    links = network.links if len(ids.link) else ()
    link = initialize_array(DatasetType.input, ComponentType.link, len(links))
    link["id"] = ids.link
    link["from_node"] = [at[k.from_node] for k in links]
    link["to_node"] = [at[k.to_node] for k in links]
    link["from_status"] = link["to_status"] = [k.closed for k in links]
    source = initialize_array(DatasetType.input, ComponentType.source, len(network.sources))
    source["id"], source["node"], source["status"] = ids.source, [at[s.node] for s in network.sources], 1
    source["u_ref"], source["sk"] = [exact(s, "u_ref_ppm") / 1e6 for s in network.sources], STIFF_VA
    source["u_ref_angle"] = [np.deg2rad(exact(s, "angle_mdeg") / 1e3) for s in network.sources]
    draws: list[Injection | Storage] = [*network.loads, *network.storages]
    drawing = np.concatenate([ids.load, ids.storage, ids.pod])
    places = [at[e.node] for e in draws] + [at[c.node] for c in network.connections]
    loads = _injections("asym_load" if per_phase else "sym_load", drawing, places)
    makes = _injections("asym_gen" if per_phase else "sym_gen", ids.generator, [at[e.node] for e in network.generators])
    if not per_phase:
        _nominal(loads, draws)
        _nominal(makes, network.generators)
    parts = {
        ComponentType.node: node,
        ComponentType.line: _lines(network.lines, ids),
        ComponentType.transformer: _transformers([t for t in network.transformers if not t.equivalent], ids),
        ComponentType.generic_branch: equivalents(apart, ids.transformer[ids.equivalent], at, rated_v),
        ComponentType.three_winding_transformer: _three_windings(network.three_windings, ids),
        ComponentType.link: link,
        ComponentType.source: source,
        ComponentType("asym_load" if per_phase else "sym_load"): loads,
        ComponentType("asym_gen" if per_phase else "sym_gen"): makes,
        ComponentType.shunt: _shunts(network, ids),
    }
    return {kind: array for kind, array in parts.items() if len(array)}


def _injections(kind: str, ids: npt.NDArray[np.int32], nodes: list[int]) -> Array:
    array = initialize_array(DatasetType.input, ComponentType(kind), len(ids))
    array["id"], array["node"], array["status"] = ids, nodes, 1
    array["type"] = LoadGenType.const_power
    array["p_specified"] = array["q_specified"] = 0.0
    return array


def _nominal(array: Array, every: Sequence[Injection | Storage]) -> None:
    array["p_specified"][: len(every)] = [exact(e, "p_nominal_w") for e in every]
    array["q_specified"][: len(every)] = [exact(e, "q_nominal_var") for e in every]


def _lines(lines: Sequence[Line], ids: Ids) -> Array:
    array = initialize_array(DatasetType.input, ComponentType.line, len(lines))
    array["id"] = ids.line
    array["from_node"] = [ids.of_node[e.from_node] for e in lines]
    array["to_node"] = [ids.of_node[e.to_node] for e in lines]
    array["from_status"], array["to_status"] = [e.from_closed for e in lines], [e.to_closed for e in lines]
    r_ohm = np.array([exact(e, "r_uohm") / 1e6 for e in lines])
    x_ohm = np.array([exact(e, "x_uohm") / 1e6 for e in lines])
    c_f, g_s = [exact(e, "c_pf") / 1e12 for e in lines], [exact(e, "g_ps") / 1e12 for e in lines]
    array["r1"], array["x1"], array["c1"] = r_ohm, x_ohm, c_f
    known = np.array([bool(e.r0_uohm or e.x0_uohm or e.c0_pf) for e in lines], dtype=bool)
    array["r0"] = np.where(known, [exact(e, "r0_uohm") / 1e6 for e in lines], 4 * r_ohm)
    array["x0"] = np.where(known, [exact(e, "x0_uohm") / 1e6 for e in lines], 4 * x_ohm)
    array["c0"] = np.where(known, [exact(e, "c0_pf") / 1e12 for e in lines], 0.6 * array["c1"])
    array["tan0"] = 0.0
    array["tan1"] = np.divide(
        g_s, 2 * np.pi * ids.frequency_hz * array["c1"], where=array["c1"] > 0, out=np.zeros(len(lines))
    )
    array["i_n"] = [exact(e, "rated_ma") / 1e3 for e in lines]
    return array


def _transformers(units: Sequence[Transformer], ids: Ids) -> Array:
    array = initialize_array(DatasetType.input, ComponentType.transformer, len(units))
    array["id"] = ids.transformer[~ids.equivalent]
    array["from_node"] = [ids.of_node[t.from_node] for t in units]
    array["to_node"] = [ids.of_node[t.to_node] for t in units]
    array["from_status"] = [t.closed and t.open_end != "from" for t in units]
    array["to_status"] = [t.closed and t.open_end != "to" for t in units]
    array["u1"], array["u2"] = [exact(t, "u_from_v") for t in units], [exact(t, "u_to_v") for t in units]
    array["sn"], array["uk"] = [exact(t, "sn_va") for t in units], [exact(t, "uk_ppm") / 1e6 for t in units]
    array["pk"], array["p0"] = [exact(t, "pk_w") for t in units], [exact(t, "p0_w") for t in units]
    array["i0"] = [max(exact(t, "i0_ppm") / 1e6, exact(t, "p0_w") / exact(t, "sn_va")) for t in units]
    odd = [t.clock % 2 == 1 for t in units]
    array["winding_from"] = np.where(odd, WindingType.delta.value, WindingType.wye_n.value)
    array["winding_to"] = WindingType.wye_n
    array["clock"] = [t.clock for t in units]
    array["tap_side"] = [0 if t.tap_side == "from" else 1 for t in units]
    _tap(array, units)
    return array


def _tap(array: Array, units: Sequence[Transformer] | Sequence[ThreeWinding]) -> None:
    array["tap_pos"], array["tap_nom"] = [t.tap_position for t in units], [t.tap_nominal for t in units]
    array["tap_min"], array["tap_max"] = [t.tap_min for t in units], [t.tap_max for t in units]
    array["tap_size"] = [exact(t, "tap_size_mv") / 1e3 for t in units]


def _three_windings(units: Sequence[ThreeWinding], ids: Ids) -> Array:
    array = initialize_array(DatasetType.input, ComponentType.three_winding_transformer, len(units))
    array["id"] = ids.three_winding
    for k in "123":
        array[f"node_{k}"] = [ids.of_node[getattr(t, f"node_{k}")] for t in units]
        array[f"status_{k}"] = [getattr(t, f"closed_{k}") for t in units]
        array[f"u{k}"] = [exact(t, f"u_{k}_v") for t in units]
        array[f"sn_{k}"] = [exact(t, f"sn_{k}_va") for t in units]
    star = [_star(t) for t in units]
    for pair in ("12", "13", "23"):
        array[f"uk_{pair}"] = [size[pair] for size in star]
        array[f"pk_{pair}"] = [exact(t, f"pk_{pair}_w") for t in units]
    array["p0"] = [exact(t, "p0_w") for t in units]
    array["i0"] = [max(exact(t, "i0_ppm") / 1e6, exact(t, "p0_w") / exact(t, "sn_1_va")) for t in units]
    array["winding_1"] = WindingType.wye_n
    for k in "23":
        clock = [getattr(t, f"clock_1{k}") for t in units]
        array[f"clock_1{k}"] = clock
        odd = np.array(clock, dtype=np.int64) % 2 == 1
        array[f"winding_{k}"] = np.where(odd, WindingType.delta.value, WindingType.wye_n.value)
    array["tap_side"] = [int(t.tap_side) - 1 for t in units]
    _tap(array, units)
    return array


def _star(t: ThreeWinding) -> dict[str, float]:
    """Uk of each pair as the engine wants them: it adds the sizes of the star's impedances, which do not add as vectors do."""
    rated = [exact(t, f"sn_{k}_va") for k in "123"]
    least = {"12": min(rated[0], rated[1]), "13": min(rated[0], rated[2]), "23": min(rated[1], rated[2])}
    z = {}
    for pair, sn_va in least.items():
        size, real = exact(t, f"uk_{pair}_ppm") / 1e6, exact(t, f"pk_{pair}_w") / sn_va
        z[pair] = complex(real, np.sqrt(max(size**2 - real**2, 0.0))) / sn_va
    arms = {
        "1": (z["12"] + z["13"] - z["23"]) / 2,
        "2": (z["12"] + z["23"] - z["13"]) / 2,
        "3": (z["13"] + z["23"] - z["12"]) / 2,
    }
    length = {k: abs(arm) if arm.imag >= 0 else -abs(arm) for k, arm in arms.items()}
    return {pair: (length[pair[0]] + length[pair[1]]) * sn_va for pair, sn_va in least.items()}


def shunt_admittance(shunts: Sequence[Shunt], network: Network) -> tuple[Array, Array]:
    """Conductance and susceptance of one step, in S."""
    rated = {n.id: exact(n, "u_rated_v") for n in network.nodes}
    per_w = np.array([1.0 / rated[s.node] ** 2 for s in shunts])
    g = np.array([exact(s, "step_w") for s in shunts]) * per_w
    return g, -np.array([exact(s, "step_var") for s in shunts]) * per_w


def _shunts(network: Network, ids: Ids) -> Array:
    array = initialize_array(DatasetType.input, ComponentType.shunt, len(network.shunts))
    array["id"], array["node"] = ids.shunt, [ids.of_node[s.node] for s in network.shunts]
    array["status"] = 1
    if len(array):
        g, b = shunt_admittance(network.shunts, network)
        steps = np.array([s.steps for s in network.shunts])
        array["g1"], array["b1"] = g * steps, b * steps
        array["g0"], array["b0"] = array["g1"], array["b1"]
    return array
