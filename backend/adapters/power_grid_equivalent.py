"""Transformers that are equivalents, as the engine's generic branches: what turns the phase freely, or is of negative reactance.

1. The engine's transformer turns by whole hours and has a positive uk; its generic branch has any ratio and angle, and takes a
   negative resistance or reactance. It stands at its one tap position and is for balanced states only.
2. Impedances are at the ``to`` winding as tapped, the ratio is that of the windings over that of the nodes.
3. In an answer the two kinds are one list again, in the network's order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from power_grid_model import ComponentType, DatasetType, initialize_array

from backend.grid.element import Transformer, exact

Array = npt.NDArray[Any]


def equivalents(
    units: Sequence[Transformer], ids: Array, of_node: Mapping[int, int], rated_v: Mapping[int, float]
) -> Array:
    """Generic branches of these equivalents; rated_v: by node of the network."""
    array = initialize_array(DatasetType.input, ComponentType.generic_branch, len(units))
    array["id"], array["sn"] = ids, [exact(t, "sn_va") for t in units]
    array["from_node"], array["to_node"] = [of_node[t.from_node] for t in units], [of_node[t.to_node] for t in units]
    array["from_status"] = [t.closed and t.open_end != "from" for t in units]
    array["to_status"] = [t.closed and t.open_end != "to" for t in units]
    for row, unit in zip(array, units, strict=True):
        _fill(row, unit, rated_v)
    return array


def _fill(row: Any, unit: Transformer, rated_v: Mapping[int, float]) -> None:
    from_v, to_v = exact(unit, "u_from_v"), exact(unit, "u_to_v")
    moved_v = (unit.tap_position - unit.tap_nominal) * exact(unit, "tap_size_mv") / 1e3
    if unit.tap_side == "from":
        from_v += moved_v
    else:
        to_v += moved_v
    sn_va, uk, i0 = exact(unit, "sn_va"), exact(unit, "uk_ppm") / 1e6, exact(unit, "i0_ppm") / 1e6
    ohm, r, g = to_v**2 / sn_va, exact(unit, "pk_w") / sn_va, exact(unit, "p0_w") / sn_va
    row["r1"], row["x1"] = r * ohm, np.copysign(np.sqrt(max(uk**2 - r**2, 0.0)), uk) * ohm
    row["g1"], row["b1"] = g / ohm, -np.sqrt(max(i0**2 - g**2, 0.0)) / ohm
    row["k"] = from_v / to_v * rated_v[unit.to_node] / rated_v[unit.from_node]
    row["theta"] = np.deg2rad(30 * unit.clock + exact(unit, "turn_mdeg") / 1e3)


def column_of(answer: Any, kind: str, column: str, apart: Array) -> Array:
    """A column of an answer, by scenario and element; of transformers, those ``apart`` are generic branches (rule 3)."""
    if kind != "transformer" or not apart.any():
        return np.asarray(answer[ComponentType(kind)][column])
    others = np.asarray(answer[ComponentType.generic_branch][column])
    values = np.zeros((*others.shape[:-1], len(apart)), dtype=others.dtype)
    values[..., apart] = others
    if not apart.all():
        values[..., ~apart] = answer[ComponentType.transformer][column]
    return values
