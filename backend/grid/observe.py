"""Which parts of a grid the measurements say nothing about: named, never guessed in silence.

1. The flow in a branch is known if it is measured at an end, or if it is the only unknown one at a node whose injection is
   known. A node without load, generator or source has injection zero; one with them is known if each is measured.
2. What that leaves may still be solved together (meshes): the rank of the remaining equations decides.
3. Dead parts need no measurement: only nodes that a source feeds through closed branches count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.grid.check import reach
from backend.grid.measurement import Measurement, Quantity
from backend.grid.network import Network

Branch = tuple[str, int, int, int]
"""Kind, id, from node, to node. A transformer with three windings is a star whose middle has a negative number."""
_GOLDEN = 0.6180339887498949
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Unobservable:
    """Branches whose flow nothing tells, and the loads, generators and sources that are measured nowhere there."""

    branches: tuple[str, ...]
    injections: tuple[str, ...]


def unobservable(network: Network, measured: Sequence[Measurement], opened: Iterable[str] = ()) -> Unobservable:
    """What cannot be told from these measurements; opened: branches ("line:3") that a breaker reported open."""
    branches = closed_branches(network, opened)
    alive = fed(network, branches)
    branches = [b for b in branches if b[2] in alive]
    said = {f"{m.kind}:{m.element}" for m in measured if m.quantity is not Quantity.VOLTAGE}
    silent = [(f"{kind}:{id}", node) for kind, id, node in _injections(network) if node in alive]
    silent = [(name, node) for name, node in silent if name not in said]
    known = alive - {node for _, node in silent}
    unknown = {b for b in branches if f"{b[0]}:{b[1]}" not in said}
    _peel(unknown, known, alive)
    free = _free(sorted(unknown), known)
    touched = {node for b in free for node in b[2:]}
    return Unobservable(
        tuple(f"{kind}:{id}" for kind, id, _, _ in free), tuple(name for name, node in silent if node in touched)
    )


def closed_branches(network: Network, opened: Iterable[str] = ()) -> list[Branch]:
    """Branches that connect their nodes."""
    out = set(opened)
    every: list[Branch] = [
        ("line", e.id, e.from_node, e.to_node) for e in network.lines if e.from_closed and e.to_closed
    ]
    every += [
        ("transformer", t.id, t.from_node, t.to_node) for t in network.transformers if t.closed and not t.open_end
    ]
    every += [("link", k.id, k.from_node, k.to_node) for k in network.links if k.closed]
    for unit in network.three_windings:
        ends = ((unit.node_1, unit.closed_1), (unit.node_2, unit.closed_2), (unit.node_3, unit.closed_3))
        every += [("three_winding", unit.id, node, -1 - unit.id) for node, closed in ends if closed]
    return [b for b in every if f"{b[0]}:{b[1]}" not in out]


def fed(network: Network, branches: Iterable[Branch]) -> set[int]:
    """Nodes that a source feeds (rule 3)."""
    near: dict[int, list[int]] = {node.id: [] for node in network.nodes}
    for _, _, a, b in branches:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    return reach(near, (source.node for source in network.sources))


def _injections(network: Network) -> list[tuple[str, int, int]]:
    found = [("load", e.id, e.node) for e in network.loads] + [("storage", e.id, e.node) for e in network.storages]
    found += [("generator", e.id, e.node) for e in network.generators]
    return found + [("source", s.id, s.node) for s in network.sources]


def _peel(unknown: set[Branch], known: set[int], nodes: Iterable[int]) -> None:
    """Takes out what rule 1 tells, until nothing more follows."""
    at: dict[int, set[Branch]] = {node: set() for node in nodes}
    for branch in unknown:
        at[branch[2]].add(branch)
        at[branch[3]].add(branch)
    todo = [node for node in at if node in known and len(at[node]) == 1]
    while todo:
        node = todo.pop()
        if len(at[node]) != 1:
            continue
        (branch,) = at[node]
        unknown.discard(branch)
        for end in branch[2:]:
            at[end].discard(branch)
            if end in known and len(at[end]) == 1:
                todo.append(end)


def _free(unknown: Sequence[Branch], known: set[int]) -> list[Branch]:
    """Of branches that peeling left, those whose angle the equations at their known nodes leave free (rule 2)."""
    if not unknown:
        return []
    places = {node: k for k, node in enumerate(dict.fromkeys(n for b in unknown for n in b[2:]))}
    weight = [1.0 + (k * _GOLDEN) % 1.0 for k in range(len(unknown))]
    rows = np.zeros((len(places), len(places)))
    for (_, _, a, b), share in zip(unknown, weight, strict=True):
        for node, other in ((a, b), (b, a)):
            if node in known:
                rows[places[node], places[node]] += share
                rows[places[node], places[other]] -= share
    _, sizes, right = np.linalg.svd(rows)
    null = right[sizes < _TOLERANCE * max(1.0, float(sizes.max()))]
    spread = [np.abs(null[:, places[b[2]]] - null[:, places[b[3]]]).max(initial=0.0) for b in unknown]
    return [b for b, gap in zip(unknown, spread, strict=True) if gap > 1e-6]
