"""lightnode-flash verify: is a device that was put into service in order? Every check with its limits.

Exit codes: 0 every wanted check passed, 1 one failed, 3 port, broker or database is not there, 4 none failed, but one of the
wanted checks was not done.
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lightflash import config, enrolment_file, operator_file, verify
from lightflash.back_end import BackEnd, Registered
from lightflash.back_end_broker import OperatorBroker
from lightflash.back_end_database import Database
from lightflash.errors import FlashError
from lightflash.limits import GROUPS, limits
from lightflash.link import Link
from lightflash.metering import expected
from lightflash.printout import limits_of, measured
from lightflash.record import FAILED, NOT_DONE, Check
from lightflash.verified import Verified, verified

EXAMPLE = """\
example: ./run flash verify /dev/ttyACM0 --expect-w 1800..2200 --config n01.json --operator operator.toml \\
           --database scd.sqlite --out n01.verify.json
         ./run flash verify /dev/ttyACM0 --expect-w import --only meter
         ./run flash verify --limits"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The device, what is known of it, and how to reach its back end."""
    parser.add_argument("place", nargs="?", metavar="PORT", help="serial port of the device, or socket://HOST:PORT")
    parser.add_argument("--port", help="the same as an option, as of the other commands")
    parser.add_argument(
        "--expect-w",
        type=str,
        metavar="LOAD",
        help="what is switched on: FROM..TO in W, withdrawal positive; import; export",
    )
    parser.add_argument(
        "--config", type=Path, help="settings file of the device, if a back end is asked or it is enrolled"
    )
    parser.add_argument("--database", type=Path, help="database file of the back end; it is only read")
    parser.add_argument("--operator", type=Path, help="file of the operator's access to the broker (TOML)")
    parser.add_argument("--enrolment", type=Path, help="what it said when it was enrolled, a file of the outbox")
    parser.add_argument(
        "--only", default=",".join(GROUPS), metavar="GROUPS", help=f"with commas, of {', '.join(GROUPS)}; else all"
    )
    parser.add_argument("--out", type=Path, help="file of the result, for `record`")
    parser.add_argument("--limits", action="store_true", help="print every check with its limits, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """See the module's docstring."""
    if options.limits:
        return _print_limits(options.json)
    wanted = [group for group in GROUPS if group in options.only.split(",")]
    port = options.place or options.port
    if not port or len(wanted) != len(set(options.only.split(","))):
        raise FlashError("verify", "no port, or an unknown group", f"name the PORT, --only of {', '.join(GROUPS)}")
    load = expected(options.expect_w) if options.expect_w else None
    with ExitStack() as stack:
        link = stack.enter_context(Link(port))
        back_end, known = _back_end(options, link, stack)
        site = verify.Site(link, back_end, load, known, tell=lambda group: print(f"{group} ...", file=sys.stderr))
        made = verify.checks(site, wanted)
        found = verified(link, made, site.now_ms())
    if options.out:
        options.out.write_bytes(found.encode())
    _print(found, options.json)
    return exit_code([check for check in made if limits()[check.name].group in wanted])


def exit_code(of: list[Check]) -> int:
    """1 before 4 before 0."""
    results = {check.result for check in of}
    return 1 if FAILED in results else 4 if NOT_DONE in results else 0


def lines(of: list[Check]) -> list[str]:
    """A line for each check: result, name, what was measured, limits; below what did not pass its cause and cure."""
    found = []
    for check in of:
        found.append(f"{check.result:9}{check.name:38}{measured(check):>16}   {limits_of(check)}".rstrip())
        said = "; ".join(words for words in (check.detail, check.cure) if words)
        if not check.passed and said:
            found.append(f"{'':9}{said}")
    return found


def _back_end(options: argparse.Namespace, link: Link, stack: ExitStack) -> tuple[BackEnd | None, Registered | None]:
    """Who is asked, and what the register has if that is known already."""
    if not (options.database or options.operator or options.enrolment):
        return None, None
    if not options.config:
        raise FlashError("verify", "the deployment is not known", "give --config, the settings file of the device")
    settings = config.checked(options.config)
    deployment, device = settings.value("deployment"), bytes.fromhex(verify.text(verify.whom(link), "device"))
    database = Database(options.database, deployment, settings.value("log_key")) if options.database else None
    known = (
        enrolment_file.registered(options.enrolment, deployment, settings.value("log_key"))
        if options.enrolment
        else None
    )
    if database is not None:
        known = database.registered(device) or known
    if not options.operator:
        return database, known
    who = operator_file.operator(options.operator)
    if who.deployment != deployment:
        cause = f"{options.operator} is of another deployment than {options.config}"
        raise FlashError("verify", cause, "give the two that belong together")
    if known is not None:
        known = replace(known, agents=known.agents + who.agents)
    limit_w = settings.value("limits.max_withdrawal_w")
    broker = OperatorBroker(who, device, limit_w, known, lambda: time.time_ns() // 1_000_000)
    return stack.enter_context(broker), known


def _print(found: Verified, as_json: bool) -> None:
    if as_json:
        print(json.dumps(json.loads(found.encode())))
        return
    passed = sum(check.passed for check in found.checks)
    print(f"device {found.device}, {found.meter_map} unit {found.meter_unit}, lightnode {found.firmware}")
    for line in lines(list(found.checks)):
        print(line)
    print(f"{passed} of {len(found.checks)} checks passed")


def _print_limits(as_json: bool) -> int:
    rows = list(limits().values())
    if as_json:
        print(
            json.dumps(
                {row.name: {"group": row.group, "unit": row.unit, "low": row.low, "high": row.high} for row in rows}
            )
        )
        return 0
    for row in rows:
        print(f"{row.group:16}{row.name:38}{limits_of(row.not_done('')):28}{row.why}")
    return 0
