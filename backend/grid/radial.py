"""Radial operation of a grid with switches: which exchanges are possible, and in which order they may be done.

1. What cannot be switched is contracted: nodes joined by it are one place; all sources are one place, the root.
2. An exchange closes one open element and opens one on the way between its ends: no place is lost, no loop stays.
3. A grid that has loops that cannot be opened keeps them; a place that no closed way feeds is never accepted.
4. Any two radial configurations are joined by exchanges that stay radial after each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backend.errors import Rejected
from backend.grid.network import Network

Open = frozenset[str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Close one, then open the other: never an island in between."""

    close: str
    open: str


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The grid as places joined by switchable elements: name of the element to its two places; ``root`` is fed."""

    places: int
    root: int
    ends: Mapping[str, tuple[int, int]]

    def near(self, opened: Open) -> list[list[tuple[str, int]]]:
        """Of each place the closed elements and where they lead, in order of their names."""
        table: list[list[tuple[str, int]]] = [[] for _ in range(self.places)]
        for name in self.ends:
            if name not in opened:
                a, b = self.ends[name]
                table[a].append((name, b))
                table[b].append((name, a))
        return table

    def way(self, opened: Open, element: str) -> tuple[str, ...]:
        """The closed elements between the two ends of an open one; empty if there is no way."""
        start, end = self.ends[element]
        near, came = self.near(opened), {start: ("", -1)}
        todo = [start]
        for place in todo:
            for name, other in near[place]:
                if other not in came:
                    came[other] = (name, place)
                    todo.append(other)
        if end not in came:
            return ()
        names = []
        while end != start:
            name, end = came[end]
            names.append(name)
        return tuple(names)

    def is_fed(self, opened: Open) -> bool:
        """Whether a closed way leads from the root to every place."""
        near, seen, todo = self.near(opened), {self.root}, [self.root]
        for place in todo:
            for _, other in near[place]:
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return len(seen) == self.places

    def is_radial(self, opened: Open) -> bool:
        """Fed everywhere, and no switchable element more than that takes."""
        return self.is_fed(opened) and len(self.ends) - len(opened) == self.places - 1

    def exchanges(self, opened: Open) -> tuple[Exchange, ...]:
        """All exchanges from here that leave every place fed, in order of names."""
        found = []
        for tie in sorted(opened, key=_order):
            found += [
                Exchange(tie, other)
                for other in self.way(opened, tie)
                if self.is_fed((opened - {tie}) | {other})
            ]  # fmt: skip
        return tuple(found)


def after(opened: Open, exchange: Exchange) -> Open:
    """What is open after an exchange."""
    return (opened - {exchange.close}) | {exchange.open}


def ways_of(network: Network, switchable: Iterable[str]) -> Ways:
    """The places of a network and the elements between them that may be switched ("line:7", "link:2").

    Raises Rejected for a name that is not in the network, and for an element whose ends are one place whatever is open.
    """
    names = sorted(set(switchable), key=_order)
    branches = branches_of(network)
    for name in names:
        if name not in branches:
            raise Rejected(f"switchable {name!r}: not a line or a link of network {network.name!r}")
    joined = Joined()
    for name, (a, b, is_closed) in branches.items():
        if is_closed and name not in names:
            joined.join(a, b)
    for t in network.transformers:
        if t.closed:
            joined.join(t.from_node, t.to_node)
    for source in network.sources[1:]:
        joined.join(network.sources[0].node, source.node)
    number: dict[int, int] = {}
    for node in network.nodes:
        number.setdefault(joined.find(node.id), len(number))
    ends = {n: (number[joined.find(branches[n][0])], number[joined.find(branches[n][1])]) for n in names}
    return Ways(
        len(number), number[joined.find(network.sources[0].node)], {n: e for n, e in ends.items() if e[0] != e[1]}
    )


def branches_of(network: Network) -> dict[str, tuple[int, int, bool]]:
    """Lines and links by name: both nodes and whether it is closed at both ends."""
    found = {f"line:{e.id}": (e.from_node, e.to_node, e.from_closed and e.to_closed) for e in network.lines}
    return found | {f"link:{k.id}": (k.from_node, k.to_node, k.closed) for k in network.links}


def towards(ways: Ways, opened: Open, wanted: Open) -> list[Exchange]:
    """The exchanges from here that bring the configuration one element nearer to ``wanted``."""
    return [e for e in ways.exchanges(opened) if e.close not in wanted and e.open in wanted]


def _order(name: str) -> tuple[str, int]:
    kind, _, number = name.partition(":")
    return kind, int(number) if number.isdigit() else -1


class Joined:
    """Which nodes are one place."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def find(self, node: int) -> int:
        """The node that stands for its place."""
        while (above := self._above.get(node, node)) != node:
            self._above[node] = node = self._above.get(above, above)
        return node

    def join(self, a: int, b: int) -> None:
        """Makes two places one."""
        self._above[self.find(a)] = self.find(b)


def busbars(network: Network) -> Joined:
    """Nodes that closed couplers make one busbar."""
    joined = Joined()
    for link in network.links:
        if link.closed:
            joined.join(link.from_node, link.to_node)
    return joined


def named(opened: Sequence[str]) -> tuple[str, ...]:
    """Names in their order: kind, then number."""
    return tuple(sorted(opened, key=_order))
