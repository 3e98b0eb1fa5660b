"""A measured figure beside a peer and a target, and how a bench prints its figures (one table or one JSON object)."""

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """value in unit. peer: what it was measured beside, its value in the same unit. target: of the ratio peer / value if
    there is a peer, else of the value; at_least: the target is a lower bound."""

    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    target: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times less this is than its peer."""
        return None if self.peer_value is None else round(self.peer_value / self.value, 2)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        if self.ratio is not None:
            return self.ratio >= self.target
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> dict[str, object]:
        """The object of one figure."""
        return {
            "value": self.value, "unit": self.unit, "peer": self.peer, "peer_value": self.peer_value, "ratio": self.ratio,
            "target": self.target, "met": self.met,
        }  # fmt: skip


def as_json(figures: Mapping[str, Figure], versions: Mapping[str, str]) -> str:
    """{"figures": {name: ...}, "machine": ..., "versions": {...}}."""
    found = {name: figure.as_json() for name, figure in figures.items()}
    machine = f"{platform.machine()}, {platform.system()}, Python {sys.version.split()[0]}"
    return json.dumps({"figures": found, "machine": machine, "versions": dict(versions)}, indent=1)


def table(figures: Mapping[str, Figure]) -> str:
    """The figures for a reader."""
    lines = [f"{'figure':32} {'value':>14} {'unit':22} {'peer':>14} {'ratio':>7}  target"]
    for name, one in figures.items():
        peer = f"{one.peer_value:,.6g}" if one.peer_value is not None else "-"
        ratio = f"{one.ratio:.1f}" if one.ratio is not None else "-"
        bound = "at least" if one.at_least or one.ratio is not None else "at most"
        target = "" if one.target is None else f"{bound} {one.target:,.6g}: {'met' if one.met else 'MISSED'}"
        lines.append(f"{name:32} {one.value:>14,.10g} {one.unit:22} {peer:>14} {ratio:>7}  {target}".rstrip())
    return "\n".join(lines)
