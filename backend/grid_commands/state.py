"""The commands of `lightnode grid` about the state of the grid: forecast, backtest, estimate, dispatch, field. Their words.

What they do stands in forecast.py, estimate.py, dispatch.py and field.py, imported when needed: other commands start
without an engine.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from backend.errors import Rejected, Unavailable

DONE, REFUSED, USAGE, UNAVAILABLE = range(4)
Answer = tuple[dict[str, object], str]


def add_commands(commands: Any) -> None:
    """Adds both to the group `grid`."""
    forecast = _command(commands, "forecast", "quantiles for the day ahead or the next 4 h", "--demo --day 2026-03-18")
    when = forecast.add_mutually_exclusive_group(required=True)
    when.add_argument("--day", type=_day, help="this local day, as known at noon of the day before")
    when.add_argument("--next", metavar="TIME", help="the 4 h from this instant on, as 2026-03-18T12:00Z")
    forecast.add_argument("--gate", metavar="TIME", help="what was known before this instant, instead")
    forecast.add_argument("--levels", type=_levels, help="rising ppm (50000,250000,500000,...)")
    forecast.add_argument(
        "--method", choices=("plain", "boosting"), default="plain", help="boosting needs the extra lightnode[forecast]"
    )
    forecast.add_argument("--weather", type=Path, help="CSV of one quantity by quarter-hour, past and forecast")
    forecast.add_argument("--weather-issued", metavar="TIME", help="when its forecast was issued (with --weather)")
    forecast.add_argument(
        "--states", type=Path, metavar="OUT", help="also write lightnode-states/1 of loads and generators"
    )
    test = _command(commands, "backtest", "how good forecasts would have been", "--demo --from 2026-03-17 --days 2")
    test.add_argument("--from", type=_day, dest="first", required=True, help="the first local day that is forecast")
    test.add_argument("--days", type=int, default=7, help="how many (7)")
    test.add_argument("--horizon", choices=("day-ahead", "near-real-time"), help="only this one")
    _add_estimate(commands)
    orders = commands.add_parser(
        "dispatch",
        help="split orders per POD by shares, limits and availability; replace PODs that are out; nothing is sent",
        epilog="example: lightnode grid dispatch orders.json --out IT001E00000002",
    )
    orders.add_argument("orders", type=Path, help="orders and abilities of a quarter-hour (lightnode-dispatch/1)")
    orders.add_argument("--out", action="append", default=[], metavar="POD", help="refused or silent; again for more")
    orders.add_argument("--json", action="store_true", help="print one JSON object")
    orders.set_defaults(grid_state="dispatch")
    field = commands.add_parser(
        "field",
        help="register field sensors and breakers, or take in what they send",
        epilog="example: lightnode grid field --db scd.sqlite --listen 127.0.0.1:4712",
    )
    field.add_argument("--db", type=Path, required=True, help="the back end's database; made if it is not there")
    field.add_argument("--listen", metavar="HOST:PORT", help="take in messages here until interrupted")
    field.add_argument("--messages", type=int, help="end after so many messages (with --listen)")
    field.add_argument("--register", metavar="ID", help="a device's id: 16 hexadecimal digits")
    field.add_argument("--name", help="the name of its measuring points in the network document")
    field.add_argument("--key", type=Path, help="file of its key: 64 hexadecimal digits")
    field.add_argument("--json", action="store_true", help="print one JSON object")
    field.set_defaults(grid_state="field")


def _add_estimate(commands: Any) -> None:
    made = commands.add_parser(
        "estimate",
        help="the state of the grid from readings, quarter-hours and field sensors; bad data and blind spots named",
        epilog="example: lightnode grid estimate grid.json --measurements measured.json --quarters quarters.csv"
        " --at 2026-03-18T18:00:00Z",
    )
    made.add_argument("network", type=Path, help="the grid (lightnode-network)")
    made.add_argument("--measurements", type=Path, help="what was measured (lightnode-measurements/1)")
    made.add_argument("--db", type=Path, help="a back end's database: 4 s readings and field sensors before --at")
    made.add_argument("--quarters", type=Path, help="CSV: time, then whole W as load:ID, generator:ID, var:ID")
    made.add_argument("--at", metavar="TIME", help="the moment, as 2026-03-18T18:00:04Z")
    made.add_argument("--method", choices=("newton", "linear"), default="newton", help="which is tried first (newton)")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.set_defaults(grid_state="estimate")


def _command(commands: Any, name: str, help: str, example: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help, epilog=f"example: lightnode grid {name} {example}"
    )
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("history", type=Path, nargs="?", help="CSV: time, then whole W by name")
    source.add_argument("--demo", action="store_true", help="the example day's loads and generators by node")
    made.add_argument(
        "--network", type=Path, help="columns load:ID and generator:ID are of this grid: forecast per node"
    )
    made.add_argument("--zone", default="Europe/Rome", help="time zone of the local days (Europe/Rome)")
    made.add_argument("--patron", type=_patron, help="the town's own holiday, MM-DD")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.set_defaults(grid_state=name)
    return made


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: a day is written 2026-03-18") from error


def _patron(text: str) -> tuple[int, int]:
    day = _day(f"2024-{text}")
    return day.month, day.day


def _levels(text: str) -> tuple[int, ...]:
    if not all(part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r}: levels are whole ppm with commas, as 50000,500000,950000")
    return tuple(int(part) for part in text.split(","))


def run(options: argparse.Namespace) -> int:
    """Runs the command that was asked for; what does not fit is said in one line."""
    from backend.grid_commands import dispatch, estimate, field, forecast

    commands: dict[str, Callable[[argparse.Namespace], Answer]] = {
        "forecast": forecast.forecast,
        "backtest": forecast.scored,
        "estimate": estimate.run,
        "dispatch": dispatch.run,
        "field": field.run,
    }
    try:
        document, text = commands[options.grid_state](options)
    except Rejected as refusal:
        return _refused(options, REFUSED, refusal.reason)
    except Unavailable as error:
        return _refused(options, UNAVAILABLE, str(error))
    except OSError as error:
        return _refused(options, REFUSED, f"{error.filename}: {error.strerror}")
    print(json.dumps(document, sort_keys=True) if options.json else text)
    return DONE


def _refused(options: argparse.Namespace, code: int, reason: str) -> int:
    if options.json:
        print(json.dumps({"reason": reason}))
    else:
        print(f"lightnode: {reason}", file=sys.stderr)
    return code
