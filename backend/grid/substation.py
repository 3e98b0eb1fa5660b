"""What the grid above sees of this one: P and Q per quarter-hour at the HV/MV transformers (I-12)."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.errors import Rejected
from backend.grid.flow import States
from backend.grid.network import Network


@dataclass(frozen=True, slots=True)
class SubstationProfile:
    """Primary substation load profile (I-12): W and var drawn from the grid above, positive = withdrawal."""

    frames: tuple[int, ...]
    power_w: tuple[int, ...]
    power_var: tuple[int, ...]


def substation_profile(network: Network, states: States, frames: Sequence[int]) -> SubstationProfile:
    """The sum over the substation's transformers. Raises Rejected if a frame has no solution or there is no substation."""
    columns = [k for k, t in enumerate(network.transformers) if t.on_load]
    if not columns:
        raise Rejected(f"network {network.name!r}: no on-load transformer, so no substation profile")
    if not states.solved.all():
        raise Rejected("substation profile: a frame has no power flow")
    return SubstationProfile(
        tuple(frames),
        tuple(int(w) for w in states.transformer_w[:, columns].sum(axis=1)),
        tuple(int(q) for q in states.transformer_var[:, columns].sum(axis=1)),
    )
