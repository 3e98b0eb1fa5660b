"""What the commands of `lightnode market` about settlement do: files in, one step, text or one JSON object out."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.adapters.bounded import read_text
from backend.adapters.history import read_history
from backend.adapters.settled_meter import SettledMeter
from backend.adapters.sqlite import SqliteStore
from backend.flows.settle import Proposed, Settlements, Version
from backend.market.canonical import document, text
from backend.market.dispute import Dispute, DisputeState
from backend.market.settled_document import input_text
from backend.market.settled_making import Knowledge, made_input, schedules_of, settings_of, unavailable_of

OPERATOR = "market operator"
Said = tuple[dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Desk:
    """The settlements of a folder, and its database."""

    settlements: Settlements
    store: SqliteStore


def stands(session: str, desk: Desk) -> tuple[dict[str, Any], list[str]]:
    """Where a session's settlement stands: its versions, and how many disputes are open."""
    versions = [[one.version, one.sha256] for one in desk.settlements.versions(session)]
    still = sum(one.state is DisputeState.OPEN for one in desk.settlements.disputes(session))
    lines = [f"settlement {version}: {digest}" for version, digest in versions]
    waiting = desk.settlements.proposed(session)
    if waiting is not None:
        one = waiting.version
        lines.append(f"settlement {one.version} is proposed by {one.proposed_by}: {one.sha256}")
    facts = {"settled": versions, "open_disputes": still, "proposed": waiting and waiting.version.sha256}
    return facts, [*lines, *([f"{still} disputes are open"] if still else [])]


def _input(options: argparse.Namespace, desk: Desk) -> Said:
    settings = settings_of(read_text(options.settings))
    profiles = [read_text(path) for path in options.baselines]
    schedule_w = schedules_of(profiles, options.session, settings) if profiles else {}
    gone = () if options.unavailable is None else unavailable_of(read_text(options.unavailable))
    quarters = None if options.quarters is None else read_history(options.quarters)
    if quarters is not None and (strange := [n for n in quarters.names if n.removesuffix("/var") not in settings.pods]):
        print(
            f"lightnode: --quarters: columns of no POD in the settings are not used: {', '.join(strange[:5])}",
            file=sys.stderr,
        )
    meter = SettledMeter(desk.store, quarters)
    told = meter.told if desk.store.setpoints() else None
    known = Knowledge(meter.measured, desk.settlements.ordered(), schedule_w, gone, told)
    made = input_text(made_input(desk.settlements.traded(options.session), settings, known))
    return json.loads(made), made


def _settle(options: argparse.Namespace, desk: Desk) -> Said:
    return _version(desk.settlements.settle(options.session, read_text(options.input), OPERATOR))


def _resettle(options: argparse.Namespace, desk: Desk) -> Said:
    body = read_text(options.input)
    return _version(desk.settlements.resettle(options.session, body, options.reason, options.party))


def _approve(options: argparse.Namespace, desk: Desk) -> Said:
    return _version(desk.settlements.approve(options.session, options.digest.hex(), options.party))


def _version(found: Version | Proposed) -> Said:
    one = found.version if isinstance(found, Proposed) else found
    said = json.loads(one.settlement)
    facts = {
        "version": one.version, "reason": one.reason, "difference": one.difference, "settlement": said, "sha256": one.sha256,
        "proposed": isinstance(found, Proposed),
    }  # fmt: skip
    lines = [f"version {one.version}" + (f": {one.reason}" if one.reason else "")]
    if isinstance(found, Proposed):
        lines = [f"proposed {lines[0]}", f"another person has to approve {one.sha256}"]
    lines += [
        f"{row['id']}: {row['payment_ueur']} less {row['penalty_ueur']} micro-EUR: {row['reason']}"
        for row in said["lines"]
    ]
    lines += [f"{row['id']}: {row['payment_ueur']} micro-EUR: {row['reason']}" for row in said["availability"]]
    lines += [
        f"flag {row['pod']}, quarter-hour {row['frame']}: {row['code']}: {row['reason']}" for row in said["flags"]
    ]
    lines += [f"{name}: {gain:+} micro-EUR" for name, gain in said["gained_ueur"].items()]
    moved = one.difference["parties"] if one.difference else ()
    lines += [f"changed for {row['name']}: {row['difference']:+} micro-EUR" for row in moved]
    return facts, "\n".join(lines)


def _settlement(options: argparse.Namespace, desk: Desk) -> Said:
    one = desk.settlements.version(options.session, options.version)
    return {"version": one.version, "reason": one.reason, "settlement": json.loads(one.settlement)}, one.settlement


def _statement(options: argparse.Namespace, desk: Desk) -> Said:
    said = desk.settlements.statement(options.session, options.party, options.version)
    return said, text(said)


def _disputes(options: argparse.Namespace, desk: Desk) -> Said:
    found = desk.settlements.disputes(options.session)
    return {"disputes": document(found)}, "\n".join(_told(one) for one in found) or "nothing is disputed"


def _dispute(options: argparse.Namespace, desk: Desk) -> Said:
    if options.step == "open":
        found = desk.settlements.open_dispute(options.session, options.line, options.reason, options.party)
    else:
        state = DisputeState(options.state)
        found = desk.settlements.answer_dispute(options.session, options.dispute, state, options.reason, options.party)
    return {"dispute": document(found)}, _told(found)


def _told(one: Dispute) -> str:
    answer = f": {one.answered_by}: {one.answer}" if one.answer else ""
    return f"{one.id}: {one.party} on {one.line} of version {one.version}: {one.reason}: {one.state}{answer}"


COMMANDS: dict[str, Callable[[argparse.Namespace, Desk], Said]] = {
    "settlement-input": _input, "settle": _settle, "resettle": _resettle, "approve-settlement": _approve,
    "settlement": _settlement, "statement": _statement, "dispute": _dispute, "disputes": _disputes,
}  # fmt: skip
