"""What `lightnode grid forecast` and `backtest` do: quarter-hours in, quantiles or scores out."""

import argparse
import json
import sys

from backend.adapters.boosting import boosted
from backend.adapters.history import by_element, by_node, frame_of, read_history
from backend.demo.day import load_day
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.grid.backtest import Backtest, backtest, day_ahead, near_real_time
from backend.grid.candidate import History, Origin
from backend.grid.document import parse_network
from backend.grid.quantile import LEVELS_PPM, Forecaster, Quantiles, Weather
from backend.grid.states import other_unit
from backend.grid.states_of import states_document

_SHOWN = 4


def forecast(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """(document, text) of a forecast."""
    calendar = Calendar(options.zone, options.patron)
    elements, nodes = _history(options)
    origin = _origin(options, calendar)
    weather = _weather(options, origin)
    made = _made(options, nodes, calendar, origin, weather)
    if options.states is not None:
        parts = _made(options, elements, calendar, origin, weather)
        options.states.write_text(json.dumps(states_document(parts), sort_keys=True) + "\n")
    return {"format": "lightnode-forecast/1", **made.as_json()}, _table(made)


def _made(
    options: argparse.Namespace, history: History, calendar: Calendar, origin: Origin, weather: Weather | None
) -> Quantiles:
    levels = options.levels or LEVELS_PPM
    if options.method == "boosting":
        if weather is not None:
            raise Rejected("--method boosting takes no --weather")
        return boosted(history, calendar, origin, levels)
    return Forecaster(history, calendar, weather).forecast(origin, levels)


def scored(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """(document, text) of a backtest."""
    calendar = Calendar(options.zone, options.patron)
    _, nodes = _history(options)
    horizons = [options.horizon] if options.horizon else ["day-ahead", "near-real-time"]
    made = [backtest(nodes, calendar, options.first, options.days, horizon) for horizon in horizons]
    document: dict[str, object] = {"format": "lightnode-backtest/1", "horizons": [one.as_json() for one in made]}
    return document, "\n".join(_score_table(one) for one in made)


def _history(options: argparse.Namespace) -> tuple[History, History]:
    """By element (or as it is), and by node if there is a grid."""
    if options.demo:
        day = load_day()
        known = by_element(day.series, day.network)
        return known, by_node(known, day.network)
    known = read_history(options.history)
    if options.network is None:
        return known, known
    network = parse_network(options.network.read_text())
    nodes = by_node(known, network)
    for kind, elements in (("load", network.loads), ("generator", network.generators)):
        for element in elements:
            name = f"{kind}:{element.id}"
            said = (
                other_unit(known.values[:, known.names.index(name)], abs(element.p_nominal_w))
                if name in known.names
                else ""
            )
            if said:
                print(f"lightnode: {options.history}: {name}: {said}", file=sys.stderr)
    return known, nodes


def _origin(options: argparse.Namespace, calendar: Calendar) -> Origin:
    day = options.day
    origin = near_real_time(frame_of(options.next, "--next")) if day is None else day_ahead(calendar, day)
    return Origin(frame_of(options.gate, "--gate"), origin.frames) if options.gate else origin


def _weather(options: argparse.Namespace, origin: Origin) -> Weather | None:
    if options.weather is None:
        return None
    if options.weather_issued is None:
        raise Rejected("--weather needs --weather-issued: only what was issued before the gate may be read")
    table = read_history(options.weather)
    return Weather(table.first_frame, table.values[:, 0].copy(), frame_of(options.weather_issued, "--weather-issued"))


def _table(made: Quantiles) -> str:
    lines = [f"{'column':16} {'frame':>9} " + " ".join(f"{level // 10_000:>10} %" for level in made.levels_ppm) + "  W"]
    for k, name in enumerate(made.names):
        for n, frame in enumerate(made.frames):
            if n % _SHOWN == 0:
                lines.append(f"{name:16} {frame:>9} " + " ".join(f"{int(w):>12}" for w in made.values[:, n, k]))
    return "\n".join(lines)


def _score_table(made: Backtest) -> str:
    lines = [f"{made.horizon}, {made.gates} gates; coverage promised {made.expected_ppm / 10_000:.1f} %"]
    lines.append(
        f"{'column':16} {'pinball W':>11} {'persistence':>11} {'gain %':>7} {'bias W':>9} {'error W':>9} {'coverage %':>10}"
    )
    lines += [
        f"{s.name:16} {s.pinball_w:>11} {s.persistence_pinball_w:>11} {s.gain_ppm / 10_000:>7.1f} {s.bias_w:>9} {s.error_w:>9}"
        f" {s.coverage_ppm / 10_000:>10.1f}"
        for s in made.scores
    ]
    return "\n".join(lines)
