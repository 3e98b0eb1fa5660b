"""Lines and bus-bus switches of a planner's file.

1. A line of length zero is a finding: a connection without impedance is a closed bus-bus switch.
2. Parallel systems are one line; the rating is max_i_ka times df times parallel.
3. A line without a rating has 99999 kA, as in pandapower, with a note.
4. A line or coupler with a switch is switchable.
5. A line of negative resistance or capacitance is an equivalent, with a note; so is one above 150 kV whose drop at its rating
   is above its voltage. An impedance between buses of one voltage is a
   line without a limit, after the lines; one that is not the same from both ends is a finding.
"""

import math

from backend.adapters.planner.switch import Switches
from backend.adapters.planner.table import Row, Tables, Whole
from backend.grid.element import Line, Link

TRANSMISSION_KV = 150.0
UNLIMITED_KA = 99_999.0


def lines(tables: Tables, switches: Switches) -> tuple[Line, ...]:
    """Every line, those out of service open at both ends."""
    found = [_line(row, switches) for row in tables.rows("line")]
    next_id = 1 + max((line.id for line in found), default=-1)
    hertz = tables.values.get("f_hz", 50)
    found += [_reactor(row, switches, next_id + k, hertz) for k, row in enumerate(tables.rows("impedance"))]
    return tuple(found)


def _is_equivalent(row: Row, kv: float, ka_km: float) -> bool:
    """Rule 5; ka_km: rating times length over the number of systems."""
    r, x = row.number("r_ohm_per_km"), row.number("x_ohm_per_km")
    far = kv > TRANSMISSION_KV and math.hypot(r, x) * ka_km > kv
    return far or r < 0 or row.number("c_nf_per_km", 0.0) < 0


def _reactor(row: Row, switches: Switches, id: int, hertz: float) -> Line:
    """An impedance, given per unit of its power and of its buses' voltage."""
    q, (a, b) = Whole(), (row.node(f"{end}_bus", switches.buses) for end in ("from", "to"))
    kv, other_kv = (switches.buses[bus].number("vn_kv") for bus in (a, b))
    if kv != other_kv:
        row.wrong("to_bus", b, f"a bus of {kv:g} kV, not {other_kv:g} kV (make it a transformer)")
    for one, other in (("rft_pu", "rtf_pu"), ("xft_pu", "xtf_pu"), ("gf_pu", "gt_pu"), ("bf_pu", "bt_pu")):
        if row.number(one, 0.0) != row.number(other, 0.0):
            row.wrong(other, row.number(other, 0.0), f"{row.number(one, 0.0):g}: the same from both ends")
    row.note(f"an impedance: line {id} without a limit")
    ohm = kv**2 / row.number("sn_mva")
    r_ohm, c_farad = row.number("rft_pu") * ohm, 2 * row.number("bf_pu", 0.0) / ohm / (2 * math.pi * hertz)
    return Line(
        id=id,
        name=row.name,
        from_node=a,
        to_node=b,
        from_closed=switches.closed(row, a),
        to_closed=switches.closed(row, b),
        r_uohm=q("r_uohm", r_ohm * 1e6),
        x_uohm=q("x_uohm", row.number("xft_pu") * ohm * 1e6),
        c_pf=q("c_pf", c_farad * 1e12),
        rated_ma=round(UNLIMITED_KA * 1e6),
        g_ps=q("g_ps", 2 * row.number("gf_pu", 0.0) / ohm * 1e12),
        equivalent=r_ohm < 0 or c_farad < 0,
        rest=q.rest,
    )


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
    apart = _is_equivalent(row, switches.buses[a].number("vn_kv"), rated_ma / 1e6 * series)
    if apart:
        row.note("no cable's impedance: an equivalent")
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
        equivalent=apart,
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
