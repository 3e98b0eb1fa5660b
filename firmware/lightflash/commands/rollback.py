"""lightnode-flash rollback: the release that ran before runs again, if it is whole on the device and the floor allows it."""

import argparse
import json
from pathlib import Path

from lightflash.link import Link, Refused
from lightflash.work import LOG, Work, work

EXAMPLE = "example: ./run flash rollback --port /dev/ttyACM0"
_STARTS_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is, and to which release."""
    parser.add_argument("--port", required=True, help="the device's port: a serial port, or socket://HOST:PORT")
    parser.add_argument("--to", type=int, default=0, metavar="SEQUENCE", help="only if it is this one (else whichever)")
    parser.add_argument("--log", type=Path, default=LOG, help="folder of what was done (default service-log)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the release before runs and says so."""
    with Link(options.port) as link, work(options.log, "rollback", options.port) as job:
        job.meets(link.ask("key")["device"])
        found = _gone_back(link, job, options.to)
    if options.json:
        print(json.dumps({"device": link.device, **found}))
    else:
        print(f"{link.device} ({options.port}): sequence {found['running']} runs, it came from {found['from']}")
    return 0


def _gone_back(link: Link, job: Work, to: int) -> dict[str, object]:
    """What a repeat finds done already is not done again: it would go forward."""
    present = link.ask("releases")
    begun = job.wanted.split(">")
    came_from = int(begun[0]) if len(begun) == 2 and begun[0].isdigit() else int(present["running"])
    target = to or (int(begun[1]) if len(begun) == 2 and begun[1].isdigit() else int(present["other"]))
    if present["running"] != target or not target:
        if target:
            job.begin(f"{came_from}>{target}")
        try:
            link.ask("rollback", str(target))
        except Refused:
            job.give_up()
            raise
    found = link.until("releases", lambda said: said["running"] == target and not said["on_trial"], _STARTS_S)
    job.end(str(target))
    return {"running": found["running"], "from": came_from, "floor": found["floor"], "last": found["last"]}
