"""What the grid above sees of this one: P, Q and voltage per quarter-hour at the primary substation (I-12).

1. The substation is the transformers with an on-load tap changer; a grid without one is seen at its sources.
2. Positive is what is drawn from the grid above. Voltages are those of the busbars it feeds, 1e-12 of rated.
3. A quarter-hour without a solution is named and left out; it stops no other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.errors import Rejected
from backend.grid.flow import States
from backend.grid.network import Network


@dataclass(frozen=True, slots=True)
class SubstationProfile:
    """Primary substation load profile (I-12): W and var drawn from the grid above, and ppt of rated by busbar's node."""

    frames: tuple[int, ...]
    power_w: tuple[int, ...]
    power_var: tuple[int, ...]
    voltage_ppt: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    unsolved: tuple[int, ...] = ()


def substation_profile(network: Network, states: States, frames: Sequence[int]) -> SubstationProfile:
    """The sum over the substation's transformers, or over the sources. Raises Rejected if no frame has a solution."""
    good = np.flatnonzero(states.solved)
    if not len(good):
        raise Rejected("substation profile: no frame has a power flow")
    columns = [k for k, t in enumerate(network.transformers) if t.on_load]
    if columns:
        watts, var = states.transformer_w[:, columns], states.transformer_var[:, columns]
        busbars = sorted({network.transformers[k].to_node for k in columns})
    else:
        watts, var = states.source_w, states.source_var
        busbars = sorted({source.node for source in network.sources})
    place = {node.id: k for k, node in enumerate(network.nodes)}
    return SubstationProfile(
        tuple(frames[row] for row in good.tolist()),
        tuple(int(w) for w in watts[good].sum(axis=1)),
        tuple(int(q) for q in var[good].sum(axis=1)),
        {node: tuple(int(v) for v in states.voltage_ppt[good, place[node]]) for node in busbars},
        tuple(frame for frame, solved in zip(frames, states.solved.tolist(), strict=True) if not solved),
    )
