"""A planner's tables to a Network, with notes of what was changed and findings of what cannot be taken.

1. Every table with elements in service is taken, or each of its elements is a finding.
2. Elements out of service: branches stay as open branches; loads, generators, storages and shunts are left out with a
   note; a bus out of service is dead.
3. A bus without supply and without an element that draws or makes power is dead, with a note; with one it is an island
   and refused.
4. A voltage-controlled generator becomes P and Q of the file's own result, with a note (injection.py, rule 3).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from backend.adapters.planner.branch import lines, links
from backend.adapters.planner.injection import Injections, read_injections
from backend.adapters.planner.switch import Switches
from backend.adapters.planner.table import Row, Tables, Whole, read_tables
from backend.adapters.planner.transformer import three_windings, transformers
from backend.grid.check import supplied
from backend.grid.document import by_id
from backend.grid.element import Node
from backend.grid.network import Network, Unsound

TAKEN = frozenset({
    "bus", "line", "trafo", "trafo3w", "switch", "ext_grid", "load", "sgen", "gen", "storage", "shunt", "ward", "dcline",
    "asymmetric_load", "asymmetric_sgen", "impedance", "xward", "motor",
})  # fmt: skip
_ELEMENT_COLUMNS = ("bus", "from_bus", "hv_bus", "bus_dc", "from_bus_dc")
BAND_PPM = (900_000, 1_100_000)


@dataclass(frozen=True, slots=True)
class Imported:
    """A network, and in words what is not as in the file."""

    network: Network
    notes: tuple[str, ...]


def import_grid(text: str, name: str = "") -> Imported:
    """The network of a pandapower file. Rejected (Unsound: with every finding)."""
    return network_of(read_tables(text), name)


def network_of(tables: Tables, name: str) -> Imported:
    """The network of the tables."""
    buses = {row.index: row for row in tables.rows("bus")}
    frequency = tables.values.get("f_hz", 50)
    own = tables.values.get("name")
    _unsupported(tables)
    nodes = tuple(_node(row) for row in buses.values())
    switches = Switches(tables, buses)
    parts: dict[str, Any] = {
        "lines": lines(tables, switches),
        "transformers": transformers(tables, switches),
        "three_windings": three_windings(tables, switches),
        "links": links(tables, switches),
    }
    drawn = read_injections(tables, switches)
    if tables.report.findings:
        raise Unsound("grid file", tables.report.findings)
    nodes = _dead(nodes, buses, parts, drawn, tables)
    parts |= {f.name: getattr(drawn, f.name) for f in fields(drawn)}
    network = Network(
        name=name or (own if isinstance(own, str) else "") or "imported grid",
        frequency_hz=int(frequency),
        nodes=by_id(nodes),
        **{name: by_id(elements) for name, elements in parts.items()},
    )
    return Imported(network, tuple(tables.report.notes))


def _unsupported(tables: Tables) -> None:
    for name in tables.names():
        if name in TAKEN:
            continue
        for row in tables.rows(name):
            if not any(row.has(column) for column in _ELEMENT_COLUMNS):
                tables.report.notes.append(f"table {name!r}: not part of a grid, left out")
                break
            if row.flag("in_service"):
                row.wrong("element", name, "a kind of element that can be taken (" + ", ".join(sorted(TAKEN)) + ")")
            else:
                row.note("out of service, left out")


def _node(row: Row) -> Node:
    q = Whole()
    low, high = row.number("min_vm_pu", 0.0), row.number("max_vm_pu", 2.0)
    low_ppm = round(low * 1e6) if 0.5 <= low < 1.0 else BAND_PPM[0]
    high_ppm = round(high * 1e6) if 1.0 < high <= 1.5 else BAND_PPM[1]
    if row.has("min_vm_pu") and low_ppm != round(low * 1e6):
        row.note(f"min_vm_pu {low} is no band, 0.9 taken")
    if row.has("max_vm_pu") and high_ppm != round(high * 1e6):
        row.note(f"max_vm_pu {high} is no band, 1.1 taken")
    rated = q("u_rated_v", row.number("vn_kv") * 1e3)
    return Node(row.index, row.name, rated, low_ppm, high_ppm, dead=not row.flag("in_service"), rest=q.rest)


@dataclass(frozen=True, slots=True)
class _Bare:
    """Enough of a network to ask what is supplied."""

    nodes: Any
    lines: Any
    transformers: Any
    three_windings: Any
    links: Any
    sources: Any
    loads: Any = ()
    generators: Any = ()
    storages: Any = ()
    shunts: Any = ()
    connections: Any = ()
    measuring_points: Any = ()


def _dead(
    nodes: tuple[Node, ...], buses: dict[int, Row], parts: dict[str, Any], drawn: Injections, tables: Tables
) -> tuple[Node, ...]:
    fed = supplied(_Bare(nodes=nodes, sources=drawn.sources, **parts))
    every: list[Any] = [*drawn.loads, *drawn.generators, *drawn.storages, *drawn.shunts]
    busy = {e.node for e in every}
    dark = [n for n in nodes if n.id not in fed and n.id not in busy and not n.dead]
    for node in dark:
        buses[node.id].note("not supplied, carries nothing: dead")
    gone = {n.id for n in dark}
    return tuple(replace(n, dead=True) if n.id in gone else n for n in nodes)
