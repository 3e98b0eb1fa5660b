"""lightnode-hil soak: light nodes live for hours of virtual time through faults that a seed chooses."""

import argparse
import json
import sys
from pathlib import Path

from hil.output import own
from hil.rig.page import write_page
from hil.rig.soak import Soak
from hil.runtime import micropython_command, mosquitto_command

EXAMPLE = "example: ./run hil soak --nodes 4 --hours 6 --seed 7 --out soak-output"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--nodes", type=int, default=4, help="light nodes (default 4)")
    parser.add_argument("--hours", type=float, default=2.0, help="virtual hours (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults (default 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("soak-output"), help="folder of the report (default soak-output)"
    )
    parser.add_argument("--json", action="store_true", help="print the record as one JSON object")
    parser.set_defaults(refuse=parser.error)


def run(options: argparse.Namespace) -> int:
    """1 if something did not hold, with the command that repeats it."""
    if not 1 <= options.nodes <= 64 or not 0.3 <= options.hours <= 200:
        options.refuse("1 to 64 nodes and 0.3 to 200 hours belong here")
    micropython_command(), mosquitto_command()
    own(options.out, "soak", ("work", "rig.json", "report.html"))
    live = sys.stderr.isatty()
    soak = Soak(
        options.out, options.nodes, options.hours, options.seed,
        lambda what: print(f"\r\x1b[K{what}" if live else what, end="" if live else "\n", file=sys.stderr, flush=True),
    )  # fmt: skip
    record = soak.run()
    (options.out / "rig.json").write_text(json.dumps(record, indent=1) + "\n")
    write_page(record, options.out / "report.html")
    if live:
        print(file=sys.stderr)
    entries = record["devices"][0]["scenarios"]
    if options.json:
        print(json.dumps(record))
    else:
        for entry in entries:
            print(f"{entry['outcome']:7} {entry['scenario']}  {entry['reason']}")
        print(f"report: {options.out / 'report.html'}")
    broken = [entry for entry in entries if entry["outcome"] == "failed"]
    for entry in broken:
        print(f"lightnode-hil: {entry['scenario']}: {entry['reason']}\n  again: {soak.again}", file=sys.stderr)
    return 1 if broken else 0
