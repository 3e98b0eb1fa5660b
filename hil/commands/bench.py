"""lightnode-hil bench: measures an area beside its peers and prints ratios. Exit codes: 0 done, 2 unknown area, 3 a part is missing."""

import argparse
import importlib
import sys

from hil.benches import figure

EXAMPLE = "example: ./run bench device --json"
AREAS = {
    "device": "hil.benches.device",
    "chain": "hil.benches.chain",
    "evidence": "hil.benches.evidence",
    "grid": "hil.benches.grid",
    "growth": "hil.benches.growth",
    "market": "hil.benches.market",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("area", nargs="?", help="what to measure; without it the areas are listed")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")


def run(options: argparse.Namespace) -> int:
    """A missed target is printed as such and does not fail."""
    if options.area is None:
        for name, module in AREAS.items():
            print(f"{name:10} {importlib.import_module(module).WHAT}")
        return 0
    if options.area not in AREAS:
        print(f"lightnode-hil: '{options.area}' is no area: known are {', '.join(AREAS)}", file=sys.stderr)
        return 2
    area = importlib.import_module(AREAS[options.area])
    figures = area.measure()
    print(figure.as_json(figures, area.versions()) if options.json else figure.table(figures))
    return 0
