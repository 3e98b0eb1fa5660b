"""lightnode-hil: the rig. Exit codes: 0 done, 1 failed with its reason, 2 wrong usage, 3 an outside party is missing."""

import argparse
import importlib
import signal
import sys
from collections.abc import Mapping
from typing import Any

from backend.errors import BackendError, Unavailable
from hil.errors import PartMissing, RigError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("hil.commands.demo", "a market day, from the meters to the payments"),
    "run": ("hil.commands.run", "the standard scenarios on every target, with one report"),
    "week": ("hil.commands.week", "a week of one light node through every fault, every slot accounted for"),
    "soak": ("hil.commands.soak", "hours of virtual time through faults that a seed chooses"),
    "report": ("hil.commands.report", "makes the page of a run or a soak again"),
    "meter": ("hil.meters.command", "an emulated meter"),
    "ems": ("hil.commands.ems", "an energy manager that reads a light node's register map"),
    "drain": ("hil.commands.drain", "the backlog of a day drains while live readings keep their slots"),
    "fleet": ("hil.commands.fleet", "many light nodes for load on a back end, every reading accounted for"),
    "image": ("hil.commands.image", "builds the emulated chip's image if needed and prints where it is"),
    "bench": ("hil.commands.bench", "measures an area beside its peers: ratios and targets"),
    "types": ("hil.commands.types", "the firmware's types against MicroPython's stubs of the boards"),
    "budget": ("hil.commands.budget", "instructions, heap and sizes on the emulated chip"),
}


def main(arguments: list[str] | None = None) -> int:
    """Parses, calls, prints. Only the command that is called is loaded."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="lightnode-hil", description="The rig.", epilog="example: lightnode-hil demo --speed 200"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    chosen: Any = None
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        if words[:1] == [name]:
            chosen = importlib.import_module(module)
            command.epilog = chosen.EXAMPLE
            chosen.add_arguments(command)
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        return int(chosen.run(options))
    except (PartMissing, Unavailable) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 3
    except (RigError, BackendError, OSError) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lightnode-hil: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
