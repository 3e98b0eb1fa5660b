"""What the commands of `lightnode market` do: files in, one step of a session, text or one JSON object out.

Exit codes: 0 done, 1 refused (with the reason), 2 wrong usage, 3 the folder or a file is not there, 4 another round is to be
judged.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightwire import records

from backend.adapters.bounded import read_text
from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import SqliteStore
from backend.domain.bids import MOST_UEUR_PER_MWH, MOST_W, Product
from backend.domain.local_day import Calendar
from backend.domain.trade import Outcome
from backend.errors import BackendError, Rejected, Unavailable
from backend.flows.ledgers import EvidenceTrees
from backend.flows.orders import Orders
from backend.flows.settle import SETTLEMENT, Settlements
from backend.flows.trade import BY, DSO, VERDICTS, WITHIN, Sessions
from backend.market import exchange, form
from backend.market.canonical import text
from backend.market.decided import Basis, Cleared, basis_of, basis_row, cleared, judged, nodes_asked
from backend.market.judged import to_judge
from backend.market.rules import Engine, Pricing, Rules
from backend.market.schedule import Window, day_ahead, near_real_time
from backend.market.session import Answer, Registered, SessionRules, State
from backend.market.submission import parse_csv, parse_json
from backend.market_commands import bundle_work, order_work, settle_work
from backend.wiring import make_identity

DONE, REFUSED, _, UNAVAILABLE, PENDING = range(5)
OPERATOR = "market operator"
Said = tuple[dict[str, Any], str]


def system_ms() -> int:
    """UTC ms."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Clock:
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Market:
    """The sessions of a folder, what is ordered in them, and what time it is (UTC ms)."""

    sessions: Sessions
    orders: Orders
    settlements: settle_work.Desk
    now_ms: Callable[[], int]


def run(options: argparse.Namespace, now_ms: Callable[[], int] = system_ms) -> int:
    """The exit code; what was done on stdout, a refusal in one line on stderr."""
    try:
        if options.command == "recompute":
            facts, words = bundle_work.recompute(options)
        else:
            facts, words = _in_folder(options, now_ms)
    except (BackendError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(json.dumps({"done": False, "reason": reason}) if options.json else "", end="\n" if options.json else "")
        if not options.json:
            print(f"lightnode: {reason}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, Unavailable | OSError) else REFUSED
    print(json.dumps({"done": True, **facts}) if options.json else words)
    return DONE if facts.get("done", True) else PENDING


def _in_folder(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    store = _opened(options)
    try:
        market = _market(options, store, now_ms)
        if options.command == "bundle":
            return bundle_work.bundle(options, MarketStore(store))
        if options.command in order_work.COMMANDS:
            return order_work.COMMANDS[options.command](options, market.orders)
        if options.command in settle_work.COMMANDS:
            return settle_work.COMMANDS[options.command](options, market.settlements)
        return _COMMANDS[options.command](options, market)
    finally:
        store.close()


def _opened(options: argparse.Namespace) -> SqliteStore:
    """The database of the folder; for a session in a new one its keys are made."""
    path, fresh = options.folder / "scd.sqlite", getattr(options, "deployment", None)
    if not path.exists() and fresh is None:
        raise Unavailable("folder", f"{options.folder} has no scd.sqlite: announce with --deployment makes one")
    options.folder.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path)
    if not store.fact("log_key"):
        if fresh is None:
            raise Rejected(f"{path} has no log key yet: announce with --deployment")
        identity = make_identity(options.folder / "keys", fresh)
        store.note_fact("deployment", fresh)
        store.note_fact("log_key", identity.log_key.public)
    store.keep_notes_as_before()
    return store


def _market(options: argparse.Namespace, store: SqliteStore, now_ms: Callable[[], int]) -> _Market:
    identity = make_identity(options.folder / "keys", store.fact("deployment"))

    def publish(kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        trees = EvidenceTrees(store, identity.log_key.sign, identity.deployment, identity.operator)
        tree = records.TREE_SETTLEMENT if kind == SETTLEMENT else records.TREE_MARKET
        trees.add_document(tree, kind, id, version, body, time_ms)

    paths: list[Path] = getattr(options, "resources", [])
    registered = Registered({}, {}, exchange.resources_of(*(read_text(path) for path in paths)))
    kept, clock = MarketStore(store), _Clock(now_ms)
    sessions = Sessions(kept, clock, registered, publish)
    settlements = settle_work.Desk(Settlements(kept, clock, sessions, publish), store)
    return _Market(sessions, Orders(kept, clock, sessions, registered, publish), settlements, now_ms)


def _announce(options: argparse.Namespace, market: _Market) -> Said:
    if options.next:
        window = near_real_time(market.now_ms(), options.lead_min * 60_000)
    else:
        window = day_ahead(Calendar(options.zone), options.day, options.gate)
    rules = SessionRules(
        options.lot_w, options.most_w or MOST_W, options.most_price or MOST_UEUR_PER_MWH,
        frozenset(Product(word) for word in options.product or ["active"]),
        emergency_ueur_per_mwh=options.emergency_price, emergency_ppm=options.emergency_ppm,
        baseline_lead_ms=options.baselines_min * 60_000,
    )  # fmt: skip
    market.sessions.announce(options.session, window, rules, OPERATOR)
    return _stands(options.session, window, State.ANNOUNCED)


def _stands(session: str, window: Window, state: State) -> Said:
    facts = {
        "session": session, "state": state.value, "first_frame": window.frames[0], "frames": len(window.frames),
        "gate_ms": window.gate_ms,
    }  # fmt: skip
    return facts, f"{session}: {state}, {len(window.frames)} quarter-hours, gate at {window.gate_ms} ms"


def _open(options: argparse.Namespace, market: _Market) -> Said:
    market.sessions.move(options.session, State.OPEN, OPERATOR)
    return _status(options, market)


def _cancel(options: argparse.Namespace, market: _Market) -> Said:
    market.sessions.move(options.session, State.CANCELLED, OPERATOR)
    return _status(options, market)


def _status(options: argparse.Namespace, market: _Market) -> Said:
    one = market.sessions.load(options.session)
    facts, words = _stands(one.id, Window(one.frames, one.gate_ms), one.state)
    requests, offers = one.book()
    published = market.sessions.published(options.session)
    facts |= {"offers": len(offers), "requests": len(requests), "published": [list(row) for row in published]}
    lines = [f"{words}, {len(offers)} offers, {len(requests)} requests"]
    lines += [f"version {version}: {digest}" for version, digest in published]
    freed = market.sessions.how_freed(options.session)
    lines += [f"not decided, and holds what its offers may take: {freed}"] if freed else []
    said, told = settle_work.stands(options.session, market.settlements)
    return facts | ({"freed_by": freed} if freed else {}) | said, "\n".join([*lines, *told])


def _submit(options: argparse.Namespace, market: _Market) -> Said:
    body = read_text(options.file)
    parsed = parse_csv(body) if options.file.suffix.lower() == ".csv" else parse_json(body)
    answers = market.sessions.submit(options.session, parsed, options.party)
    refused = {id for id, answer in answers if answer == Answer.SOLD}
    held = market.sessions.who_holds(options.session, [one for one in parsed.offers if one.id in refused])
    words = [f"{id}: {answer}{f': {held[id]}' if id in held else ''}" for id, answer in answers]
    return {"answers": [list(row) for row in answers], **({"held": held} if held else {})}, "\n".join(words)


def _withdraw(options: argparse.Namespace, market: _Market) -> Said:
    answer = market.sessions.withdraw(options.session, options.bid, options.party)
    return {"answers": [[options.bid, answer.value]]}, f"{options.bid}: {answer}"


def _close(options: argparse.Namespace, market: _Market) -> Said:
    requests, offers = market.sessions.close(options.session, OPERATOR)
    book = exchange.bids_text(requests, offers)
    return json.loads(book), book


def _clear(options: argparse.Namespace, market: _Market) -> Said:
    requests, offers = market.sessions.close(options.session, OPERATOR)
    limits = exchange.constraints_text(()) if options.constraints is None else read_text(options.constraints)
    exchange.check_frames(limits, [frame for request in requests for frame in request.need])
    constraints = exchange.constraints_of(limits)
    rules = Rules(Engine(options.engine), Pricing(options.pricing), options.reserve_ppm, options.rounds)
    node_of = nodes_asked((requests, offers), exchange.nodes_of(limits))
    basis = Basis(rules, market.sessions.moves(options.session), node_of=node_of)
    made = cleared(options.session, (requests, offers), constraints, basis)
    documents = {WITHIN: exchange.constraints_text(constraints), BY: text(basis_row(made.basis))}
    kept = market.sessions.decide(options.session, State.CLEARED, made.outcome, OPERATOR, documents)
    return {"outcome": json.loads(kept), **_gap(made, kept)}, _explained(exchange.outcome_of(kept))


def _gap(made: Cleared, kept: str) -> dict[str, Any]:
    """How good what the optimal engine made is, if it is what was kept."""
    gap = made.report
    if gap is None or text(made.outcome) != kept:
        return {}
    return {"gap_ueur": gap.gap_ueur, "gap_ppm": gap.gap_ppm, "proven": gap.proven}


def _explained(outcome: Outcome) -> str:
    lines = [
        f"{r.offer}: {r.fate}, {r.accepted_w} of {r.offered_w}: {r.reason} {r.element}".rstrip()
        for r in outcome.results
    ]
    lines += [
        f"{request}: {left} unserved in quarter-hour {frame}" for (request, frame), left in outcome.unserved.items()
    ]
    return "\n".join(lines) or "nothing was offered"


def _awards(options: argparse.Namespace, market: _Market) -> Said:
    one, outcomes = market.sessions.load(options.session), market.sessions.rounds(options.session)[1]
    before = exchange.outcome_of(market.sessions.kept(options.session, State.CLEARED))
    made = exchange.awards_text(to_judge(one.frames, *one.book(), before), len(outcomes))
    return json.loads(made), made


def _validate(options: argparse.Namespace, market: _Market) -> Said:
    """The next round, or the outcome; verdicts that were taken before change nothing."""
    sessions, id = market.sessions, options.session
    one, verdicts = sessions.load(id), read_text(options.verdicts)
    sessions.kept(id, State.CLEARED)
    by, outcomes, taken = sessions.rounds(id)
    rules, number = basis_of(by).rules, exchange.round_of(verdicts, len(outcomes))
    new = text(form.json_object(verdicts))
    if one.state is State.CLEARED and new not in taken[number - 1 : number]:
        if number != len(outcomes):
            raise Rejected(f"verdicts: of round {number}, to be judged is round {len(outcomes)}: see `market awards`")
        constraints = exchange.constraints_of(sessions.within(id))
        rounds = [(exchange.outcome_of(o), v) for o, v in zip(outcomes, [*taken, new], strict=True)]
        found = judged(one.frames, one.book(), constraints, rules, rounds)
        basis = {VERDICTS: new}
        if isinstance(found, Outcome):
            sessions.decide(id, State.VALIDATED, found, DSO, basis, number)
        else:
            made = cleared(id, one.book(), constraints, replace(basis_of(by), solutions=None), found)
            basis[BY] = text(basis_row(made.basis))
            sessions.decide(id, State.CLEARED, made.outcome, OPERATOR, basis, found.number)
    return _judged(id, sessions, rules.rounds)


def _judged(id: str, sessions: Sessions, most: int) -> Said:
    """Where a session stands after verdicts."""
    is_final = sessions.load(id).state is not State.CLEARED
    kept, number = sessions.kept(id, State.VALIDATED if is_final else State.CLEARED), len(sessions.rounds(id)[1])
    words = _explained(exchange.outcome_of(kept))
    if not is_final:
        words += f"\nround {number} of at most {most} is cleared and to be judged: `lightnode market awards`"
    return {"done": is_final, "round": number, "rounds": most, "outcome": json.loads(kept)}, words


def _publish(options: argparse.Namespace, market: _Market) -> Said:
    kept = market.sessions.publish(options.session, OPERATOR)
    return {"outcome": json.loads(kept)}, kept


def _propose(options: argparse.Namespace, market: _Market) -> Said:
    outcome = exchange.outcome_of(read_text(options.outcome))
    digest = market.orders.propose(options.session, outcome, options.reason, options.party)
    return {"sha256": digest}, digest


def _approve(options: argparse.Namespace, market: _Market) -> Said:
    version = market.orders.approve(options.session, options.digest.hex(), options.party)
    return {"version": version}, f"version {version}"


_COMMANDS: dict[str, Callable[[argparse.Namespace, _Market], Said]] = {
    "announce": _announce, "open": _open, "cancel": _cancel, "submit": _submit, "withdraw": _withdraw, "close": _close,
    "clear": _clear, "awards": _awards, "validate": _validate, "publish": _publish, "propose": _propose,
    "approve": _approve, "status": _status,
}  # fmt: skip
