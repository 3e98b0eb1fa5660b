"""Measurements as a document (lightnode-measurements/1), and messages of field devices as measurements.

1. ``measurements``: sensor, quantity, kind, element, value, sigma; second and second_sigma of power (var) and current (1e-3
   degrees of lag); side of branches; origin "field sensor", "4 s reading" or "quarter-hour". Units as in measurement.py.
2. ``opened``: branches that a breaker reported open ("line:3").
3. Whole numbers only; every number has its field; an unknown field is refused. All findings come at once.
4. A field device is where the network document's measuring points of its name are: one for each quantity. Their accuracy is
   its deviation. A breaker's branch is that of its power or current; of two that disagree on one the later message stands.
5. A number that is not from now is no measurement of now: the caller gives the messages of the last minutes only.
6. What a device says and no place is known for is not used, and named: it may be of another grid.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backend.errors import Rejected
from backend.grid.element import MeasuringPoint
from backend.grid.field import FieldReading
from backend.grid.measurement import Measurement, Origin, Quantity, current
from backend.grid.network import Network
from backend.nesting import once_each, too_deep

FORMAT = "lightnode-measurements/1"
_NEEDED = {"sensor": str, "quantity": str, "kind": str, "element": int, "value": int, "sigma": int}
_MORE = {"second": int, "second_sigma": int, "side": str, "origin": str}
_MOST = 10**15
_MOST_SAID = 20
_PPM = 1_000_000
_ROOT3_PPM = 1_732_051
_MILLI = 1_000
_BRANCHES = ("line", "transformer", "link")


def parse_measurements(text: str) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """(measurements, opened branches) of a document. Raises Rejected with what is wrong, the first twenty in words."""
    if too_deep(text):
        raise Rejected("measurements: nested too deep")
    try:
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=lambda p: once_each(p, "measurements"))
    except (ValueError, RecursionError) as error:
        raise Rejected(f"measurements: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"measurements: format, expected {FORMAT!r}")
    rows, opened = document.get("measurements"), document.get("opened", [])
    if not isinstance(rows, list) or not isinstance(opened, list) or not all(isinstance(o, str) for o in opened):
        raise Rejected("measurements: expected a list of measurements, and of names as opened")
    found = [said for number, row in enumerate(rows, 1) for said in _unusable(row, f"measurement number {number}")]
    found += [f"no such field as {name!r}" for name in sorted(set(document) - {"format", "measurements", "opened"})]
    if found:
        more = f"; and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
        raise Rejected("measurements: " + "; ".join(found[:_MOST_SAID]) + more)
    return tuple(_measurement(row) for row in rows), tuple(opened)


def of_field(
    network: Network, names: Mapping[str, str], readings: Iterable[FieldReading]
) -> tuple[tuple[Measurement, ...], tuple[str, ...], tuple[str, ...]]:
    """(measurements, opened branches, what is not used, in words) of field messages; names: of the devices by id."""
    points: dict[str, dict[str, MeasuringPoint]] = {}
    for point in network.measuring_points:
        points.setdefault(point.name, {})[point.quantity] = point
    made: list[Measurement] = []
    notes: list[str] = []
    breakers: list[tuple[str, FieldReading]] = []
    for reading in readings:
        name = names[reading.sensor]
        where, mine = f"field device {reading.sensor} ({name})", points.get(name)
        if mine is None:
            notes.append(f"{where}: no measuring point of that name in grid {network.name!r}, not used")
            continue
        made += _at_points(network, name, mine, reading)
        notes += [f"{where}: {said}, not used" for said in _without_place(network, mine, reading)]
        branch = _branch(mine)
        if reading.breaker and branch:
            breakers.append((branch, reading))
    opened, disagree = _opened(names, breakers)
    return tuple(made), opened, (*notes, *disagree)


def _branch(mine: Mapping[str, MeasuringPoint]) -> str:
    """The branch that a breaker of this name is in, "" if it is not known."""
    point = mine.get("power") or mine.get("current")
    return f"{point.kind}:{point.element}" if point is not None and point.kind in _BRANCHES else ""


def _without_place(network: Network, mine: Mapping[str, MeasuringPoint], reading: FieldReading) -> Iterator[str]:
    """What a message says of which there is no measuring point (rule 6)."""
    for name, quantity in (("voltage_mv", "voltage"), ("current_ma", "current"), ("power_w", "power")):
        told_by_power = quantity == "current" and reading.power_w is not None and "power" in mine
        if getattr(reading, name) is not None and quantity not in mine and not told_by_power:
            yield f"{name} has no measuring point of that name in grid {network.name!r}"
    if reading.breaker and not _branch(mine):
        yield f"breaker {reading.breaker}, but no measuring point of that name is at a branch of grid {network.name!r}"


def _opened(
    names: Mapping[str, str], breakers: Iterable[tuple[str, FieldReading]]
) -> tuple[tuple[str, ...], list[str]]:
    """(opened branches, where breakers disagree): the later message stands, of two at once the open one."""
    last: dict[str, FieldReading] = {}
    notes = []
    for branch, said in sorted(breakers, key=lambda b: (b[1].time_ms, b[1].breaker == "open", b[1].sensor)):
        before = last.get(branch)
        if before is not None and before.breaker != said.breaker:
            words = f"breaker of {names[before.sensor]} says {before.breaker}, that of {names[said.sensor]}, later"
            notes.append(f"{branch}: {words}, {said.breaker}: taken as {said.breaker}")
        last[branch] = said
    return tuple(branch for branch in sorted(last) if last[branch].breaker == "open"), notes


def _at_points(
    network: Network, name: str, mine: Mapping[str, MeasuringPoint], reading: FieldReading
) -> Iterator[Measurement]:
    if reading.voltage_mv is not None and "voltage" in mine:
        point = mine["voltage"]
        sigma = max(1, _rated(network, point) * point.accuracy_ppm // _PPM)
        yield Measurement(name, Quantity.VOLTAGE, point.kind, point.element, reading.voltage_mv, sigma)
    if reading.power_w is not None and reading.power_var is not None and "power" in mine:
        point = mine["power"]
        sigma = max(1, _rated(network, point) * point.accuracy_ppm // _PPM)
        yield Measurement(
            name,
            Quantity.POWER,
            point.kind,
            point.element,
            reading.power_w,
            sigma,
            reading.power_var,
            sigma,
            point.side,
        )
    if reading.current_ma is not None and "current" in mine:
        point = mine["current"]
        sigma = max(1, _rated(network, point) * point.accuracy_ppm // _PPM)
        yield current(name, point.kind, point.element, reading.current_ma, sigma, point.side)


def _rated(network: Network, point: MeasuringPoint) -> int:
    """What the accuracy is a share of: mV, mA, or W by the quantity."""
    volts = {node.id: node.u_rated_v for node in network.nodes}
    if point.kind == "node":
        return volts[point.element] * _MILLI
    of = {e.id: e for e in getattr(network, f"{point.kind}s")}[point.element]
    if point.kind in ("line", "transformer"):
        to_side = point.kind == "transformer" and point.side == "to"
        at_v = volts[of.to_node if to_side else of.from_node]
        rated_ma = of.rated_ma if point.kind == "line" else of.sn_va * _MILLI * _PPM // (at_v * _ROOT3_PPM)
        return int(rated_ma if point.quantity == "current" else rated_ma * at_v * _ROOT3_PPM // (_MILLI * _PPM))
    return max(_MILLI, abs(int(getattr(of, "p_nominal_w", _PPM))))


def _unusable(row: object, where: str) -> Iterator[str]:
    if not isinstance(row, dict):
        yield f"{where} is not an object"
        return
    for name, kind in _NEEDED.items():
        if name not in row:
            yield f"{where} {name} is missing"
        elif type(row[name]) is not kind:
            yield f"{where} {name} = {row[name]!r}, expected {'a whole number' if kind is int else 'text'}"
    for name in sorted(set(row) - set(_NEEDED)):
        if name not in _MORE:
            yield f"{where}: no such field as {name!r}"
        elif type(row[name]) is not _MORE[name]:
            yield f"{where} {name} = {row[name]!r}, expected {'a whole number' if _MORE[name] is int else 'text'}"
    for name in ("value", "second", "sigma", "second_sigma"):
        if type(row.get(name)) is int and abs(row[name]) > _MOST:
            yield f"{where} {name} = {row[name]}, expected at most {_MOST}"
    for name, of in (("quantity", Quantity), ("origin", Origin)):
        if isinstance(row.get(name), str) and row[name] not in list(of):
            yield f"{where} {name} = {row[name]!r}, expected {', '.join(of)}"


def _measurement(row: Mapping[str, Any]) -> Measurement:
    given = {name: row[name] for name in (*_NEEDED, *_MORE) if name in row}
    given["quantity"] = Quantity(given["quantity"])
    given["origin"] = Origin(given.get("origin", Origin.FIELD))
    return Measurement(**given)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")
