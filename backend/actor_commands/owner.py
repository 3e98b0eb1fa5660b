"""What the commands of `lightnode owner` do: what its PODs can do (I-13), how they are, what is reserved and planned (I-14)."""

import argparse
import json
from collections.abc import Callable

from backend.actor_commands.said import REFUSED, Said
from backend.adapters.bounded import read_text
from backend.errors import Rejected
from backend.market import form
from backend.market.availability import Availability, DerState, DerStatus
from backend.market.availability_form import (
    availability_of,
    availability_of_csv,
    availability_text,
    status_text,
)
from backend.market.register import END_FRAME
from backend.market.reservation import Reservation, beyond, reservation_of, reservation_text

CHECKED = "lightnode-owner-plan/1"


def availability(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The document of a table, or of a document that is checked."""
    text = read_text(options.file)
    if options.file.suffix.lower() == ".csv":
        if not options.owner or not options.aggregator:
            raise Rejected("a CSV says neither: expected --owner and --aggregator")
        declared = availability_of_csv(text, options.owner, options.aggregator)
    else:
        declared = availability_of(text)
    if not declared:
        raise Rejected(f"{options.file}: no POD is declared")
    return Said(availability_text(declared), "\n".join(map(_said_of, declared)))


def _said_of(one: Availability) -> str:
    frames = one.frames
    if not frames:
        return f"{one.pod}: nothing"
    up_w, down_w = (max(table.values(), default=0) for table in (one.up_w, one.down_w))
    run = (
        f", at most {one.longest_frames} in a row, then {max(1, one.rest_frames)} of rest" if one.longest_frames else ""
    )
    return (
        f"{one.pod}: {len(frames)} quarter-hours from {frames[0]} to {frames[-1]}, up to {up_w} W up, {down_w} W down{run};"
        f" to {one.aggregator}"
    )


def status(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """How a POD's DER is, from now on."""
    until = END_FRAME if options.until is None else form.frame(options.until, "--until")
    made = DerStatus(
        form.identity(options.pod, "POD"), form.name(options.owner, "--owner"), DerState(options.state), now_ms(), until,
        options.reason,
    )  # fmt: skip
    end = "" if until == END_FRAME else f" until quarter-hour {until}"
    return Said(status_text(made), f"{made.pod}: {made.state}{end} {made.reason}".rstrip())


def plan(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """What is reserved and planned of the owner's PODs; exit code 1 if it is more than was declared."""
    made = reservation_of(read_text(options.reservation))
    if options.owner and options.owner != made.owner:
        raise Rejected(f"{options.reservation}: is for {made.owner}, not for {options.owner}")
    declared = [one for path in options.availability for one in availability_of(read_text(path))]
    wrong = beyond(made, declared) if options.availability else []
    words = [f"{made.session}: {made.aggregator} for {made.owner}, fee {made.fee_ppm} ppm", *_rows(made)]
    document = json.loads(reservation_text(made)) | {"format": CHECKED, "beyond": wrong}
    return Said(form.written(document), "\n".join([*words, *wrong]), REFUSED if wrong else 0, tuple(wrong))


def _rows(made: Reservation) -> list[str]:
    lines = [
        f"{r.pod} quarter-hour {r.frame}: {r.volume_w} W {r.direction}{' as reserve' if r.reserve else ''}, "
        f"{r.owner_ueur_per_mwh} of {r.price_ueur_per_mwh} micro-EUR/MWh"
        for r in made.reserved
    ]
    lines += [
        f"{p.pod} quarter-hour {p.frame}: {p.target_w} W if all is ordered, {made.baseline_w[p.pod, p.frame]} W if nothing is"
        for p in made.plans
    ]
    return lines or ["nothing is reserved"]


COMMANDS = {"availability": availability, "status": status, "plan": plan}
