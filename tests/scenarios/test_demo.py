"""The demo's day, two live quarter-hours of it: what its summary promises, its bundles, the same hashes at another speed."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightwire import envelope, records

from backend.adapters.keys import open_key
from backend.cli import main
from backend.evidence.verifier.anchors import from_file
from backend.evidence.verifier.bundle import verify
from backend.evidence.verifier.finding import NotValid
from backend.market.reservation import reservation_of
from hil.demo.options import Options
from hil.demo.play import play
from hil.demo.report import write_report
from hil.demo.story import Story
from hil.errors import RigError
from tests.backend.evidence.made import read, written

pytestmark = pytest.mark.timeout(1200)  # one played day for all of them


def options(out: Path, speed: float | None = None) -> Options:
    return Options(out, speed, 12, 1, False, 2)


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, mosquitto: list[str], micropython: object
) -> Iterator[tuple[Story, Path]]:
    out = tmp_path_factory.mktemp("demo")
    story = play(options(out), lambda _what: None, lambda told: write_report(told, out / "report.html"))
    yield story, out


def test_every_slot_is_a_signed_reading_or_lies_in_a_signed_gap(played: tuple[Story, Path]) -> None:
    s = played[0].summary
    assert s["nodes"] == 12 and s["slots_expected"] == 12 * 2 * 225
    assert s["slots_with_reading"] + s["slots_missed_named"] == s["slots_expected"]  # type: ignore[operator]
    assert s["slots_missed_named"] == 45 and s["readings_lost"] == 0
    assert s["readings_produced"] == s["readings_stored"]


def test_the_plan_leaves_no_violation_and_every_offer_has_its_reason(played: tuple[Story, Path]) -> None:
    story = played[0]
    s = story.summary
    assert s["violations_planned"] == 0 and s["violations_forecast"] > 0  # type: ignore[operator]
    assert s["offers"] == s["offers_accepted"] + s["offers_cut"] + s["offers_rejected"] == len(story.offers)  # type: ignore[operator]
    assert all(offer.reason for offer in story.offers)


def test_every_claim_of_the_report_holds(played: tuple[Story, Path]) -> None:
    assert [proof.claim for proof in played[0].proofs if not proof.holds] == []
    said = [event.what for event in played[0].events]
    assert any("refuses a set-point" in what and "bad signature" in what for what in said)
    assert any("45 slots without a reading are named" in what for what in said)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    with pytest.raises(RigError, match="name another folder with --out"):
        play(options(tmp_path), lambda _what: None, lambda _story: None)
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years"


def test_set_points_are_applied_a_forged_one_is_refused_and_money_sums_to_zero(played: tuple[Story, Path]) -> None:
    s = played[0].summary
    assert s["setpoints_applied"] == s["setpoints_sent"] and s["setpoints_forged_refused"] == 1
    assert s["payments_balance_ueur"] == 0
    assert 0 < s["energy_paid_ws"] <= s["energy_ordered_ws"]  # type: ignore[operator]


def test_owners_are_told_what_each_session_reserved_of_them(played: tuple[Story, Path]) -> None:
    story, out = played
    made = [reservation_of(path.read_text()) for path in (out / "reservations").glob("*/*.json")]
    told = {(one.session, row.offer) for one in made for row in one.reserved}
    assert told == {(offer.session, offer.offer) for offer in story.offers if offer.accepted_wh}
    assert all(one.plans and 0 < one.fee_ppm < 1_000_000 for one in made)


def test_every_customer_has_a_bundle_that_verifies_and_one_changed_byte_is_refused(played: tuple[Story, Path]) -> None:
    s = played[0].summary
    assert s["bundles_verified"] == s["tampered_bundles_refused"] == 12
    assert s["receipts_verified_on_device"] >= 2 * 12  # type: ignore[operator]


def test_the_command_line_says_valid_not_anchored_or_the_true_reason(
    played: tuple[Story, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = played[1]
    bundle = sorted((out / "bundles").glob("*.json"))[0]
    anchors = out / "anchors.json"
    assert main(["evidence", "verify", str(bundle), "--anchors", str(anchors)]) == 0
    assert "valid" in capsys.readouterr().out
    assert main(["evidence", "verify", str(bundle)]) == 4
    assert "consistent, not anchored" in capsys.readouterr().out
    document = read(bundle.read_text())
    document["batches"][1]["records"][7] = document["batches"][1]["records"][8]
    changed = out / "changed.json"
    changed.write_text(written(document))
    assert main(["evidence", "verify", str(changed), "--anchors", str(anchors), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["where"] == "batches[1], records[7]" and "belongs here" in said["reason"]
    held = json.loads(anchors.read_text())
    held["commitments"] = {k: "00" * 32 for k in held["commitments"]}
    (out / "other.json").write_text(json.dumps(held))
    assert main(["evidence", "verify", str(bundle), "--anchors", str(out / "other.json")]) == 1
    assert "the chain holds another commitment" in capsys.readouterr().err
    held["commitments"].popitem()
    (out / "fewer.json").write_text(json.dumps(held))
    assert main(["evidence", "verify", str(bundle), "--anchors", str(out / "fewer.json")]) == 1
    assert main(["evidence", "verify", str(bundle), "--anchors", str(out / "nothing.json")]) == 3
    assert main(["evidence", "verify", str(out / "nothing.json")]) == 1


@pytest.mark.parametrize("part", range(24))
def test_a_changed_byte_anywhere_is_refused(played: tuple[Story, Path], part: int) -> None:
    data = sorted((played[1] / "bundles").glob("*.json"))[3].read_bytes()
    at = len(data) * part // 24 + part
    with pytest.raises(NotValid):
        verify(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], None)


RESEALED: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "no set-points": (lambda d, _: d.update(setpoints=[]), "setpoints: the device accepted set-point"),
    "set-points twice": (lambda d, _: d.update(setpoints=d["setpoints"] * 2), "is there twice"),
    "another's set-points": (lambda d, o: d.update(setpoints=o["setpoints"]), "registered in this bundle|is for another device"),
    "another's batches": (lambda d, o: d.update(batches=o["batches"]), "batches.0., statement: its key is not registered"),
    "a decision blanked": (lambda d, _: d["setpoints"][0].update(decision=""), "decision: is missing"),
    "an execution blanked": (lambda d, _: d["setpoints"][0].update(execution=""), "execution: is .*, the evidence gives ''"),
    "one batch": (lambda d, _: d.update(batches=d["batches"][-1:]), "batches: neither statements nor signed gaps cover"),
    "from the beginning": (lambda d, _: d.update(start_ms=0), "batches: neither statements nor signed gaps cover"),
    "statement twice": (lambda d, _: d["documents"].append(d["documents"][1]), "documents: are "),
    "no statement": (lambda d, _: d["documents"].pop(1), "documents: are 2"),
    "another's statement": (lambda d, o: d.update(documents=o["documents"]), "documents.0.: is about another subject"),
    "junk": (lambda d, _: d["batches"][0].update(junk=1), "fields differ: junk"),
    "role": (lambda d, _: d["keys"][0].update(role="issuer"), "role: is issuer with an enrolment"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESEALED)
def test_a_changed_bundle_that_the_operator_seals_again_is_refused(played: tuple[Story, Path], name: str) -> None:
    """The whole table is in tests/backend/evidence/test_resealed.py; here the same on what real devices signed."""
    out = played[1]
    bundles = [read(path.read_text()) for path in sorted((out / "bundles").glob("*.json"))]
    document, other = [b for b in bundles if len(b["setpoints"]) > 1][:2]
    change, reason = RESEALED[name]
    change(document, other)
    key = open_key(out / "work" / "keys" / "log.key")
    body = {k: v for k, v in document.items() if k != "seal"}
    digest = hashlib.sha256(written(body).split("\n")[0].encode()).digest()
    operator, deployment = bytes.fromhex(document["operator"]), bytes.fromhex(document["deployment"])
    seal = envelope.seal(records.Evidence(operator, bytes(16), 4, bytes(16), 1, digest, 0), deployment, key.sign)
    with pytest.raises(NotValid, match=reason):
        verify(written({**body, "seal": seal.hex()}).encode(), from_file(out / "anchors.json"))


def test_the_report_stands_alone(played: tuple[Story, Path]) -> None:
    page = (played[1] / "report.html").read_text()
    assert page.count("<svg") == 2
    assert not any(word in page for word in ("src=", "@import", "url(http", "<link"))
    assert "<script" not in page


def kill_the_broker(config: Path, after_s: float) -> list[int]:
    """SIGKILL for the broker with this configuration once, after_s of wall time after it is first seen; its pid."""
    killed: list[int] = []

    def watch() -> None:
        end = time.monotonic() + 120
        while not killed and time.monotonic() < end:
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    if str(config).encode() in entry.read_bytes().split(b"\0"):
                        time.sleep(after_s)
                        os.kill(int(entry.parent.name), signal.SIGKILL)
                        killed.append(int(entry.parent.name))
                        break
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()
    return killed


@pytest.mark.long
def test_the_same_seed_gives_the_same_hashes_at_another_speed_and_over_a_killed_broker(
    played: tuple[Story, Path], tmp_path: Path
) -> None:
    killed = kill_the_broker(tmp_path / "out" / "work" / "broker" / "mosquitto.conf", 12.0)
    again = play(options(tmp_path / "out", speed=150.0), lambda _what: None, lambda _story: None)
    assert killed and any("broker ended" in event.what for event in again.events)
    assert again.summary["readings_lost"] == 0
    for name in ("outcome_hash", "settlement_hash"):
        assert again.summary[name] == played[0].summary[name]
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
