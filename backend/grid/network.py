"""The operator's grid (I-11): the elements of ``element.py`` together, valid as a whole.

1. A Network that exists passed every check of ``check.py``; all findings come at once.
2. Order is the document's; connections are sorted by POD.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.errors import Rejected
from backend.grid.check import findings
from backend.grid.element import (
    Connection,
    Finding,
    Injection,
    Line,
    Link,
    MeasuringPoint,
    Node,
    Shunt,
    Source,
    Storage,
    ThreeWinding,
    Transformer,
)

__all__ = [
    "FORMAT", "FORMATS", "Connection", "Finding", "Injection", "Line", "Link", "MeasuringPoint", "Network", "Node", "Shunt",
    "Source", "Storage", "ThreeWinding", "Transformer", "Unsound", "said",
]  # fmt: skip
FORMAT = "lightnode-network/2"
FORMATS = ("lightnode-network/1", FORMAT)
_MOST_SAID = 20


class Unsound(Rejected):
    """A grid with findings; ``findings`` are all of them, ``reason`` says the first twenty."""

    def __init__(self, what: str, found: Sequence[Finding]) -> None:
        super().__init__(f"{what}: {said(found)}")
        self.findings = tuple(found)


@dataclass(frozen=True, slots=True)
class Network:
    """A grid that passed every check; ``connections`` are sorted by POD."""

    name: str
    frequency_hz: int
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    transformers: tuple[Transformer, ...]
    links: tuple[Link, ...]
    sources: tuple[Source, ...]
    loads: tuple[Injection, ...]
    generators: tuple[Injection, ...]
    connections: tuple[Connection, ...] = ()
    three_windings: tuple[ThreeWinding, ...] = ()
    storages: tuple[Storage, ...] = ()
    shunts: tuple[Shunt, ...] = ()
    measuring_points: tuple[MeasuringPoint, ...] = ()

    def __post_init__(self) -> None:
        found = findings(self)
        if found:
            raise Unsound(f"network {self.name!r}", found)

    def connected(self, pods: Mapping[str, int], phases: Mapping[str, str] | None = None) -> "Network":
        """The same grid with these PODs (POD id to node id) and, where they are not three-phase, their phases."""
        at = phases or {}
        unknown = sorted(set(at) - set(pods))
        if unknown:
            raise Rejected(f"phases of POD {unknown[0]}: not among the PODs to connect")
        return replace(self, connections=tuple(Connection(p, pods[p], at.get(p, "abc")) for p in sorted(pods)))

    def substation(self) -> tuple[Transformer, ...]:
        """The transformers that feed this grid from the one above, those with an on-load tap changer."""
        return tuple(t for t in self.transformers if t.on_load)


def said(found: Iterable[Finding]) -> str:
    """Findings in one line, the first twenty in words and the number of the others."""
    every = list(found)
    more = f"; and {len(every) - _MOST_SAID} more" if len(every) > _MOST_SAID else ""
    return "; ".join(str(f) for f in every[:_MOST_SAID]) + more
