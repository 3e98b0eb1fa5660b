"""lightnode-flash sync: what enrolled devices said goes to the operator's back end; the register's answer comes back.

Exit codes beyond the common ones: 1 a statement was refused, 3 no broker, 4 no answer yet.
"""

import argparse
import json
import sys
from pathlib import Path

from lightflash.commands.enrol import told
from lightflash.kit import open_kit
from lightflash.outbox import REGISTERED, Outbox
from lightflash.syncing import sync

EXAMPLE = "example: ./run flash sync --kit kit.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--kit", type=Path, required=True, help="the kit that the devices were enrolled with")
    parser.add_argument("--operator", default="", help="whose kit it has to be, 16 hexadecimal digits")
    parser.add_argument(
        "--outbox", type=Path, default=Path("outbox"), help="folder of what devices said (default outbox)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="how long an answer may take (default 30)"
    )
    parser.add_argument("--list", action="store_true", help="only list the outbox")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when every device of the kit is registered."""
    outbox, kit = Outbox(options.outbox), open_kit(options.kit, options.operator)
    if options.list:
        found = [one for one in outbox.statements() if one.kit == kit.id]
    else:
        found = sync(kit, outbox, options.timeout, lambda one: print(f"{one.name}: {one.state}", file=sys.stderr))
    if options.json:
        print(json.dumps({"devices": [{**told(one), "reason": one.reason} for one in found]}, indent=1))
    else:
        print("\n".join(one.line for one in found) or "no device of this kit in the outbox")
    return 0 if options.list or all(one.state == REGISTERED for one in found) else 1
