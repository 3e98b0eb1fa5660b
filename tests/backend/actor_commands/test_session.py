"""The session of the README, line by line: every actor's commands in turn, files only, each actor in its own folder."""

import json
from datetime import UTC, datetime
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


GRID = "dso/network.json dso/states.json --voltage-margin-ppm 500 --loading-margin-ppm 5000 --plan dso/plan.json"
SETTLED = f"""\
lightnode market orders da-27 --to-judge --folder market > market/active.json
lightnode grid validate {GRID} --awards market/active.json --json > market/active-verdicts.json
lightnode market activation da-27 --verdicts market/active-verdicts.json --folder market > market/activation.json
lightnode market activation da-27 --party SCD --folder market > market/scd.json"""
PAID = """\
# 2026-11-28T08:00+01:00
lightnode market settlement-input da-27 --settings market/settings.json --baselines market/baselines.json \
--quarters market/quarters.csv --folder market > market/input.json
lightnode market settle da-27 --input market/input.json --folder market
lightnode market settlement da-27 --folder market > market/settlement.json
lightnode market statement da-27 aggregator/Aggregator-A --folder market > aggregator-a/statement.json"""


@pytest.mark.long
def test_what_was_ordered_and_delivered_is_paid_to_each_owner_less_the_fee(shell: Shell) -> None:
    """Every POD does exactly what was ordered: each owner's account is what its reservation said it would earn."""
    for line in SETTLED.splitlines():
        shell.run(line)
    baselines = {row["pod"]: row for row in read("market/baselines.json")["baselines"]}
    owners = {
        pod["pod"]: (read(str(path))["owner"], pod["brp"])
        for folder in GROUPS
        for path in Path(folder, "in").glob("*.json")
        for pod in read(str(path))["pods"]
    }
    Path("market/settings.json").write_text(json.dumps(settlement_settings(owners)))
    Path("market/quarters.csv").write_text(as_ordered(baselines, read("market/scd.json")["pods"]))
    for line in PAID.splitlines():
        shell.run(line)
    words = "--aggregator Aggregator-A --out aggregator-a/accounts --json"
    said = json.loads(shell.run(f"lightnode aggregator statement market/settlement.json {words}"))
    assert said == json.loads(shell.run(f"lightnode aggregator statement aggregator-a/statement.json {words}"))
    assert {row["owner"] for row in said["accounts"]} == {path.stem for path in Path("aggregator-a/out").glob("*.json")}
    for row in said["accounts"]:
        assert row["held"] == 0 and row["net_ueur"] * 15 == pytest.approx(row["fee_ueur"] * 85, abs=2_000)


def settlement_settings(owners: dict[str, tuple[str, str]]) -> dict[str, Any]:
    method = {"kind": "schedule", "keep": 8, "of": 10, "look_back_days": 45, "adjustment": None, "before": 4, "gap": 0}
    terms = {
        "tables": [], "fee_ppm": {"Aggregator-A": 150_000, "Aggregator-B": 100_000}, "completeness_ppm": 900_000,
        "emergency_ueur_per_mwh": {}, "reconcile_ppm": 0, "reconcile_ws": 0,
    }  # fmt: skip
    pods = [{"pod": pod, "owner": owner, "brp": brp, "method": method} for pod, (owner, brp) in sorted(owners.items())]
    return {"format": "lightnode-settlement-settings/1", "zone": "Europe/Rome", "terms": terms, "pods": pods}


def as_ordered(baselines: dict[str, Any], orders: list[dict[str, Any]]) -> str:
    """The quarter-hours of the day (I-01): baselines and what was ordered."""
    change: dict[tuple[str, int], int] = {}
    for one in orders:
        key = one["pod"], one["frame"]
        change[key] = change.get(key, 0) + (one["volume_w"] if one["direction"] == "down" else -one["volume_w"])
    lines = [",".join(["time", *sorted(baselines)])]
    for frame in sorted(map(int, next(iter(baselines.values()))["frames"])):
        begin = datetime.fromtimestamp(frame * 900, UTC).strftime("%Y-%m-%dT%H:%MZ")
        watts = [str(baselines[pod]["frames"][str(frame)] + change.get((pod, frame), 0)) for pod in sorted(baselines)]
        lines.append(",".join([begin, *watts]))
    return "\n".join(lines) + "\n"
