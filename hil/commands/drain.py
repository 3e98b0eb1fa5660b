"""lightnode-hil drain: the backlog of an outage drains from a node in the VM, while its live readings keep their slots."""

import argparse
import json
import sys
import time
from pathlib import Path

from hil.drain import Drained, Plan, drain
from hil.output import own
from hil.runtime import micropython_command, mosquitto_command

EXAMPLE = "example: ./run hil drain; ./run hil drain --hours 2 --speed 8 --lost 12"
SLOT_S = 4.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--hours", type=float, default=24.0, help="of the outage (default 24: 21,600 readings)")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds a second while it drains (default 1)")
    parser.add_argument("--lost", type=int, default=12, help="PUBACKs that get lost each twelfth slot (default 12)")
    parser.add_argument(
        "--out", type=Path, default=Path("drain-output"), help="folder of the result (default drain-output)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(refuse=parser.error)


def run(options: argparse.Namespace) -> int:
    """1 if a record is missing or out of order, a slot has no reading, or one took longer than it lasts."""
    if not 0.2 <= options.hours <= 24 or not 0 < options.speed <= 40 or not 0 <= options.lost <= 31:
        options.refuse("0.2 to 24 hours, a speed up to 40 and 0 to 31 lost PUBACKs belong here")
    micropython_command(), mosquitto_command()
    own(options.out, "drain", ("work", "drain.json"))
    began = time.monotonic()
    plan = Plan(options.hours, options.speed, options.lost, options.out)
    found = drain(plan, lambda what: print(what, file=sys.stderr, flush=True))
    told = _told(found, plan) | {"wall_s": round(time.monotonic() - began, 1)}
    (options.out / "drain.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told) if options.json else "\n".join(f"{name:24} {value}" for name, value in told.items()))
    return 0 if told["holds"] else 1


def _told(found: Drained, plan: Plan) -> dict[str, object]:
    late = sum(took > SLOT_S / plan.speed for took in found.slot_s)
    wrong = found.missing, found.breaks, found.refused, found.missed, late
    return {
        "holds": not any(wrong) and (found.again > 0 or not plan.lost), "backlog": found.backlog,
        "seconds": round(found.seconds, 1), "records_per_s": round(found.backlog / found.seconds, 1),
        "out_of_order": found.breaks, "missing": found.missing, "refused": found.refused, "live_slots": len(found.slot_s),
        "slots_without_reading": found.missed, "slots_late": late,
        "start_ms": round(1000 * found.start_s), "slot_p50_ms": round(1000 * found.slowest_s(0.5)),
        "slot_p99_ms": round(1000 * found.slowest_s(0.99)),
        "slot_max_ms": round(1000 * found.slowest_s()), "memory_grown_kib": found.grown_bytes // 1024,
        "pubacks_lost": found.eaten, "sent_with_dup": found.again, "arrived_twice": found.repeated,
    }  # fmt: skip
