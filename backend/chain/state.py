"""Commands that look and catch up: what the chain says now, and what the database holds."""

import argparse
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from backend.adapters.chain_store import ChainStore
from backend.adapters.ledger import checksummed
from backend.adapters.sqlite import SqliteStore
from backend.chain.option import DONE, PENDING, REFUSED, UNAVAILABLE, Answer, command, ledger_of, terms
from backend.errors import Rejected, Unavailable
from backend.evidence.anchoring import ANCHORED, CONFLICT, FINAL
from backend.flows.anchor import WATCHED_EPOCHS, Anchoring
from backend.flows.standing import Kept, Standing, standing
from backend.settings import ChainSettings

FRAME_S = 900
_POLL_S = 0.5


def add_commands(commands: Any) -> None:
    """Adds them to the group `chain`."""
    command(commands, "status", _status, "admin, head, lag, balance, role, what is not anchored", "--db scd.sqlite")
    command(commands, "catch-up", _catch_up, "anchor what the database holds, now", "--db scd.sqlite --wait 600")


def _status(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    kept, seen = _kept(settings)
    try:
        ledger = ledger_of(settings)
        found = standing(ledger, kept, terms(settings), int(time.time()))
        admin, offered = (checksummed(one) if one else None for one in ledger.admins(found.head))
    except Unavailable as away:
        before = {"commitments": dict(Counter(kept.states.values())), "last_step": seen}
        when = "never" if seen is None else f"{seen['at']} at block {seen['block']}"
        text = f"{away}; last looked {when}: {_counted(Counter(kept.states.values()))}"
        return UNAVAILABLE, {"done": None, "reason": str(away), "as_last_seen": before}, text
    where: dict[str, Any] = {
        "chain_id": ledger.chain_id,
        "contract": checksummed(ledger.contract),
        "operator": ledger.log.hex(),
    }
    where |= {"admin": admin, "pending_admin": offered}
    facts = {**where, "account": checksummed(ledger.address), **_facts(found, settings), "last_step": seen}
    return DONE, facts, _told(facts)


def _facts(found: Standing, settings: ChainSettings) -> dict[str, Any]:
    oldest = found.oldest_unanchored
    return {
        "head": found.head.number, "head_hash": "0x" + found.head.hash.hex(), "lag_s": found.lag_s,
        "balance_wei": found.balance_wei, "refusal": found.refusal or None, "commitments": dict(found.states),
        "oldest_unanchored": oldest,
        "oldest_unanchored_since": None if oldest is None else _utc((oldest + 1) * FRAME_S),
        "confirmations": settings.confirmations,
    }  # fmt: skip


def _told(facts: dict[str, Any]) -> str:
    """The facts for a reader."""
    oldest, since = facts["oldest_unanchored"], facts["oldest_unanchored_since"]
    offered = f", offered to {facts['pending_admin']}, who has not accepted" if facts["pending_admin"] else ""
    rows = {
        "chain": f"{facts['chain_id']}, AnchorLog {facts['contract']}, log {facts['operator']}",
        "admin": f"{facts['admin'] or 'nobody'}{offered}",
        "head": f"{facts['head']}, {facts['lag_s']} s old",
        "account": f"{facts['account']}, {facts['balance_wei'] / 10**18:.6f} of the chain's coin",
        "writing": f"the contract refuses: {facts['refusal']}" if facts["refusal"] else "possible",
        "commitments": f"{_counted(Counter(facts['commitments']))}; final above {facts['confirmations']} blocks",
        "unanchored": "none" if oldest is None else f"oldest is epoch {oldest}, due since {since}",
    }
    return "\n".join(f"{name:12} {value}" for name, value in rows.items())


def _catch_up(options: argparse.Namespace, settings: ChainSettings) -> Answer:
    store = _store(settings)
    try:
        if store is None:
            raise Rejected("no database: give --db or database in the settings")
        store.keep_notes_as_before()
        return _caught_up(ChainStore(store), settings, options.wait)
    finally:
        if store is not None:
            store.close()


def _caught_up(store: ChainStore, settings: ChainSettings, wait_s: float) -> Answer:
    alarms: list[str] = []
    anchoring = Anchoring(store, ledger_of(settings), terms(settings), lambda: time.time_ns() // 10**6, alarms.append)
    end = time.monotonic() + wait_s
    while True:
        trouble = ""
        try:
            anchoring.step()
        except Unavailable as away:
            trouble = str(away)
        if (anchoring.settled and not trouble) or time.monotonic() > end:
            break
        time.sleep(_POLL_S)
    states = Counter(state for state, _ in store.anchor_states().values())
    trouble = trouble or anchoring.trouble
    facts: dict[str, Any] = {"commitments": dict(states), "settled": anchoring.settled, "alarms": alarms}
    facts |= {"done": anchoring.settled and not states[CONFLICT], "reason": trouble or None}
    text = "\n".join([_counted(states), *alarms, *([trouble] if trouble else [])])
    if states[CONFLICT]:
        return REFUSED, facts, text
    if set(states) <= {FINAL, ANCHORED} and states[ANCHORED] == 0:
        return DONE, facts, text
    return UNAVAILABLE if trouble and not anchoring.trouble else PENDING, facts, text


def _store(settings: ChainSettings) -> SqliteStore | None:
    if settings.database is None:
        return None
    if not settings.database.is_file():
        raise Unavailable("database", f"{settings.database}: there is no such file")
    return SqliteStore(settings.database)


def _kept(settings: ChainSettings) -> tuple[Kept, dict[str, Any] | None]:
    """What the database holds, and when the chain was last looked at."""
    store = _store(settings)
    if store is None:
        return Kept({}, []), None
    try:
        chain = ChainStore(store)
        states = {epoch: state for epoch, (state, _) in chain.anchor_states().items()}
        last = chain.last_look()
        seen = None if last is None else {"block": last[0], "at": _utc(last[3] // 1000)}
        return Kept(states, chain.desired(WATCHED_EPOCHS)), seen
    finally:
        store.close()


def _counted(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
