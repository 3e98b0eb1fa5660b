"""lightnode-hil budget: instructions, heap and sizes on the emulated chip, held against the ratchet."""

import argparse
import json
import sys

from hil import budget

EXAMPLE = "example: ./run hil budget"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--accept", action="store_true", help="write the figures into the ratchet, hil/budget.json")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")


def run(options: argparse.Namespace) -> int:
    """1 if a figure has grown over what the ratchet allows."""
    rows = budget.compare(budget.measure(), budget.read_ratchet())
    if options.accept:
        budget.accept(rows)
    print(json.dumps({row.name: row.now for row in rows}) if options.json else budget.table(rows))
    grown = [row for row in rows if row.has_grown]
    if options.accept or not grown:
        return 0
    if reason := budget.not_comparable():
        print(f"lightnode-hil: nothing is compared: {reason}", file=sys.stderr)
        return 0
    for row in grown:
        print(f"lightnode-hil: {row}", file=sys.stderr)
    print("lightnode-hil: if this is wanted, './run hil budget --accept' and say why in the commit", file=sys.stderr)
    return 1
