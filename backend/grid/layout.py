"""Where a one-line picture puts each node: feeders as rows, distance from the source as columns.

1. Nodes joined by closed couplers are one place; the tree of closed branches grows from the sources, breadth first.
2. The child with the most nodes behind it goes straight on in its parent's row; the others open rows below, the larger
   first, so that a feeder is a block of rows and its trunk its first line.
3. A branch that is open, or closes a ring, is a tie: it joins places and moves none.
4. Dead places come last, in rows of their own.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from backend.grid.network import Network


@dataclass(frozen=True, slots=True)
class Edge:
    """A branch between two places; ``tie``: not of the tree."""

    kind: str
    index: int
    a: int
    b: int
    closed: bool
    tie: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Place (a number) of each node id; column and row of each place; branches; places of sources."""

    place_of: dict[int, int]
    column: tuple[int, ...]
    row: tuple[int, ...]
    edges: tuple[Edge, ...]
    roots: tuple[int, ...]


def layout(network: Network) -> Layout:
    """The picture's geometry; the same network gives the same picture."""
    place_of = joined_places(network)
    branches = [e for e in _branches(network, place_of) if e.a != e.b]
    roots = tuple(sorted({place_of[s.node] for s in network.sources}))
    count = max(place_of.values()) + 1
    near: list[list[int]] = [[] for _ in range(count)]
    for k, edge in enumerate(branches):
        if edge.closed:
            near[edge.a].append(k)
            near[edge.b].append(k)
    children, tree, column, order = _tree(branches, near, roots, count)
    row = _rows(children, order, roots)
    last = max(row.values(), default=-1)
    for place in range(count):
        if place not in row:
            last += 1
            row[place] = last
    edges = tuple(Edge(e.kind, e.index, e.a, e.b, e.closed, k not in tree) for k, e in enumerate(branches))
    return Layout(place_of, tuple(column), tuple(row[p] for p in range(count)), edges, roots)


def joined_places(network: Network) -> dict[int, int]:
    """A number for each node id; nodes joined by closed couplers have the same."""
    above = {n.id: n.id for n in network.nodes}

    def top(node: int) -> int:
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for link in network.links:
        if link.closed:
            above[top(link.from_node)] = top(link.to_node)
    numbers: dict[int, int] = {}
    return {n.id: numbers.setdefault(top(n.id), len(numbers)) for n in network.nodes}


def _branches(network: Network, place_of: dict[int, int]) -> Iterator[Edge]:
    for k, line in enumerate(network.lines):
        closed = line.from_closed and line.to_closed
        yield Edge("line", k, place_of[line.from_node], place_of[line.to_node], closed, False)
    for k, t in enumerate(network.transformers):
        closed = t.closed and not t.open_end
        yield Edge("transformer", k, place_of[t.from_node], place_of[t.to_node], closed, False)
    for k, three in enumerate(network.three_windings):
        ends = ((three.node_2, three.closed_2), (three.node_3, three.closed_3))
        for node, closed in ends:
            yield Edge("three_winding", k, place_of[three.node_1], place_of[node], closed and three.closed_1, False)
    for k, link in enumerate(network.links):
        yield Edge("link", k, place_of[link.from_node], place_of[link.to_node], link.closed, False)


def _tree(
    branches: list[Edge], near: list[list[int]], roots: tuple[int, ...], count: int
) -> tuple[list[list[int]], set[int], list[int], list[int]]:
    children: list[list[int]] = [[] for _ in range(count)]
    column, seen, tree = [0] * count, set(roots), set()
    todo, order = deque(roots), []
    while todo:
        place = todo.popleft()
        order.append(place)
        for k in near[place]:
            other = branches[k].b if branches[k].a == place else branches[k].a
            if other not in seen:
                seen.add(other)
                tree.add(k)
                children[place].append(other)
                column[other] = column[place] + 1
                todo.append(other)
    return children, tree, column, order


def _rows(children: list[list[int]], order: list[int], roots: tuple[int, ...]) -> dict[int, int]:
    size = [1] * len(children)
    for place in reversed(order):
        size[place] += sum(size[c] for c in children[place])
    row: dict[int, int] = {}
    following = 0
    for root in roots:
        todo = [(root, -1)]
        while todo:
            place, straight = todo.pop()
            if straight < 0:
                straight, following = following, following + 1
            row[place] = straight
            ordered = sorted(children[place], key=lambda c: (-size[c], c))
            todo += [(c, -1) for c in reversed(ordered[1:])]
            todo += [(c, straight) for c in ordered[:1]]
    return row
