"""A long time of quarter-hours of one grid: states made from profiles part by part, and the worst of each element kept.

1. A load is its nominal power times its profile (1e-6), a generator likewise; a profile that is not there is flat.
2. Extremes join by minimum, maximum and sum: the same whatever the parts and their order.
3. A quarter-hour without a solution is counted, and nothing of it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.grid.flow import Booleans, Integers, PowerFlow, Scenarios, States, scenarios_of
from backend.grid.forecast import divide_half_even
from backend.grid.network import Network

_PPM = 1_000_000
_NONE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Quarter-hours first <= row < end of the profiles ("load/H0-A/p", "load/H0-A/q", "generator/PV3/p", 1e-6 of nominal)."""

    profiles: Mapping[str, Integers]

    @property
    def count(self) -> int:
        """Quarter-hours in the profiles."""
        return min((len(values) for values in self.profiles.values()), default=0)

    def part(self, first: int, end: int) -> "Stretch":
        """These rows only: what a worker needs."""
        return Stretch({name: values[first:end] for name, values in self.profiles.items()})

    def scenarios(self, network: Network) -> Scenarios:
        """The states of all rows (rule 1)."""

        def table(kind: str, what: str, nominal: list[int], names: list[str]) -> Integers:
            flat = np.full(self.count, _PPM, dtype=np.int64)
            columns = [self.profiles.get(f"{kind}/{name}/{what}", flat) for name in names]
            shape = np.stack(columns, axis=1) if columns else np.zeros((self.count, 0), dtype=np.int64)
            return divide_half_even(shape * np.array(nominal, dtype=np.int64), _PPM)

        loads, made = network.loads, network.generators
        of_load, of_made = [e.profile for e in loads], [e.profile for e in made]
        return scenarios_of(
            network,
            table("load", "p", [e.p_nominal_w for e in loads], of_load),
            table("load", "q", [e.q_nominal_var for e in loads], of_load),
            table("generator", "p", [e.p_nominal_w for e in made], of_made),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """Of count quarter-hours, unsolved among them: lowest and highest voltage per node, highest loading per line and
    transformer (1e-12 of rated)."""

    count: int
    unsolved: int
    low_ppt: Integers
    high_ppt: Integers
    line_ppt: Integers
    transformer_ppt: Integers

    def joined(self, other: "Extremes") -> "Extremes":
        """Of both (rule 2)."""
        return Extremes(
            self.count + other.count,
            self.unsolved + other.unsolved,
            np.minimum(self.low_ppt, other.low_ppt),
            np.maximum(self.high_ppt, other.high_ppt),
            np.maximum(self.line_ppt, other.line_ppt),
            np.maximum(self.transformer_ppt, other.transformer_ppt),
        )

    def as_bytes(self) -> bytes:
        """For comparison: all of it."""
        head = np.array([self.count, self.unsolved], dtype=np.int64)
        return b"".join(a.tobytes() for a in (head, self.low_ppt, self.high_ppt, self.line_ppt, self.transformer_ppt))


def extremes_of(states: States) -> Extremes:
    """The worst of each element over solved states; a dead node and a part without any have the limits of a number."""
    on = states.solved

    def lowest(values: Integers, there: Booleans) -> Integers:
        return np.asarray(np.where(there, values, _NONE).min(axis=0, initial=_NONE), dtype=np.int64)

    def highest(values: Integers) -> Integers:
        return np.asarray(np.where(on[:, None], values, 0).max(axis=0, initial=0), dtype=np.int64)

    return Extremes(
        len(on), int((~on).sum()), lowest(states.voltage_ppt, on[:, None] & states.energized),
        highest(states.voltage_ppt), highest(states.line_ppt), highest(states.transformer_ppt),
    )  # fmt: skip


def worst_of(flow: PowerFlow, stretch: Stretch) -> Extremes:
    """Solves a stretch and keeps the worst: the work of one worker."""
    return extremes_of(flow.solve(stretch.scenarios(flow.network)))
