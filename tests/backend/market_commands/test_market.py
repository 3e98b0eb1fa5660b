"""A session from the command line, with the operator's power flow in between: files in, files out, real database and grid."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite import SqliteStore
from backend.cli import main

NETWORK = Path(__file__).parents[3] / "backend/demo/baran_wu_33.json"
DAY, GATE = "2026-11-27", "2026-11-26T11:00+01:00"
RESOURCES = [
    {"pod": "a", "aggregator": "A", "up_w": 300_000, "down_w": 100_000},
    {"pod": "b", "aggregator": "B", "up_w": 300_000, "down_w": 100_000},
]


class Desk:
    """One folder at an instant, and what the command line says there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys, self.now = folder, capsys, "2026-11-26T09:00+01:00"
        self.write("resources.json", {"format": "lightnode-resources/1", "resources": RESOURCES})

    def write(self, name: str, document: Any) -> str:
        (self.folder / name).write_text(json.dumps(document))
        return str(self.folder / name)

    def market(self, command: str, *words: str, code: int = 0) -> Any:
        done = main(["market", command, "da", "--folder", str(self.folder / "market"), "--json", *words], self.now_ms)
        said = self._capsys.readouterr()
        assert done == code, said
        return json.loads(said.out)

    def dispatch(self, orders: Any) -> dict[str, int]:
        assert main(["grid", "dispatch", self.write("dispatch.json", orders), "--json"]) == 0
        return {row["pod"]: row["target_w"] for row in json.loads(self._capsys.readouterr().out)["targets"]}

    def recompute(self, bundle: Path, code: int = 0) -> Any:
        assert main(["market", "recompute", str(bundle), "--json"]) == code
        return json.loads(self._capsys.readouterr().out)

    def now_ms(self) -> int:
        return round(datetime.fromisoformat(self.now).timestamp() * 1000)

    def grid(self, command: str, *words: str) -> Any:
        assert main(["grid", command, str(NETWORK), *words, "--json"]) == 0
        return json.loads(self._capsys.readouterr().out)

    def announced(self, *more: str) -> range:
        new = ("--deployment", "00112233445566778899aabbccddeeff")
        said = self.market("announce", "--day", DAY, "--gate", "11:00", "--lot-w", "1000", *new, *more)
        self.market("open")
        return range(said["first_frame"], said["first_frame"] + said["frames"])

    def submit(self, party: str, code: int = 0, **book: Any) -> Any:
        file = self.write("book.json", {"format": "lightnode-bids/1", **book})
        resources = ("--resources", str(self.folder / "resources.json"))
        return self.market("submit", file, "--party", party, *resources, code=code)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def offer(id: str, party: str, pod: str, frame: int, w: int, price: int) -> dict[str, Any]:
    return {
        "id": id, "aggregator": party, "direction": "up", "frames": {str(frame): w}, "pods": {pod: w}, "price_ueur_per_mwh": price,
    }  # fmt: skip


def states_of(desk: Desk, frames: range) -> str:
    levels = [{"level_ppm": 500_000}]
    pods = {"a": 18, "b": 33}
    return desk.write(
        "states.json", {"format": "lightnode-states/1", "frames": list(frames), "pods": pods, "levels": levels}
    )


@pytest.mark.parametrize("party", ["", "  ", "A\n", "A" * 65])
def test_nobody_is_no_party(desk: Desk, capsys: pytest.CaptureFixture[str], party: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["market", "withdraw", "da", "x", "--folder", str(desk.folder), "--party", party])
    assert "a name of 1 to 64 characters" in capsys.readouterr().err


def test_a_refused_row_names_the_session_that_holds_the_watts_and_so_does_its_status(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    (f, *_), folder = desk.announced(), str(desk.folder / "market")
    desk.submit("A", offers=[offer("A-1", "A", "a", f, 200_000, 50)])
    desk.now = GATE
    desk.market("close")
    assert desk.market("status")["freed_by"] == "`market clear` or `market cancel` it"
    desk.now = "2026-11-26T22:59+01:00"
    for words in (["announce", "near", "--next", "--lead-min", "60"], ["open", "near"]):
        assert main(["market", *words, "--folder", folder], desk.now_ms) == 0
    book = desk.write("near.json", {"format": "lightnode-bids/1", "offers": [offer("A-2", "A", "a", f, 200_000, 50)]})
    words = ["submit", "near", book, "--party", "A", "--resources", str(desk.folder / "resources.json")]
    capsys.readouterr()
    assert main(["market", *words, "--folder", folder], desk.now_ms) == 0
    assert capsys.readouterr().out == (
        f"A-2: more of a POD than it has left to sell: a has 300000 W up in {f}, held: 200000 W session da"
        " (closed, not decided: `market clear` or `market cancel` it)\n"
    )
    desk.market("cancel")
    assert "freed_by" not in desk.market("status")
    assert main(["market", *words, "--folder", folder, "--json"], desk.now_ms) == 0
    assert json.loads(capsys.readouterr().out) == {"done": True, "answers": [["A-2", "taken"]]}


def test_a_request_at_nodes_takes_who_is_connected_there(desk: Desk) -> None:
    frames = desk.announced()
    f = frames[72]
    desk.submit("A", offers=[offer("A-1", "A", "a", f, 5_000, 90)])
    desk.submit("B", offers=[offer("B-1", "B", "b", f, 5_000, 10)])
    at_18 = {
        "id": "D-1", "buyer": "DSO", "direction": "up", "nodes": ["18"], "need": {str(f): 2_000},
        "price_cap_ueur_per_mwh": 100,
    }  # fmt: skip
    desk.submit("DSO", requests=[at_18])
    desk.now = GATE
    desk.market("close")
    limits = desk.grid("constraints", states_of(desk, range(f, f + 1)))
    assert limits["nodes"] == {"a": "18", "b": "33"}
    cleared = desk.market("clear", "--constraints", desk.write("limits.json", limits))["outcome"]
    assert [(a["offer"], a["volume_w"]) for a in cleared["awards"]] == [("A-1", 2_000)]
    bundle = desk.folder / "da.json"
    desk.market("bundle", "--out", str(bundle))
    desk.recompute(bundle)


def test_nothing_is_sold_in_a_quarter_hour_without_a_solution_and_limits_of_another_day_are_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nine times the load has no solution: what the TSO asks for there stays unserved, the next quarter-hour is served."""
    f = desk.announced()[72]
    desk.submit("A", offers=[{**offer("A-1", "A", "a", f, 5_000, 90), "frames": {str(f): 5_000, str(f + 1): 5_000}}])
    tso = {
        "id": "T-1", "buyer": "TSO", "direction": "up", "element": "substation",
        "need": {str(f): 4_000, str(f + 1): 4_000}, "price_cap_ueur_per_mwh": 100,
    }  # fmt: skip
    desk.submit("TSO", requests=[tso])
    desk.now = GATE
    desk.market("close")
    day = json.loads(Path(states_of(desk, range(f, f + 2))).read_text())
    loads = json.loads(NETWORK.read_text())["loads"]
    day["levels"][0]["load_w"] = {str(e["id"]): [e["p_nominal_w"] * 9, e["p_nominal_w"]] for e in loads}
    states = desk.write("dark.json", day)
    assert main(["grid", "constraints", str(NETWORK), states, "--json"]) == 1
    limits = json.loads(capsys.readouterr().out)
    assert (limits["frames"], limits["unsolved"]) == ([f, f + 1], [f])
    other = desk.write("other.json", {**limits, "frames": [f + 1, f + 2]})
    said = desk.market("clear", "--constraints", other, code=1)["reason"]
    assert f"nothing is said of quarter-hour {f}, which is asked for" in said
    made = desk.market("clear", "--constraints", desk.write("limits.json", limits))["outcome"]
    assert [(a["frame"], a["volume_w"]) for a in made["awards"]] == [(f + 1, 4_000)]
    assert made["unserved"] == {f"T-1/{f}": 4_000}
    bundle = desk.folder / "da.json"
    desk.market("bundle", "--out", str(bundle))
    desk.recompute(bundle)


def test_a_session_from_its_announcement_to_a_corrected_outcome(desk: Desk) -> None:
    frames = desk.announced()
    assert len(frames) == 96
    f = frames[72]
    taken = desk.submit(
        "A", offers=[offer("A-1", "A", "a", f, 200_000, 50_000_000), offer("A-2", "A", "b", f, 1_000, 1)]
    )
    assert taken["answers"] == [["A-1", "taken"], ["A-2", "a POD of another aggregator"]]
    desk.submit("B", offers=[offer("B-1", "B", "b", f, 100_000, 90_000_000)])
    states = states_of(desk, frames)
    limits = desk.grid("constraints", states, "--near-ppm", "100000")
    worst = min((c for c in limits["constraints"] if c["frame"] == f), key=lambda c: c["margin_ppt"])
    need = (
        -worst["effect_ppt_per_w"]["a"] * 100_000
        if worst["effect_ppt_per_w"]["a"] < 0
        else worst["effect_ppt_per_w"]["a"] * 100_000
    )
    dso = {
        "id": "D-1", "buyer": "DSO", "direction": "up", "element": worst["element"], "need": {str(f): need},
        "price_cap_ueur_per_mwh": 200_000_000,
    }  # fmt: skip
    tso = {**dso, "id": "T-1", "buyer": "TSO", "element": "substation", "need": {str(f): 150_000}}
    desk.submit("DSO", requests=[dso])
    desk.submit("TSO", requests=[tso])
    assert "its gate closes" in desk.market("close", code=1)["reason"]
    desk.now = GATE
    assert "B-1" in str(desk.market("close"))
    desk.write("constraints.json", limits)
    cleared = desk.market("clear", "--constraints", str(desk.folder / "constraints.json"))["outcome"]
    assert {a["offer"] for a in cleared["awards"]} == {"A-1", "B-1"}
    assert sum(a["volume_w"] for a in cleared["awards"] if a["request"] == "T-1") == 150_000
    desk.write("awards.json", strip(desk.market("awards")))
    verdicts = desk.grid("validate", states, "--awards", str(desk.folder / "awards.json"))
    desk.write("verdicts.json", verdicts)
    valid = desk.market("validate", "--verdicts", str(desk.folder / "verdicts.json"))["outcome"]
    assert valid["awards"] == cleared["awards"] and valid["unserved"] == {}
    desk.market("publish")
    desk.market("publish")
    nothing = {**valid, "awards": [], "unserved": {f"T-1/{f}": 150_000}}
    contradicts = desk.write("contradicts.json", nothing)
    said = desk.market("propose", contradicts, "--party", "ann", "--reason", "a meter was swapped", code=1)["reason"]
    assert "A-1 is accepted and awards 0: correct its results too" in said
    gone = {"fate": "rejected", "reason": "nobody asked in its quarter-hours", "accepted_w": 0}
    none = [{**row, **gone} for row in valid["results"]]
    changed = desk.write("changed.json", {**nothing, "results": none})
    digest = desk.market("propose", changed, "--party", "ann", "--reason", "a meter was swapped")["sha256"]
    assert "another person" in desk.market("approve", digest, "--party", "ann", code=1)["reason"]
    assert desk.market("approve", digest, "--party", "bob")["version"] == 2
    status = desk.market("status")
    assert status["state"] == "published" and [v for v, _ in status["published"]] == [1, 2]
    store = SqliteStore(desk.folder / "market" / "scd.sqlite")
    rows = store.documents("outcome")
    assert [(row.version, bool(row.evidence)) for row in rows] == [(1, True), (2, True)]


def test_orders_from_a_published_outcome_to_lists_for_all(desk: Desk) -> None:
    """The DSO's line is relieved by A, the TSO buys of B; both order, an emergency comes on top, the grid judges all."""
    frames = desk.announced("--emergency-price", "77000000")
    f = frames[72]
    desk.submit("A", offers=[{**offer("A-1", "A", "a", f, 200_000, 50_000_000), "lead_s": 600}])
    tso = {
        "id": "T-1", "buyer": "TSO", "direction": "up", "element": "substation", "need": {str(f): 150_000}, "price_cap_ueur_per_mwh": 10**9,
    }  # fmt: skip
    desk.submit("TSO", requests=[tso])
    states = states_of(desk, frames)
    desk.now = GATE
    desk.market("clear")
    desk.write("awards.json", strip(desk.market("awards")))
    desk.write("verdicts.json", desk.grid("validate", states, "--awards", str(desk.folder / "awards.json")))
    desk.market("validate", "--verdicts", str(desk.folder / "verdicts.json"))
    one = {"id": "T-o-1", "buyer": "TSO", "offer": "A-1", "request": "T-1", "frames": {str(f): 100_000}}
    orders = desk.write("orders.json", {"format": "lightnode-orders/1", "orders": [one]})
    early = desk.market("order", orders, "--party", "TSO")
    assert early["answers"] == [["T-o-1", "the session has no published outcome"]]
    desk.market("publish")
    assert desk.market("order", orders, "--party", "TSO")["answers"] == [["T-o-1", "taken"]]
    assert desk.market("order", orders, "--party", "TSO")["answers"] == [["T-o-1", "taken before"]]
    need = {
        "id": "E-1", "buyer": "DSO", "direction": "up", "frames": {str(f): 40_000}, "pods": {"b": 40_000}, "reason": "a line fell",
    }  # fmt: skip
    desk.now = "2026-11-26T11:00:01+01:00"
    file = desk.write("emergency.json", {"format": "lightnode-emergency-orders/1", "orders": [need]})
    registered = ("--resources", str(desk.folder / "resources.json"))
    assert desk.market("emergency", file, "--party", "DSO", *registered)["answers"] == [["E-1", "taken"]]
    assert len(desk.market("orders")["orders"]) == 2
    desk.write("judge.json", strip(desk.market("orders", "--to-judge")))
    verdicts = desk.write("active.json", desk.grid("validate", states, "--awards", str(desk.folder / "judge.json")))
    made = desk.market("activation", "--verdicts", verdicts)
    assert [(o["called"], o["kind"], o["volume_w"]) for o in made["orders"]] == [
        ("T-o-1", "market", 100_000), ("E-1", "emergency", 40_000),
    ]  # fmt: skip
    assert made["orders"][1]["price_ueur_per_mwh"] == 77_000_000
    assert desk.market("activation", "--party", "SCD")["pods"][1]["volume_w"] == 40_000
    assert "expected one of" in desk.market("activation", "--party", "X", code=1)["reason"]
    (platform,) = desk.market("activation", "--party", "DSO TP")["frames"]
    able = {"baseline_w": 0, "lowest_w": -300_000, "highest_w": 300_000, "up_w": 300_000, "down_w": 0}
    split = {"format": "lightnode-dispatch/1", "frame": platform["frame"], "orders": platform["orders"]}
    assert desk.dispatch({**split, "abilities": [{"pod": "a", **able}, {"pod": "b", **able}]}) == {
        "a": -100_000,
        "b": -40_000,
    }
    desk.now = "2026-11-27T17:50:01+01:00"
    late = desk.market("withdraw-order", "T-o-1", "--party", "TSO")
    assert late["answers"] == [["T-o-1", "later than the offer's lead time allows"]]
    store = SqliteStore(desk.folder / "market" / "scd.sqlite")
    assert [row.id for row in store.documents("order")] == ["da/T-o-1"]
    assert bool(store.latest("activation", "da").evidence)
    bundle = desk.folder / "da.json"
    assert desk.market("bundle", "--out", str(bundle))["events"] > 10
    made = desk.recompute(bundle)
    assert made["recomputed"] == {"answers": 6, "outcomes": 2, "versions": 1, "orders": 2, "activation lists": 1}
    bundle.write_text(bundle.read_text().replace("T-o-1", "T-o-2", 1))
    assert "something in it was changed" in desk.recompute(bundle, code=1)["reason"]


def strip(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k != "done"}


def test_what_is_missing_or_wrong_is_said_in_one_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert "announce with --deployment" in desk.market("status", code=3)["reason"]
    frames = desk.announced()
    assert "nothing is cleared yet" in desk.market("awards", code=1)["reason"]
    assert (
        "no such file"
        in desk.market("submit", "none.json", "--party", "A", "--resources", "none", code=3)["reason"].lower()
    )
    desk.submit("A", offers=[offer("A-1", "A", "a", frames[0], 1_500, 1)])
    late = desk.submit("A", offers=[offer("A-9", "A", "a", frames[0], 1_500, 1), 7])
    assert late["answers"][0] == ["A-9", "a volume that is no multiple of the lot"]
    assert late["answers"][1][1].startswith("malformed")
    desk.now = GATE
    assert desk.submit("A", offers=[offer("A-3", "A", "a", frames[0], 1_000, 1)])["answers"] == [
        ["A-3", "the gate has closed"]
    ]
    desk.write("resources.json", {"format": "lightnode-resources/1", "resources": [RESOURCES[0], RESOURCES[0]]})
    assert "stands twice" in desk.submit("A", code=1)["reason"]


@pytest.mark.parametrize(
    "verdicts", [[], [{"offer": "X", "buyer": "TSO"}], [{"offer": "A-1", "buyer": "TSO", "delta_w": {"a": [1]}}]]
)
def test_verdicts_that_are_not_on_what_was_cleared_are_refused(desk: Desk, verdicts: list[Any]) -> None:
    f = desk.announced()[0]
    desk.submit("A", offers=[offer("A-1", "A", "a", f, 5_000, 1)])
    tso = {
        "id": "T-1", "buyer": "TSO", "direction": "up", "element": "substation", "need": {str(f): 5_000}, "price_cap_ueur_per_mwh": 9,
    }  # fmt: skip
    desk.submit("TSO", requests=[tso])
    desk.now = GATE
    desk.market("clear")
    file = desk.write("verdicts.json", {"format": "lightnode-verdicts/1", "verdicts": verdicts})
    assert "verdict" in desk.market("validate", "--verdicts", file, code=1)["reason"]
    assert desk.market("status")["state"] == "cleared"
