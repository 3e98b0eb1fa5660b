"""Which measurements look like another unit, or cannot be true where they are: named before anything is estimated from them.

1. Where there is supply: a voltage below a hundredth of rated (and not 0) or above ten times rated, a current or a power above a
   hundred times what its place is rated for. It is left out.
2. A load's W below a five-hundredth of its nominal (and not 0) may be a site at rest: it is named and counts little, with a
   thousand times itself as its deviation.
3. A field sensor's voltage above a tenth of rated where the breakers leave no supply, or a flow above four deviations in a
   branch that is reported open: the one or the other is wrong. It is left out.
4. Of bad data that is a thousand times off, half or twice that, the unit is said that would explain it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.grid.measurement import Measurement, Origin, Quantity
from backend.grid.network import Network

_SMALLER = {Quantity.VOLTAGE: "V for mV", Quantity.CURRENT: "A for mA", Quantity.POWER: "kW for W"}
_LARGER = {Quantity.VOLTAGE: "uV for mV", Quantity.CURRENT: "uA for mA", Quantity.POWER: "mW for W"}
_ROOT3_MILLI = 1_732


@dataclass(frozen=True, slots=True)
class Suspect:
    """A measurement that was named for its size: why, and whether it counts all the same."""

    sensor: str
    place: str
    quantity: str
    origin: str
    value: int
    reason: str
    kept: bool


def suspects(
    network: Network, measured: Sequence[Measurement], alive: Collection[int], opened: Collection[str]
) -> dict[int, Suspect]:
    """By the measurement's place in ``measured`` (rules 1 to 3); alive: nodes with supply; opened: branches."""
    volts = {node.id: node.u_rated_v for node in network.nodes}
    rated = _rated(network, volts)
    nominal = {("load", e.id): (e.node, abs(e.p_nominal_w)) for e in network.loads}
    found = {}
    for k, one in enumerate(measured):
        if one.quantity is Quantity.VOLTAGE:
            said = _voltage(one, volts[one.element] * 1_000, one.element in alive)
        elif f"{one.kind}:{one.element}" in opened:
            said = ("expected 0: the branch is reported open", False) if abs(one.value) > 4 * one.sigma else None
        else:
            node, most = rated.get((one.kind, one.element, one.quantity), (None, 0))
            said = _flow(one, most) if node in alive else None
            if said is None and one.quantity is Quantity.POWER and (one.kind, one.element) in nominal:
                said = _small(one, *nominal[one.kind, one.element], alive)
        if said is not None:
            reason, kept = said
            found[k] = Suspect(one.sensor, one.place, one.quantity.value, one.origin.value, one.value, reason, kept)
    return found


def believed(measured: Sequence[Measurement], said: Mapping[int, Suspect]) -> list[Measurement]:
    """What is left to estimate from (rules 1 to 3)."""
    return [_weakened(one) if k in said else one for k, one in enumerate(measured) if k not in said or said[k].kept]


def _weakened(one: Measurement) -> Measurement:
    size = 1_000 * abs(one.value)
    return replace(one, sigma=max(size, one.sigma), second_sigma=max(size, one.second_sigma))


def told(suspect: Suspect, expected: int) -> Suspect:
    """With what the others say of its place, if that explains it (rule 4)."""
    unit = unit_that_explains(Quantity(suspect.quantity), suspect.value, expected)
    return replace(suspect, reason=f"{suspect.reason}; the others say {expected}: {unit}") if unit else suspect


def unit_that_explains(quantity: Quantity, value: int, expected: int) -> str:
    """Rule 4: "kW for W" and the like, "" if none."""
    size, wanted = abs(value), abs(expected)
    if 500 * size <= wanted <= 2_000 * size and size:
        return _SMALLER[quantity]
    return _LARGER[quantity] if 500 * wanted <= size <= 2_000 * wanted and wanted else ""


def _rated(network: Network, volts: dict[int, int]) -> dict[tuple[str, int, Quantity], tuple[int, int]]:
    """A node of each place, and what the place is rated for in the quantity's unit."""
    found = {}
    for line in network.lines:
        found["line", line.id, Quantity.CURRENT] = line.from_node, line.rated_ma
        va = line.rated_ma * volts[line.from_node] * _ROOT3_MILLI // 1_000_000
        found["line", line.id, Quantity.POWER] = line.from_node, va
    for unit in network.transformers:
        ma = unit.sn_va * 1_000_000 // (min(unit.u_from_v, unit.u_to_v) * _ROOT3_MILLI)
        found["transformer", unit.id, Quantity.CURRENT] = unit.from_node, ma
        found["transformer", unit.id, Quantity.POWER] = unit.from_node, unit.sn_va
    for kind, of in (("load", network.loads), ("generator", network.generators)):
        for e in of:
            found[kind, e.id, Quantity.POWER] = e.node, max(abs(e.p_nominal_w), abs(e.q_nominal_var))
    for s in network.storages:
        found["storage", s.id, Quantity.POWER] = s.node, max(s.p_max_w, abs(s.p_nominal_w))
    return found


def _voltage(one: Measurement, rated_mv: int, fed: bool) -> tuple[str, bool] | None:
    if not fed:
        wrong = one.origin is Origin.FIELD and one.value * 10 > rated_mv
        return ("expected about 0: the open breakers leave no supply here", False) if wrong else None
    if 0 < one.value * 100 < rated_mv:
        return f"expected mV near {rated_mv} (is it V or kV?)", False
    return (f"expected mV near {rated_mv} (is it uV?)", False) if one.value > 10 * rated_mv else None


def _flow(one: Measurement, most: int) -> tuple[str, bool] | None:
    unit, other = ("mA", "uA") if one.quantity is Quantity.CURRENT else ("W and var", "mW")
    largest = abs(one.value) if one.quantity is Quantity.CURRENT else max(abs(one.value), abs(one.second))
    return (
        (f"expected {unit}, at most a hundred times {most} (is it {other}?)", False)
        if 0 < most * 100 < largest
        else None
    )


def _small(one: Measurement, node: int, nominal: int, alive: Collection[int]) -> tuple[str, bool] | None:
    if node not in alive or not 0 < abs(one.value) * 500 < nominal:
        return None
    return f"expected W, of {nominal} nominal (is it kW, or a site at rest?)", True
