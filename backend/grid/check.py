"""What is wrong with a grid that came from outside: every finding, with element, field, value and what is expected.

1. Ids are unique within a kind; every end, load, generator, storage, shunt, POD and measuring point names what exists.
2. Every node is fed by a source through closed branches, or is marked ``dead`` and carries no POD.
3. No branch has zero impedance (a coupler is a link), no rating is zero.
4. Numbers that look like kW for W, A for mA, kV for V or kVA for VA are findings, not warnings.
5. A rest is of a quantity of its element, and less than one unit.
6. A number with a fraction, a NaN or a bool is a finding where the document is read.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from backend.grid.element import MILLION, PHASES, Finding, Injection, Storage

MV_V = 1_000
LEAST_LOAD_W = {"LV": 20, "MV": 1_000}
MOST_TIMES_RATED = 10
UNLIMITED_MA = 7_000_000
NO_RATING_VA = 5_000_000_000
UNRATED_VA = 99_999_000  # 99999 kVA: what planners' tools write where a transformer has no rating
ENDS = ("from_node", "to_node", "node", "node_1", "node_2", "node_3")


class Grid(Protocol):
    """What is checked: the lists of a network."""

    @property
    def nodes(self) -> tuple[Any, ...]: ...
    @property
    def lines(self) -> tuple[Any, ...]: ...
    @property
    def transformers(self) -> tuple[Any, ...]: ...
    @property
    def three_windings(self) -> tuple[Any, ...]: ...
    @property
    def links(self) -> tuple[Any, ...]: ...
    @property
    def sources(self) -> tuple[Any, ...]: ...
    @property
    def loads(self) -> tuple[Any, ...]: ...
    @property
    def generators(self) -> tuple[Any, ...]: ...
    @property
    def storages(self) -> tuple[Any, ...]: ...
    @property
    def shunts(self) -> tuple[Any, ...]: ...
    @property
    def connections(self) -> tuple[Any, ...]: ...
    @property
    def measuring_points(self) -> tuple[Any, ...]: ...


def findings(network: Grid) -> tuple[Finding, ...]:
    """Everything wrong with this network, in reading order; empty means usable. Islands are sought in a sound one only."""
    found = [*_duplicates(network), *_values(network), *_rests(network), *_ends(network), *_points(network)]
    found += _magnitudes(network)
    return tuple(found) if found else tuple(_islands(network))


def elements(network: Grid) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Kind and elements of each list that has ids."""
    yield "node", network.nodes
    yield "line", network.lines
    yield "transformer", network.transformers
    yield "three_winding", network.three_windings
    yield "link", network.links
    yield "source", network.sources
    yield "load", network.loads
    yield "generator", network.generators
    yield "storage", network.storages
    yield "shunt", network.shunts
    yield "measuring_point", network.measuring_points


def called(kind: str, element: Any) -> str:
    """What a finding calls an element: kind:id and, if it has one, its name in quotes."""
    return f'{kind}:{element.id} "{element.name}"' if element.name else f"{kind}:{element.id}"


def _duplicates(network: Grid) -> Iterator[Finding]:
    for kind, every in elements(network):
        seen: set[int] = set()
        for element in every:
            if element.id in seen:
                yield Finding(called(kind, element), "id", element.id, f"an id that no other {kind} has")
            seen.add(element.id)
    for pod, count in sorted(Counter(c.pod for c in network.connections).items()):
        if count > 1:
            yield Finding(f"pod:{pod}", "pod", pod, "one connection for each POD")
    if not network.sources:
        yield Finding("network", "sources", 0, "at least one source")


Rule = tuple[str, Callable[[Any], bool], str]
_POSITIVE = "a whole number above 0"


def _at_least_0(*names: str) -> tuple[Rule, ...]:
    return tuple((name, lambda v: v >= 0, "0 or more") for name in names)


def _rated(names: tuple[str, ...], least: int, expected: str) -> tuple[Rule, ...]:
    return tuple((name, lambda v: v == 0 or v >= least, expected) for name in names)


_TAP: tuple[Rule, ...] = (
    *_at_least_0("p0_w", "i0_ppm", "tap_size_mv"),
    ("clock", lambda v: 0 <= v <= 11, "0 to 11"),
)
_PHASE: Rule = ("phases", lambda v: v in PHASES, "one of " + ", ".join(PHASES))
_RULES: dict[str, tuple[Rule, ...]] = {
    "node": (
        ("u_rated_v", lambda v: v > 0, _POSITIVE),
        ("u_rated_v", lambda v: v >= 100, "V, at least 100 (is it kV?)"),
        ("u_rated_v", lambda v: v <= 1_200_000, "V, at most 1200000 (is it mV?)"),
        ("u_min_ppm", lambda v: 500_000 <= v < 1_000_000, "ppm, 500000 to 999999"),
        ("u_max_ppm", lambda v: 1_000_000 < v <= 1_500_000, "ppm, 1000001 to 1500000"),
    ),
    "line": (
        ("rated_ma", lambda v: v > 0, _POSITIVE),
        ("rated_ma", lambda v: v >= 1_000, "mA, at least 1000 (is it A?)"),
        *_rated(("summer_ma", "winter_ma", "emergency_ma"), 1_000, "mA, 0 or at least 1000 (is it A?)"),
        *_at_least_0("g_ps", "r0_uohm", "x0_uohm", "c0_pf"),
    ),
    "transformer": (
        ("sn_va", lambda v: v >= 5_000, "VA, at least 5000 (is it kVA?)"),
        *_rated(("summer_va", "winter_va", "emergency_va"), 5_000, "VA, 0 or at least 5000 (is it kVA?)"),
        ("tap_side", lambda v: v in ("from", "to"), '"from" or "to"'),
        ("open_end", lambda v: v in ("", "from", "to"), '"", "from" or "to"'),
        *_TAP,
    ),
    "three_winding": (
        *((f"sn_{k}_va", lambda v: v >= 5_000, "VA, at least 5000 (is it kVA?)") for k in "123"),
        *((f"uk_{k}_ppm", lambda v: 0 < v < 1_000_000, "ppm, 1 to 999999") for k in ("12", "13", "23")),
        *_at_least_0("pk_12_w", "pk_13_w", "pk_23_w", "p0_w", "i0_ppm", "tap_size_mv"),
        ("clock_12", lambda v: 0 <= v <= 11, "0 to 11"),
        ("clock_13", lambda v: 0 <= v <= 11, "0 to 11"),
        ("tap_side", lambda v: v in ("1", "2", "3"), '"1", "2" or "3"'),
    ),
    "source": (("u_ref_ppm", lambda v: 500_000 <= v <= 1_500_000, "ppm, 500000 to 1500000"),),
    "load": (_PHASE,),
    "generator": (_PHASE,),
    "storage": (_PHASE, *_at_least_0("p_max_w", "capacity_wh")),
    "shunt": (*_at_least_0("steps", "steps_max"),),
    "measuring_point": (
        ("quantity", lambda v: v in ("voltage", "power", "current"), '"voltage", "power" or "current"'),
        ("accuracy_ppm", lambda v: 0 < v <= MILLION, "ppm of rated, 1 to 1000000"),
        _PHASE,
    ),
}


def _values(network: Grid) -> Iterator[Finding]:
    for kind, every in elements(network):
        for element in every:
            wrong: set[str] = set()
            for field, holds, expected in _RULES.get(kind, ()):
                value = getattr(element, field, None)
                if value is not None and field not in wrong and not holds(value):
                    wrong.add(field)
                    yield Finding(called(kind, element), field, value, expected)
    for line in network.lines:
        if line.r_uohm == 0 and line.x_uohm == 0 and not line.rest:
            expected = "an impedance above 0 (is its length zero? a coupler belongs in links)"
            yield Finding(called("line", line), "x_uohm", 0, expected)
    for kind, units in (("transformer", network.transformers), ("three_winding", network.three_windings)):
        for t in units:
            if not min(t.tap_min, t.tap_max) <= t.tap_position <= max(t.tap_min, t.tap_max):
                yield Finding(called(kind, t), "tap_position", t.tap_position, f"{t.tap_min} to {t.tap_max}")
    yield from _equivalents(network)
    for t in network.transformers:
        if t.uk_ppm >= MILLION and t.sn_va < NO_RATING_VA and not t.equivalent:
            yield Finding(called("transformer", t), "uk_ppm", t.uk_ppm, "ppm, 1 to 999999")
    for s in network.shunts:
        if s.steps > s.steps_max:
            yield Finding(called("shunt", s), "steps", s.steps, f"0 to {s.steps_max}")
    for c in network.connections:
        if not c.pod:
            yield Finding("pod", "pod", c.pod, "the id of a POD")
        if c.phases not in PHASES:
            yield Finding(f"pod:{c.pod}", "phases", c.phases, _PHASE[2])


def _equivalents(network: Grid) -> Iterator[Finding]:
    """What only an equivalent may have, and what an equivalent cannot do."""
    for line in network.lines:
        for field in ("r_uohm", "c_pf"):
            if getattr(line, field) < 0 and not line.equivalent:
                yield Finding(called("line", line), field, getattr(line, field), "0 or more (or an equivalent)")
    for t in network.transformers:
        for field, holds, expected in (
            ("uk_ppm", t.uk_ppm > 0 or (t.equivalent and t.uk_ppm < 0), f"{_POSITIVE} (below 0: of an equivalent)"),
            ("pk_w", t.pk_w >= 0 or t.equivalent, "0 or more (or an equivalent)"),
            ("turn_mdeg", t.turn_mdeg == 0 or t.equivalent, "0 (or an equivalent)"),
            ("turn_mdeg", abs(t.turn_mdeg) < 180_000, "1e-3 degrees, -179999 to 179999"),
            ("on_load", not (t.on_load and t.equivalent), "false: an equivalent stands at its position"),
        ):
            if not holds:
                yield Finding(called("transformer", t), field, getattr(t, field), expected)


def _rests(network: Grid) -> Iterator[Finding]:
    for kind, every in elements(network):
        for element in every:
            for name, millionths in getattr(element, "rest", ()):
                if (
                    type(getattr(element, name, None)) is not int
                    or name == "id"
                    or name.endswith(("node", "_position"))
                ):
                    yield Finding(called(kind, element), "rest", name, "the name of a quantity of this element")
                if not -MILLION < millionths < MILLION:
                    yield Finding(called(kind, element), f"rest {name}", millionths, "-999999 to 999999")


def _ends(network: Grid) -> Iterator[Finding]:
    rated = {n.id: n.u_rated_v for n in network.nodes}
    for kind, every in elements(network):
        for element in every:
            for field in ENDS:
                node = getattr(element, field, None)
                if node is not None and node not in rated:
                    yield Finding(called(kind, element), field, node, "the id of a node")
    for c in network.connections:
        if c.node not in rated:
            yield Finding(f"pod:{c.pod}", "node", c.node, "the id of a node")
    for kind, branches in (("line", network.lines), ("link", network.links)):
        for k in branches:
            a, b = rated.get(k.from_node), rated.get(k.to_node)
            if a is not None and b is not None and a != b:
                yield Finding(called(kind, k), "to_node", k.to_node, f"a node of {a} V, not {b} V")
            if k.from_node == k.to_node:
                yield Finding(called(kind, k), "to_node", k.to_node, "another node than from_node")
    for t in network.transformers:
        yield from _winding("transformer", t, (("u_from_v", t.from_node), ("u_to_v", t.to_node)), rated)
    for t in network.three_windings:
        ends = (("u_1_v", t.node_1), ("u_2_v", t.node_2), ("u_3_v", t.node_3))
        yield from _winding("three_winding", t, ends, rated)


def _winding(kind: str, t: Any, ends: Iterable[tuple[str, int]], rated: Mapping[int, int]) -> Iterator[Finding]:
    for field, node in ends:
        volts = rated.get(node)
        if volts is not None and not volts <= 2 * getattr(t, field) <= 4 * volts:
            yield Finding(
                called(kind, t), field, getattr(t, field), f"V, near the {volts} V of node {node} (is it kV?)"
            )


def _points(network: Grid) -> Iterator[Finding]:
    ids = {kind: {e.id for e in every} for kind, every in elements(network)}
    first: dict[tuple[str, str], Any] = {}
    for p in network.measuring_points:
        other = first.setdefault((p.name, p.quantity), p)
        if p.name and other is not p:
            expected = f"another name: {called('measuring_point', other).partition(' ')[0]} has it for {p.quantity}"
            yield Finding(called("measuring_point", p), "name", p.name, expected)
        if p.kind not in ids or p.kind in ("measuring_point", "link"):
            yield Finding(called("measuring_point", p), "kind", p.kind, "node, line, transformer, load, ...")
        elif p.element not in ids[p.kind]:
            yield Finding(called("measuring_point", p), "element", p.element, f"the id of a {p.kind}")
        elif (p.quantity == "voltage") != (p.kind == "node") and p.quantity != "power":
            yield Finding(called("measuring_point", p), "quantity", p.quantity, f"what is measured at a {p.kind}")
        else:
            sides = {"line": ("from", "to"), "transformer": ("from", "to"), "three_winding": ("1", "2", "3")}
            if p.side not in sides.get(p.kind, ("",)):
                expected = " or ".join(f'"{s}"' for s in sides.get(p.kind, ("",)))
                yield Finding(called("measuring_point", p), "side", p.side, expected)


def _magnitudes(network: Grid) -> Iterator[Finding]:
    """What no feeder of that voltage would have: lines too long, powers too small to be W or far beyond the node's branches."""
    rated = {n.id: n.u_rated_v for n in network.nodes}
    carried = _carried_va(network, rated)
    for line in network.lines:
        drop_v, volts = math.hypot(line.r_uohm, line.x_uohm) * line.rated_ma / 1e9, rated.get(line.from_node)
        if volts is not None and line.rated_ma <= UNLIMITED_MA and drop_v > volts and not line.equivalent:
            expected = f"at {line.rated_ma} mA a drop below the {volts} V of its nodes (is it a length in m?)"
            yield Finding(called("line", line), "x_uohm", line.x_uohm, expected)
    for kind, every in (("load", network.loads), ("generator", network.generators), ("storage", network.storages)):
        for e in every:
            if e.node in rated:
                yield from _magnitude(kind, e, rated[e.node], carried.get(e.node))


def _magnitude(kind: str, e: Injection | Storage, volts: int, carried_va: int | None) -> Iterator[Finding]:
    level = "MV" if volts >= MV_V else "LV"
    watts, var = abs(e.p_nominal_w), abs(e.q_nominal_var)
    if 0 < watts < LEAST_LOAD_W[level] and (var < LEAST_LOAD_W[level] or 100 * watts <= var <= 2_000 * watts):
        expected = "W at a node above 1 kV (is it kW?)" if level == "MV" else "W, at least 20 (is it kW?)"
        yield Finding(called(kind, e), "p_nominal_w", e.p_nominal_w, expected)
    if carried_va is not None and abs(e.p_nominal_w) > MOST_TIMES_RATED * carried_va:
        expected = f"W, at most ten times the {carried_va} VA of the node's branches (is it mW, or MW for kW?)"
        yield Finding(called(kind, e), "p_nominal_w", e.p_nominal_w, expected)


def _carried_va(network: Grid, rated: Mapping[int, int]) -> dict[int, int]:
    """What the branches of a node carry; without the nodes at a link, a source, or a branch without a real limit."""
    carried: Counter[int] = Counter()
    free = {s.node for s in network.sources}
    for line in network.lines:
        for node in (line.from_node, line.to_node):
            carried[node] += line.rated_ma * rated.get(node, 0) * 1_733 // MILLION
            if line.rated_ma > UNLIMITED_MA or line.equivalent:
                free.add(node)
    for t in network.transformers:
        for node in (t.from_node, t.to_node):
            carried[node] += t.sn_va
            free |= {node} if t.equivalent or t.sn_va == UNRATED_VA else set()
    for t in network.three_windings:
        for node, sn_va in ((t.node_1, t.sn_1_va), (t.node_2, t.sn_2_va), (t.node_3, t.sn_3_va)):
            carried[node] += sn_va
    for k in network.links:
        free |= {k.from_node, k.to_node}
    return {node: va for node, va in carried.items() if node not in free}


def _islands(network: Grid) -> Iterator[Finding]:
    fed = supplied(network)
    pods = {c.node: c.pod for c in network.connections}
    for node in network.nodes:
        if node.id in fed:
            continue
        if not node.dead:
            yield Finding(called("node", node), "feed", "none", "a closed way to a source (island), or dead")
        elif node.id in pods:
            yield Finding(f"pod:{pods[node.id]}", "node", node.id, "a node that is not dead")


def supplied(network: Grid) -> set[int]:
    """The nodes with a closed way to a source."""
    near: dict[int, list[int]] = {n.id: [] for n in network.nodes}
    closed = [(line.from_node, line.to_node) for line in network.lines if line.from_closed and line.to_closed]
    closed += [(t.from_node, t.to_node) for t in network.transformers if t.closed and not t.open_end]
    closed += [(k.from_node, k.to_node) for k in network.links if k.closed]
    for t in network.three_windings:
        ends = [n for n, c in ((t.node_1, t.closed_1), (t.node_2, t.closed_2), (t.node_3, t.closed_3)) if c]
        closed += [(ends[0], other) for other in ends[1:]]
    for a, b in closed:
        near[a].append(b)
        near[b].append(a)
    return reach(near, (s.node for s in network.sources))


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
