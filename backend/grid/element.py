"""The elements of a grid as records of integers (I-11): what is built, what may be operated, what is measured.

1. Every quantity is a whole number with its unit in its name. What an import would lose by that stands in ``rest``:
   millionths of the unit of the field named, between -999999 and 999999; ``exact`` puts both together.
2. Withdrawal is positive for loads, storages, shunts and PODs; for generators injection is positive.
3. A rating of 0 for a season or an emergency means: as rated.
4. ``equivalent``: a branch that stands for a part of a transmission grid and not for a cable or a machine.
5. Own means are what is marked: ``switchable`` lines, links, transformers and shunts; taps with ``on_load``.
"""

from dataclasses import dataclass
from typing import Any

Rest = tuple[tuple[str, int], ...]
MILLION = 1_000_000
PHASES = ("abc", "ab", "bc", "ac", "a", "b", "c")
SEASONS = ("", "summer", "winter")


@dataclass(frozen=True, slots=True)
class Node:
    """Bus; the voltage band is the operator's, in 1e-6 of ``u_rated_v``. ``dead``: out of supply on purpose."""

    id: int
    name: str
    u_rated_v: int
    u_min_ppm: int
    u_max_ppm: int
    dead: bool = False
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Line:
    """Branch between nodes of one voltage: series uOhm, shunt pF and pS, rating in mA; an end may be open.

    The zero sequence is read by the calculation per phase only; 0 for all three of it means: not known. An ``equivalent`` may
    have a negative resistance, reactance or capacitance.
    """

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
    g_ps: int = 0
    r0_uohm: int = 0
    x0_uohm: int = 0
    c0_pf: int = 0
    summer_ma: int = 0
    winter_ma: int = 0
    emergency_ma: int = 0
    switchable: bool = False
    equivalent: bool = False
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Transformer:
    """Two windings; loading is apparent power over ``sn_va``. ``tap_side`` is "from" or "to".

    An ``equivalent`` turns the phase by ``turn_mdeg`` (1e-3 degrees) beside its clock, and its ``uk_ppm`` (the reactance) and
    ``pk_w`` may be negative; it stands at its tap position.
    """

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
    summer_va: int = 0
    winter_va: int = 0
    emergency_va: int = 0
    switchable: bool = False
    open_end: str = ""
    turn_mdeg: int = 0
    equivalent: bool = False
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class ThreeWinding:
    """Transformer with three windings; uk and pk of a pair are at the smaller rating of the two.

    ``tap_side`` is "1", "2" or "3". Loading is the highest of the three windings', apparent power over its ``sn_va``.
    """

    id: int
    name: str
    node_1: int
    node_2: int
    node_3: int
    closed_1: bool
    closed_2: bool
    closed_3: bool
    u_1_v: int
    u_2_v: int
    u_3_v: int
    sn_1_va: int
    sn_2_va: int
    sn_3_va: int
    uk_12_ppm: int
    uk_13_ppm: int
    uk_23_ppm: int
    pk_12_w: int
    pk_13_w: int
    pk_23_w: int
    i0_ppm: int
    p0_w: int
    clock_12: int
    clock_13: int
    tap_side: str
    tap_min: int
    tap_max: int
    tap_nominal: int
    tap_position: int
    tap_size_mv: int
    on_load: bool
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Link:
    """Coupler without impedance between two nodes."""

    id: int
    name: str
    from_node: int
    to_node: int
    closed: bool
    switchable: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Stiff feed from the grid above, at ``u_ref_ppm`` of the node's rated voltage and an angle in 1e-3 degrees."""

    id: int
    node: int
    u_ref_ppm: int
    name: str = ""
    angle_mdeg: int = 0
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Injection:
    """Load (withdrawal positive) or generator (injection positive): nominal W and var, name of its profile.

    ``phases``: where it is connected; its power is shared equally by them.
    """

    id: int
    name: str
    node: int
    profile: str
    p_nominal_w: int
    q_nominal_var: int
    phases: str = "abc"
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """Battery: nominal W and var (charging positive), the most it charges or discharges, and what it holds."""

    id: int
    name: str
    node: int
    p_nominal_w: int
    q_nominal_var: int
    p_max_w: int = 0
    capacity_wh: int = 0
    profile: str = ""
    phases: str = "abc"
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Shunt:
    """Bank of equal steps; each takes W and var at the node's rated voltage (a capacitor's var are negative).

    ``steps`` are in, of ``steps_max``. Power goes with the square of the voltage.
    """

    id: int
    name: str
    node: int
    step_w: int
    step_var: int
    steps: int
    steps_max: int
    switchable: bool = False
    rest: Rest = ()


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a POD is connected (I-02), and at which phases."""

    pod: str
    node: int
    phases: str = "abc"


@dataclass(frozen=True, slots=True)
class MeasuringPoint:
    """Place of a field sensor (I-19): what it measures, at which element and end.

    ``quantity``: "voltage" (at a node), "power" or "current". ``kind`` and ``element`` name the element, ``side`` the end
    of a branch ("from", "to", of three windings "1", "2", "3"). ``accuracy_ppm``: one standard deviation in 1e-6 of what
    the element is rated for (rated voltage, current or apparent power, nominal power of loads, generators, storages).
    """

    id: int
    name: str
    quantity: str
    kind: str
    element: int
    accuracy_ppm: int
    side: str = ""
    phases: str = "abc"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a network: where, what it says, what is expected. ``element``: kind:id and name in quotes."""

    element: str
    field: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"{self.element} {self.field} = {self.value!r}, expected {self.expected}"


def exact(element: Any, field: str) -> float:
    """The field with its rest, in its unit."""
    whole = float(getattr(element, field))
    for name, millionths in element.rest:
        if name == field:
            return whole + float(millionths) / MILLION
    return whole


def line_limit_ma(line: Line, season: str = "", *, emergency: bool = False) -> int:
    """What may flow: the season's rating, in an emergency the emergency rating if there is one."""
    by_season = {"": line.rated_ma, "summer": line.summer_ma, "winter": line.winter_ma}[season] or line.rated_ma
    return max(by_season, line.emergency_ma) if emergency else by_season


def transformer_limit_va(unit: Transformer, season: str = "", *, emergency: bool = False) -> int:
    """What may pass: the season's rating, in an emergency the emergency rating if there is one."""
    by_season = {"": unit.sn_va, "summer": unit.summer_va, "winter": unit.winter_va}[season] or unit.sn_va
    return max(by_season, unit.emergency_va) if emergency else by_season
