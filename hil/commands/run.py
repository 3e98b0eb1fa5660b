"""lightnode-hil run: the standard scenarios on every target that can be had, with one report."""

import argparse
import json
import sys
from pathlib import Path

from hil.rig.run import failures
from hil.rig.run import run as run_rig

EXAMPLE = "example: ./run rig --out rig-output; ./run hil run --target vm,chip -k journal --out rig-output"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--out", type=Path, default=Path("rig-output"), help="folder of the report (default rig-output)"
    )
    parser.add_argument("--target", default="all", help="cpython, vm, chip, board or all, several with commas")
    parser.add_argument("-k", dest="keyword", default="", help="only scenarios whose names match, as pytest's -k")
    parser.add_argument("--json", action="store_true", help="print the record as one JSON object")
    parser.add_argument("scenarios", nargs="*", help="test files instead of the standard scenarios")


def run(options: argparse.Namespace) -> int:
    """1 if a scenario failed or a budget has grown; each with the command that repeats it."""
    record = run_rig(
        options.out,
        options.target,
        options.scenarios,
        options.keyword,
        lambda what: print(what, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps(record))
    else:
        for device in record["devices"]:
            print(
                f"{device['name']:10} {device['passed']} passed, {device['failed']} failed, {device['skipped']} skipped"
            )
        for row in record["budgets"]:
            if row["missed"]:
                print(f"chip       {row['name']}: {row['now']:,} misses the target of {row['target']:,}")
        print(f"report: {options.out / 'report.html'}")
    found = failures(record)
    for line in found:
        print(f"lightnode-hil: {line}", file=sys.stderr)
    return 1 if found else 0
