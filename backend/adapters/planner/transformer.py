"""Transformers of a planner's file, with two and three windings.

1. Taps count whatever ``tap_changer_type`` says: since version 3 pandapower leaves a tap out of account, without a word,
   where it is None.
2. pandapower calculates with a T circuit, the engine with a pi circuit; the parameters are those of the equal pi circuit.
3. Uk of a pair of three windings is at the smaller rating of the two, iron losses at the high-voltage winding.
4. What has a negative reactance or resistance or a uk above 100 %, shifts by other than whole 30 degrees or has a tap that
   turns the phase is an equivalent: exact at the tap's position in the file, and fixed there, with a note. The same at three
   windings, a second tap and a table of tap-dependent impedances are findings.
5. ``on_load``: the file says ``oltc``, or else the high side is above 60 kV and has taps: an MV/LV tap is off-circuit.
"""

import cmath
import math
from typing import Any

from backend.adapters.planner.switch import Switches
from backend.adapters.planner.table import Row, Tables, Whole
from backend.grid.check import NO_RATING_VA
from backend.grid.element import ThreeWinding, Transformer

ON_LOAD_KV = 60.0


def transformers(tables: Tables, switches: Switches) -> tuple[Transformer, ...]:
    """Every transformer with two windings."""
    return tuple(_transformer(row, switches) for row in tables.rows("trafo"))


def three_windings(tables: Tables, switches: Switches) -> tuple[ThreeWinding, ...]:
    """Every transformer with three windings."""
    return tuple(_three_winding(row, switches) for row in tables.rows("trafo3w"))


def _clock(row: Row, column: str) -> int:
    """The clock number of a winding of three."""
    clock, turn = _turn(row.number(column, 0.0))
    if abs(turn) > 1e-4:
        row.wrong(column, row.number(column), "a multiple of 30 degrees")
    return clock


def _turn(degree: float) -> tuple[int, float]:
    """Clock number and what is left over, -15 to 15 degrees."""
    return round(degree / 30) % 12, degree - 30 * round(degree / 30)


def _turns(row: Row) -> bool:
    """Whether the tap as it stands turns the phase."""
    if not row.has("tap_pos") or row.number("tap_pos") == row.number("tap_neutral", 0.0):
        return False
    return row.text("tap_changer_type") == "Ideal" or row.number("tap_step_degree", 0.0) not in (0.0, 180.0)


def _turned(row: Row, rated_kv: dict[str, float]) -> float:
    """Degrees by which the tap turns the phase; the tapped winding's voltage in ``rated_kv`` becomes what it is there."""
    side, steps = row.text("tap_side"), row.number("tap_pos") - row.number("tap_neutral", 0.0)
    angle, step = row.number("tap_step_degree", 0.0), row.number("tap_step_percent", 0.0) / 100
    sign = 1 if side == "hv" else -1
    if row.text("tap_changer_type") == "Ideal":
        return sign * (steps * angle if angle else math.degrees(2 * math.asin(steps * step / 2)))
    moved = 1 + steps * step * cmath.exp(1j * math.radians(angle))
    rated_kv[side] *= abs(moved)
    return sign * math.degrees(math.atan(moved.imag / moved.real))


def _tap(row: Row, sides: dict[str, str], rated_kv: dict[str, float], q: Whole) -> dict[str, Any]:
    """The tap fields; no taps: all zero."""
    side = row.text("tap_side")
    none = {"tap_min": 0, "tap_max": 0, "tap_nominal": 0, "tap_position": 0, "tap_size_mv": 0}
    if row.has("tap2_pos") and row.number("tap2_pos") != row.number("tap2_neutral", 0.0):
        row.wrong("tap2_pos", row.number("tap2_pos"), f"{row.number('tap2_neutral', 0.0):g}: one tap only")
    if side not in sides or not row.has("tap_pos") or not (row.has("tap_step_percent") or row.has("tap_step_degree")):
        return {"tap_side": next(iter(sides.values())), **none}
    nominal, position = row.number("tap_neutral", 0.0), row.number("tap_pos")
    if position != nominal and row.flag("tap_dependency_table", default=False):
        row.wrong("tap_dependency_table", True, "a tap that changes the ratio only, without a table")
    if _turns(row):
        return {"tap_side": sides[side], **none}
    if position != int(position) or nominal != int(nominal):
        row.wrong("tap_pos", position, "a whole number")
    step = row.number("tap_step_percent", 0.0) * (-1 if row.number("tap_step_degree", 0.0) == 180.0 else 1)
    low = min(int(row.number("tap_min", nominal)), int(nominal), int(position))
    high = max(int(row.number("tap_max", nominal)), int(nominal), int(position))
    if step < 0:
        low, high = high, low  # the engine's way of a tap that works the other way round
    return {
        "tap_side": sides[side],
        "tap_min": low,
        "tap_max": high,
        "tap_nominal": int(nominal),
        "tap_position": int(position),
        "tap_size_mv": q("tap_size_mv", abs(step) / 100 * rated_kv[side] * 1e6),
    }


def _transformer(row: Row, switches: Switches) -> Transformer:
    q = Whole()
    a, b = row.node("hv_bus", switches.buses), row.node("lv_bus", switches.buses)
    parallel, sn_va = row.number("parallel", 1.0), row.number("sn_mva") * 1e6
    uk, r = row.number("vk_percent") / 100, row.number("vkr_percent") / 100
    i0, p0 = row.number("i0_percent", 0.0) / 100, row.number("pfe_kw", 0.0) * 1e3 / sn_va
    if uk == 0:
        row.wrong("vk_percent", uk * 100, "a reactance (a transformer without is a closed bus-bus switch)")
        uk = max(abs(r), 0.01)
    if abs(r) > abs(uk):
        row.wrong("vkr_percent", r * 100, f"at most vk_percent {abs(uk) * 100:g}")
        r = 0.0
    if row.number("leakage_resistance_ratio_hv", 0.5) != 0.5 or row.number("leakage_reactance_ratio_hv", 0.5) != 0.5:
        row.wrong("leakage_reactance_ratio_hv", row.number("leakage_reactance_ratio_hv"), "0.5")
    z, y = _pi(_impedance(uk, r), _admittance(i0, p0))
    windings_kv = {"hv": row.number("vn_hv_kv"), "lv": row.number("vn_lv_kv")}
    tap = _tap(row, {"hv": "from", "lv": "to"}, windings_kv, q)
    degree = row.number("shift_degree", 0.0) + (_turned(row, windings_kv) if _turns(row) else 0.0)
    clock, turn = _turn(degree)
    apart = abs(turn) > 1e-9 or uk < 0 or r < 0 or (uk >= 1 and sn_va < NO_RATING_VA)
    if apart:
        row.note("turns the phase, or no machine's impedance: an equivalent, fixed as it stands")
    from_closed, to_closed = switches.closed(row, a), switches.closed(row, b)
    on_load = row.flag("oltc", default=False) or (row.number("vn_hv_kv") > ON_LOAD_KV and tap["tap_size_mv"] > 0)
    return Transformer(
        id=row.index,
        name=row.name,
        from_node=a,
        to_node=b,
        closed=from_closed or to_closed,
        u_from_v=q("u_from_v", windings_kv["hv"] * 1e3),
        u_to_v=q("u_to_v", windings_kv["lv"] * 1e3),
        sn_va=q("sn_va", sn_va * parallel * row.number("df", 1.0)),
        uk_ppm=q("uk_ppm", math.copysign(abs(z), z.imag) * 1e6 * row.number("df", 1.0)),
        pk_w=q("pk_w", z.real * sn_va * parallel * row.number("df", 1.0) ** 2),
        i0_ppm=q("i0_ppm", abs(y) * 1e6 / row.number("df", 1.0)),
        p0_w=q("p0_w", y.real * sn_va * parallel),
        clock=clock,
        on_load=on_load and not apart,
        switchable=switches.switchable(row),
        turn_mdeg=q("turn_mdeg", turn * 1e3 if apart else 0.0),
        equivalent=apart,
        open_end="" if from_closed == to_closed else "to" if from_closed else "from",
        rest=q.rest,
        **tap,
    )


def _impedance(uk: float, r: float) -> complex:
    return complex(r, math.copysign(math.sqrt(max(uk * uk - r * r, 0.0)), uk))


def _admittance(i0: float, p0: float) -> complex:
    return complex(p0, -math.sqrt(max(i0 * i0 - p0 * p0, 0.0)))


def _pi(z: complex, y: complex) -> tuple[complex, complex]:
    """Series impedance and whole shunt admittance of the pi circuit equal to a T circuit with equal halves."""
    k = 1 + z * y / 4
    return z * k, y / k


def _three_winding(row: Row, switches: Switches) -> ThreeWinding:
    q = Whole()
    sides = ("hv", "mv", "lv")
    nodes = [row.node(f"{s}_bus", switches.buses) for s in sides]
    rated_kv = {s: row.number(f"vn_{s}_kv") for s in sides}
    sn_va = [row.number(f"sn_{s}_mva") * 1e6 for s in sides]
    # pandapower: vk_hv is of the pair hv-mv, vk_mv of mv-lv, vk_lv of hv-lv, each at the smaller rating
    pairs = {(0, 1): "hv", (1, 2): "mv", (0, 2): "lv"}
    z = {
        p: _impedance(row.number(f"vk_{s}_percent") / 100, row.number(f"vkr_{s}_percent") / 100)
        for p, s in pairs.items()
    }
    of_one = {p: z[p] / min(sn_va[p[0]], sn_va[p[1]]) for p in pairs}  # per VA
    star = (of_one[0, 1] + of_one[0, 2] - of_one[1, 2]) / 2
    i0, p0 = row.number("i0_percent", 0.0) / 100, row.number("pfe_kw", 0.0) * 1e3 / sn_va[0]
    high, y = _pi(star * sn_va[0], _admittance(i0, p0))
    moved = high / sn_va[0] - star
    z = {p: (of_one[p] + (moved if 0 in p else 0)) * min(sn_va[p[0]], sn_va[p[1]]) for p in pairs}
    tap = _tap(row, {"hv": "1", "mv": "2", "lv": "3"}, rated_kv, q)
    if row.flag("tap_at_star_point", default=False) and tap["tap_position"] != tap["tap_nominal"]:
        row.wrong("tap_at_star_point", True, "a tap at a winding")
    fields: dict[str, Any] = {}
    for k, side in enumerate(sides, 1):
        fields[f"node_{k}"] = nodes[k - 1]
        fields[f"closed_{k}"] = switches.closed(row, nodes[k - 1])
        fields[f"u_{k}_v"] = q(f"u_{k}_v", rated_kv[side] * 1e3)
        fields[f"sn_{k}_va"] = q(f"sn_{k}_va", sn_va[k - 1])
    for (a, b), value in z.items():
        pair = f"{a + 1}{b + 1}"
        fields[f"uk_{pair}_ppm"] = q(f"uk_{pair}_ppm", abs(value) * 1e6)
        fields[f"pk_{pair}_w"] = q(f"pk_{pair}_w", value.real * min(sn_va[a], sn_va[b]))
    return ThreeWinding(
        id=row.index,
        name=row.name,
        i0_ppm=q("i0_ppm", abs(y) * 1e6),
        p0_w=q("p0_w", y.real * sn_va[0]),
        clock_12=_clock(row, "shift_mv_degree"),
        clock_13=_clock(row, "shift_lv_degree"),
        on_load=tap["tap_size_mv"] > 0,
        rest=q.rest,
        **fields,
        **tap,
    )
