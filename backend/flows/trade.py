"""Runs market sessions: announce, open, take bids, close, clear, validate, publish, correct. Every step is an event first.

1. A session is what its events say: whatever crashes, it stands where its last committed event left it, and the same step
   may be asked for again. Events are only added.
2. Every bid of a book is answered, in the book's order, the rows that were no bid with their reason code; all answers of a
   submission are kept in one commit or none. What others hold of a POD is theirs (flows.held).
3. There is one outcome: it is made from the frozen book, published once as version 1 with its anchored evidence; asking
   again gives the same. What was cleared is an event in each round, with the verdicts that led to it in one commit. A session
   that is decided after its last quarter-hour has begun awards only what others have left meanwhile.
4. A correction is proposed by one person and approved by another, who sees it by its digest; then it is the next version.
   What was published before stays.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from backend.domain.bids import Direction, Offer, Product, Request
from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.flows.held import Held, explained, how_freed, is_too_late, of_book, of_outcome, total_w
from backend.market.canonical import text
from backend.market.correction import check_correction, check_left, is_same_person
from backend.market.exchange import outcome_of
from backend.market.form import identity
from backend.market.schedule import Window
from backend.market.session import KEPT, Answer, MarketSession, Point, Registered, SessionRules, State
from backend.market.submission import Submission
from backend.market.submission_field import offer_of, offer_row, request_of, request_row
from backend.ports import Clock, MarketEvent, SessionStore

OUTCOME, WITHIN, BY, VERDICTS = "outcome", "constraints", "clearing", "verdicts"
DSO = "DSO"
_LATER = ("emergency_ueur_per_mwh", "emergency_ppm", "baseline_lead_ms")


Publish = Callable[[str, str, int, str, int], None]  # kind, id, version, body, time_ms: kept with anchored evidence


class Sessions:
    """The market's sessions in a store."""

    def __init__(self, store: SessionStore, clock: Clock, registered: Registered, publish: Publish) -> None:
        self._store = store
        self._clock = clock
        self._registered = registered
        self._publish = publish

    def announce(self, session: str, window: Window, rules: SessionRules, party: str) -> None:
        """Makes a session; Rejected if there is one of this id that is not the same."""
        if "/" in session:
            raise Rejected(f"session {session[:64]}: its id has a /, which parts the names of what is ordered")
        identity(session, "session")
        body = announcement_text(window, rules)
        with self._store.writing():
            before = self._store.events(session)
            if not before:
                self._add(session, party, "announced", body)
            elif before[0].body != body:
                raise Rejected(f"session {session}: was announced otherwise")

    def move(self, session: str, to: State, party: str) -> None:
        """Opens or cancels; asking again for where it stands changes nothing. Rejected for a move that is not allowed."""
        if to not in (State.OPEN, State.CANCELLED):
            raise Rejected(f"session {session}: {to} is reached by its own step")
        with self._store.writing():
            one = self.load(session)
            if one.state is not to:
                one.move(to)
                self._add(session, party, "moved", to.value)

    def submit(self, session: str, book: Submission, party: str) -> list[tuple[str, str]]:
        """Answers each bid of a book and each row that was none, as (id, answer) (rule 2)."""
        with self._store.writing():
            one, now_ms = self.load(session), self._clock.now_ms()
            answers = []
            bids: list[Offer | Request] = [*book.offers, *book.requests]
            for bid in bids:
                answer = one.submit(bid, now_ms, party)
                kind, row = ("offer", offer_row(bid)) if isinstance(bid, Offer) else ("request", request_row(bid))
                body = {"row": row, "answer": answer.name, **self._had(bid, answer)}
                self._add(session, party, kind, _json(body), now_ms)
                answers.append((bid.id, answer.value))
            for refusal in book.refusals:
                answers.append(
                    (refusal.id, f"{refusal.code}: {refusal.field or f'row {refusal.row}'}: {refusal.reason}")
                )
                self._add(session, party, "refused", _json({"id": refusal.id, "answer": refusal.code.value}))
        return answers

    def _had(self, bid: Offer | Request, answer: Answer) -> dict[str, dict[str, int]]:
        """W that each POD of an offer that was taken is registered with, the least of its quarter-hours: by what a correction is
        bounded when nobody says it again."""
        if answer not in KEPT or not isinstance(bid, Offer):
            return {}
        had = {p: [self._registered.has_w(p, f, bid.direction) for f in bid.volume_w] for p in sorted(bid.shares_w)}
        bounds = {pod: min(w) for pod, of in had.items() if (w := [one for one in of if one is not None])}
        return {"had_w": bounds} if bounds else {}

    def withdraw(self, session: str, id: str, party: str) -> Answer:
        """Takes a bid out of the book, or says why not."""
        with self._store.writing():
            answer = self.load(session).withdraw(id, party, self._clock.now_ms())
            self._add(session, party, "withdrawal", _json({"id": id, "answer": answer.name}))
        return answer

    def close(self, session: str, party: str) -> tuple[tuple[Request, ...], tuple[Offer, ...]]:
        """Gate closure; the frozen book. Rejected before the gate."""
        with self._store.writing():
            one = self.load(session)
            if one.state in (State.ANNOUNCED, State.OPEN):
                one.close(self._clock.now_ms())
                self._add(session, party, "moved", State.CLOSED.value)
            return one.book()

    def decide(
        self,
        session: str,
        state: State,
        outcome: Any,
        party: str,
        basis: Mapping[str, str] | None = None,
        number: int = 1,
    ) -> str:
        """Keeps the outcome as cleared in a round, then as validated after the last; asking again gives what was kept,
        whatever is handed in. number: of the round.

        basis: the documents that it was decided by, kept with it: limits (WITHIN), rules (BY), verdicts (VERDICTS)."""
        if state not in (State.CLEARED, State.VALIDATED):
            raise Rejected(f"session {session}: an outcome is cleared or validated")
        with self._store.writing():
            done, rounds = self._all(session, state), len(self._all(session, State.CLEARED))
            if len(done) >= (number if state is State.CLEARED else 1):
                return done[-1]
            one, body = self.load(session), text(outcome)
            one.move(state)
            if state is State.VALIDATED and is_too_late(one.frames, self._clock.now_ms()):
                check_left(self._to_correct(session), outcome_of(body), Outcome(session, (), (), {}))
            if rounds != (number - 1 if state is State.CLEARED else number):
                raise Rejected(f"session {session}: {rounds} rounds are cleared, this is of round {number}")
            for what, document in sorted((basis or {}).items()):
                self._add(session, DSO if what == VERDICTS else party, what, document)
            self._add(session, party, state.value, body)
        return body

    def within(self, session: str) -> str:
        """The document of the limits that the session was cleared within, "" if there was none."""
        return "".join(self._all(session, WITHIN)[:1])

    def rounds(self, session: str) -> tuple[str, list[str], list[str]]:
        """The rules of the first clearing, what was cleared in each round, and the verdicts on the rounds, in order."""
        return "".join(self._all(session, BY)[:1]), self._all(session, State.CLEARED), self._all(session, VERDICTS)

    def publish(self, session: str, party: str) -> str:
        """Publishes the validated outcome as version 1 (rule 3); the text of the one that stands, corrected or not."""
        with self._store.writing():
            validated = "".join(self._all(session, State.VALIDATED))
            one = self.load(session)
            if one.state is not State.PUBLISHED:
                one.move(State.PUBLISHED)
                self._publish(OUTCOME, session, 1, validated, self._clock.now_ms())
                self._add(session, party, "published", _json({"version": 1, "sha256": digest_of(validated)}))
            return _standing(self._store.events(session))

    def propose(self, session: str, outcome: Any, reason: str, party: str) -> str:
        """Proposes a correction (rule 4); its digest. Rejected before there is anything to correct."""
        with self._store.writing():
            one = self._to_correct(session)
            if one.state is not State.PUBLISHED:
                raise Rejected(f"session {session}: nothing is published that could be corrected")
            if not reason.strip() or not party.strip():
                raise Rejected(f"session {session}: a correction needs a reason and the person who proposes it")
            body = text(outcome)
            check_correction(one, outcome_of(body), outcome_of(_standing(self._store.events(session))))
            self._add(session, party, "proposed", _json({"outcome": body, "reason": reason}))
        return digest_of(body)

    def approve(self, session: str, digest: str, party: str) -> int:
        """Publishes the latest proposed correction if its digest is this one and the party another; the version."""
        with self._store.writing():
            events = self._store.events(session)
            proposed = [event for event in events if event.what == "proposed"]
            published = [event for event in events if event.what == "published"]
            if not proposed or digest_of(json.loads(proposed[-1].body)["outcome"]) != digest:
                raise Rejected(f"session {session}: no correction with the digest {digest[:64]} is proposed")
            body, version = json.loads(proposed[-1].body)["outcome"], len(published) + 1
            if digest in [json.loads(event.body)["sha256"] for event in published]:
                raise Rejected(f"session {session}: this is published already")
            if not party.strip() or is_same_person(proposed[-1].party, party):
                raise Rejected(f"session {session}: {party} proposed the correction, another person has to approve it")
            check_correction(self._to_correct(session), outcome_of(body), outcome_of(_standing(events)))
            self._publish(OUTCOME, session, version, body, self._clock.now_ms())
            self._add(session, party, "published", _json({"version": version, "sha256": digest}))
        return version

    def kept(self, session: str, state: State) -> str:
        """The outcome as cleared in the latest round, or as validated; Rejected before there is one."""
        done = self._all(session, state)
        if not done:
            raise Rejected(f"session {session}: nothing is {state} yet")
        return done[-1]

    def moves(self, session: str) -> dict[tuple[str, int], Direction]:
        """Which way each POD (or POD/var) moves in a quarter-hour by the awards of other sessions."""
        decided = (one for one in self._others(session) if one.is_decided)
        return {(pod, frame): way for one in decided for (pod, frame, way), w in one.watts.items() if w}

    def load(self, session: str) -> MarketSession:
        """The session as its events left it; Rejected if it was never announced."""
        events = self._store.events(session)
        if not events:
            raise Rejected(f"session {session}: was never announced")
        return self._replayed(events, total_w(part for one in self._others(session) for part in one.watts.items()))

    def who_holds(self, session: str, offers: Iterable[Offer]) -> dict[str, str]:
        """Who holds what these offers would take too much of, and how it is freed, by offer."""
        one, others, found = self.load(session), list(self._others(session)), {}
        for offer in offers:
            if (over := one.oversold(offer)) is not None:
                found[offer.id] = explained(over[0], self._registered.has_w(*over[0]), over[1], others)
        return found

    def how_freed(self, session: str) -> str:
        """How the watts of a session whose gate has closed come to an end; empty where they are awarded or free."""
        one, now_ms = self.load(session), self._clock.now_ms()
        return how_freed(one.state) if now_ms >= one.gate_ms and of_book(one, now_ms).watts else ""

    def _to_correct(self, session: str) -> MarketSession:
        """The session, its PODs bounded by the register, else by what it said when their offers were taken."""
        one, had = self.load(session), dict[tuple[str, Direction], int]()
        for event in self._store.events(session):
            if event.what == "offer":
                body = json.loads(event.body)
                way = Direction(body["row"]["direction"])
                for pod, w in body.get("had_w", {}).items():
                    had[pod, way] = min(w, had.get((pod, way), w))
        one.capacity_w = {**had, **one.capacity_w}
        return one

    def _replayed(self, events: Sequence[MarketEvent], sold_w: Mapping[Point, int]) -> MarketSession:
        window, rules = window_of(events[0].body)
        one = MarketSession(
            events[0].session, window.frames, window.gate_ms, self._registered.aggregator_of, rules=rules,
            capacity_w=self._registered.capacity_w, sold_w=sold_w, register=self._registered.periods,
        )  # fmt: skip
        for event in events[1:]:
            _replay(one, event)
        return one

    def published(self, session: str) -> list[tuple[int, str]]:
        """(version, digest) of everything that was published."""
        rows = [json.loads(event.body) for event in self._store.events(session) if event.what == "published"]
        return [(row["version"], row["sha256"]) for row in rows]

    def _all(self, session: str, what: str) -> list[str]:
        """The documents of the events of a kind."""
        return [event.body for event in self._store.events(session) if event.what == what]

    def _others(self, session: str) -> Iterable[Held]:
        """What each other session holds that was not cancelled."""
        now_ms = self._clock.now_ms()
        for other in self._store.sessions():
            events = [] if other == session else self._store.events(other)
            if not events or any(e.what == "moved" and e.body == State.CANCELLED.value for e in events):
                continue
            standing = _standing(events)
            yield of_outcome(events, standing) if standing else of_book(self._replayed(events, {}), now_ms)

    def _add(self, session: str, party: str, what: str, body: str, time_ms: int | None = None) -> None:
        at_ms = self._clock.now_ms() if time_ms is None else time_ms
        self._store.add_event(MarketEvent(session, at_ms, party, what, body))


def _standing(events: Sequence[MarketEvent]) -> str:
    """The outcome that stands: the last correction that was published, else what was validated; "" before there is one."""
    published = [json.loads(event.body)["sha256"] for event in events if event.what == "published"]
    validated = [event.body for event in events if event.what == State.VALIDATED.value]
    corrected = [json.loads(event.body)["outcome"] for event in events if event.what == "proposed"]
    return next(
        (body for body in reversed(corrected) if published[1:] and digest_of(body) == published[-1]),
        "".join(validated[-1:]),
    )


def _replay(one: MarketSession, event: MarketEvent) -> None:
    """Does again what was done: a bid was answered under the rules and the register of its time, so it is taken as it was."""
    if event.what == "moved":
        one.state = State(event.body)
    elif event.what in (State.CLEARED, State.VALIDATED, State.PUBLISHED):
        one.state = State(event.what)
    elif event.what in ("offer", "request", "withdrawal"):
        body = json.loads(event.body)
        if Answer[body["answer"]] not in KEPT:
            return
        if event.what == "withdrawal":
            one.remove(body["id"])
        elif event.what == "offer":
            offer, _ = offer_of(body["row"])
            assert offer is not None
            one.restore(offer, event.time_ms)
        else:
            request, _ = request_of(body["row"])
            assert request is not None
            one.restore(request, event.time_ms)


def announcement_text(window: Window, rules: SessionRules) -> str:
    """The one text of an announcement; settings that came later are written only where they are not as they always were."""
    row = {
        "first_frame": window.frames[0], "frames": len(window.frames), "gate_ms": window.gate_ms, "lot_w": rules.lot_w,
        "most_w": rules.most_w, "most_ueur_per_mwh": rules.most_ueur_per_mwh, "products": sorted(rules.products),
    }  # fmt: skip
    plain = SessionRules()
    return _json(row | {n: getattr(rules, n) for n in _LATER if getattr(rules, n) != getattr(plain, n)})


def window_of(body: str) -> tuple[Window, SessionRules]:
    """What an announcement says."""
    row = json.loads(body)
    frames = tuple(range(row["first_frame"], row["first_frame"] + row["frames"]))
    products = frozenset(Product(word) for word in row["products"])
    later = {name: row[name] for name in _LATER if name in row}
    rules = SessionRules(row["lot_w"], row["most_w"], row["most_ueur_per_mwh"], products, **later)
    return Window(frames, row["gate_ms"]), rules


def _json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest_of(body: str) -> str:
    """SHA-256 of a document's text, hex: by what its versions are named."""
    return hashlib.sha256(body.encode()).hexdigest()
