"""One limit of one grid element in one quarter-hour, linearised: what the market may know of the grid.

1. ``margin_ppt`` is the head-room left, in 1e-12 of per unit: negative means violated.
2. ``effect_ppt_per_w`` is how much of that head-room one more watt of withdrawal uses up.
3. After changes ``dW`` of withdrawal: margin' = margin - sum(effect * dW).
4. What moves is named by its POD; the reactive power of a POD by ``reactive(pod)``, and its W are var.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backend.errors import Rejected

PPT_PER_UNIT = 1_000_000_000_000


def reactive(pod: str) -> str:
    """The name under which a POD's reactive power stands among effects, changes and moves."""
    return f"{pod}/var"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One element, one side, one frame; source: congestion localisation (I-10).

    ``element``: "line:12", "transformer:1", "node:34:low" or "node:34:high"; "network": the frame has no solution, a
    constraint for either way stops whatever would move.
    ``frame``: UTC quarter-hour, utc_ms // 900000.
    ``margin_ppt``: lines and transformers: limit minus loading; node high: limit minus voltage; node low: voltage
    minus limit; 1e-12 of the rating or of the rated voltage.
    ``effect_ppt_per_w``: POD id to head-room used per W of additional withdrawal at that POD (positive eats it).
    ``effect_ppt_per_var``: the same per var; empty if nobody asked for it.
    """

    element: str
    frame: int
    margin_ppt: int
    effect_ppt_per_w: Mapping[str, int] = field(hash=False)
    effect_ppt_per_var: Mapping[str, int] = field(hash=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.element or self.frame < 0:
            raise Rejected(f"constraint {self.element!r}: frame {self.frame} is not a quarter-hour of UTC")
        for name in ("effect_ppt_per_w", "effect_ppt_per_var"):
            given = getattr(self, name)
            object.__setattr__(self, name, MappingProxyType({pod: int(given[pod]) for pod in sorted(given)}))

    @property
    def effects(self) -> Mapping[str, int]:
        """Head-room used per unit of whatever moves, W and var, by its name (rule 4)."""
        if not self.effect_ppt_per_var:
            return self.effect_ppt_per_w
        return {**self.effect_ppt_per_w, **{reactive(pod): ppt for pod, ppt in self.effect_ppt_per_var.items()}}

    @property
    def need_ppt(self) -> int:
        """Relief asked for: zero where the limit holds."""
        return max(0, -self.margin_ppt)

    def margin_after(self, delta_w: Mapping[str, int]) -> int:
        """Head-room (ppt) after changes of withdrawal (W or var, positive = more) by name; unknown names have no effect."""
        effect = self.effects
        return self.margin_ppt - sum(effect.get(pod, 0) * watt for pod, watt in delta_w.items())
