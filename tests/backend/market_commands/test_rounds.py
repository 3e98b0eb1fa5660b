"""A session in rounds from the command line: what the operator cuts is bought from the next offer, within a bound.

By hand: the TSO wants 6,000 W at the substation. X is best with 6,000 W, Y next, Z last, 6,000 W each; the operator allows X
half and Y nothing. Round 1 takes X; 2 takes X's half and Y; 3 X's half and Z, which passes. The flow that is held in one
process decides the same (tests/backend/market/test_rounds.py).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.market_store import MarketStore
from backend.adapters.sqlite import SqliteStore
from backend.market import exchange
from backend.market.canonical import text
from backend.market.clearing import clear
from backend.market.judged import to_judge
from backend.market.rounds import Verdict, clear_and_validate
from backend.market.rules import Rules
from backend.market.submission import parse_json
from tests.backend.market_commands.test_market import GATE, Desk, states_of, strip

W, LONG = 6_000, pytest.mark.long
MOST_W = {"x": 3_000, "y": 0, "z": W}


class Rounds(Desk):
    """The desk of a session with three offers."""

    def offered(self, *requests: dict[str, Any], product: str = "active") -> int:
        resources = [{"pod": p, "aggregator": "A", "up_w": W, "down_w": 0} for p in MOST_W]
        self.write("resources.json", {"format": "lightnode-resources/1", "resources": resources})
        f = self.announced("--product", product)[72]
        offers = [
            {
                "id": pod.upper(), "aggregator": "A", "direction": "up", "frames": {str(f): W}, "pods": {pod: W},
                "price_ueur_per_mwh": price,
            }
            for price, pod in enumerate(MOST_W, 1)
        ]  # fmt: skip
        self.submit("A", offers=offers)
        for k, request in enumerate(requests or ({"buyer": "TSO", "element": "substation", "need": W},)):
            row = {"id": f"R-{k}", "direction": "up", "price_cap_ueur_per_mwh": 9, **request}
            self.submit(request["buyer"], requests=[{**row, "need": {str(f): request["need"]}}])
        self.now = GATE
        return f

    def judge(self, says_round: bool = True) -> str:
        """Verdicts of an operator who lets pass what MOST_W says, the DSO's first."""
        asked, left = self.market("awards"), dict(MOST_W)
        rows = []
        for row in sorted(asked["awards"], key=lambda row: row["buyer"]):
            given: dict[str, list[int]] = {}
            for pod, watts in row["delta_w"].items():
                given[pod] = [-min(-w, left[pod]) for w in watts]
                left[pod] += sum(given[pod])
            stops = [] if given == row["delta_w"] else [{"element": f"line:{row['offer']}", "frame": 0, "passed_w": 0}]
            rows.append({"offer": row["offer"], "buyer": row["buyer"], "delta_w": given, "stops": stops})
        named = {"round": asked["round"]} if says_round else {}
        return self.write("verdicts.json", {"format": "lightnode-verdicts/1", "verdicts": rows, **named})

    def rounds(self, first: int = 1) -> tuple[int, Any]:
        """Judged until the outcome stands; how many rounds, and the outcome."""
        for number in range(first, 21):
            verdicts = self.judge()
            code = 4 if self.cuts(verdicts) and number < self.most else 0
            said = self.market("validate", "--verdicts", verdicts, code=code)
            assert (said["round"], said["done"]) == (number + (code == 4), code == 0)
            if said["done"]:
                return number, said["outcome"]
        raise AssertionError("no end")

    most = 3

    def cuts(self, verdicts: str) -> bool:
        return any(row["stops"] for row in json.loads(Path(verdicts).read_text())["verdicts"])

    def again(self) -> dict[str, Any]:
        """The session done again from its bundle."""
        self.market("bundle", "--out", str(self.folder / "da.json"))
        found: dict[str, Any] = self.recompute(self.folder / "da.json")["recomputed"]
        return found

    def events(self) -> list[tuple[str, str]]:
        store = SqliteStore(self.folder / "market" / "scd.sqlite")
        found = [(event.what, event.party) for event in MarketStore(store).events("da")]
        store.close()
        return found


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Rounds:
    return Rounds(tmp_path, capsys)


def taken(outcome: Any, request: str = "R-0") -> dict[str, int]:
    return {a["offer"]: a["volume_w"] for a in outcome["awards"] if a["request"] == request}


@pytest.mark.parametrize(
    "engine", ["optimal", pytest.param("guarded", marks=LONG), pytest.param("literal", marks=LONG)]
)
def test_what_is_cut_is_bought_from_the_next_offer(desk: Rounds, engine: str) -> None:
    desk.offered()
    first = desk.market("clear", "--engine", engine)["outcome"]
    assert taken(first) == {"X": W}
    number, outcome = desk.rounds()
    assert (number, taken(outcome), outcome["unserved"]) == (3, {"X": 3_000, "Z": 3_000}, {})
    assert {r["offer"]: (r["fate"], r["element"]) for r in outcome["results"]} == {
        "X": ("cut", "line:X"), "Y": ("rejected", "line:Y"), "Z": ("cut", ""),
    }  # fmt: skip
    assert desk.market("publish")["outcome"] == outcome
    assert desk.again() == {"answers": 4, "outcomes": 4, "versions": 1}


def test_the_bound_is_kept_and_what_stays_unserved_is_published(desk: Rounds) -> None:
    f = desk.offered()
    desk.most = 2
    desk.market("clear", "--rounds", "2")
    number, outcome = desk.rounds()
    assert (number, taken(outcome)) == (2, {"X": 3_000})
    assert desk.market("publish")["outcome"]["unserved"] == {f"R-0/{f}": 3_000}
    assert desk.again()["outcomes"] == 3


def test_a_session_of_files_decides_what_the_flow_decides(desk: Rounds) -> None:
    f = desk.offered()
    desk.market("clear")
    _, outcome = desk.rounds()
    book = parse_json(json.dumps(strip(desk.market("close"))))
    parsed, rules = (book.requests, book.offers), Rules()

    def validate(cleared: Any) -> Verdict:
        rows = []
        for one in to_judge((f,), *parsed, cleared):
            given = {pod: [-min(-row[0], MOST_W[pod])] for pod, row in one.change.items()}
            stops = (
                [] if given == {p: list(r) for p, r in one.change.items()} else [{"element": f"line:{one.offer.id}"}]
            )
            rows.append({"offer": one.offer.id, "buyer": one.buyer.value, "delta_w": given, "stops": stops})
        verdicts = json.dumps({"format": "lightnode-verdicts/1", "verdicts": rows})
        return Verdict(*exchange.verdicts_of(verdicts, (f,), to_judge((f,), *parsed, cleared)))

    found = clear_and_validate(lambda caps: clear("da", *parsed, (), None, rules, caps), validate, *parsed, (), rules)
    assert json.loads(text(found.outcome)) == outcome


def test_a_tso_award_of_a_later_round_lowers_no_dso_award(desk: Rounds) -> None:
    dso = {"buyer": "DSO", "nodes": ["x", "y", "z"], "need": 4_000}
    f = desk.offered(dso, {"buyer": "TSO", "element": "substation", "need": W})
    desk.market("clear")
    _, outcome = desk.rounds()
    assert taken(outcome) == {"X": 3_000, "Z": 1_000}
    assert taken(outcome, "R-1") == {"Z": 5_000}
    assert outcome["unserved"] == {f"R-1/{f}": 1_000}


def test_verdicts_once_more_change_nothing_and_those_of_another_round_are_refused(desk: Rounds) -> None:
    desk.offered()
    desk.market("clear")
    first = desk.judge()
    assert "cannot become" in desk.market("publish", code=1)["reason"]
    before = desk.market("validate", "--verdicts", first, code=4)
    events = desk.events()
    assert desk.market("validate", "--verdicts", first, code=4) == before
    assert desk.market("clear")["outcome"] == before["outcome"]
    assert "cannot become" in desk.market("publish", code=1)["reason"]
    other = json.loads(Path(first).read_text())
    other["verdicts"][0]["delta_w"]["x"] = [0] * 96
    reason = desk.market("validate", "--verdicts", desk.write("other.json", other), code=1)["reason"]
    assert reason == "verdicts: of round 1, to be judged is round 2: see `market awards`"
    assert desk.market("validate", "--verdicts", desk.write("other.json", {**other, "round": "2"}), code=1)
    assert desk.events() == events
    assert events[-3:] == [("clearing", "market operator"), ("verdicts", "DSO"), ("cleared", "market operator")]
    assert desk.rounds(2)[0] == 3


def test_verdicts_that_name_no_round_are_on_the_one_that_is_to_be_judged(desk: Rounds) -> None:
    desk.offered()
    desk.market("clear")
    for code in (4, 4, 0):
        said = desk.market("validate", "--verdicts", desk.judge(says_round=False), code=code)
    assert taken(said["outcome"]) == {"X": 3_000, "Z": 3_000}


def test_the_grid_operator_s_verdicts_name_the_round_they_are_on(desk: Rounds) -> None:
    resources = {pod: 18 for pod in MOST_W}
    f = desk.offered()
    desk.market("clear")
    awards = desk.write("awards.json", strip(desk.market("awards")))
    states = json.loads(Path(states_of(desk, range(f - 72, f + 24))).read_text())
    verdicts = desk.grid("validate", desk.write("states.json", {**states, "pods": resources}), "--awards", awards)
    assert verdicts["round"] == 1
    assert desk.market("validate", "--verdicts", desk.write("verdicts.json", verdicts))["done"]
