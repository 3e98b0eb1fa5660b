"""The operator's grid as records of integers (I-11), and what is wrong with one that came from outside.

1. Every quantity is an integer with its unit in the name; a number with a fraction, a NaN or a bool is a finding.
2. Ids are unique within a kind; every end, load, generator and POD names an existing node.
3. Every node is fed by a source through closed branches: no islands.
4. No branch has zero impedance (a coupler is a link), no rating is zero.
5. Numbers that look like kW for W, A for mA or kV for V are findings, not warnings.
All findings come at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from backend.errors import Rejected

FORMAT = "lightnode-network/1"
_MV_V = 1_000


@dataclass(frozen=True, slots=True)
class Node:
    """Bus; the voltage band is the operator's, in 1e-6 of ``u_rated_v``."""

    id: int
    name: str
    u_rated_v: int
    u_min_ppm: int
    u_max_ppm: int


@dataclass(frozen=True, slots=True)
class Line:
    """Branch between nodes of one voltage: series uOhm, shunt pF, rating in mA; an end may be open."""

    id: int
    name: str
    from_node: int
    to_node: int
    from_closed: bool
    to_closed: bool
    r_uohm: int
    x_uohm: int
    c_pf: int
    rated_ma: int


@dataclass(frozen=True, slots=True)
class Transformer:
    """Two windings; loading is apparent power over ``sn_va``. ``tap_side`` is "from" or "to"."""

    id: int
    name: str
    from_node: int
    to_node: int
    closed: bool
    u_from_v: int
    u_to_v: int
    sn_va: int
    uk_ppm: int
    pk_w: int
    i0_ppm: int
    p0_w: int
    clock: int
    tap_side: str
    tap_min: int
    tap_max: int
    tap_nominal: int
    tap_position: int
    tap_size_mv: int
    on_load: bool


@dataclass(frozen=True, slots=True)
class Link:
    """Coupler without impedance between two nodes."""

    id: int
    name: str
    from_node: int
    to_node: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Stiff feed from the grid above, at ``u_ref_ppm`` of the node's rated voltage."""

    id: int
    node: int
    u_ref_ppm: int


@dataclass(frozen=True, slots=True)
class Injection:
    """Load (withdrawal positive) or generator (injection positive): nominal W and var, name of its profile."""

    id: int
    name: str
    node: int
    profile: str
    p_nominal_w: int
    q_nominal_var: int


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a POD is connected (I-02)."""

    pod: str
    node: int


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

    def __post_init__(self) -> None:
        found = findings(self)
        if found:
            raise Rejected(f"network {self.name!r}: " + "; ".join(str(f) for f in found))

    def connected(self, pods: Mapping[str, int]) -> "Network":
        """The same grid with these PODs (POD id to node id)."""
        return replace(self, connections=tuple(Connection(pod, pods[pod]) for pod in sorted(pods)))

    def substation(self) -> tuple[Transformer, ...]:
        """The transformers that feed this grid from the one above, those with an on-load tap changer."""
        return tuple(t for t in self.transformers if t.on_load)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a network: where, what it says, what is expected."""

    element: str
    field: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"{self.element} {self.field} = {self.value!r}, expected {self.expected}"


def findings(network: Network) -> tuple[Finding, ...]:
    """Everything wrong with this network, in reading order; empty means usable."""
    found = [*_duplicates(network), *_values(network), *_ends(network)]
    return tuple(found) if found else tuple(_islands(network))


def _elements(network: Network) -> Iterator[tuple[str, tuple[object, ...]]]:
    yield "node", network.nodes
    yield "line", network.lines
    yield "transformer", network.transformers
    yield "link", network.links
    yield "source", network.sources
    yield "load", network.loads
    yield "generator", network.generators


def _duplicates(network: Network) -> Iterator[Finding]:
    for kind, elements in _elements(network):
        seen: set[object] = set()
        for element in elements:
            key = getattr(element, "id")  # noqa: B009
            if key in seen:
                yield Finding(f"{kind}:{key}", "id", key, f"an id that no other {kind} has")
            seen.add(key)
    pods = [c.pod for c in network.connections]
    for pod in sorted({p for p in pods if pods.count(p) > 1}):
        yield Finding(f"pod:{pod}", "pod", pod, "one connection for each POD")
    if not network.sources:
        yield Finding("network", "sources", 0, "at least one source")


Rule = tuple[str, Callable[[int], bool], str]
_POSITIVE = "a whole number above 0"
_RULES: dict[str, tuple[Rule, ...]] = {
    "node": (
        ("u_rated_v", lambda v: v > 0, _POSITIVE),
        ("u_rated_v", lambda v: v >= 100, "V, at least 100 (is it kV?)"),
        ("u_min_ppm", lambda v: 500_000 <= v < 1_000_000, "ppm, 500000 to 999999"),
        ("u_max_ppm", lambda v: 1_000_000 < v <= 1_500_000, "ppm, 1000001 to 1500000"),
    ),
    "line": (
        ("rated_ma", lambda v: v > 0, _POSITIVE),
        ("rated_ma", lambda v: v >= 1_000, "mA, at least 1000 (is it A?)"),
        ("r_uohm", lambda v: v >= 0, "0 or more"),
        ("c_pf", lambda v: v >= 0, "0 or more"),
    ),
    "transformer": (
        ("sn_va", lambda v: v >= 5_000, "VA, at least 5000 (is it kVA?)"),
        ("uk_ppm", lambda v: 0 < v < 1_000_000, "ppm, 1 to 999999"),
        ("pk_w", lambda v: v >= 0, "0 or more"),
        ("p0_w", lambda v: v >= 0, "0 or more"),
        ("clock", lambda v: 0 <= v <= 11, "0 to 11"),
        ("tap_size_mv", lambda v: v >= 0, "0 or more"),
    ),
    "source": (("u_ref_ppm", lambda v: 500_000 <= v <= 1_500_000, "ppm, 500000 to 1500000"),),
}


def _values(network: Network) -> Iterator[Finding]:
    for kind, elements in _elements(network):
        for element in elements:
            name = f"{kind}:{getattr(element, 'id')}"  # noqa: B009
            for field, holds, expected in _RULES.get(kind, ()):
                value = getattr(element, field)
                if not holds(value):
                    yield Finding(name, field, value, expected)
                    break
    for line in network.lines:
        if line.r_uohm == 0 and line.x_uohm == 0:
            yield Finding(f"line:{line.id}", "x_uohm", 0, "an impedance above 0 (a coupler belongs in links)")
    for t in network.transformers:
        if t.tap_side not in ("from", "to"):
            yield Finding(f"transformer:{t.id}", "tap_side", t.tap_side, '"from" or "to"')
        if not min(t.tap_min, t.tap_max) <= t.tap_position <= max(t.tap_min, t.tap_max):
            yield Finding(f"transformer:{t.id}", "tap_position", t.tap_position, f"{t.tap_min} to {t.tap_max}")


def _ends(network: Network) -> Iterator[Finding]:
    rated = {n.id: n.u_rated_v for n in network.nodes}
    for kind, elements in _elements(network):
        for element in elements:
            for field in ("from_node", "to_node", "node"):
                node = getattr(element, field, None)
                if node is not None and node not in rated:
                    yield Finding(f"{kind}:{getattr(element, 'id')}", field, node, "the id of a node")  # noqa: B009
    for connection in network.connections:
        if connection.node not in rated:
            yield Finding(f"pod:{connection.pod}", "node", connection.node, "the id of a node")
    for line in network.lines:
        a, b = rated.get(line.from_node), rated.get(line.to_node)
        if a is not None and b is not None and a != b:
            yield Finding(f"line:{line.id}", "to_node", line.to_node, f"a node of {a} V, not {b} V")
    for load in network.loads:
        if rated.get(load.node, 0) >= _MV_V and 0 < abs(load.p_nominal_w) < 1_000:
            yield Finding(f"load:{load.id}", "p_nominal_w", load.p_nominal_w, "W at a node above 1 kV (is it kW?)")


def _islands(network: Network) -> Iterator[Finding]:
    near: dict[int, list[int]] = {n.id: [] for n in network.nodes}
    closed = [(line.from_node, line.to_node) for line in network.lines if line.from_closed and line.to_closed]
    closed += [(t.from_node, t.to_node) for t in network.transformers if t.closed]
    closed += [(k.from_node, k.to_node) for k in network.links if k.closed]
    for a, b in closed:
        near[a].append(b)
        near[b].append(a)
    fed = reach(near, (s.node for s in network.sources))
    for node in network.nodes:
        if node.id not in fed:
            yield Finding(f"node:{node.id}", "feed", "none", "a closed way to a source (island)")


def reach(near: Mapping[int, Iterable[int]], start: Iterable[int]) -> set[int]:
    """All nodes that can be reached from ``start``."""
    found = set(start)
    todo = list(found)
    while todo:
        for node in near[todo.pop()]:
            if node not in found:
                found.add(node)
                todo.append(node)
    return found
