"""What the grid rules ask of a power-flow engine: many states of one grid at once, integers in and out.

1. Columns follow the network: loads, generators, connections (PODs), storages, nodes, branches, shunts in its order.
2. Withdrawal is positive. ``delta_w`` and ``delta_var`` come on top of the loads, at the PODs' nodes.
3. A column that is None stands as in the network: storages, taps, steps and switches as they are, no var of PODs or
   generators. An open switch means both ends; an end that the network has open stays as it is.
4. A state without a solution is marked; its numbers are zero and must not be read. A node without supply is not
   ``energized`` and has voltage 0.
5. The same scenarios give the same integers whatever the number of threads, the batch they are in or their order.
6. Per phase, power is shared equally by the phases an element is connected to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from backend.errors import Rejected
from backend.grid.network import Network

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Rows are states to solve.

    W and var per load; W and var per generator; W and var per POD; tap per transformer; W and var per storage; steps that
    are in per shunt; closed or open per line, transformer, link; tap per transformer with three windings.
    """

    load_w: Integers
    load_var: Integers
    generator_w: Integers
    delta_w: Integers
    tap: Integers
    delta_var: Integers | None = None
    generator_var: Integers | None = None
    storage_w: Integers | None = None
    storage_var: Integers | None = None
    shunt_step: Integers | None = None
    line_closed: Booleans | None = None
    transformer_closed: Booleans | None = None
    link_closed: Booleans | None = None
    three_winding_tap: Integers | None = None

    @property
    def count(self) -> int:
        """Number of states."""
        return int(self.load_w.shape[0])

    def rows(self, index: Integers | list[int]) -> "Scenarios":
        """These states, in this order, repeats allowed."""
        at = np.asarray(index, dtype=np.int64)
        kept: dict[str, Any] = {}
        for f in fields(self):
            array = getattr(self, f.name)
            kept[f.name] = None if array is None else array[at]
        return Scenarios(**kept)

    def parts(self, size: int) -> Iterator["Scenarios"]:
        """The same states in consecutive parts of at most ``size`` rows, for workers or bounded memory."""
        for start in range(0, self.count, size):
            yield self.rows(list(range(start, min(start + size, self.count))))

    def with_delta(self, delta_w: Integers, delta_var: Integers | None = None) -> "Scenarios":
        """The same states with these W, and var if given, on top of the loads at each POD."""
        var = self.delta_var if delta_var is None else np.asarray(delta_var, dtype=np.int64)
        return replace(self, delta_w=np.asarray(delta_w, dtype=np.int64), delta_var=var)

    def with_tap(self, tap: Integers) -> "Scenarios":
        """The same states with these tap positions."""
        return replace(self, tap=np.asarray(tap, dtype=np.int64))

    def with_steps(self, shunt_step: Integers) -> "Scenarios":
        """The same states with these steps in at each shunt."""
        return replace(self, shunt_step=np.asarray(shunt_step, dtype=np.int64))

    def with_switches(
        self,
        line_closed: Booleans | None = None,
        link_closed: Booleans | None = None,
        transformer_closed: Booleans | None = None,
    ) -> "Scenarios":
        """The same states with these branches closed (True) or open; a kind not given stays as it is."""
        return replace(
            self,
            line_closed=self.line_closed if line_closed is None else line_closed,
            link_closed=self.link_closed if link_closed is None else link_closed,
            transformer_closed=self.transformer_closed if transformer_closed is None else transformer_closed,
        )


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Solved states. Voltages and loadings in 1e-12 of rated (ppt); transformer P and Q enter at the ``from`` side.

    ``source_w`` and ``source_var``: what each source feeds in.
    """

    solved: Booleans
    voltage_ppt: Integers
    line_ppt: Integers
    transformer_ppt: Integers
    transformer_w: Integers
    transformer_var: Integers
    three_winding_ppt: Integers
    source_w: Integers
    source_var: Integers
    energized: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """What flows in the branches of solved states: P and Q into each end, and current at the ends of lines."""

    solved: Booleans
    line_from_w: Integers
    line_from_var: Integers
    line_to_w: Integers
    line_to_var: Integers
    line_from_ma: Integers
    line_to_ma: Integers
    transformer_to_w: Integers
    transformer_to_var: Integers
    link_from_w: Integers
    link_from_var: Integers


@dataclass(frozen=True, slots=True, eq=False)
class PhaseStates:
    """Solved states per phase. Voltage is phase to ground in 1e-12 of rated / sqrt(3); last axis: phases a, b, c.

    Loading is that of the most loaded phase; ``line_ma`` the current at the ``from`` end.
    """

    solved: Booleans
    voltage_ppt: Integers
    line_ppt: Integers
    line_ma: Integers
    transformer_ppt: Integers


class PowerFlow(Protocol):
    """Engine bound to one network."""

    @property
    def network(self) -> Network:
        """The grid whose states it solves."""
        ...

    def solve(self, scenarios: Scenarios) -> States:
        """States of all scenarios; those that have no solution are marked, never raised."""
        ...


class FlowDetail(PowerFlow, Protocol):
    """Engine that also tells branch flows and phases."""

    def flows(self, scenarios: Scenarios) -> Flows:
        """P, Q and current of the branches."""
        ...

    def solve_phases(self, scenarios: Scenarios) -> PhaseStates:
        """The states with every phase on its own."""
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


def nominal_scenario(network: Network) -> Scenarios:
    """One state: every load, generator and storage at its nominal W and var, whole numbers."""

    def row(values: list[int]) -> Integers:
        return np.array([values], dtype=np.int64)

    made = row([e.q_nominal_var for e in network.generators])
    load_w, load_var = row([e.p_nominal_w for e in network.loads]), row([e.q_nominal_var for e in network.loads])
    state = scenarios_of(network, load_w, load_var, row([e.p_nominal_w for e in network.generators]))
    return replace(state, generator_var=made)
