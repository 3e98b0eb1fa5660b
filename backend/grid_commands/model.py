"""lightnode grid import, check, show: their options; what they do is loaded when one runs."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from backend.errors import Rejected, Unavailable

DONE, REFUSED, _, UNAVAILABLE = range(4)


def add_commands(grid: Any) -> None:
    """Adds the three to the group `grid`."""
    taken = grid.add_parser(
        "import",
        help="a pandapower file or a SimBench code becomes a network document; what is changed or cannot be taken is said",
        epilog="example: lightnode grid import planner.json --out network.json   or: lightnode grid import 1-LV-rural1--0-sw --out g.json",
    )
    taken.add_argument("source", metavar="FILE|CODE", help="a file of pandapower's to_json, or a SimBench code")
    taken.add_argument(
        "--out", type=Path, required=True, help="where the network document goes (backend/grid/FORMAT.md)"
    )
    taken.add_argument("--name", default="", help="the grid's name (else the file's own)")
    check = grid.add_parser(
        "check",
        help="every finding of a network document or a pandapower file, and its state with nominal power",
        epilog="example: lightnode grid check network.json --json",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a network document or a pandapower file")
    check.add_argument("--pods", type=Path, help='where PODs are connected: {"POD": node} or {"POD": [node, "b"]}')
    check.add_argument("--phases", action="store_true", help="also calculate every phase on its own")
    show = grid.add_parser(
        "show",
        help="a one-line picture, nodes coloured by voltage, branches by loading, the worst named",
        epilog="example: lightnode grid show network.json --out network.svg",
    )
    show.add_argument("file", type=Path, metavar="FILE", help="a network document or a pandapower file")
    show.add_argument("--out", type=Path, required=True, help="the picture, .svg or .png")
    for parser in (taken, check, show):
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Calls, prints, and gives the exit code."""
    from backend.grid_commands import model_files

    try:
        facts = model_files.run(options)
    except Rejected as refusal:
        found = [vars_of(f) for f in getattr(refusal, "findings", ())]
        if options.json:
            print(json.dumps({"valid": False, "reason": refusal.reason, "findings": found}))
        else:
            lines = [str(f) for f in getattr(refusal, "findings", ())] or [refusal.reason]
            print("\n".join(f"lightnode: {line}" for line in lines), file=sys.stderr)
        return REFUSED
    except (Unavailable, OSError) as error:
        print(json.dumps({"reason": str(error)})) if options.json else print(f"lightnode: {error}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, Unavailable) else REFUSED
    if options.json:
        print(json.dumps(facts))
        return DONE
    for note in facts.pop("notes", ()):
        print(f"lightnode: {note}", file=sys.stderr)
    print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()))
    return DONE


def vars_of(finding: Any) -> dict[str, object]:
    """A finding as JSON."""
    value = finding.value if isinstance(finding.value, int | str | None) else repr(finding.value)
    return {"element": finding.element, "field": finding.field, "value": value, "expected": finding.expected}
