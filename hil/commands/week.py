"""lightnode-hil week: one light node in the VM lives through a week of every fault, and every slot is accounted for."""

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hil.faults.services import Crashed
from hil.output import own
from hil.runtime import micropython_command, mosquitto_command
from hil.turns import short_turns
from hil.week.account import Claim, Evidence, account
from hil.week.run import POD, Plan, Week
from hil.week.schedule import SLOT_MS, shortest_hours

EXAMPLE = "example: ./run hil week --seed 3; ./run hil week --seed 3 --hours 4 --sectors 4"
_LEFT = ("work", "week.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--seed", type=int, default=1, help="of the faults (default 1)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--days", type=float, default=7.0, help="virtual days (default 7)")
    length.add_argument("--hours", type=float, help="virtual hours instead of days")
    parser.add_argument(
        "--sectors", type=int, help="sectors of the journal, so that it overflows (default 32, 4 below a day)"
    )
    parser.add_argument(
        "--lies", action=argparse.BooleanOptionalAction, default=True,
        help="with the faults by which a meter lies in sound frames (default)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("week-output"), help="folder of the result (default week-output)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(refuse=parser.error)


def run(options: argparse.Namespace) -> int:
    """1 if something did not hold, with the command that repeats it."""
    plan = _plan(options)
    micropython_command(), mosquitto_command()
    own(options.out, "week", _LEFT)
    short_turns()
    threading.excepthook = _only_unplanned(threading.excepthook)
    began = time.monotonic()
    found, claims = _live(plan)
    found |= {
        "seed": plan.seed, "hours": plan.hours, "sectors": plan.sectors, "again": plan.again,
        "seconds": round(time.monotonic() - began, 1), "holds": all(claim.holds for claim in claims),
        "claims": [{"name": c.name, "looked_at": c.looked_at, "wrong": len(c.wrong), "reason": c.reason} for c in claims],
    }  # fmt: skip
    (options.out / "week.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found) if options.json else _table(found, claims))
    if not found["holds"]:
        print(f"lightnode-hil: the week did not hold\n  again: {plan.again}", file=sys.stderr)
    return 0 if found["holds"] else 1


def _plan(options: argparse.Namespace) -> Plan:
    hours = options.hours or options.days * 24
    plan = Plan(options.seed, hours, options.out, options.sectors or (32 if hours >= 24 else 4), options.lies)
    shortest = shortest_hours(plan.outage_slots)
    if plan.sectors < 4 or not shortest <= hours <= 24 * 60:
        options.refuse(f"4 sectors or more and, with {plan.sectors}, {shortest:.1f} hours or more belong here")
    return plan


def _live(plan: Plan) -> tuple[dict[str, Any], list[Claim]]:
    week = Week(plan, _say)
    broken: tuple[str, ...] = ()
    with _cut_short_by_a_signal(week), week.bench() as bench:
        try:
            week.live(bench)
        except Exception as failure:  # what was lived until then is accounted for all the same
            if not hasattr(week, "strikes"):
                raise
            broken = (f"{type(failure).__name__}: {failure}",)
        produced, device = bench.produced(POD), bench.nodes[POD].device
    folder, strikes, slots = bench.folder, week.strikes, (week.story.end_ms - week.story.begin_ms) // SLOT_MS
    evidence = Evidence(
        device, produced, folder / "scd.sqlite", strikes.abandoned, folder / "truth.jsonl", week.customer, week.story,
        frozenset(strikes.accepted), frozenset(strikes.forged),
    )  # fmt: skip
    lived = Claim("the rig lived through it", slots, broken)
    found = {
        "produced": len(produced), "slots": slots, "is_cut": week.is_cut, "alarms": week.story.alarms,
        "down": len(week.story.down), "kills": strikes.kills, "struck": strikes.struck,
        "faults": [asdict(fault) for fault in week.faults],
    }  # fmt: skip
    return found, [lived, *account(evidence)]


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


@contextmanager
def _cut_short_by_a_signal(week: Week) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the week early, the second one as ever."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(_number: int, _frame: object) -> None:
        _say("the week ends here; its account follows")
        week.end_early()
        give_back()

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        give_back()


def _table(found: dict[str, Any], claims: list[Claim]) -> str:
    lines = [f"{'':7} {'looked at':>9} {'wrong':>6}"]
    for claim in claims:
        lines.append(
            f"{'holds' if claim.holds else 'FAILED':7} {claim.looked_at:>9,} {len(claim.wrong):>6,}  {claim.name}"
        )
        if not claim.holds:
            lines.append(f"{'':25} {claim.reason}")
    struck = ", ".join(f"{name} {count}" for name, count in sorted(found["struck"].items()))
    meters = sum(fault["slots"] for fault in found["faults"] if fault["kind"] not in found["struck"])
    lines += [
        f"{found['slots']:,} slots, {found['produced']:,} readings, {found['kills']} starts after a loss of power",
        f"struck: {struck}; {meters} slots with a faulty meter",
        f"seed {found['seed']}, {found['seconds']:.0f} s",
    ]
    return "\n".join(lines)


def _only_unplanned(hook: Any) -> Any:
    return lambda what: None if issubclass(what.exc_type, Crashed) else hook(what)
