"""The commands of `lightnode grid` that work on a day: localise, plan, request, validate, substation. Their words.

What they do stands in day_work.py, which is imported when it is needed: other commands start without an engine.
"""

import argparse
from pathlib import Path
from typing import Any

NETWORK_EXAMPLE = "backend/demo/baran_wu_33.json backend/demo/baran_wu_states.json"


def add_commands(commands: Any) -> None:
    """Adds them to the group `grid`."""
    _add_localise(commands)
    _add_plan(commands)
    _add_request(commands)
    _add_constraints(commands)
    _add_validate(commands)
    _add_substation(commands)


def _command(commands: Any, name: str, help: str, example: str, with_plan: bool = True) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help, epilog=f"example: lightnode grid {name} {NETWORK_EXAMPLE} {example}".rstrip()
    )
    made.add_argument("network", type=Path, help="the grid (lightnode-network)")
    made.add_argument("states", type=Path, help="loads and generation by frame and level (lightnode-states/1)")
    made.add_argument(
        "--voltage-margin-ppm", type=int, default=0, help="1e-6 of rated kept free of the band's edges (0)"
    )
    made.add_argument("--loading-margin-ppm", type=int, default=0, help="1e-6 of rated kept free of the ratings (0)")
    made.add_argument(
        "--season", choices=("summer", "winter"), default="", help="the season's ratings (else the rated)"
    )
    made.add_argument("--gate", type=int, metavar="FRAME", help="refuse states made with knowledge from this frame on")
    if with_plan:
        made.add_argument("--plan", type=Path, help="taps, banks and switches as in this plan")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.set_defaults(grid_day=name)
    return made


def _add_localise(commands: Any) -> None:
    made = _command(
        commands,
        "localise",
        "name every element beyond its limit, by how much, when and how likely; exit code 1 is an alert",
        "--outage line:2",
    )
    made.add_argument(
        "--outage", action="append", default=[], metavar="ELEMENT", help="also without this line, link or transformer"
    )


def _add_plan(commands: Any) -> None:
    made = _command(
        commands,
        "plan",
        "own remedies: taps, banks, then switches, as schedule and switching list",
        "--losses --all",
        False,
    )
    made.add_argument("--device-operations", type=int, default=24, help="operations of taps and banks a day (24)")
    made.add_argument("--switch-operations", type=int, default=12, help="operations of switches a day (12)")
    made.add_argument("--losses", action="store_true", help="switch for less losses too, not only for broken limits")
    made.add_argument(
        "--renew",
        type=Path,
        metavar="PLAN",
        help="place the taps and banks of this plan anew, for the states' part of it",
    )
    which = made.add_mutually_exclusive_group()
    which.add_argument(
        "--switchable", action="append", metavar="ELEMENT", help="these lines and links (else those marked in the grid)"
    )
    which.add_argument("--all", action="store_true", help="every line and link may be switched")


def _add_request(commands: Any) -> None:
    made = _command(
        commands, "request", "what is left to buy: least relief per element and frame, at which nodes", "--json"
    )
    made.add_argument("--capabilities", type=Path, help="what PODs can change (else each node's own load, up or down)")
    made.add_argument("--level", type=int, default=500_000, help="level of the forecast to be safe at, 1e-6 (500000)")


def _add_constraints(commands: Any) -> None:
    made = _command(
        commands, "constraints", "the limits that a market session is cleared within, as whole numbers", "--json"
    )
    made.add_argument(
        "--near-ppm", type=int, default=60_000, help="elements this near their limit, 1e-6 of rated (60000)"
    )
    made.add_argument("--level", type=int, default=500_000, help="level of the forecast, 1e-6 (500000)")


def _add_validate(commands: Any) -> None:
    made = _command(commands, "validate", "a verdict for each award of a list, in merit order", "--awards awards.json")
    made.add_argument("--awards", type=Path, required=True, help="the list to judge (lightnode-awards/1)")


def _add_substation(commands: Any) -> None:
    made = _command(commands, "substation", "P, Q and voltage of the primary substation, before and after", "--json")
    made.add_argument("--awards", type=Path, help="with what of these awards is accepted")


def run(options: argparse.Namespace) -> int:
    """Runs the command that was asked for; its exit code."""
    from backend.grid_commands import day_work

    return day_work.run(options)
