"""Lines and bus-bus switches of a planner's file.

1. A line of length zero is a finding: a connection without impedance is a closed bus-bus switch.
2. Parallel systems are one line; the rating is max_i_ka times df times parallel.
3. A line without a rating has 99999 kA, as in pandapower, with a note.
4. A line or coupler with a switch is switchable.
"""

from backend.adapters.planner.switch import Switches
from backend.adapters.planner.table import Row, Tables, Whole
from backend.grid.element import Line, Link

UNLIMITED_KA = 99_999.0


def lines(tables: Tables, switches: Switches) -> tuple[Line, ...]:
    """Every line, those out of service open at both ends."""
    return tuple(_line(row, switches) for row in tables.rows("line"))


def _line(row: Row, switches: Switches) -> Line:
    q = Whole()
    length_km, parallel = row.number("length_km"), row.number("parallel", 1.0)
    if length_km <= 0:
        row.wrong("length_km", length_km, "km, above 0 (a connection without length is a closed bus-bus switch)")
    if parallel < 1:
        row.wrong("parallel", parallel, "1 or more")
        parallel = 1.0
    if not row.has("max_i_ka"):
        row.note("no max_i_ka: not limited (99999 kA)")
    rated_ma = row.number("max_i_ka", UNLIMITED_KA) * row.number("df", 1.0) * parallel * 1e6
    if rated_ma <= 0:
        row.wrong("max_i_ka", row.number("max_i_ka"), "kA, above 0")
    a, b = row.node("from_bus", switches.buses), row.node("to_bus", switches.buses)
    series, shunt = length_km / parallel, length_km * parallel
    return Line(
        id=row.index,
        name=row.name,
        from_node=a,
        to_node=b,
        from_closed=switches.closed(row, a),
        to_closed=switches.closed(row, b),
        r_uohm=q("r_uohm", row.number("r_ohm_per_km") * series * 1e6),
        x_uohm=q("x_uohm", row.number("x_ohm_per_km") * series * 1e6),
        c_pf=q("c_pf", row.number("c_nf_per_km", 0.0) * shunt * 1e3),
        rated_ma=q("rated_ma", rated_ma),
        g_ps=q("g_ps", row.number("g_us_per_km", 0.0) * shunt * 1e6),
        r0_uohm=q("r0_uohm", row.number("r0_ohm_per_km", 0.0) * series * 1e6),
        x0_uohm=q("x0_uohm", row.number("x0_ohm_per_km", 0.0) * series * 1e6),
        c0_pf=q("c0_pf", row.number("c0_nf_per_km", 0.0) * shunt * 1e3),
        switchable=switches.switchable(row),
        rest=q.rest,
    )


def links(tables: Tables, switches: Switches) -> tuple[Link, ...]:
    """Every bus-bus switch."""
    return tuple(_link(row, switches) for row in switches.couplers)


def _link(row: Row, switches: Switches) -> Link:
    if row.number("z_ohm", 0.0) > 0:
        row.wrong("z_ohm", row.number("z_ohm"), "0: a coupler has no impedance (make it a line)")
    a, b = row.node("bus", switches.buses), row.node("element", switches.buses)
    closed = row.flag("closed") and switches.in_service(a) and switches.in_service(b)
    return Link(row.index, row.name, a, b, closed, switchable=True)
