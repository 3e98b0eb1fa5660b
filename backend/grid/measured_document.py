"""Measurements as a document (lightnode-measurements/1), and messages of field devices as measurements.

1. ``measurements``: sensor, quantity, kind, element, value, sigma; second and second_sigma of power (var) and current (1e-3
   degrees of lag); side of branches; origin "field sensor", "4 s reading" or "quarter-hour". Units as in measurement.py.
2. ``opened``: branches that a breaker reported open ("line:3").
3. Whole numbers only; every number has its field; an unknown field is refused. All findings come at once.
4. A field device is where the network document's measuring points of its name are: one for each quantity. Their accuracy is
   its deviation. A breaker's branch is that of its power or current.
5. A number that is not from now is no measurement of now: the caller gives the messages of the last minutes only.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backend.errors import Rejected
from backend.grid.element import MeasuringPoint
from backend.grid.field import FieldReading
from backend.grid.measurement import Measurement, Origin, Quantity, current
from backend.grid.network import Network
from backend.nesting import too_deep

FORMAT = "lightnode-measurements/1"
_NEEDED = {"sensor": str, "quantity": str, "kind": str, "element": int, "value": int, "sigma": int}
_MORE = {"second": int, "second_sigma": int, "side": str, "origin": str}
_MOST = 10**15
_MOST_SAID = 20
_PPM = 1_000_000
_ROOT3_PPM = 1_732_051
_MILLI = 1_000


def parse_measurements(text: str) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """(measurements, opened branches) of a document. Raises Rejected with what is wrong, the first twenty in words."""
    if too_deep(text):
        raise Rejected("measurements: nested too deep")
    try:
        document = json.loads(text, parse_constant=_no_number)
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
) -> tuple[tuple[Measurement, ...], tuple[str, ...]]:
    """(measurements, opened branches) of field messages; names: of the devices by id. Raises Rejected for a device without a
    measuring point."""
    points: dict[str, dict[str, MeasuringPoint]] = {}
    for point in network.measuring_points:
        points.setdefault(point.name, {})[point.quantity] = point
    made: list[Measurement] = []
    opened: list[str] = []
    for reading in readings:
        name = names[reading.sensor]
        mine = points.get(name)
        if mine is None:
            raise Rejected(
                f"field device {reading.sensor}: grid {network.name!r} has no measuring point named {name!r}"
            )
        made += _at_points(network, name, mine, reading)
        branch = mine.get("power") or mine.get("current")
        if reading.breaker == "open" and branch is not None:
            opened.append(f"{branch.kind}:{branch.element}")
    return tuple(made), tuple(dict.fromkeys(opened))


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
