"""lightnode-hil fleet: many light nodes against a broker and a back end, every produced line accounted for."""

import argparse
import json
import sys

from hil.fleet.options import add_arguments as add_fleet_arguments
from hil.fleet.options import options_of
from hil.fleet.run import Fleet
from hil.runtime import mosquitto_command

EXAMPLE = "example: lightnode-hil fleet --nodes 1000 --minutes 5 --speed 10 --storm sessions@1 --storm reboot@3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_fleet_arguments(parser)
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 only if every line is stored once and as it was; what does not go together is wrong usage."""
    try:
        chosen = options_of(options)
    except argparse.ArgumentTypeError as error:
        options.refuse(str(error))
    mosquitto_command()
    summary = Fleet(chosen, lambda what: print(what, file=sys.stderr, flush=True)).run()
    if options.json:
        print(json.dumps(summary))
    else:
        for name, value in summary.items():
            print(f"{name:32} {value}")
    return 0 if summary["balanced"] else 1
