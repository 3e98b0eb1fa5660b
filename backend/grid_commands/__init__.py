"""The commands of `lightnode grid`: the model of a grid (model), a day's work on it (day), what it is known to do (state).

Each of the three has the words of its commands; what they do is imported when one runs: other commands start without an engine.
"""

import argparse
from typing import Any

from backend.grid_commands import day, model, state


def add_commands(groups: Any) -> None:
    """Adds the group `grid`."""
    grid = groups.add_parser(
        "grid", help="the operator's grid: its model, its state, what breaks limits, what is done about it"
    )
    commands = grid.add_subparsers(dest="command", required=True)
    for part in (model, day, state):
        part.add_commands(commands)


def run(options: argparse.Namespace) -> int:
    """Calls the command; its exit code."""
    if "grid_day" in options:
        return day.run(options)
    return state.run(options) if "grid_state" in options else model.run(options)
