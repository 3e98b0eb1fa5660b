"""What the grid rules ask of a power-flow engine: many states of one grid at once, integers in and out.

1. Columns follow the network: loads, generators, connections (PODs), nodes, lines, transformers in its order.
2. Withdrawal is positive. ``delta_w`` comes on top of the loads, at the PODs' nodes, at unity power factor.
3. A state without a solution is marked; its numbers are zero and must not be read.
4. The same scenarios give the same integers whatever the number of threads, the batch they are in or their order.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from backend.errors import Rejected
from backend.grid.network import Network

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Rows are states to solve: W and var per load, W and var per generator, W per POD, tap per transformer."""

    load_w: Integers
    load_var: Integers
    generator_w: Integers
    delta_w: Integers
    tap: Integers

    @property
    def count(self) -> int:
        """Number of states."""
        return int(self.load_w.shape[0])

    def rows(self, index: Integers | list[int]) -> "Scenarios":
        """These states, in this order, repeats allowed."""
        at = np.asarray(index, dtype=np.int64)
        return Scenarios(self.load_w[at], self.load_var[at], self.generator_w[at], self.delta_w[at], self.tap[at])

    def with_delta(self, delta_w: Integers) -> "Scenarios":
        """The same states with these W on top of the loads at each POD."""
        return Scenarios(self.load_w, self.load_var, self.generator_w, np.asarray(delta_w, dtype=np.int64), self.tap)

    def with_tap(self, tap: Integers) -> "Scenarios":
        """The same states with these tap positions."""
        return Scenarios(self.load_w, self.load_var, self.generator_w, self.delta_w, np.asarray(tap, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Solved states. Voltages and loadings in 1e-12 of rated (ppt); transformer P and Q enter at the ``from`` side."""

    solved: Booleans
    voltage_ppt: Integers
    line_ppt: Integers
    transformer_ppt: Integers
    transformer_w: Integers
    transformer_var: Integers


class PowerFlow(Protocol):
    """Engine bound to one network."""

    @property
    def network(self) -> Network:
        """The grid whose states it solves."""
        ...

    def solve(self, scenarios: Scenarios) -> States:
        """States of all scenarios; those that have no solution are marked, never raised."""
        ...


def scenarios_of(network: Network, load_w: Integers, load_var: Integers, generator_w: Integers) -> Scenarios:
    """Scenarios without changes at PODs and with the taps as they stand. Raises Rejected for a wrong shape."""
    count = int(load_w.shape[0])
    for name, array, width in (
        ("load_w", load_w, len(network.loads)),
        ("load_var", load_var, len(network.loads)),
        ("generator_w", generator_w, len(network.generators)),
    ):
        if array.shape != (count, width) or array.dtype != np.int64:
            raise Rejected(f"{name}: {array.dtype} {array.shape}, expected int64 ({count}, {width})")
    tap = np.array([t.tap_position for t in network.transformers], dtype=np.int64)
    return Scenarios(
        load_w,
        load_var,
        generator_w,
        np.zeros((count, len(network.connections)), dtype=np.int64),
        np.tile(tap, (count, 1)),
    )
