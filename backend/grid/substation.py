"""What the grid above sees of this one: P, Q and voltage per quarter-hour at the primary substation (I-12).

1. The substation is the transformers with an on-load tap changer; a grid without one is seen at its sources.
2. Positive is what is drawn from the grid above. Voltages are those of the busbars it feeds, 1e-12 of rated.
3. A quarter-hour without a solution is named and left out; it stops no other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.errors import Rejected
from backend.grid.flow import States
from backend.grid.network import Network
from backend.nesting import too_deep

SUBSTATION = "lightnode-substation/1"
_MOST = 10**12


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


def parse_substation(text: str, part: str = "after") -> SubstationProfile:
    """The profile in a document of `lightnode grid substation`, "before" or "after" plan and awards. Raises Rejected."""
    try:
        document = {} if too_deep(text) else json.loads(text)
        if document.get("format") != SUBSTATION:
            raise Rejected(f"substation: format, expected {SUBSTATION!r}")
        row = document[part]
        voltages = {int(node): tuple(values) for node, values in row["voltage_ppt"].items()}
        made = SubstationProfile(
            tuple(row["frames"]), tuple(row["power_w"]), tuple(row["power_var"]), voltages, tuple(row["unsolved"])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected(f"substation {part}: {error!r:.120}") from error
    for name in ("frames", "power_w", "power_var", "unsolved"):
        if any(type(value) is not int or abs(value) > _MOST for value in getattr(made, name)):
            raise Rejected(f"substation {part} {name}: expected whole numbers within {_MOST}")
    if not len(made.frames) == len(made.power_w) == len(made.power_var) or not made.frames:
        raise Rejected(f"substation {part}: expected one power_w and power_var for each of one or more frames")
    if list(made.frames) != sorted(set(made.frames)):
        raise Rejected(f"substation {part} frames: expected ascending quarter-hours, each once")
    return made
