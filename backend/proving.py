"""What the commands of proof.py do. Arguments in, one flow called, text out."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from backend.adapters.bounded import read_bounded
from backend.adapters.copied import copied
from backend.adapters.keys import SigningKey, read_key, verifier
from backend.adapters.sqlite import SqliteStore
from backend.adapters.state import state_file, with_state
from backend.adapters.tables import export
from backend.errors import BackendError, Rejected, Unavailable
from backend.evidence.audit.alarm import Alarm
from backend.evidence.audit.commitment import Chain
from backend.evidence.audit.registry import operator_of
from backend.evidence.audit.whole import Audit, Outside
from backend.evidence.verifier.anchors import Anchors, from_file, span_from_rpc
from backend.evidence.verifier.file import verify
from backend.evidence.verifier.finding import AnchorsUnavailable, NotValid, one_line
from backend.evidence.verifier.single import Single
from backend.flows.erase import Erase
from backend.flows.ledgers import EvidenceTrees
from backend.flows.receipts import Issuer, ReceiptFiles
from backend.flows.register import Elsewhere, Register

DONE, REFUSED, USAGE, UNAVAILABLE, PENDING = range(5)
_BEHIND_EPOCHS = 672
"""How far behind the last epoch of the database the chain is asked for more: a week."""


def run(options: argparse.Namespace) -> int:
    """Runs the command that was asked for; what an outside party or wrong input answers comes as one line."""
    try:
        return _COMMANDS[options.run](options)
    except Unavailable as error:
        print(f"lightnode: {error}", file=sys.stderr)
        return UNAVAILABLE
    except AnchorsUnavailable as error:
        print(f"lightnode: anchors: {error}", file=sys.stderr)
        return UNAVAILABLE
    except (BackendError, NotValid, OSError) as error:
        print(f"lightnode: {one_line(str(error), 300)}", file=sys.stderr)
        return REFUSED


def _export(options: argparse.Namespace) -> int:
    files = [str(path) for path in export(options.bundle, options.out, options.format)]
    return _done(options, {"files": files}, "\n".join(files))


def _done(options: argparse.Namespace, facts: Mapping[str, object], text: str) -> int:
    """Says what was done, as one JSON object if that was asked for; text may be empty."""
    if options.json or text:
        print(json.dumps({"done": True, **facts}) if options.json else text)
    return DONE


def _prove(options: argparse.Namespace) -> int:
    data = read_bounded(options.bundle)
    report = verify(data, None)
    if isinstance(report, Single):
        made = with_state(data.decode("ascii"), options.rpc, options.block)
    else:
        made = state_file(options.rpc, report.contract, report.log, report.epochs, options.block)
    options.out.write_text(made)
    return _done(options, {"file": str(options.out)}, "")


def _erase(options: argparse.Namespace) -> int:
    store, key = _opened(options)
    try:
        who = store.fact("deployment"), operator_of(key.public)
        erased = Erase(store, EvidenceTrees(store, key.sign, *who), key, who).customer(
            options.pod, time.time_ns() // 1_000_000
        )
    finally:
        store.close()
    facts = {
        "devices": [id.hex() for id in erased.devices], "tombstones": erased.tombstones, "filed_again": erased.filed_again,
    }  # fmt: skip
    return _done(
        options,
        facts,
        f"erased: {len(erased.devices)} devices, {erased.tombstones} leaves; {erased.filed_again} documents of many were "
        f"filed again without it",
    )


def _revoke(options: argparse.Namespace) -> int:
    store, key = _opened(options)
    try:
        who, now_ms = (store.fact("deployment"), operator_of(key.public)), time.time_ns() // 1_000_000
        register = Register(store, EvidenceTrees(store, key.sign, *who), Elsewhere(), key, who)
        register.revoke(options.id, options.generation, now_ms)
    finally:
        store.close()
    facts = {"id": options.id.hex(), "generation": options.generation, "time_ms": now_ms}
    return _done(options, facts, f"revoked: key {options.generation} of {options.id.hex()} at {now_ms}")


def _opened(options: argparse.Namespace) -> tuple[SqliteStore, SigningKey]:
    """The database and its log key."""
    if not options.db.is_file():
        raise Unavailable("database", f"{options.db}: no such file")
    key = read_key(options.log_key)
    store = SqliteStore(options.db)
    if store.fact("log_key") != key.public:
        store.close()
        raise Rejected(f"{options.log_key}: is not the log key of {options.db}")
    return store, key


def _receipt(options: argparse.Namespace) -> int:
    store, key = _opened(options)
    try:
        made = _made(options, store, key)
    finally:
        store.close()
    if options.rpc is not None:
        made = with_state(made, options.rpc, options.block)
    if options.out is not None:
        options.out.write_text(made)
    else:
        print(made)
    return DONE


def _made(options: argparse.Namespace, store: SqliteStore, key: SigningKey) -> str:
    """The file that was asked for, without a state proof."""
    deployment, chain_id, contract = (store.fact(name) for name in ("deployment", "chain_id", "contract"))
    if not contract:
        raise Rejected(f"{options.db}: has not met a chain yet: start the back end once")
    operator, now_ms = operator_of(key.public), time.time_ns() // 1_000_000
    place = int.from_bytes(chain_id, "big"), contract
    issuer = Issuer(deployment, operator, key.public, key.sign, place, now_ms)
    files = ReceiptFiles(store, EvidenceTrees(store, key.sign, deployment, operator), issuer)
    kind, names = options.kind, options.names
    try:
        if kind in ("reading", "batch"):
            return files.record(bytes.fromhex(names[0]), int(names[1]))
        if kind in ("setpoint", "decision", "execution"):
            return files.answer(bytes.fromhex(names[0]), kind)
        if kind == "document":
            return files.document(names[0], names[1], int(names[2]) if len(names) > 2 else 0)
        if kind == "key":
            return files.key(bytes.fromhex(names[0]), int(names[1]))
        return files.consistency(int(names[0]), int(names[1]), int(names[2]))
    except (ValueError, IndexError) as error:
        raise Rejected(f"{kind} {' '.join(names)}: see --help for what names a {kind}") from error


def _audit(options: argparse.Namespace) -> int:
    if options.rpc is not None and options.contract is None:
        print("lightnode: --rpc needs --contract: an audit does not ask the database where to look", file=sys.stderr)
        return USAGE
    with copied(options.db) as copy:
        anchors = _anchors(options, copy)
        audit = Audit(copy, _outside(options, anchors), verifier)
        found = list(audit.run())
    if options.json:
        print(json.dumps(_facts(found, audit.messages, anchors is not None)))
    else:
        for one in found:
            print(f"{one.table} {one.key}: {one.what}")
        print(_sum(found, audit.messages, anchors), file=sys.stderr)
    return REFUSED if found else DONE if anchors is not None else PENDING


def _anchors(options: argparse.Namespace, copy: Any) -> Anchors | None:
    if options.anchors is not None:
        return from_file(options.anchors)
    if options.rpc is None:
        return None
    epochs = copy.epochs()
    log = (options.operator or copy.operator()).rjust(32, b"\0")
    first, last = (min(epochs), max(epochs)) if epochs else (0, 0)
    return span_from_rpc(options.rpc, options.contract, log, max(0, first - 96), last + _BEHIND_EPOCHS)


def _outside(options: argparse.Namespace, anchors: Anchors | None) -> Outside:
    """What the auditor brings; the anchors name an operator as well as the option does."""
    if anchors is None:
        return Outside(options.operator, None, None)
    if options.contract not in (None, anchors.contract):
        raise AnchorsUnavailable(f"are of contract 0x{anchors.contract.hex()}, not 0x{options.contract.hex()}")
    operator = anchors.log[-8:]
    if options.operator not in (None, operator):
        raise AnchorsUnavailable(f"are of operator {operator.hex()}, not {options.operator.hex()}")
    return Outside(operator, Chain(anchors.words, {}), (anchors.chain_id, anchors.contract))


def _facts(found: list[Alarm], messages: int, anchored: bool) -> dict[str, object]:
    alarms = [
        {"table": one.table, "key": one.key, "what": one.what, "evidence": [e.hex() for e in one.evidence]}
        for one in found
    ]
    return {"sound": not found, "anchored": anchored, "messages": messages, "alarms": alarms}


def _sum(found: list[Alarm], messages: int, anchors: Anchors | None) -> str:
    what = f"{len(found)} alarms" if found else "nothing differs"
    against = "the chain" if anchors is not None else "the database's own commitments only: give --anchors or --rpc"
    return f"lightnode: {what} in {messages} messages and their trees, compared with {against}"


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "audit": _audit, "prove": _prove, "receipt": _receipt, "erase": _erase, "revoke": _revoke, "export": _export,
}  # fmt: skip
