"""Settles market sessions: version 1, later versions when late data come in, disputes. Every step is an event first.

1. A settlement is made of an input that stands on the session's latest published outcome: its digest, its version, exactly its
   awards, exactly the orders of its activation list where there is one, and the orders of other sessions on the same PODs.
   Whatever crashes, there is none or one.
2. The same input again gives the settlement that is kept; another one needs a re-settlement, which needs a reason and is the
   next version, with the difference by line and party. What was settled before stays. A version that changes a line, anybody's
   money or a correction of a position is proposed by one person and approved by another, who sees it by its digest. Evidence
   that the version before stands on may be added to and put right, not lost (market.settled_kept).
3. Each version is published as evidence in the tree of settlements, before anybody is told.
4. A dispute is about a line of the latest version; it and its answer are events (market.dispute).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.errors import Rejected
from backend.flows.held import offer_rows, rebound_of
from backend.flows.orders import ACTIVATED, Outcomes
from backend.flows.trade import Publish, Sessions, digest_of
from backend.market import exchange
from backend.market.canonical import document, text
from backend.market.dispute import Dispute, DisputeState, answered, opened
from backend.market.party_statement import party_statement
from backend.market.settled import settled, settlement_text
from backend.market.settled_awards import called_of, check_against, reserved_of
from backend.market.settled_delivered import points_of
from backend.market.settled_difference import difference, moves
from backend.market.settled_document import input_of, input_text
from backend.market.settled_evidence import Point
from backend.market.settled_input import OtherOrder, SettlementInput
from backend.market.settled_kept import check_kept
from backend.market.settled_making import Traded
from backend.ports import Clock, MarketEvent, SessionStore

SETTLEMENT, PROPOSED, SETTLED = "settlement", "settlement-proposed", "settled"
DISPUTED, ANSWERED = "disputed", "dispute-answered"


@dataclass(frozen=True, slots=True)
class Version:
    """A settlement as it is kept: its input's text, its own, why it was made, and what it changed; nothing of version 1.
    proposed_by: the person by whom, where it needed a second one."""

    version: int
    input: str
    settlement: str
    reason: str
    difference: Mapping[str, Any]
    proposed_by: str = field(default="", metadata={"written": "if set"})

    @property
    def sha256(self) -> str:
        """Of its settlement."""
        return digest_of(self.settlement)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A version that waits for a second person (rule 2)."""

    version: Version


@dataclass(frozen=True, slots=True)
class _Ground:
    """Texts of the latest published outcome, with its version, and of the latest activation list, None without one."""

    outcome: str
    version: int
    activation: str | None


class Settlements:
    """The settlements of the sessions in a store."""

    def __init__(self, store: SessionStore, clock: Clock, sessions: Sessions, publish: Publish) -> None:
        self._store = store
        self._clock = clock
        self._sessions = sessions
        self._publish = publish

    def settle(self, session: str, body: str, party: str) -> Version:
        """Version 1 (rules 1 and 2)."""
        made = input_of(body)
        with self._store.writing():
            versions = self.versions(session)
            if not versions:
                return self._keep(session, self._made(session, made, "", versions), party)
        if versions[0].input != input_text(made):
            raise Rejected(f"session {session}: is settled from another input: resettle makes the next version")
        return versions[0]

    def resettle(self, session: str, body: str, reason: str, party: str) -> Version | Proposed:
        """The next version, or the proposal of it (rule 2); the latest if its input is this one."""
        if not reason.strip():
            raise Rejected(f"session {session}: a re-settlement needs a reason")
        made = input_of(body)
        with self._store.writing():
            versions = self.versions(session)
            if not versions:
                raise Rejected(f"session {session}: nothing is settled yet that could be settled again")
            if versions[-1].input == input_text(made):
                return versions[-1]
            one = self._made(session, made, reason, versions, who(party))
            if not moves(one.difference):
                return self._keep(session, replace(one, proposed_by=""), party)
            waiting = self.proposed(session)
            if waiting is None or waiting.version != one:
                self._add(session, party, PROPOSED, text(document(one)))
        return Proposed(one)

    def proposed(self, session: str) -> Proposed | None:
        """What waits for a second person."""
        waiting = None
        for event in self._store.events(session):
            if event.what in (PROPOSED, SETTLED):
                waiting = Proposed(Version(**json.loads(event.body))) if event.what == PROPOSED else None
        return waiting

    def approve(self, session: str, digest: str, party: str) -> Version:
        """Makes what is proposed the next version, if the digest is its and the party another (rule 2)."""
        with self._store.writing():
            versions, waiting = self.versions(session), self.proposed(session)
            if waiting is None and versions and versions[-1].sha256 == digest:
                return versions[-1]
            if waiting is None or waiting.version.sha256 != digest:
                raise Rejected(f"session {session}: no settlement with the digest {digest[:64]} is proposed")
            one = waiting.version
            if who(party) == one.proposed_by:
                raise Rejected(f"session {session}: {one.proposed_by} proposed it, another person has to approve it")
            self._check(session, input_of(one.input))
            return self._keep(session, one, party)

    def versions(self, session: str) -> list[Version]:
        """Every settlement of a session, in order; Rejected if it was never announced."""
        self._sessions.load(session)
        return [Version(**json.loads(event.body)) for event in self._store.events(session) if event.what == SETTLED]

    def version(self, session: str, number: int | None = None) -> Version:
        """One of them, None is the latest; Rejected if there is none."""
        versions = self.versions(session)
        if not versions:
            raise Rejected(f"session {session}: nothing is settled yet")
        if number is not None and not 1 <= number <= len(versions):
            raise Rejected(f"session {session}: has versions 1 to {len(versions)} of its settlement, not {number}")
        return versions[-1 if number is None else number - 1]

    def statement(self, session: str, party: str, number: int | None = None) -> dict[str, Any]:
        """A party's statement, with the version and digest of the settlement it is taken from."""
        one = self.version(session, number)
        said = party_statement(json.loads(one.settlement), party)
        return said | {"version": one.version, "settlement_sha256": digest_of(one.settlement)}

    def traded(self, session: str) -> Traded:
        """What a settlement of a session stands on: orders are none without an activation list. Rejected before an outcome
        is published."""
        ground = self._ground(session)
        requests, offers = self._sessions.load(session).book()
        awards = reserved_of(exchange.outcome_of(ground.outcome), offers, requests)
        orders = () if ground.activation is None else called_of(ground.activation)
        return Traded(session, digest_of(ground.outcome), ground.version, awards, orders, self._elsewhere(session))

    def ordered(self) -> frozenset[Point]:
        """POD and quarter-hour of every order that was active, of every session."""
        return frozenset(points_of(self._elsewhere("")))

    def _elsewhere(self, session: str) -> list[OtherOrder]:
        """What is active of every other session that has an activation list."""
        found = []
        for other in self._store.sessions():
            events = [] if other == session else self._store.events(other)
            lists = [event.body for event in events if event.what == ACTIVATED]
            if lists:
                rebound = {id: rebound_of(row) for id, row in offer_rows(events).items()}
                for one in called_of(lists[-1]):
                    parts = one.id, one.kind, one.frame, one.direction, one.points, rebound.get(one.offer, ())
                    found.append(OtherOrder(other, *parts))
        return found

    def _ground(self, session: str) -> _Ground:
        said, version, outcome, activation = Outcomes(), 0, "", None
        for event in self._store.events(session):
            published = said.follow(event)
            if published is not None:
                version, outcome = version + 1, published
            elif event.what == ACTIVATED:
                activation = event.body
        if not version:
            raise Rejected(f"session {session}: no outcome is published that could be settled")
        return _Ground(outcome, version, activation)

    def open_dispute(self, session: str, line: str, reason: str, party: str) -> Dispute:
        """Rule 4."""
        with self._store.writing():
            statement = self.statement(session, party)
            before = self.disputes(session)
            wanted = Dispute(f"d{len(before) + 1}", party, statement["version"], line, reason, self._clock.now_ms())
            found = opened(before, wanted, statement)
            if found is wanted:
                self._add(session, party, DISPUTED, text(wanted))
        return found

    def answer_dispute(self, session: str, id: str, state: DisputeState, answer: str, party: str) -> Dispute:
        """Rule 4."""
        with self._store.writing():
            before = {one.id: one for one in self.disputes(session)}
            if id not in before:
                raise Rejected(f"session {session}: no dispute {id[:64]!r}")
            found = answered(before[id], state, answer, party, self._clock.now_ms())
            if found is not before[id]:
                self._add(session, party, ANSWERED, text(found))
        return found

    def disputes(self, session: str) -> list[Dispute]:
        """All disputes of a session as they stand, in order; Rejected if it was never announced."""
        self._sessions.load(session)
        found: dict[str, Dispute] = {}
        for event in self._store.events(session):
            if event.what in (DISPUTED, ANSWERED):
                row = json.loads(event.body)
                found[row["id"]] = Dispute(**{**row, "state": DisputeState(row["state"])})
        return list(found.values())

    def _made(
        self, session: str, made: SettlementInput, reason: str, versions: Sequence[Version], by: str = ""
    ) -> Version:
        self._check(session, made)
        if versions:
            check_kept(input_of(versions[-1].input), made, versions[-1].version)
        body = settlement_text(settled(made))
        changed = difference(json.loads(versions[-1].settlement), json.loads(body)) if versions else {}
        return Version(len(versions) + 1, input_text(made), body, reason, changed, by)

    def _keep(self, session: str, one: Version, party: str) -> Version:
        self._publish(SETTLEMENT, session, one.version, one.settlement, self._clock.now_ms())
        self._add(session, party, SETTLED, text(document(one)))
        return one

    def _check(self, session: str, made: SettlementInput) -> None:
        """Rule 1."""
        if made.session != session:
            raise Rejected(f"settlement input: session = {made.session}, this is {session}")
        traded = self.traded(session)
        published = traded.outcome_version, traded.outcome_sha256
        if (made.outcome_version, made.outcome_sha256) != published:
            raise Rejected(
                f"settlement input: outcome {made.outcome_version}, {made.outcome_sha256[:16]}, the published one is"
                f" {published[0]}, {published[1][:16]}"
            )
        known = None if self._ground(session).activation is None else traded.orders
        check_against(made, traded.awards, known, self._elsewhere(session))

    def _add(self, session: str, party: str, what: str, body: str) -> None:
        self._store.add_event(MarketEvent(session, self._clock.now_ms(), party, what, body))


def who(party: str) -> str:
    """A person's name without the blanks around it, so that nobody is a second one; Rejected for none."""
    name = party.strip()
    if not name or len(name) > 96 or not name.isprintable():
        raise Rejected("party, expected 1 to 96 printable characters")
    return name
