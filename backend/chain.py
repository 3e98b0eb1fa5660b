"""The commands of `lightnode chain`: arguments in, one flow called, text or JSON out.

Exit codes: 0 done, 1 refused (with the reason), 2 wrong usage, 3 the chain or the database is unavailable, 4 not yet.
"""

import argparse
import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.adapters import dispute
from backend.adapters.admin import ContractAdmin, Done, NotYet
from backend.adapters.chain_store import ChainStore
from backend.adapters.keys import open_key
from backend.adapters.ledger import Account, ContractLedger, Place, checksummed
from backend.adapters.rpc import Endpoints
from backend.adapters.sqlite import SqliteStore
from backend.contract import anchor_log
from backend.errors import BackendError, Rejected, Unavailable
from backend.evidence.anchoring import ANCHORED, CONFLICT, FINAL
from backend.flows.anchor import WATCHED_EPOCHS, Anchoring, Terms
from backend.flows.standing import Kept, standing
from backend.settings import ChainSettings, load, octets

DONE, REFUSED, USAGE, UNAVAILABLE, PENDING = range(5)
FRAME_S = 900
WAIT_S = 120.0
_POLL_S = 0.5
_OVERRULES = {"rpc": "endpoints", "key": "key_file", "db": "database"}
_GIVEN = ("rpc", "chain_id", "contract", "operator", "key", "confirmations", "max_fee_gwei", "first_block", "db")


def add_commands(groups: Any) -> None:
    """Adds the group `chain`."""
    commands = groups.add_parser("chain", help="the contract that holds the commitments").add_subparsers(
        dest="command", required=True
    )
    account = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    deploy = _command(commands, "deploy", _deploy, "put AnchorLog on a chain; the key becomes its admin", "")
    deploy.add_argument("--grant-self", action="store_true", help="also give the key the role for --operator")
    _command(commands, "status", _status, "head, lag, balance, role, what is not anchored", "--db scd.sqlite")
    for name, help in (("grant", "let an account write the operator's log"), ("revoke", "take that away again")):
        made = _command(commands, name, _grant, help, account)
        made.add_argument("account", help="address of the account, 0x and 40 hexadecimal digits")
    pause = _command(commands, "pause", _pause, "stop all writing to the contract, or with --off let it go on", "--off")
    pause.add_argument("--off", action="store_true", help="let writing go on")
    _add_dispute(commands)
    _command(commands, "catch-up", _catch_up, "anchor what the database holds, now", "--db scd.sqlite --wait 600")


def _add_dispute(commands: Any) -> None:
    """DeviceAnchor: for permissioned chains and disputes, only by hand."""
    made = _command(commands, "deploy-device-anchor", _deploy_device_anchor, "put DeviceAnchor on a chain", "00" * 16)
    made.add_argument("deployment", help="the deployment id, 32 hexadecimal digits")
    show = _command(commands, "anchor-statement", _anchor_statement, "anchor a device's signed statement", "FILE KEY")
    show.add_argument("statement", type=Path, help="the sealed batch statement as the device sent it")
    show.add_argument("public", help="the device's public key, 66 hexadecimal digits")
    for one in (made, show):
        one.add_argument("--permissioned", action="store_true", help="who reads the chain may see what is anchored")


def run(options: argparse.Namespace) -> int:
    """Calls the command; every refusal and outage is one line."""
    try:
        given = {_OVERRULES.get(name, name): getattr(options, name) for name in _GIVEN}
        code, facts, text = options.chain(options, load(options.settings, given))
    except NotYet as error:
        facts = {"done": None, "reason": str(error), "transaction": "0x" + error.transaction.hex()}
        code, text = PENDING, f"{error}; it may still be: ask for the status"
    except Unavailable as error:
        code, facts, text = UNAVAILABLE, {"done": None, "reason": str(error)}, str(error)
    except sqlite3.Error as error:
        text = f"database: {options.db or 'of the settings'}: {error}"
        code, facts = UNAVAILABLE, {"done": None, "reason": text}
    except (BackendError, OSError) as error:
        code, facts, text = REFUSED, {"done": False, "reason": str(error)}, str(error)
    if options.json:
        print(json.dumps(facts))
    elif code in (DONE, PENDING):
        print(text)
    else:
        print(f"lightnode: {text}", file=sys.stderr)
    return int(code)


_Answer = tuple[int, dict[str, Any], str]


def _command(
    commands: Any, name: str, call: Callable[[argparse.Namespace, ChainSettings], _Answer], help: str, example: str
) -> argparse.ArgumentParser:
    example = f"lightnode chain {name} {example}".rstrip() + " --settings backend.toml"
    made: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help, epilog=f"example: {example}")
    made.set_defaults(chain=call)
    made.add_argument("--settings", type=Path, help="TOML file with a table [chain]; the options below go before it")
    made.add_argument(
        "--rpc", action="append", metavar="URL", help="an endpoint of the chain; more than one for fail-over"
    )
    made.add_argument("--chain-id", type=int, help="the chain it must be")
    made.add_argument("--contract", help="address of the contract")
    made.add_argument("--operator", help="the operator's id (16 hexadecimal digits) or its log on chain (64)")
    made.add_argument("--key", type=Path, help="file with the account's key, made if there is none")
    made.add_argument("--confirmations", type=int, help="blocks above one until it counts as final (12)")
    made.add_argument("--max-fee-gwei", type=float, help="the most that is offered per unit of gas (500)")
    made.add_argument("--first-block", type=int, help="where the contract's events begin (0)")
    made.add_argument("--db", type=Path, help="the back end's database")
    made.add_argument("--wait", type=float, default=WAIT_S, help=f"seconds to wait for the chain ({WAIT_S:g})")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def _endpoints(settings: ChainSettings) -> Endpoints:
    if not settings.endpoints:
        raise Rejected("no endpoint: give --rpc or endpoints in the settings")
    return Endpoints(settings.endpoints, settings.chain_id)


def _account(settings: ChainSettings) -> Account:
    if settings.key_file is None:
        raise Rejected("no key: give --key or key_file in the settings")
    return Account(open_key(settings.key_file))


def _needed(value: bytes, name: str) -> bytes:
    if not value:
        raise Rejected(f"no {name}: give --{name} or {name} in the settings")
    return value


def _admin(options: argparse.Namespace, settings: ChainSettings) -> ContractAdmin:
    return ContractAdmin(_endpoints(settings), _account(settings), settings.max_fee_wei, options.wait)


def _ledger(settings: ChainSettings) -> ContractLedger:
    place = Place(_needed(settings.contract, "contract"), _needed(settings.operator, "operator"), settings.first_block)
    return ContractLedger(_endpoints(settings), _account(settings), place)


def _deploy(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    if options.grant_self:
        _needed(settings.operator, "operator")
    admin = _admin(options, settings)
    done = admin.deploy(anchor_log())
    facts = {**_facts(done), "contract": checksummed(done.contract), "first_block": done.block}
    text = f"AnchorLog is at {checksummed(done.contract)} since block {done.block} ({done.gas} gas)"
    if options.grant_self:
        own = checksummed(_account(settings).address)
        admin.change(done.contract, anchor_log(), "grant", (settings.operator, own, True))
        facts["granted"] = own
        text += f"; {own} may write log {settings.operator.hex()}"
    return DONE, facts, text


def _grant(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    account = _given(octets(20), options.account, "account")
    allowed = options.command == "grant"
    contract, operator = _needed(settings.contract, "contract"), _needed(settings.operator, "operator")
    done = _admin(options, settings).change(contract, anchor_log(), "grant", (operator, checksummed(account), allowed))
    may = "may write" if allowed else "may no longer write"
    return DONE, _facts(done), f"{checksummed(account)} {may} log {operator.hex()} since block {done.block}"


def _pause(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    contract, state = _needed(settings.contract, "contract"), not options.off
    done = _admin(options, settings).change(contract, anchor_log(), "set_paused", (state,))
    return DONE, _facts(done), f"writing {'is stopped' if state else 'goes on'} since block {done.block}"


def _deploy_device_anchor(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    deployment = _given(octets(16), options.deployment, "deployment")
    _refuse_public(options, settings)
    done = dispute.deploy(_admin(options, settings), deployment)
    facts = {**_facts(done), "contract": checksummed(done.contract)}
    return DONE, facts, f"DeviceAnchor is at {checksummed(done.contract)} since block {done.block}"


def _anchor_statement(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    public = _given(octets(33), options.public, "public key")
    contract = _needed(settings.contract, "contract")
    with options.statement.open("rb") as file:
        message = file.read(dispute.MESSAGE_MAX_BYTES)
    _refuse_public(options, settings)
    done = dispute.anchor(_admin(options, settings), contract, message, public)
    return DONE, _facts(done), f"the statement is anchored in block {done.block} ({done.gas} gas)"


def _refuse_public(options: argparse.Namespace, settings: ChainSettings) -> None:
    dispute.refuse_public(int(str(_endpoints(settings).ask("eth_chainId")), 16), options.permissioned)


def _given(check: Callable[[object], bytes], value: str, name: str) -> bytes:
    try:
        return check(value)
    except ValueError as error:
        raise Rejected(f"{name} {value[:70]!r}: {error}") from error


def _facts(done: Done) -> dict[str, Any]:
    return {"done": True, "transaction": "0x" + done.transaction.hex(), "block": done.block, "gas": done.gas}


def _status(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    ledger = _ledger(settings)
    kept, seen = _kept(settings)
    found = standing(ledger, kept, _terms(settings), int(time.time()))
    oldest = found.oldest_unanchored
    facts = {
        "chain_id": ledger.chain_id, "contract": checksummed(ledger.contract), "operator": ledger.log.hex(),
        "head": found.head.number, "head_hash": "0x" + found.head.hash.hex(), "lag_s": found.lag_s,
        "account": checksummed(ledger.address), "balance_wei": found.balance_wei, "refusal": found.refusal or None,
        "commitments": dict(found.states), "oldest_unanchored": oldest,
        "oldest_unanchored_since": None if oldest is None else _utc((oldest + 1) * FRAME_S),
        "confirmations": settings.confirmations, "last_step": seen,
    }  # fmt: skip
    lines = [
        f"chain      {ledger.chain_id}, AnchorLog {facts['contract']}, log {ledger.log.hex()}",
        f"head       {found.head.number}, {found.lag_s} s old",
        f"account    {facts['account']}, {found.balance_wei / 10**18:.6f} of the chain's coin",
        f"writing    {'the contract refuses: ' + found.refusal if found.refusal else 'possible'}",
        f"commitments {_counted(found.states)}; final above {settings.confirmations} blocks",
        f"unanchored {'none' if oldest is None else f'epoch {oldest}, due since {_utc((oldest + 1) * FRAME_S)}'}",
    ]
    return DONE, facts, "\n".join(lines)


def _catch_up(options: argparse.Namespace, settings: ChainSettings) -> _Answer:
    store = _store(settings)
    try:
        if store is None:
            raise Rejected("no database: give --db or database in the settings")
        return _caught_up(ChainStore(store), settings, options.wait)
    finally:
        if store is not None:
            store.close()


def _caught_up(store: ChainStore, settings: ChainSettings, wait_s: float) -> _Answer:
    alarms: list[str] = []
    anchoring = Anchoring(store, _ledger(settings), _terms(settings), lambda: time.time_ns() // 10**6, alarms.append)
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


def _terms(settings: ChainSettings) -> Terms:
    return Terms(settings.confirmations, settings.max_fee_wei)


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
