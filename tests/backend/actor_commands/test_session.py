"""The session of the README, line by line: every actor's commands in turn, files only, each actor in its own folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend import actor_commands
from backend.market.exchange import outcome_of
from backend.market.submission import parse_json
from tests.backend.actor_commands.session import Shell, blocks

README = Path(actor_commands.__file__).with_name("README.md")
GROUPS = {"aggregator-a": "Aggregator-A", "aggregator-b": "Aggregator-B"}


def read(name: str) -> Any:
    return json.loads(Path(name).read_text())


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        made = Shell(tmp_path_factory.mktemp("session"), patch)
        for line in blocks(README, "A day-ahead session"):
            made.run(line)
        yield made


def test_every_bid_and_every_profile_was_taken(shell: Shell) -> None:
    for command in ("market submit", "market order", "brp baseline"):
        answers = [line.split(": ")[1] for line in shell.said[command].splitlines()]
        assert answers and set(answers) == {"taken"}, command


def test_no_watt_is_offered_twice_or_beyond_what_was_declared(shell: Shell) -> None:
    for folder in GROUPS:
        declared = {
            (pod["pod"], int(frame), direction): w
            for path in Path(folder, "in").glob("*.json")
            for pod in read(str(path))["pods"]
            for frame, pair in pod["frames"].items()
            for direction, w in zip(("up", "down"), pair, strict=True)
        }
        offered: dict[tuple[str, int, str], int] = {}
        for offer in parse_json(Path(folder, "offers.json").read_text()).offers:
            for frame, volume_w in offer.volume_w.items():
                for pod, share_w in offer.shares_w.items():
                    key = pod, frame, offer.direction.value
                    offered[key] = offered.get(key, 0) + (share_w if len(offer.shares_w) > 1 else volume_w)
        assert offered and all(w <= declared[key] for key, w in offered.items())


def test_what_is_off_is_not_offered(shell: Shell) -> None:
    offers = parse_json(Path("aggregator-b/offers.json").read_text()).offers
    assert not any("IT001E12724382" in offer.shares_w for offer in offers)


def test_the_owners_learn_every_watt_that_was_awarded(shell: Shell) -> None:
    outcome = outcome_of(Path("market/outcome.json").read_text())
    assert {award.request.split("-")[0] for award in outcome.awards} == {"DSO", "TSO"}
    told = {}
    for folder in GROUPS:
        for path in Path(folder, "out").glob("*.json"):
            for row in read(str(path))["reserved"]:
                key = row["pod"], row["frame"]
                told[key] = told.get(key, 0) + row["volume_w"]
    awarded: dict[tuple[str, int], int] = {}
    for award in outcome.awards:
        for pod, w in award.parts_w.items():
            if w:
                awarded[pod, award.frame] = awarded.get((pod, award.frame), 0) + w
    assert told == awarded


def test_the_plan_is_the_frozen_baseline_less_what_is_reserved(shell: Shell) -> None:
    baselines = {row["pod"]: row["frames"] for row in read("market/baselines.json")["baselines"]}
    made = read("aggregator-a/out/dairy.json")
    assert made["plan"] and made["fee_ppm"] == read("aggregator-a/offering.json")["fee_ppm"]
    for row in made["plan"]:
        mine = sum(r["volume_w"] for r in made["reserved"] if (r["pod"], r["frame"]) == (row["pod"], row["frame"]))
        assert row["baseline_w"] == baselines[row["pod"]][str(row["frame"])]
        assert row["target_w"] == row["baseline_w"] - mine


def test_the_tso_s_need_changes_with_the_substation_profile(shell: Shell) -> None:
    """What the DSO has ordered relieves the transmission grid, too: of its awards the TSO orders what it still needs."""
    need = read("tso/requests.json")["requests"][0]["need"]
    outcome = outcome_of(Path("market/outcome.json").read_text())
    awarded = {
        frame: sum(a.volume_w for a in outcome.awards if (a.request, a.frame) == ("TSO-up", int(frame)))
        for frame in need
    }
    ordered = {
        frame: sum(order["frames"].get(frame, 0) for order in read("tso/orders.json")["orders"]) for frame in need
    }
    assert all(0 < awarded[frame] <= need[frame] for frame in need)
    assert sum(ordered.values()) < sum(awarded.values())
    assert all(ordered[frame] <= awarded[frame] for frame in need)


def test_a_profile_after_the_freeze_is_refused(shell: Shell) -> None:
    said = shell.run("lightnode brp baseline da-27 brp-1/profiles.csv --brp BRP-1 --folder market")
    assert set(line.split(": ")[1] for line in said.splitlines()) == {"the baselines are frozen"}


def test_an_owner_sees_what_is_beyond_its_declaration(shell: Shell) -> None:
    made = read("aggregator-a/out/dairy.json")
    made["reserved"][0]["volume_w"] += 200_000
    Path("dairy-more.json").write_text(json.dumps(made))
    said = shell.run("lightnode owner plan dairy-more.json --availability aggregator-a/in/dairy.json --json", 1)
    assert "were declared" in json.loads(said)["beyond"][0]


def test_what_is_reserved_is_not_offered_again(shell: Shell) -> None:
    said = shell.run(
        "lightnode aggregator offers aggregator-a/in/*.json --aggregator Aggregator-A --baselines market/baselines.json"
        " --offering aggregator-a/offering.json --reserved aggregator-a/out/dairy.json --json"
    )
    before, after = (
        {
            f: w
            for o in parse_json(text).offers
            if o.id == "Aggregator-A-IT001E62031709-up"
            for f, w in o.volume_w.items()
        }
        for text in (Path("aggregator-a/offers.json").read_text(), said)
    )
    reserved: dict[int, int] = {}
    for row in read("aggregator-a/out/dairy.json")["reserved"]:
        reserved[row["frame"]] = reserved.get(row["frame"], 0) + row["volume_w"]
    assert {f: before[f] - after.get(f, 0) for f in before if before[f] != after.get(f, 0)}.keys() == reserved.keys()
    assert all(after.get(f, 0) + w <= before[f] for f, w in reserved.items())
