"""The actors' commands one by one: what is refused, in one line, with which exit code; every example is a command."""

import json
import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from backend.actor_commands import _STATES
from backend.cli import _parser, main
from backend.market.availability import DerState
from backend.market.settled import settled, settlement_text
from backend.market.settled_making import unavailable_of
from tests.backend.market.settlement_case import worked

F = 1_995_326
CSV = f"pod,from,until,up_w,down_w\na,{F},{F + 2},1000,0\n"


class Desk:
    """Files in a folder, and what the command line says there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def write(self, name: str, text: Any) -> str:
        (self.folder / name).write_text(text if isinstance(text, str) else json.dumps(text))
        return str(self.folder / name)

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        assert main(list(words), lambda: F * 900_000) == code
        said = self._capsys.readouterr()
        return said.out, said.err

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code)[0])

    def availability(self, name: str = "d", owner: str = "Dairy", aggregator: str = "A", text: str = CSV) -> str:
        table = self.write(f"{name}.csv", text)
        words = ("owner", "availability", table, "--owner", owner, "--aggregator", aggregator)
        return self.write(f"{name}.json", self.json(*words))

    def baselines(self, *pods: str, frozen: bool = True) -> str:
        rows = [
            {"pod": p, "brp": "P", "version": 1, "received_ms": 0, "frames": {str(F): 5000, str(F + 1): 5000}}
            for p in pods
        ]
        head = {"format": "lightnode-baselines/1", "session": "da", "frozen": frozen, "frozen_ms": 7}
        return self.write("baselines.json", head | {"baselines": rows})

    def offering(self, **more: Any) -> str:
        return self.write("offering.json", {"format": "lightnode-offering/1", "price_ueur_per_mwh": {"up": 5}} | more)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def commands(whole: ArgumentParser) -> list[tuple[str, ArgumentParser]]:
    groups = next(a for a in whole._actions if getattr(a, "choices", None)).choices
    found = [("cast", groups["cast"])]
    for actor in ("owner", "aggregator", "brp", "tso", "dso"):
        part = next(a for a in groups[actor]._actions if getattr(a, "choices", None)).choices
        found += [(f"{actor} {name}", parser) for name, parser in part.items()]
    return found


def test_every_command_has_an_example_that_is_a_command_and_json() -> None:
    whole = _parser("")
    assert len(commands(whole)) == 17
    for name, parser in commands(whole):
        example = shlex.split(str(parser.epilog).removeprefix("example: lightnode "))
        assert " ".join(example).startswith(name), name
        assert "--json" in parser.format_help() and whole.parse_args(example)


def test_the_words_of_a_status_are_the_states_of_a_der() -> None:
    assert set(_STATES) == set(DerState)


def test_two_aggregators_for_one_pod_are_named(desk: Desk) -> None:
    one, other = desk.availability("d"), desk.availability("e", aggregator="B")
    said = desk.json("aggregator", "resources", one, other, "--aggregator", "A", code=1)["reason"]
    assert said == f"availability: a is declared to A and to B in 2 quarter-hours from {F}"


def test_lists_of_two_aggregators_that_meet_are_refused_by_the_market(desk: Desk) -> None:
    lists = []
    for aggregator in "AB":
        own = desk.availability(aggregator, aggregator=aggregator)
        made = desk.json("aggregator", "resources", own, "--aggregator", aggregator)
        lists += ["--resources", desk.write(f"list-{aggregator}.json", made)]
    new = ("--deployment", "00112233445566778899aabbccddeeff", "--folder", str(desk.folder / "market"))
    desk.run("market", "announce", "da", "--day", "2026-11-29", *new)
    bids = desk.write("bids.json", {"format": "lightnode-bids/1"})
    said = desk.json("market", "submit", "da", bids, "--party", "A", *lists, *new[2:], code=1)["reason"]
    assert said == f"resources: a stands twice, of A and of B from quarter-hour {F} up to {F + 1}"
    profile = desk.write("p.csv", "pod,frame,w\na,1,1\n")
    taken = desk.json("brp", "baseline", "da", profile, "--brp", "P", "--folder", str(desk.folder / "market"))
    assert taken["answers"] == [["a", "a quarter-hour outside the session"]]


def test_offers_say_who_is_not_offered_and_why(desk: Desk) -> None:
    both = CSV + f"b,{F},{F + 1},10,0\nc,{F},{F + 1},10,0\nd,{F},{F + 1},0,10\n"
    own = desk.availability(text=both)
    off = desk.write("off.json", desk.json("owner", "status", "c", "--owner", "Dairy", "--state", "fault"))
    words = ("aggregator", "offers", own, "--aggregator", "A", "--offering", desk.offering(), "--status", off, "--json")
    out, err = desk.run(*words, "--baselines", desk.baselines("a", "c", "d", frozen=False))
    assert [offer["id"] for offer in json.loads(out)["offers"]] == ["A-a-up"]
    assert err.splitlines() == [
        "lightnode: the baselines of da are not frozen yet: they may change",
        "lightnode: b is not offered: no baseline in da where it is declared",
        "lightnode: c is not offered: it is out or reserved",
        "lightnode: d is not offered: less than a lot, or in no direction that has a price",
    ]


def test_a_portfolio_names_who_is_in_no_sum(desk: Desk) -> None:
    own = desk.availability(text=CSV + f"b,{F},{F + 1},10,0\n")
    out, err = desk.run(
        "aggregator", "baseline", own, "--aggregator", "A", "--baselines", desk.baselines("a"), "--json"
    )
    made = json.loads(out)
    assert made["without"] == ["b"] and "b has no baseline in da" in err
    assert made["frames"][str(F)] == {"baseline_w": 5000, "up_w": 1000, "down_w": 0}


def test_an_outcome_of_another_session_is_refused(desk: Desk) -> None:
    own, offers = desk.availability(), desk.write("offers.json", {"format": "lightnode-bids/1"})
    outcome = desk.write("outcome.json", {"session": "nrt", "awards": [], "results": [], "unserved": {}})
    words = ("--baselines", desk.baselines("a"), "--offering", desk.offering(), "--offers", offers)
    said = desk.json("aggregator", "reserve", outcome, own, *words, "--out", str(desk.folder / "out"), code=1)
    assert "of session da, the outcome is of nrt" in said["reason"]


def test_what_is_reserved_of_a_pod_that_is_out_is_named(desk: Desk) -> None:
    own = desk.availability()
    offering = desk.offering()
    offers = desk.json(
        "aggregator", "offers", own, "--aggregator", "A", "--baselines", desk.baselines("a"), "--offering", offering
    )
    award = {"offer": "A-a-up", "request": "T", "frame": F + 1, "volume_w": 700, "parts_w": {"a": 700}}
    outcome = desk.write("outcome.json", {"session": "da", "awards": [award], "results": [], "unserved": {}})
    off = desk.write("off.json", desk.json("owner", "status", "a", "--owner", "Dairy", "--state", "fault"))
    said = desk.json(
        "aggregator", "reserve", outcome, own, "--baselines", desk.baselines("a"), "--offering", offering, "--offers",
        desk.write("offers.json", offers), "--out", str(desk.folder / "out"), "--status", off,
    )  # fmt: skip
    assert said["at_risk"] == [f"a is fault in quarter-hour {F + 1}: 700 W of A-a-up are at risk"]
    words, _ = desk.run("owner", "plan", str(desk.folder / "out" / "Dairy.json"))
    assert f"a quarter-hour {F + 1}: 4300 W if all is ordered, 5000 W if nothing is" in words
    other = desk.json("owner", "plan", str(desk.folder / "out" / "Dairy.json"), "--owner", "Farm", code=1)
    assert "is for Dairy, not for Farm" in other["reason"]


def test_what_was_reported_as_out_is_what_settlement_reads(desk: Desk) -> None:
    off = desk.json(
        "owner", "status", "a", "--owner", "Dairy", "--state", "off", "--until", str(F + 1), "--reason", "rust"
    )
    made = desk.json("aggregator", "unavailable", desk.write("off.json", off), "--baselines", desk.baselines("a"))
    assert [(one.pod, one.frame, one.reason) for one in unavailable_of(json.dumps(made))] == [("a", F, "off rust")]


def test_owners_whose_files_would_be_one_are_refused(desk: Desk) -> None:
    settlement = json.loads(settlement_text(settled(worked())))
    names = iter(["My Farm", "My_Farm"] * 20)
    renamed: dict[str, str] = {}
    for line in settlement["lines"] + settlement["availability"]:
        if line["aggregator"] == "A":
            line["owner"] = renamed.setdefault(line["owner"], next(names))
    file, out = desk.write("s.json", settlement), str(desk.folder / "out")
    assert "two owners would have one file" in desk.json(
        "aggregator", "statement", file, "--aggregator", "A", "--out", out, code=1
    )["reason"]  # fmt: skip


def test_a_statement_makes_an_account_for_each_owner(desk: Desk) -> None:
    file, out = desk.write("s.json", settlement_text(settled(worked()))), desk.folder / "accounts"
    said = desk.json("aggregator", "statement", file, "--aggregator", "A", "--out", str(out))
    assert said["fee_ueur"] == sum(row["fee_ueur"] for row in said["accounts"]) > 0
    for row in said["accounts"]:
        assert json.loads(Path(row["file"]).read_text())["net_ueur"] == row["net_ueur"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("owner", "availability", "none.csv", "--owner", "x", "--aggregator", "A"), 3),
        (("owner", "plan", "none.json"), 3),
        (("aggregator", "resources", "none.json", "--aggregator", "A"), 3),
        (("brp", "standing", "da", "--folder", "none"), 3),
        (("tso", "profile", "none.json", "none.json"), 3),
        (("tso", "order", "none.json", "none.json"), 3),
        (("dso", "request", "none.json"), 3),
        (("owner", "status", "a b", "--owner", "x", "--state", "off"), 1),
        (("owner", "status", "a", "--owner", "x", "--state", "off", "--until", "noon"), 1),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(
    desk: Desk, words: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    out, err = desk.run(*words, code=code)
    assert out == "" and err.startswith("lightnode: ") and err.count("\n") == 1
    assert desk.json(*words, code=code)["reason"] == err.removeprefix("lightnode: ").strip()


def test_a_csv_needs_owner_and_aggregator(desk: Desk) -> None:
    assert (
        "expected --owner and --aggregator"
        in desk.json("owner", "availability", desk.write("a.csv", CSV), code=1)["reason"]
    )


def test_orders_on_requests_of_another_buyer_are_refused(desk: Desk) -> None:
    outcome = desk.write("outcome.json", {"session": "da", "awards": [], "results": [], "unserved": {}})
    row = {
        "id": "D",
        "buyer": "DSO",
        "direction": "up",
        "element": "line:1",
        "need": {str(F): 1},
        "price_cap_ueur_per_mwh": 1,
    }
    book = desk.write("book.json", {"format": "lightnode-bids/1", "requests": [row]})
    assert "D is not the TSO's" in desk.json("tso", "order", outcome, book, code=1)["reason"]
    assert desk.json("dso", "order", outcome, book)["orders"] == []
    wrong = desk.write("wrong.json", {"format": "lightnode-bids/1", "requests": [row | {"need": {}}]})
    assert "row 1 D" in desk.json("dso", "order", outcome, wrong, code=1)["reason"]
    said = desk.json("tso", "order", outcome, wrong, "--substation", outcome, code=1)["reason"]
    assert "row 1 D" in said


def test_the_cast_stands_in_a_new_folder_only(desk: Desk) -> None:
    desk.write("x", "x")
    assert "expected a new folder" in desk.json("cast", str(desk.folder), "--day", "2026-11-27", code=1)["reason"]
