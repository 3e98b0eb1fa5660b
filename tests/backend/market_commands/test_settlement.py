"""The README's settlement, command by command, on a real session and real readings; and what is refused.

By hand: 30 kW of a (10) and b (20) at 120 EUR/MWh for the TSO. Profiles: 15 and 22 kW. a measures 5 kW by 225 readings; of b
nothing is there at first, then its registers: 500 Wh in the quarter-hour, 2 kW. So 7.5 kWh, 0.90 EUR.
"""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lightwire import records

from backend.adapters.rows import Party
from backend.adapters.sqlite import SqliteStore
from backend.cli import main

README = Path(__file__).parents[3] / "backend/market/README.md"
AT = "2026-11-26T09:00+01:00"
GATE = "2026-11-26T11:00+01:00"
SCHEDULE = {
    "kind": "schedule", "keep": 8, "of": 10, "look_back_days": 45, "adjustment": None, "before": 4, "gap": 0,
}  # fmt: skip
TERMS = {
    "tables": [{"buyer": "", "product": "", "steps": [{"from_ppm": 50_000, "part_ppm": 500_000}]}], "fee_ppm": {"A": 100_000},
    "completeness_ppm": 900_000, "emergency_ueur_per_mwh": {}, "reconcile_ppm": 20_000, "reconcile_ws": 36_000,
}  # fmt: skip
DEVICES = {"a": b"\x0a" * 8, "b": b"\x0b" * 8}


class Desk:
    """A folder at an instant, what stands in its files, and what the command line says there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], shelf: Path) -> None:
        self.folder, self._capsys, self._shelf, self.now = folder, capsys, shelf, AT

    def write(self, name: str, document: Any) -> str:
        (self.folder / name).write_text(json.dumps(document))
        return name

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def now_ms(self) -> int:
        return round(datetime.fromisoformat(self.now).timestamp() * 1000)

    def run(self, *words: str, code: int = 0) -> str:
        done = main(["market", *words, "--folder", "market"], self.now_ms)
        said = self._capsys.readouterr()
        assert done == code, (words, said)
        assert said.err.count("\n") == (code != 0), "a refusal is one line"
        return said.out if code == 0 else said.err

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def traded(self) -> int:
        """The session in this folder, as the first test that asked for it made it; the quarter-hour."""
        if not self._shelf.exists():
            self._trade()
            shutil.copytree(self.folder, self._shelf)
        shutil.copytree(self._shelf, self.folder, dirs_exist_ok=True)
        self.now = GATE
        return int(next(iter(self.read("orders.json")["orders"][0]["frames"])))

    def _trade(self) -> None:
        """Announced, bought, published, ordered whole, judged."""
        new = ("--deployment", "00112233445566778899aabbccddeeff")
        said = self.json("announce", "da-27", "--day", "2026-11-27", "--gate", "11:00", *new)
        self.run("open", "da-27")
        frame = int(said["first_frame"]) + 72
        resources = [{"pod": pod, "aggregator": "A", "up_w": 30_000, "down_w": 0} for pod in "ab"]
        self.write("resources.json", {"format": "lightnode-resources/1", "resources": resources})
        offer = {
            "id": "A-1", "aggregator": "A", "direction": "up", "frames": {str(frame): 30_000}, "pods": {"a": 10_000, "b": 20_000},
            "price_ueur_per_mwh": 120_000_000, "availability_ueur_per_mw_h": 4_000_000,
        }  # fmt: skip
        asked = {
            "id": "r", "buyer": "TSO", "direction": "up", "element": "substation", "need": {str(frame): 30_000},
            "price_cap_ueur_per_mwh": 500_000_000,
        }  # fmt: skip
        for party, kind, row in (("A", "offers", offer), ("TSO", "requests", asked)):
            file = self.write("book.json", {"format": "lightnode-bids/1", kind: [row]})
            self.run("submit", "da-27", file, "--party", party, "--resources", "resources.json")
        self.now = GATE
        self.run("clear", "da-27")
        self.judged("awards", "validate")
        self.run("publish", "da-27")
        order = {"id": "1", "buyer": "TSO", "offer": "A-1", "request": "r", "frames": {str(frame): 30_000}}
        self.write("orders.json", {"format": "lightnode-orders/1", "orders": [order]})
        self.run("order", "da-27", "orders.json", "--party", "TSO")
        self.judged("orders", "activation", "--to-judge")

    def judged(self, ask: str, tell: str, *words: str) -> None:
        """A grid operator who lets everything pass."""
        rows = json.loads(self.run(ask, "da-27", *words))["awards"]
        kept = [{"offer": row["offer"], "buyer": row["buyer"], "delta_w": row["delta_w"], "stops": []} for row in rows]
        file = self.write("verdicts.json", {"format": "lightnode-verdicts/1", "verdicts": kept})
        self.run(tell, "da-27", "--verdicts", file)

    def files(self, frame: int) -> None:
        pods = [
            {"pod": pod, "owner": owner, "brp": "X", "method": SCHEDULE} for pod, owner in (("a", "ann"), ("b", "bea"))
        ]
        self.write(
            "settings.json",
            {"format": "lightnode-settlement-settings/1", "zone": "Europe/Rome", "terms": TERMS, "pods": pods},
        )
        profiles = [
            {"pod": pod, "brp": "X", "version": 1, "received_ms": 1, "frames": {str(frame): w}}
            for pod, w in (("a", 15_000), ("b", 22_000))
        ]
        self.write(
            "baselines.json",
            {
                "format": "lightnode-baselines/1",
                "session": "da-27",
                "frozen": True,
                "frozen_ms": 1,
                "baselines": profiles,
            },
        )

    def measured(self, pod: str, rows: Iterator[tuple[int, int, int]]) -> None:
        """Keeps readings of a POD's light node: (slot mark, W, import Wh)."""
        store = SqliteStore(self.folder / "market/scd.sqlite")
        with store.writing():
            store.register(Party(DEVICES[pod], 1, "node", pod, 1, b"", 0, 1 << 62, b"", b""))
            for seq, (at_ms, power_w, import_wh) in enumerate(rows, 1):
                made = records.Reading(
                    DEVICES[pod], 1, 1, seq, at_ms, 0, power_w, 0, import_wh, 0, (230_000,) * 3, 50_000
                )
                store.keep_message(made, b"", at_ms)
        store.close()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf") / "traded"


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shelf: Path) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capsys, shelf)


def readme_lines() -> list[str]:
    section = README.read_text().split("## Settlement\n")[1].split("\n## ")[0]
    return re.findall(r"^    lightnode market (.*)$", section, re.MULTILINE)


def test_the_readme_s_settlement_from_the_input_to_the_second_version(desk: Desk) -> None:
    frame = desk.traded()
    desk.files(frame)
    start = frame * 900_000
    desk.measured("a", ((start + 4_000 * k, 5_000, 0) for k in range(225)))
    said = []
    for line in readme_lines():
        command, _, file = line.partition(" > ")
        if line.endswith("> late.json"):
            desk.measured("b", ((start + 900_000 * k, 2_000, 500 * k) for k in (0, 1)))
        if "ORDER" in command:
            (order,) = desk.json("settlement", "da-27")["settlement"]["orders"]
            command = command.replace("ORDER", order["order"])
        if "SHA256" in command:
            said_by_status = desk.json("status", "da-27")
            assert [version for version, _ in said_by_status["settled"]] == [1]
            command = command.replace("SHA256", said_by_status["proposed"])
        out = desk.run(*(word for word in shlex.split(command.replace("--folder market", ""))))
        said.append(out)
        if file:
            (desk.folder / file).write_text(out)
    first, proposed, second = said[1], said[6], said[7]
    assert proposed.startswith("proposed version 2: readings of b came in\nanother person has to approve ")
    assert "version 1" in first and f"flag b, quarter-hour {frame}: no-measurement" in first
    assert "changed for TSO: -930000 micro-EUR" in second and "version 2: readings of b came in" in second
    ann = desk.read("ann.json")
    assert (ann["version"], ann["gained_ueur"], ann["lines"][0]["code"]) == (1, 0, "held-no-measurement")
    assert "d1: owner/bea on energy/" in said[-1] and said[-1].strip().endswith("upheld: market operator: they came")
    whole = desk.json("settlement", "da-27")["settlement"]
    assert [(x["pod"], x["source"], x["measured_ws"], x["payment_ueur"]) for x in whole["lines"]] == [
        ("a", "4 s readings", 4_500_000, 300_000), ("b", "registers of the quarter-hour", 1_800_000, 600_000),
    ]  # fmt: skip
    assert desk.json("settlement", "da-27", "--version", "1")["settlement"]["gained_ueur"] == {}
    rows = SqliteStore(desk.folder / "market/scd.sqlite").documents("settlement")
    assert [(row.version, row.tree, bool(row.evidence)) for row in rows] == [
        (1, records.TREE_SETTLEMENT, True), (2, records.TREE_SETTLEMENT, True),
    ]  # fmt: skip
    assert desk.run("settle", "da-27", "--input", "input.json").startswith("version 1")
    status = desk.json("status", "da-27")
    assert [version for version, _ in status["settled"]] == [1, 2] and status["open_disputes"] == 0
    desk.run("bundle", "da-27", "--out", "da-27.json")
    assert main(["market", "recompute", "da-27.json"]) == 0, (
        "both versions and the dispute are done again from the file"
    )


def test_the_dso_s_quarter_hours_and_what_owners_said_are_in_the_input(desk: Desk) -> None:
    frame = desk.traded()
    desk.files(frame)
    at = datetime.fromtimestamp(frame * 900).astimezone().isoformat()
    (desk.folder / "quarters.csv").write_text(f"time,a\n{at},5100\n")
    gone = [{"pod": "b", "frame": frame, "reason": "at the seaside"}, {"pod": "z", "frame": frame, "reason": ""}]
    desk.write("gone.json", {"format": "lightnode-unavailable/1", "unavailable": gone})
    words = ("--settings", "settings.json", "--quarters", "quarters.csv", "--unavailable", "gone.json")
    made = json.loads(desk.run("settlement-input", "da-27", *words))
    assert made["measured"] == [
        {"pod": "a", "frame": frame, "readings_ws": None, "completeness_ppm": 0, "registers_ws": 5_100 * 900},
        {"pod": "b", "frame": frame, "readings_ws": None, "completeness_ppm": 0, "registers_ws": None},
    ]
    assert [(x["power_w"], x["reason"]) for x in made["baselines"]] == [
        (None, f"no schedule for quarter-hour {frame}")
    ] * 2
    assert made["unavailable"] == [{"pod": "b", "frame": frame, "reason": "at the seaside"}]


def test_quarter_hours_of_a_pod_that_is_none_are_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    frame = desk.traded()
    desk.files(frame)
    at = datetime.fromtimestamp(frame * 900).astimezone().isoformat()
    (desk.folder / "quarters.csv").write_text(f"time,a,NOPE,b/var\n{at},5100,1,2\n")
    options = ["--settings", "settings.json", "--quarters", "quarters.csv", "--folder", "market"]
    assert main(["market", "settlement-input", "da-27", *options], desk.now_ms) == 0
    assert capsys.readouterr().err == "lightnode: --quarters: columns of no POD in the settings are not used: NOPE\n"


def test_what_is_missing_or_wrong_is_said_in_one_line(desk: Desk) -> None:
    frame = desk.traded()
    desk.files(frame)
    (desk.folder / "input.json").write_text(desk.run("settlement-input", "da-27", "--settings", "settings.json"))
    assert "nothing is settled yet" in desk.run("statement", "da-27", "TSO", code=1)
    assert "nothing is settled yet" in desk.run(
        "resettle", "da-27", "--input", "input.json", "--reason", "x", "--party", "a", code=1
    )
    assert "o such file" in desk.run("settle", "da-27", "--input", "none.json", code=3)
    assert "was never announced" in desk.run("disputes", "da-28", code=1)
    desk.run("settle", "da-27", "--input", "input.json")
    assert "no part in the settlement" in desk.run("statement", "da-27", "owner/eve", code=1)
    assert "versions 1 to 1" in desk.run("settlement", "da-27", "--version", "7", code=1)
    assert "is no line" in desk.run(
        "dispute", "open", "da-27", "energy/x/a", "--party", "owner/ann", "--reason", "y", code=1
    )
    wrong = desk.read("settings.json")
    desk.write("settings.json", {**wrong, "pods": wrong["pods"][:1]})
    assert "POD b is traded" in desk.run("settlement-input", "da-27", "--settings", "settings.json", code=1)
    baselines = desk.read("baselines.json")
    for change, reason in (
        ({"frozen": False}, "expected those of da-27, frozen"),
        ({"session": "da-28"}, "expected those of da-27, frozen"),
        ({"baselines": [{**baselines["baselines"][0], "brp": "Y"}]}, "is of BRP Y, the settings say X"),
        ({"baselines": baselines["baselines"][:1] * 2}, "stands twice"),
        ({"baselines": [{**baselines["baselines"][0], "frames": {"x": 1}}]}, "quarter-hour x"),
    ):
        desk.write("settings.json", wrong)
        desk.write("other.json", {**baselines, **change})
        words = ("--settings", "settings.json", "--baselines", "other.json")
        assert reason in desk.run("settlement-input", "da-27", *words, code=1)
