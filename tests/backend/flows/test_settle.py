"""Settlements in the real store: versions, disputes, evidence, and SIGKILL at any write.

By hand: offer A-1 gives 30 kW up of a (10) and b (20) in F at 120 EUR/MWh; the TSO buys and orders it. a's baseline is 15 kW
and it measures 5; b's is 22 and it measures 2: 27,000,000 Ws, 0.90 EUR, all of it delivered.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import DocumentRow, SqliteStore
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_MS
from backend.errors import Rejected
from backend.flows.orders import Orders
from backend.flows.settle import Proposed, Settlements, Version
from backend.flows.trade import Sessions, digest_of
from backend.market.baseline import Kind, Method
from backend.market.clearing import clear
from backend.market.dispute import DisputeState
from backend.market.order_row import orders_of
from backend.market.schedule import Window
from backend.market.session import Registered, SessionRules, State
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import MeasuredRow, PodRow
from backend.market.settled_making import Knowledge, Settings, made_input
from backend.market.submission import Submission
from tests.backend.market.settlement_case import EUR, TERMS, F

GATE = F * FRAME_MS - 7_200_000
REGISTERED = Registered({"a": "A", "b": "A"}, {})
OFFER = Offer(
    "A-1", "A", Direction.UP, {F: 30_000}, {"a": 10_000, "b": 20_000}, 120 * EUR, 0, availability_ueur_per_mw_h=4 * EUR
)
ASKS = Request("r", Buyer.TSO, Direction.UP, "substation", {F: 30_000}, 500 * EUR)
PODS = {pod: PodRow(pod, f"Owner {pod}", "X", Method(Kind.SCHEDULE)) for pod in "ab"}
SETTINGS = Settings(TERMS, Calendar(), PODS)
SCHEDULE_W = {("a", F): 15_000, ("b", F): 22_000, ("a", F + 1): 15_000, ("b", F + 1): 22_000}


class Clock:
    """Injected time."""

    def __init__(self) -> None:
        self.at_ms = 0

    def now_ms(self) -> int:
        return self.at_ms


class Desk:
    """Sessions, orders and settlements on a database file, with what they published."""

    def __init__(self, path: Path) -> None:
        self.store, self.clock = SqliteStore(path), Clock()
        kept = MarketStore(self.store)
        self.sessions = Sessions(kept, self.clock, REGISTERED, self.publish)
        self.orders = Orders(kept, self.clock, self.sessions, REGISTERED, self.publish)
        self.settlements = Settlements(kept, self.clock, self.sessions, self.publish)

    def publish(self, kind: str, id: str, version: int, body: str, time_ms: int) -> None:
        self.store.add_document(DocumentRow(kind, id, version, body, b"", 4, 0))

    def published(self, session: str = "s", offer: Offer = OFFER, asks: Request = ASKS) -> "Desk":
        self.clock.at_ms = 0
        self.sessions.announce(session, Window((F, F + 1), GATE), SessionRules(), "operator")
        self.sessions.move(session, State.OPEN, "operator")
        self.sessions.submit(session, Submission((offer,), (), ()), "A")
        self.sessions.submit(session, Submission((), (asks,), ()), "TSO")
        self.clock.at_ms = GATE
        outcome = clear(session, *self.sessions.close(session, "operator"), ())
        self.sessions.decide(session, State.CLEARED, outcome, "operator")
        self.sessions.decide(session, State.VALIDATED, outcome, "DSO")
        self.sessions.publish(session, "operator")
        return self

    def activated(self, session: str = "s", cut_w: int = 0, frames: Mapping[int, int] | None = None) -> "Desk":
        """Ordered whole; the grid operator lets all of it pass but for W of each POD."""
        row = {"id": "1", "buyer": "TSO", "offer": "A-1", "request": "r", "frames": {}}
        row["frames"] = {str(frame): w for frame, w in (frames or {F: 30_000}).items()}
        self.orders.order(session, orders_of(json.dumps({"format": "lightnode-orders/1", "orders": [row]})), "TSO")
        asked = json.loads(self.orders.to_judge(session))["awards"]
        for one in asked:
            one["delta_w"] = {
                pod: [min(0, w + cut_w) if cut_w else w for w in of] for pod, of in one["delta_w"].items()
            }
            del one["minimum_ppm"], one["linked"]
        verdicts = [
            {**one, "stops": [{"element": "line:9", "frame": F, "passed_w": 1}] if cut_w else []} for one in asked
        ]
        self.orders.activate(session, json.dumps({"format": "lightnode-verdicts/1", "verdicts": verdicts}))
        return self

    def input(self, session: str = "s", **watts: int | dict[int, int] | None) -> str:
        """The input with what each POD measured, in each quarter-hour or in every one, None for what is not known."""

        def measure(pod: str, frame: int) -> MeasuredRow:
            said: Any = {"a": 5_000, "b": 2_000, **watts}[pod]
            given = said[frame] if isinstance(said, dict) else said
            return MeasuredRow(pod, frame, None if given is None else given * 900, 1_000_000, None)

        known = Knowledge(measure, self.settlements.ordered(), SCHEDULE_W)
        return input_text(made_input(self.settlements.traded(session), SETTINGS, known))

    def resettled(self, body: str, reason: str) -> Version:
        """Proposed by ann, approved by bob."""
        found = self.settlements.resettle("s", body, reason, "ann")
        assert isinstance(found, Proposed), "it changes money"
        return self.settlements.approve("s", found.version.sha256, "bob")

    def published_settlements(self) -> list[tuple[int, str]]:
        return [(row.version, row.body) for row in self.store.documents("settlement")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "scd.sqlite").published().activated()


def test_rule_1_a_session_is_settled_from_what_the_market_published_and_the_settlement_is_evidence(desk: Desk) -> None:
    one = desk.settlements.settle("s", desk.input(), "operator")
    said = json.loads(one.settlement)
    assert (one.version, one.reason, one.difference) == (1, "", {})
    assert [(x["pod"], x["payment_ueur"], x["code"]) for x in said["lines"]] == [
        ("a", 300_000, "delivered"), ("b", 600_000, "delivered"),
    ]  # fmt: skip
    assert sum(x["payment_ueur"] for x in said["availability"]) == 30_000
    assert said["gained_ueur"]["TSO"] == -930_000 and sum(said["gained_ueur"].values()) == 0
    assert desk.published_settlements() == [(1, one.settlement)]


def test_what_the_grid_operator_stopped_nobody_owes(tmp_path: Path) -> None:
    """20 of 30 kW pass, two thirds of each part: a gives its 6,666 W and b its 13,333, and that is all that was ordered."""
    desk = Desk(tmp_path / "a").published().activated(cut_w=5_000)
    one = json.loads(desk.settlements.settle("s", desk.input(a=8_334, b=8_667), "operator").settlement)
    assert [(x["pod"], x["ordered_ws"], x["penalty_ueur"], x["code"]) for x in one["lines"]] == [
        ("a", 6_666 * 900, 0, "delivered"), ("b", 13_333 * 900, 0, "delivered"),
    ]  # fmt: skip


def test_what_two_sessions_ordered_of_a_pod_is_paid_once_and_neither_input_may_hide_it(tmp_path: Path) -> None:
    """Both ordered 10 kW of a and 20 kW of b; each delivered what one of them ordered, 7.5 kWh for 0.90 EUR."""
    desk = Desk(tmp_path / "a").published("s").published("t").activated("s").activated("t")
    paid = []
    for session in ("s", "t"):
        whole = input_of(desk.input(session))
        assert {one.session for one in whole.others} == {"st".replace(session, "")}
        with pytest.raises(Rejected, match="is missing, another activation list has it"):
            desk.settlements.settle(session, input_text(replace(whole, others=())), "operator")
        said = json.loads(desk.settlements.settle(session, input_text(whole), "operator").settlement)
        paid.append(sum(line["payment_ueur"] for line in said["lines"]))
    assert sorted(paid) == [0, 900_000]


def test_the_rebound_of_another_session_s_order_is_known_and_no_input_may_hide_it(tmp_path: Path) -> None:
    """s orders 30 kW up in F with half of it back in F+1, where t, down, orders 10 kW of a: a takes 7 kW more."""
    desk = Desk(tmp_path / "a")
    desk.published("s", replace(OFFER, rebound_ppm={1: 500_000})).activated("s")
    down = {"direction": Direction.DOWN, "volume_w": {F + 1: 10_000}, "shares_w": {"a": 10_000}}
    desk.published("t", replace(OFFER, **down), replace(ASKS, direction=Direction.DOWN, need={F + 1: 10_000}))
    desk.activated("t", frames={F + 1: 10_000})
    whole = input_of(desk.input("t", a={F: 5_000, F + 1: 22_000}))
    assert [(one.session, one.frame, one.parts_w, one.rebound) for one in whole.others] == [
        ("s", F, {"a": 10_000}, ((1, 500_000),))
    ]
    with pytest.raises(Rejected, match="is not as another activation list has it"):
        other = replace(whole, others=tuple(replace(one, rebound=()) for one in whole.others))
        desk.settlements.settle("t", input_text(other), "operator")
    (line,) = json.loads(desk.settlements.settle("t", input_text(whole), "operator").settlement)["lines"]
    assert (line["baseline_w"], line["paid_ws"]) == (20_000, 2_000 * 900)
    (back, _) = json.loads(
        desk.settlements.settle("s", desk.input("s", a={F: 5_000, F + 1: 22_000}), "operator").settlement
    )["rebounds"]
    assert (back["back_ws"], back["position_ws"]) == (5_000 * 900, 5_000 * 900)


def test_rule_2_the_same_input_again_is_the_same_settlement_and_another_needs_a_resettlement(desk: Desk) -> None:
    first = desk.settlements.settle("s", desk.input(b=None), "operator")
    assert desk.settlements.settle("s", desk.input(b=None), "operator") == first
    with pytest.raises(Rejected, match="resettle makes the next version"):
        desk.settlements.settle("s", desk.input(), "operator")
    with pytest.raises(Rejected, match="needs a reason"):
        desk.settlements.resettle("s", desk.input(), " ", "operator")
    second = desk.resettled(desk.input(), "readings of b came in")
    assert desk.settlements.resettle("s", desk.input(), "again", "operator") == second
    assert second.version == 2 and second.reason == "readings of b came in"
    gained = {row["name"]: row["difference"] for row in second.difference["parties"]}
    assert gained == {"TSO": -930_000, "aggregator/A": 93_000, "owner/Owner a": 279_000, "owner/Owner b": 558_000}
    assert {row["id"] for row in second.difference["lines"] if row["id"].startswith("energy")} == {
        f"energy/{json.loads(second.settlement)['orders'][0]['order']}/{pod}" for pod in "ab"
    }
    assert desk.published_settlements() == [(1, first.settlement), (2, second.settlement)]
    assert desk.settlements.versions("s") == [first, second]


def test_rule_2_what_changes_money_needs_a_second_person_who_names_it_by_its_digest(desk: Desk) -> None:
    desk.settlements.settle("s", desk.input(b=None), "operator")
    first = desk.settlements.resettle("s", desk.input(), "late readings", " ann ")
    assert isinstance(first, Proposed) and first.version.proposed_by == "ann"
    assert len(desk.settlements.versions("s")) == 1 == len(desk.published_settlements()), "nothing is settled by it"
    assert (
        desk.settlements.resettle("s", desk.input(), "late readings", "ann") == first == desk.settlements.proposed("s")
    )
    events = len(MarketStore(desk.store).events("s"))
    for digest, party, says in (
        ("00" * 32, "bob", "no settlement with the digest 0000"), (first.version.sha256, "ann", "another person has to"),
        (first.version.sha256, "ann ", "another person has to"), (first.version.sha256, " ", "expected 1 to 96 printable"),
        (digest_of("x"), "ann", "no settlement with the digest"),
    ):  # fmt: skip
        with pytest.raises(Rejected, match=says):
            desk.settlements.approve("s", digest, party)
    assert len(MarketStore(desk.store).events("s")) == events
    done = desk.settlements.approve("s", first.version.sha256, "bob")
    assert done == first.version == desk.settlements.approve("s", first.version.sha256, "carl"), "asked again, the same"
    assert MarketStore(desk.store).events("s")[-1].party == "bob" and desk.settlements.proposed("s") is None


def test_rule_2_evidence_that_the_version_before_stands_on_is_not_lost_in_the_next(desk: Desk) -> None:
    """Of b nothing came in at first. What is there of a may be put right, and pays 9 of its 10 kW then."""
    desk.settlements.settle("s", desk.input(b=None), "operator")
    events = MarketStore(desk.store).events("s")
    with pytest.raises(Rejected, match=r"POD a, quarter-hour \d+: 4 s readings of version 1 is missing or less: keep"):
        desk.settlements.resettle("s", desk.input(a=None), "b came in", "ann")
    assert MarketStore(desk.store).events("s") == events
    second = desk.resettled(desk.input(a=6_000), "a's clock was wrong, b came in")
    with pytest.raises(Rejected, match="of version 2 is missing"):
        desk.settlements.resettle("s", desk.input(a=6_000, b=None), "b never came in", "ann")
    assert desk.settlements.versions("s")[-1] == second


def test_rule_2_only_the_latest_proposal_counts_and_it_must_still_stand_on_the_outcome(desk: Desk) -> None:
    desk.settlements.settle("s", desk.input(b=None), "operator")
    first = desk.settlements.resettle("s", desk.input(b=9_000), "late readings", "ann")
    second = desk.settlements.resettle("s", desk.input(), "better readings", "ann")
    assert isinstance(first, Proposed) and isinstance(second, Proposed)
    with pytest.raises(Rejected, match="no settlement with the digest"):
        desk.settlements.approve("s", first.version.sha256, "bob")
    outcome = json.loads(desk.sessions.kept("s", State.VALIDATED))
    digest = desk.sessions.propose("s", {**outcome, "unserved": {f"r/{F}": 1}}, "a slip", "ann")
    desk.sessions.approve("s", digest, "bob")
    with pytest.raises(Rejected, match="the published one is 2"):
        desk.settlements.approve("s", second.version.sha256, "bob")
    assert desk.resettled(desk.input(), "on the corrected outcome").version == 2


def test_a_statement_names_the_version_and_the_digest_that_it_is_taken_from(desk: Desk) -> None:
    first = desk.settlements.settle("s", desk.input(b=None), "operator")
    desk.resettled(desk.input(), "late readings")
    old = desk.settlements.statement("s", "owner/Owner b", 1)
    assert (old["version"], old["gained_ueur"], old["settlement_sha256"]) == (1, 0, digest_of(first.settlement))
    assert desk.settlements.statement("s", "owner/Owner b")["gained_ueur"] == 558_000
    for number in (0, 3):
        with pytest.raises(Rejected, match="versions 1 to 2"):
            desk.settlements.statement("s", "TSO", number)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"session": "t"}, "session = t, this is s"),
        ({"outcome_sha256": "00" * 32}, "the published one is 1"),
        ({"outcome_version": 2}, "outcome 2,"),
        (
            {"awards": (), "orders": ()},
            "award of A-1 for r, quarter-hour 1993108, step 0 is missing, the published outcome has it",
        ),
        ({"orders": ()}, "is missing, the activation list has it"),
    ],
)
def test_rule_1_an_input_that_stands_on_something_else_is_refused_and_nothing_is_kept(
    desk: Desk, change: dict[str, Any], reason: str
) -> None:
    made = replace(input_of(desk.input()), **change)
    before = MarketStore(desk.store).events("s")
    with pytest.raises(Rejected) as refused:
        desk.settlements.settle("s", input_text(made), "operator")
    assert reason in refused.value.reason
    assert MarketStore(desk.store).events("s") == before and not desk.published_settlements()


def test_an_award_or_an_order_that_was_changed_in_the_input_is_refused(desk: Desk) -> None:
    made = input_of(desk.input())
    dearer = replace(made.awards[0], availability_ueur_per_mw_h=5)
    with pytest.raises(Rejected, match="is not as the published outcome has it"):
        desk.settlements.settle("s", input_text(replace(made, awards=(dearer,))), "operator")
    less = replace(made.orders[0], parts_w={"a": 1})
    with pytest.raises(Rejected, match="is not as the activation list has it"):
        desk.settlements.settle("s", input_text(replace(made, orders=(less,))), "operator")


def test_before_an_outcome_or_a_settlement_there_is_nothing_to_settle_or_to_state(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "a")
    with pytest.raises(Rejected, match="never announced"):
        desk.settlements.versions("s")
    desk.sessions.announce("s", Window((F,), GATE), SessionRules(), "operator")
    with pytest.raises(Rejected, match="no outcome is published"):
        desk.settlements.traded("s")
    with pytest.raises(Rejected, match="nothing is settled yet"):
        desk.settlements.statement("s", "TSO")
    desk = Desk(tmp_path / "b").published()
    assert desk.settlements.traded("s").orders == ()
    with pytest.raises(Rejected, match="nothing is settled yet that could be settled again"):
        desk.settlements.resettle("s", desk.input(), "why", "operator")


def test_a_later_version_may_stand_on_a_corrected_outcome(desk: Desk) -> None:
    desk.settlements.settle("s", desk.input(), "operator")
    outcome = json.loads(desk.sessions.kept("s", State.VALIDATED))
    digest = desk.sessions.propose("s", {**outcome, "unserved": {f"r/{F}": 1}}, "a slip", "ann")
    desk.sessions.approve("s", digest, "bob")
    again = desk.settlements.resettle("s", desk.input(), "the outcome was corrected", "operator")
    assert isinstance(again, Version) and again.proposed_by == "", "nobody's money changed: one person is enough"
    assert json.loads(again.settlement)["outcome_version"] == 2 and again.difference["lines"] == []


def test_rule_4_a_dispute_is_about_a_line_and_answered_once_by_somebody_else(tmp_path: Path, desk: Desk) -> None:
    first = desk.settlements.settle("s", desk.input(b=9_000), "operator")
    line = json.loads(first.settlement)["lines"][1]["id"]
    found = desk.settlements.open_dispute("s", line, "my meter was out", "owner/Owner b")
    assert (found.id, found.state, found.version) == ("d1", DisputeState.OPEN, 1)
    assert desk.settlements.open_dispute("s", line, "my meter was out", "owner/Owner b") == found
    with pytest.raises(Rejected, match="is no line of the statement of owner/Owner a"):
        desk.settlements.open_dispute("s", line, "not mine", "owner/Owner a")
    with pytest.raises(Rejected, match="somebody else has to answer"):
        desk.settlements.answer_dispute("s", "d1", DisputeState.UPHELD, "yes", "owner/Owner b")
    with pytest.raises(Rejected, match="party, expected 1 to 2000 printable"):
        desk.settlements.answer_dispute("s", "d1", DisputeState.UPHELD, "yes", "ann\nbob")
    with pytest.raises(Rejected, match="no dispute 'd2'"):
        desk.settlements.answer_dispute("s", "d2", DisputeState.UPHELD, "yes", "operator")
    desk.clock.at_ms += 5
    answer = ("s", "d1", DisputeState.UPHELD, "registers say so", "operator")
    done = desk.settlements.answer_dispute(*answer)
    assert (done.state, done.answered_ms - done.opened_ms) == (DisputeState.UPHELD, 5)
    assert desk.settlements.answer_dispute(*answer) == done
    with pytest.raises(Rejected, match="was upheld by operator"):
        desk.settlements.answer_dispute("s", "d1", DisputeState.REFUSED, "no", "operator")
    second = desk.settlements.open_dispute("s", line, "my meter was out", "owner/Owner b")
    assert second.id == "d2" and Desk(tmp_path / "scd.sqlite").settlements.disputes("s") == [done, second]


@pytest.mark.parametrize("party", ["TSO", "BRP/X", "aggregator/A"])
def test_every_party_can_dispute_what_its_statement_names(desk: Desk, party: str) -> None:
    one = json.loads(desk.settlements.settle("s", desk.input(), "operator").settlement)
    line = {"TSO": f"order/{one['orders'][0]['order']}", "BRP/X": f"position/{F}"}.get(party, one["lines"][0]["id"])
    assert desk.settlements.open_dispute("s", line, "why", party).party == party
    for words in ("", "   ", "x" * 2_001, "\x1b[2J"):
        with pytest.raises(Rejected, match="expected 1 to 2000 printable"):
            desk.settlements.open_dispute("s", line, words, party)


def whole(desk: Desk) -> Version:
    """Settled, settled again with late data, disputed, answered."""
    first = desk.settlements.settle("s", desk.input(b=None), "operator")
    line = json.loads(first.settlement)["lines"][1]["id"]
    (found,) = desk.settlements.disputes("s") or [
        desk.settlements.open_dispute("s", line, "my readings are late", "owner/Owner b")
    ]
    desk.settlements.answer_dispute("s", found.id, DisputeState.UPHELD, "they came", "operator")
    return desk.resettled(desk.input(), "late readings")


def killed_after(path: Path, writes: int) -> None:
    """All of it in a process that is gone at the write after these."""
    desk, left = Desk(path), iter(range(writes))
    change = desk.store._do

    def counted(sql: str, *values: object) -> int:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(sql, *values)

    desk.store._do = counted  # type: ignore[method-assign]
    desk.clock.at_ms = GATE
    whole(desk)


def test_a_kill_at_any_write_leaves_none_or_one_of_each_version_and_the_rest_can_be_done_again(tmp_path: Path) -> None:
    start = tmp_path / "start"
    Desk(start).published().activated().store.close()
    shutil.copy(start, tmp_path / "whole")
    reference = Desk(tmp_path / "whole")
    reference.clock.at_ms = GATE
    whole(reference)
    versions = reference.published_settlements()
    seen = set()
    for writes in range(9):
        path = tmp_path / f"killed-{writes}"
        shutil.copy(start, path)
        process = multiprocessing.get_context("fork").Process(target=killed_after, args=(path, writes))
        process.start()
        process.join()
        sql = "select version, body from document where kind = 'settlement' order by version"
        found = sqlite3.connect(path).execute(sql).fetchall()
        assert found == versions[: len(found)], writes
        again = Desk(path)
        assert [(one.version, one.settlement) for one in again.settlements.versions("s")] == found
        again.clock.at_ms = GATE
        if len(found) < 2:
            whole(again)
        assert again.published_settlements() == versions, writes
        assert len(again.settlements.disputes("s")) == 1
        seen.add((process.exitcode, len(found)))
    assert {(-signal.SIGKILL, 0), (-signal.SIGKILL, 1), (0, 2)} <= seen
