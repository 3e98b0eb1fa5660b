"""What the commands of `lightnode aggregator` do: resources (I-02), portfolio, offers (I-05), reservations (I-14)."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from backend.actor_commands.said import Said
from backend.adapters.bounded import read_text
from backend.errors import Rejected
from backend.market import form
from backend.market.availability import Availability, DerStatus, checked, offerable, resources, unavailable
from backend.market.availability_form import availability_of, status_of
from backend.market.exchange import bids_text, outcome_of, resources_text
from backend.market.offering import Portfolio, offering_of, offers, portfolio
from backend.market.owner_account import account_text, accounts
from backend.market.profile import Baselines, baselines_of
from backend.market.register import Register
from backend.market.reservation import Reservation, reservation_of, reservation_text, reservations, reserved_w
from backend.market.settled_making import UNAVAILABLE
from backend.market.submission import parse_json

PORTFOLIO = "lightnode-portfolio/1"


def list_resources(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The aggregator's list for the register; what is declared twice is named, whoever it is declared to."""
    declared = _declared(options)
    mine = [one for one in resources(declared) if one.aggregator == options.aggregator]
    Register(mine)
    lines = [f"{one.pod}: {one.up_w} W up, {one.down_w} W down" for one in mine]
    return Said(resources_text(mine), "\n".join(lines) or f"nothing is declared to {options.aggregator}")


def _declared(options: argparse.Namespace) -> tuple[Availability, ...]:
    """Of all files, without a conflict."""
    return checked(one for path in options.availability for one in availability_of(read_text(path)))


def _statuses(options: argparse.Namespace) -> list[DerStatus]:
    return [status_of(read_text(path)) for path in options.status]


def _baselines(options: argparse.Namespace) -> tuple[Baselines, list[int], tuple[str, ...]]:
    """What stands, its quarter-hours, and a note if it is not frozen."""
    made = baselines_of(read_text(options.baselines))
    frames = sorted({frame for _, frame in made.w})
    if not frames:
        raise Rejected(f"{options.baselines}: no POD has a baseline in session {made.session}")
    note = () if made.frozen else (f"the baselines of {made.session} are not frozen yet: they may change",)
    return made, frames, note


def baseline(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The sum of its PODs' baselines, and what they can do beside it."""
    made, frames, notes = _baselines(options)
    found = portfolio(options.aggregator, _declared(options), frames, made.w)
    if not found.pods and not found.without:
        raise Rejected(f"nothing is declared to {options.aggregator}")
    notes += tuple(f"{pod} has no baseline in {made.session}, it is in no sum" for pod in found.without)
    lines = [f"{f}: {found.baseline_w[f]} W, {found.up_w[f]} up, {found.down_w[f]} down" for f in frames]
    return Said(_portfolio_text(made.session, found), "\n".join(lines), notes=notes)


def _portfolio_text(session: str, found: Portfolio) -> str:
    table = {
        str(f): {"baseline_w": w, "up_w": found.up_w[f], "down_w": found.down_w[f]} for f, w in found.baseline_w.items()
    }
    return form.written(
        {
            "format": PORTFOLIO, "session": session, "aggregator": found.aggregator, "pods": list(found.pods),
            "without": list(found.without), "frames": table,
        }
    )  # fmt: skip


def make_offers(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """A book of bids from what is available, has a baseline, and is not reserved yet."""
    made, frames, notes = _baselines(options)
    taken = reserved_w([reservation_of(read_text(path)) for path in options.reserved])
    statuses = _statuses(options)
    mine = [one for one in _declared(options) if one.aggregator == options.aggregator]
    able = [offerable(one, statuses, taken) for one in mine]
    found = offers(options.aggregator, able, frames, made.w, offering_of(read_text(options.offering)))
    pods = sorted({one.pod for one in mine} - {pod for offer in found for pod in offer.shares_w})
    notes += tuple(f"{pod} is not offered: {_why_not(pod, mine, able, made)}" for pod in pods)
    lines = [f"{o.id}: {max(o.volume_w.values())} W {o.direction} in {len(o.volume_w)} quarter-hours" for o in found]
    return Said(bids_text((), found), "\n".join(lines) or "nothing is offered", notes=notes)


def _why_not(pod: str, mine: list[Availability], able: list[Availability], made: Baselines) -> str:
    if all(one.frames == [] for one in able if one.pod == pod):
        return "it is out or reserved"
    declared = {frame for one in mine if one.pod == pod for frame in one.frames}
    if not any((pod, frame) in made.w for frame in declared):
        return f"no baseline in {made.session} where it is declared"
    return "less than a lot, or in no direction that has a price"


def not_available(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """What its owners reported as out in a session's quarter-hours, as settlement reads it."""
    _, frames, _ = _baselines(options)
    found = unavailable(_statuses(options), frames)
    rows = [{"pod": pod, "frame": frame, "reason": why} for pod, frame, why in found]
    lines = [f"{pod} in quarter-hour {frame}: {why}" for pod, frame, why in found]
    return Said(form.written({"format": UNAVAILABLE, "unavailable": rows}), "\n".join(lines) or "all were there")


def reserve(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """One file for each owner: what is reserved of its PODs, and their planning."""
    outcome, (made, _, notes) = outcome_of(read_text(options.outcome)), _baselines(options)
    if outcome.session != made.session:
        raise Rejected(f"{options.baselines}: of session {made.session}, the outcome is of {outcome.session}")
    book = parse_json(read_text(options.offers))
    if book.refusals:
        raise Rejected(f"{options.offers}: {book.refusals[0]}")
    declared = _declared(options)
    fee_ppm = offering_of(read_text(options.offering)).fee_ppm
    earlier = [reservation_of(read_text(path)) for path in options.reserved]
    found = reservations(outcome, book.offers, {one.pod: one.owner for one in declared}, made.w, fee_ppm, earlier)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = _paths(options.out, [one.owner for one in found])
    for one in found:
        paths[one.owner].write_text(reservation_text(one) + "\n")
    notes += tuple(_at_risk(found, _statuses(options)))
    rows = [
        {"owner": one.owner, "file": str(paths[one.owner]), "parts": len(one.reserved), "planned": len(one.plans)}
        for one in found
    ]
    lines = [f"{row['owner']}: {row['parts']} parts reserved, {row['file']}" for row in rows]
    document = form.written({"session": outcome.session, "reservations": rows, "at_risk": list(notes)})
    return Said(document, "\n".join(lines) or "nothing was awarded", notes=notes)


def statement(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """One account for each owner: what it gets of a settlement, and the fee."""
    found = accounts(read_text(options.settlement), options.aggregator)
    paths = _paths(options.out, [one.owner for one in found])
    options.out.mkdir(parents=True, exist_ok=True)
    for one in found:
        paths[one.owner].write_text(account_text(one) + "\n")
    rows = [
        {"owner": one.owner, "file": str(paths[one.owner]), "net_ueur": one.net_ueur, "fee_ueur": one.fee_ueur, "held": one.held}
        for one in found
    ]  # fmt: skip
    lines = [
        f"{row['owner']}: {row['net_ueur']} micro-EUR, fee {row['fee_ueur']}, {row['held']} lines held" for row in rows
    ]
    fee_ueur = sum(one.fee_ueur for one in found)
    document = form.written({"session": found[0].session, "accounts": rows, "fee_ueur": fee_ueur})
    return Said(document, "\n".join([*lines, f"{options.aggregator} keeps {fee_ueur} micro-EUR"]))


def _paths(folder: Path, owners: list[str]) -> dict[str, Path]:
    paths = {owner: folder / f"{re.sub('[^A-Za-z0-9._-]', '_', owner)}.json" for owner in owners}
    if len(set(paths.values())) < len(paths):
        raise Rejected(f"{folder}: two owners would have one file, expected names that differ in letters and digits")
    return paths


def _at_risk(found: tuple[Reservation, ...], statuses: list[DerStatus]) -> list[str]:
    """What is reserved of a POD that its owner has reported as out."""
    latest = {status.pod: status for status in sorted(statuses, key=lambda status: status.time_ms)}
    return [
        f"{row.pod} is {latest[row.pod].state} in quarter-hour {row.frame}: {row.volume_w} W of {row.offer} are at risk"
        for one in found
        for row in one.reserved
        if row.pod in latest and latest[row.pod].takes_out(row.frame)
    ]


COMMANDS = {
    "resources": list_resources, "baseline": baseline, "offers": make_offers, "reserve": reserve, "statement": statement,
    "unavailable": not_available,
}  # fmt: skip
