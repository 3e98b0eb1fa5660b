"""What feeds, draws and makes power in a planner's file.

1. Loads, storages and shunts withdraw, generators inject; scaling is multiplied in.
2. An element out of service, or at a bus out of service, is left out with a note.
3. A generator that holds the voltage, and a DC line, are P and Q of the file's own result: without one a finding. Above 150 kV,
   or of 100 MW and more, it goes on holding it: a source of the result's voltage and angle stands at its bus, one a bus, beside
   what P and Q the result has. It carries nothing in the file's own state, and the difference in any other.
4. A ward is a load and a shunt, an extended ward a load of P and Q of the file's own result, a motor a load. A load with
   constant impedance or current is a finding.
5. An asymmetric load or generator is one element a phase.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from backend.adapters.planner.branch import TRANSMISSION_KV
from backend.adapters.planner.switch import Switches
from backend.adapters.planner.table import Row, Tables, Whole
from backend.grid.element import Injection, Shunt, Source, Storage

LARGE_MW = 100.0
_MIXED = (
    "const_z_percent", "const_i_percent", "const_z_p_percent", "const_z_q_percent", "const_i_p_percent", "const_i_q_percent",
)  # fmt: skip


T = TypeVar("T", Source, Injection, Shunt)


@dataclass(frozen=True, slots=True)
class Injections:
    """All of it."""

    sources: tuple[Source, ...]
    loads: tuple[Injection, ...]
    generators: tuple[Injection, ...]
    storages: tuple[Storage, ...]
    shunts: tuple[Shunt, ...]


def read_injections(tables: Tables, switches: Switches) -> Injections:
    """Sources, loads, generators, storages and shunts in service; ids go on where two tables share one list."""
    wards = list(_active(tables, "ward", switches))
    loads = [_power(r, switches) for r in _active(tables, "load", switches)]
    loads += [e for r in _active(tables, "asymmetric_load", switches) for e in _phases(r, switches)]
    loads += [_given(r, switches, r.number("ps_mw"), r.number("qs_mvar")) for r in wards]
    loads += [_extended(r, switches, tables.results("xward")) for r in _active(tables, "xward", switches)]
    loads += [_motor(r, switches) for r in _active(tables, "motor", switches)]
    loads += _dc_lines(tables, switches)
    generators = [_power(r, switches) for r in _active(tables, "sgen", switches)]
    generators += [e for r in _active(tables, "asymmetric_sgen", switches) for e in _phases(r, switches)]
    sources, controlled = _controlled(tables, switches)
    shunts = [_shunt(r, switches) for r in _active(tables, "shunt", switches)]
    shunts += [_ward_shunt(r, switches) for r in wards]
    return Injections(
        sources=_numbered(sources),
        loads=_numbered(loads),
        generators=_numbered(generators + controlled),
        storages=tuple(_storage(r, switches) for r in _active(tables, "storage", switches)),
        shunts=_numbered(shunts),
    )


def _numbered(elements: list[T]) -> tuple[T, ...]:
    """Ids are the file's indices; one that is taken by an earlier table becomes the next free number."""
    free = max((e.id for e in elements), default=-1) + 1
    taken: set[int] = set()
    numbered = []
    for element in elements:
        if element.id in taken:
            element = replace(element, id=free)
            free += 1
        taken.add(element.id)
        numbered.append(element)
    return tuple(numbered)


def _active(tables: Tables, table: str, switches: Switches) -> Iterator[Row]:
    for row in tables.rows(table):
        bus = row.node("bus", switches.buses)
        if not row.flag("in_service"):
            row.note("out of service, left out")
        elif not switches.in_service(bus):
            row.note(f"at bus {bus}, which is out of service: left out")
        else:
            yield row


def _given(row: Row, switches: Switches, p_mw: float, q_mvar: float, phases: str = "abc", name: str = "") -> Injection:
    q, node = Whole(), row.node("bus", switches.buses)
    p_w, q_var = q("p_nominal_w", p_mw * 1e6), q("q_nominal_var", q_mvar * 1e6)
    return Injection(row.index, name or row.name, node, row.text("profile"), p_w, q_var, phases, q.rest)


def _power(row: Row, switches: Switches) -> Injection:
    for column in _MIXED:
        if row.number(column, 0.0) != 0.0:
            row.wrong(column, row.number(column), "0: power that does not depend on the voltage")
    scaling = row.number("scaling", 1.0)
    return _given(row, switches, row.number("p_mw") * scaling, row.number("q_mvar", 0.0) * scaling)


def _phases(row: Row, switches: Switches) -> Iterator[Injection]:
    scaling = row.number("scaling", 1.0)
    if row.text("type") == "delta":
        row.wrong("type", "delta", "wye: power between a phase and the neutral")
    for phase in "abc":
        p_mw, q_mvar = row.phase_power(phase)
        if p_mw or q_mvar:
            name = f"{row.name} {phase}".strip()
            yield _given(row, switches, p_mw * scaling, q_mvar * scaling, phase, name)


def _extended(row: Row, switches: Switches, results: dict[int, Row]) -> Injection:
    result = results.get(row.index)
    if result is None or not (result.has("p_mw") and result.has("q_mvar")):
        row.wrong(
            "vm_pu", row.number("vm_pu"), "a result of a power flow in the file (pandapower: runpp before to_json)"
        )
        return _given(row, switches, 0.0, 0.0)
    row.note("an extended ward: taken as P and Q of the file's own power flow")
    return _given(row, switches, result.number("p_mw"), result.number("q_mvar"))


def _motor(row: Row, switches: Switches) -> Injection:
    """What it draws for its mechanical power at its loading."""
    efficiency, cos_phi = row.number("efficiency_percent", 100.0) / 100, row.number("cos_phi", 1.0)
    for column, share, most in (("efficiency_percent", efficiency, "100 %"), ("cos_phi", cos_phi, 1)):
        if not 0 < share <= 1:
            row.wrong(column, row.number(column), f"above 0, at most {most}")
            return _given(row, switches, 0.0, 0.0)
    p_mw = (
        row.number("pn_mech_mw") / efficiency * row.number("loading_percent", 100.0) / 100 * row.number("scaling", 1.0)
    )
    return _given(row, switches, p_mw, p_mw * math.sqrt(1 / cos_phi**2 - 1))


def _storage(row: Row, switches: Switches) -> Storage:
    q, scaling = Whole(), row.number("scaling", 1.0)
    most_mw = max(abs(row.number("max_p_mw", 0.0)), abs(row.number("min_p_mw", 0.0)), abs(row.number("p_mw")))
    return Storage(
        id=row.index,
        name=row.name,
        node=row.node("bus", switches.buses),
        p_nominal_w=q("p_nominal_w", row.number("p_mw") * scaling * 1e6),
        q_nominal_var=q("q_nominal_var", row.number("q_mvar", 0.0) * scaling * 1e6),
        p_max_w=round(most_mw * 1e6),
        capacity_wh=round(row.number("max_e_mwh", 0.0) * 1e6),
        profile=row.text("profile"),
        rest=q.rest,
    )


def _shunt(row: Row, switches: Switches) -> Shunt:
    if row.flag("step_dependency_table", default=False):
        row.wrong("step_dependency_table", True, "equal steps")
    steps = int(row.number("step", 1.0))
    node = row.node("bus", switches.buses)
    rated_kv = switches.buses[node].number("vn_kv")
    ratio = (rated_kv / row.number("vn_kv", rated_kv)) ** 2
    most = max(int(row.number("max_step", 1.0)), steps)
    return _bank(row, node, row.number("p_mw", 0.0) * ratio, row.number("q_mvar") * ratio, steps, most)


def _ward_shunt(row: Row, switches: Switches) -> Shunt:
    node = row.node("bus", switches.buses)
    return _bank(row, node, row.number("pz_mw"), row.number("qz_mvar"), 1, 1)


def _bank(row: Row, node: int, p_mw: float, q_mvar: float, steps: int, most: int) -> Shunt:
    q = Whole()
    step_w, step_var = q("step_w", p_mw * 1e6), q("step_var", q_mvar * 1e6)
    return Shunt(row.index, row.name, node, step_w, step_var, steps, most, switchable=most > 1, rest=q.rest)


def _controlled(tables: Tables, switches: Switches) -> tuple[list[Source], list[Injection]]:
    sources = [_source(row, switches) for row in _active(tables, "ext_grid", switches)]
    made, results, held = [], tables.results("gen"), {source.node for source in sources}
    for row in _active(tables, "gen", switches):
        if row.flag("slack", default=False):
            row.note("slack generator: a source")
            sources.append(_source(row, switches))
            continue
        result = results.get(row.index)
        if result is None or not (result.has("p_mw") and result.has("q_mvar")):
            expected = (
                "a result of a power flow in the file (pandapower: runpp before to_json), or an sgen with its q_mvar"
            )
            row.wrong("vm_pu", row.number("vm_pu"), expected)
            continue
        row.note(f"holds {row.number('vm_pu'):g} pu: taken as P and Q of the file's own power flow")
        made.append(_given(row, switches, result.number("p_mw"), result.number("q_mvar")))
        bus = made[-1].node
        large = switches.buses[bus].number("vn_kv") > TRANSMISSION_KV or abs(result.number("p_mw")) >= LARGE_MW
        if large and bus not in held and result.has("va_degree"):
            row.note("of the transmission grid: a source beside it goes on holding the voltage")
            sources.append(_source(row, switches, result))
            held.add(bus)
    return sources, made


def _source(row: Row, switches: Switches, values: Row | None = None) -> Source:
    """A stiff feed at the row's bus: its set voltage and angle, or those of ``values``."""
    q, at = Whole(), values or row
    u_ppm, angle = q("u_ref_ppm", at.number("vm_pu") * 1e6), q("angle_mdeg", at.number("va_degree", 0.0) * 1e3)
    return Source(row.index, row.node("bus", switches.buses), u_ppm, row.name, angle, q.rest)


def _dc_lines(tables: Tables, switches: Switches) -> list[Injection]:
    found, results = [], tables.results("dcline")
    for row in tables.rows("dcline"):
        if not row.flag("in_service"):
            row.note("out of service, left out")
            continue
        result = results.get(row.index)
        if result is None or not result.has("p_from_mw"):
            row.wrong("p_mw", row.number("p_mw"), "a result of a power flow in the file")
            continue
        row.note("taken as P and Q at both ends, of the file's own power flow")
        for end in ("from", "to"):
            node, q = row.node(f"{end}_bus", switches.buses), Whole()
            p_w = q("p_nominal_w", result.number(f"p_{end}_mw") * 1e6)
            q_var = q("q_nominal_var", result.number(f"q_{end}_mvar") * 1e6)
            found.append(Injection(row.index, f"{row.name or 'dcline'} {end}", node, "", p_w, q_var, rest=q.rest))
    return found
