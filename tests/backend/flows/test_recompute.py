"""A session done again from its bundle: the same to the byte, every changed byte found, every changed document named.

By hand: three offers and two requests on one line; the TSO's award is cut by the operator, corrected by two persons, ordered
in part beside an emergency, cut once more when it is activated; settled, and settled again when late data come in.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.market_store import MarketStore
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.local_day import Calendar
from backend.domain.trade import Outcome
from backend.errors import Rejected
from backend.flows.recompute import bundled, recomputed
from backend.flows.settle import Proposed, Settlements
from backend.flows.trade import BY, VERDICTS, WITHIN
from backend.market import exchange
from backend.market.baseline import Kind, Method
from backend.market.canonical import digest_of_text, text
from backend.market.decided import Basis, basis_of, basis_row, cleared, judged
from backend.market.judged import to_judge
from backend.market.rules import Engine, Rules
from backend.market.session import State
from backend.market.session_bundle import bundle_of, bundle_text
from backend.market.settled import settled, settlement_text
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import MeasuredRow, PodRow
from backend.market.settled_making import Knowledge, Settings, made_input
from tests.backend.flows.test_orders import GATE, F, Floor, emergency
from tests.backend.market.settlement_case import TERMS

ROOT = Path(__file__).parents[3]
OFFERS = (
    Offer("p", "A", Direction.UP, {F: 20}, {"a": 20}, 9, 0),
    Offer("q", "B", Direction.UP, {F: 30, F + 1: 8}, {"x": 40}, 4, 0, minimum_ppm=500_000),
    Offer("z", "B", Direction.DOWN, {F: 3}, {"x": 40}, 4, 0),
)
DSO = Request("d", Buyer.DSO, Direction.UP, "line:1", {F: 21}, 50)
TSO = Request("t", Buyer.TSO, Direction.UP, "substation", {F: 30, F + 1: 8}, 50)
LIMITS = (Constraint("line:1", F, -21, {"a": 2, "x": 1}), Constraint("line:2", F, 60, {"a": -1, "x": -1}))


def written_session(path: Path, engine: Engine) -> str:
    """The bundle of a whole session."""
    floor = Floor(path, GATE - 9)
    floor.published_as(OFFERS, (DSO, TSO), lambda session, book: decided(floor, session, book, engine))
    outcome = json.loads(floor.sessions.kept("s", State.VALIDATED))
    digest = floor.sessions.propose("s", outcome | {"unserved": {f"t/{F}": 4}}, "a meter was swapped", "ann")
    floor.sessions.approve("s", digest, "bob")
    won = next(a for a in outcome["awards"] if a["request"] == "t" and a["frame"] == F)
    row = {"id": "1", "buyer": "TSO", "offer": won["offer"], "request": "t", "frames": {str(F): won["volume_w"]}}
    floor.ask("s", "TSO", row, {**row, "id": "2"})
    floor.orders.order("s", emergency("e", {"a": 2}), "DSO")
    floor.orders.activate("s", floor.judge("s", {f"s/{won['offer']}": won["volume_w"] // 2}))
    floor.orders.withdraw("s", "1", "TSO")
    floor.orders.activate("s", floor.judge("s"))
    settled_twice(floor)
    events = MarketStore(floor.store).events("s")
    floor.store.close()
    return bundle_text(bundled(events, "s", {"numpy": "0"}))


def settled_twice(floor: Floor) -> None:
    """What the emergency took of a becomes known later."""
    desk = Settlements(MarketStore(floor.store), floor.clock, floor.sessions, floor.publish)
    settings = Settings(TERMS, Calendar(), {p: PodRow(p, f"Owner {p}", "X", Method(Kind.SCHEDULE)) for p in "ax"})
    schedule = {(pod, frame): 100 for pod in "ax" for frame in (F, F + 1)}
    for known in ({}, {"a": 98}):

        def measure(pod: str, frame: int, known: dict[str, int] = known) -> MeasuredRow:
            return MeasuredRow(pod, frame, known[pod] * 900 if pod in known else None, 1_000_000, None)

        made = input_text(made_input(desk.traded("s"), settings, Knowledge(measure, desk.ordered(), schedule)))
        if not known:
            desk.settle("s", made, "operator")
        else:
            found = desk.resettle("s", made, "late data", "ann")
            assert isinstance(found, Proposed)
            desk.approve("s", found.version.sha256, "bob")


def decided(floor: Floor, session: str, book: Any, engine: Engine) -> None:
    """As the command line decides: cleared, in two rounds cut by an operator who lets 9 of 10 W of the TSO's pass."""
    rules = Rules(engine, reserve_ppm=100_000, rounds=2)
    basis, frames = Basis(rules, {("a", F + 1): Direction.UP}), floor.sessions.load(session).frames
    rounds: list[tuple[Outcome, str]] = []
    documents = {WITHIN: exchange.constraints_text(LIMITS)}
    while not isinstance(at := judged(frames, book, LIMITS, rules, rounds), Outcome):
        made = cleared(session, book, LIMITS, basis, at)
        documents[BY] = text(basis_row(made.basis))
        floor.sessions.decide(session, State.CLEARED, made.outcome, "operator", documents, at.number)
        rounds.append((made.outcome, verdicts_on(made.outcome, frames, book)))
        documents = {VERDICTS: rounds[-1][1]}
    floor.sessions.decide(session, State.VALIDATED, at, "DSO", documents, len(rounds))


def verdicts_on(outcome: Outcome, frames: Any, book: Any) -> str:
    rows = []
    for one in to_judge(frames, *book, outcome):
        cut = {pod: [w * 9 // 10 if one.buyer is Buyer.TSO else w for w in row] for pod, row in one.change.items()}
        rows.append({"offer": one.offer.id, "buyer": one.buyer.value, "delta_w": cut, "stops": []})
    return text({"format": "lightnode-verdicts/1", "verdicts": rows})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[Engine, str]:
    folder = tmp_path_factory.mktemp("bundles")
    return {engine: written_session(folder / f"{engine}.sqlite", engine) for engine in Engine}


@pytest.mark.parametrize("engine", Engine)
def test_rule_1_whatever_engine_it_was_the_session_is_the_same_to_the_byte(
    bundles: dict[Engine, str], engine: Engine
) -> None:
    made = recomputed(bundle_of(bundles[engine]))
    assert made == {"answers": 9, "outcomes": 3, "versions": 2, "orders": 2, "activation lists": 2, "settlements": 2}


def test_the_optimal_engine_needs_no_solver_to_be_done_again(bundles: dict[Engine, str], tmp_path: Path) -> None:
    """In an interpreter of its own, with another hash seed, in which highspy cannot solve."""
    (tmp_path / "s.json").write_text(bundles[Engine.OPTIMAL])
    script = (
        "import sys, highspy\n"
        "highspy._Highs = None\n"
        "from backend.cli import main\n"
        "sys.exit(main(['market', 'recompute', sys.argv[1]]))"
    )
    path = os.pathsep.join((str(ROOT), str(ROOT / "firmware")))
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": path}
    command = [sys.executable, "-c", script, str(tmp_path / "s.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 and "the same to the byte" in done.stdout, done.stderr
    assert "numpy: made with 0, recomputed with" in done.stdout


def refusal(written: str) -> str:
    with pytest.raises(Rejected) as refused:
        bundle_of(written)
    return refused.value.reason


@pytest.mark.long
def test_every_single_byte_of_a_bundle_counts(bundles: dict[Engine, str]) -> None:
    written = bundles[Engine.GUARDED]
    for place in range(len(written)):
        assert refusal(written[:place] + chr(ord(written[place]) ^ 1) + written[place + 1 :]).startswith("bundle"), (
            place
        )


def test_rule_2_of_the_bundle_a_changed_byte_anywhere_is_found(bundles: dict[Engine, str]) -> None:
    written, draw = bundles[Engine.GUARDED], random.Random(8)
    for place in (0, len(written) - 90, len(written) - 1, *(draw.randrange(len(written)) for _ in range(60))):
        for change in (chr(ord(written[place]) ^ 1), "", written[place] + " "):
            assert refusal(written[:place] + change + written[place + 1 :]).startswith("bundle"), place
    with pytest.raises(Rejected, match="canonically"):
        bundle_of(json.dumps(json.loads(written), indent=1))
    with pytest.raises(Rejected, match="canonically"):
        bundle_of(written.rstrip())


def resealed(written: str, change: Callable[[list[Any]], None]) -> str:
    """A bundle whose events were changed by somebody who made a new digest too."""
    document = json.loads(written)
    del document["sha256"]
    change(document["events"])
    return text({**document, "sha256": digest_of_text(text(document))}) + "\n"


def body(events: list[Any], what: str, number: int = 0) -> Any:
    return [event["body"] for event in events if event["what"] == what][number]


def cheaper(events: list[Any]) -> None:
    body(events, "offer")["row"]["price_ueur_per_mwh"] = 1


def later(events: list[Any]) -> None:
    next(e for e in events if e["what"] == "offer")["time_ms"] = GATE


def refused(events: list[Any]) -> None:
    body(events, "offer")["answer"] = "TOO_DEAR"


def more(events: list[Any]) -> None:
    body(events, "cleared")["awards"][0]["volume_w"] += 1


def unserved(events: list[Any]) -> None:
    body(events, "validated")["unserved"] = {f"t/{F}": 77}


def verdict(events: list[Any]) -> None:
    row = body(events, "verdicts", 1)["verdicts"][-1]["delta_w"]
    row[next(iter(row))][0] = 0


def limit(events: list[Any]) -> None:
    body(events, "constraints")["constraints"][0]["effect_ppt_per_w"]["x"] = 2


def version(events: list[Any]) -> None:
    body(events, "published", 1)["version"] = 3


def alone(events: list[Any]) -> None:
    next(e for e in reversed(events) if e["what"] == "published")["party"] = "ann"


def ordered(events: list[Any]) -> None:
    body(events, "order")["orders"][0]["parts_w"] = {"a": 999}


def answered(events: list[Any]) -> None:
    body(events, "order", 1)["answer"] = "TAKEN"


def too_late(events: list[Any]) -> None:
    next(e for e in events if e["what"] == "order")["time_ms"] = (F + 1) * 900_000


def dearer(events: list[Any]) -> None:
    body(events, "emergency")["orders"][0]["price_ueur_per_mwh"] += 1


def active(events: list[Any]) -> None:
    body(events, "activated")["orders"][-1]["volume_w"] -= 1


def passed(events: list[Any]) -> None:
    for row in body(events, "judged")["verdicts"]:
        row["delta_w"] = {pod: [0 for _ in of] for pod, of in row["delta_w"].items()}


def underpaid(events: list[Any]) -> None:
    said = body(events, "settled", 1)
    said["settlement"] = said["settlement"].replace('"payment_ueur":', '"payment_ueur":9', 1)


def measured(events: list[Any]) -> None:
    said = body(events, "settled", 1)
    said["input"] = said["input"].replace('"readings_ws":88200', '"readings_ws":88300')


def hidden(events: list[Any]) -> None:
    body(events, "settled", 1)["difference"]["lines"] = []


def lost(events: list[Any]) -> None:
    """As if registers had been known at first."""
    first = body(events, "settled")
    made = json.loads(first["input"])
    made["measured"] = [{**row, "registers_ws": 0} for row in made["measured"]]
    first["input"] = input_text(input_of(json.dumps(made)))
    first["settlement"] = settlement_text(settled(input_of(first["input"])))


def resettled_alone(events: list[Any]) -> None:
    events[-1]["party"] = "ann"


def resettled_unasked(events: list[Any]) -> None:
    events.remove(next(e for e in events if e["what"] == "settlement-proposed"))


def proposed_by_another(events: list[Any]) -> None:
    body(events, "settlement-proposed")["proposed_by"] = "carl"


def unlisted(events: list[Any]) -> None:
    events.remove(next(e for e in events if e["what"] == "activated"))


def unruled(events: list[Any]) -> None:
    events.remove(next(e for e in events if e["what"] == "clearing"))


def other_rules(events: list[Any]) -> None:
    body(events, "clearing", 1)["rules"]["reserve_ppm"] = 0


def stopped_early(events: list[Any]) -> None:
    """The second round is left out, and the first one's outcome stands."""
    del events[where(events, "cleared", 1)]
    del events[where(events, "verdicts", 1)]


def once_more(events: list[Any]) -> None:
    events.insert(where(events, "validated"), events[where(events, "cleared", 1)])


def judged_twice(events: list[Any]) -> None:
    events.insert(where(events, "validated"), events[where(events, "verdicts", 1)])


def where(events: list[Any], what: str, number: int = 0) -> int:
    return [k for k, event in enumerate(events) if event["what"] == what][number]


def strange(events: list[Any]) -> None:
    events[3]["what"] = "wished"


def twice(events: list[Any]) -> None:
    events.insert(1, events[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cheaper, r"event \d+ \(cleared\), awards \[.*\]"), (later, r"\(offer\), answer: .*'TAKEN'.*AFTER_GATE"),
        (refused, r"\(offer\), answer: .*'TOO_DEAR', recomputed is 'TAKEN'"), (more, r"\(cleared\), awards \[.*\], volume_w: "),
        (unserved, r"\(validated\), unserved, t/\d+: "), (verdict, r"\(validated\), awards \["),
        (limit, r"\(cleared\), "), (version, r"\(published\), version: the bundle has 3, recomputed is 2"),
        (alone, r"\(published\): a correction is proposed by one"), (ordered, r"\(order\), orders \[id .*\], parts_w"),
        (answered, r"\(order\), answer: the bundle has 'TAKEN', recomputed is 'TOO_MUCH'"),
        (too_late, r"\(order\), answer: .*'OVER'"), (dearer, r"\(emergency\), orders \[.*\], price_ueur_per_mwh: "),
        (active, r"\(activated\), orders \[.*\], volume_w: "), (passed, r"\(activated\), orders \["),
        (underpaid, r"\(settled\), .*payment_ueur: the bundle has"),
        (measured, r"\(settled\), "), (hidden, r"\(settled\), difference, lines "),
        (lost, r"\(settled\): settlement input: POD a, quarter-hour \d+: energy by registers of version 1"),
        (resettled_alone, r"\(settled\): changes what somebody gains, and no second person"),
        (resettled_unasked, r"\(settled\): changes what somebody gains, and no second person"),
        (proposed_by_another, r"\(settlement-proposed\), proposed_by: the bundle has 'carl', recomputed is 'ann'"),
        (unlisted, "followed by no activation list"),
        (unruled, r"\(cleared\): the clearing that it was decided by is missing"),
        (other_rules, r"\(cleared\): by other rules than the round before it"),
        (stopped_early, r"\(validated\): the verdicts before it leave another round"),
        (once_more, r"\(cleared\): there is nothing that would be cleared once more"),
        (judged_twice, r"\(verdicts\): there is nothing that would be judged"),
        (strange, r"event 4 \(wished\): is no event of a session"), (twice, r"event 2 \(announced\): a session is announced once"),
    ],
    ids=lambda v: v.__name__ if callable(v) else "",
)  # fmt: skip
def test_a_changed_document_under_a_new_digest_is_named(bundles: dict[Engine, str], change: Any, said: str) -> None:
    changed = resealed(bundles[Engine.GUARDED], change)
    with pytest.raises(Rejected, match=said):
        recomputed(bundle_of(changed))


@pytest.mark.parametrize("values", [[], [0], None])
def test_solutions_that_are_not_those_of_the_programs_are_refused(bundles: dict[Engine, str], values: Any) -> None:
    def change(events: list[Any]) -> None:
        solutions = body(events, "clearing")["solutions"]
        assert solutions
        if values is None:
            solutions.append(solutions[0])
        else:
            solutions[0]["values"] = values

    with pytest.raises(Rejected, match=r"\(cleared\): clearing: "):
        recomputed(bundle_of(resealed(bundles[Engine.OPTIMAL], change)))


def test_a_clearing_of_version_1_was_validated_in_one_pass() -> None:
    row = basis_row(Basis(Rules(rounds=7), {}))
    assert (row["format"], basis_of(text(row)).rules.rounds) == ("lightnode-clearing/2", 7)
    assert basis_of(text({**row, "format": "lightnode-clearing/1"})).rules.rounds == 1
    with pytest.raises(Rejected, match="lightnode-clearing/2"):
        basis_of(text({**row, "format": "lightnode-clearing/3"}))


JUNK = (None, True, -1, 10**30, 1.5, "", "x", [], [[]], {}, {"a": []})


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.long)])
def test_whatever_a_bundle_says_the_answer_is_one_line(bundles: dict[Engine, str], count: int) -> None:
    written, draw = bundles[Engine.GUARDED], random.Random(count)

    def change(events: list[Any]) -> None:
        place: Any = draw.choice(events)
        for _ in range(draw.randrange(1, 7)):
            inner = place if isinstance(place, dict | list) else None
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner or ())))
            if not keys:
                return
            key = draw.choice(keys)
            if draw.random() < 0.4:
                place[key] = draw.choice(JUNK)
                return
            place = place[key]

    for _ in range(count):
        try:
            recomputed(bundle_of(resealed(written, change)))
        except Rejected as refused:
            assert refused.reason and "\n" not in refused.reason
