"""A dispatch whose back end is stopped anywhere goes on: an order served once, no set-point twice, replacements kept."""

import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lightwire import decision, envelope, records

from backend.flows.dispatch import ANSWER_MS, Report
from backend.market.dispatch import Ability, Call, dispatch, replaced
from backend.market.served import Outage, Serving, Why, serving_of, text_of
from tests.backend.flows.test_dispatch import DEPLOYMENT, DEVICES, FRAME, SENT_MS, Scene

LATER_MS = SENT_MS + 5_000


def day(scene: Scene) -> Report:
    """One order; P2 refuses, P1 accepts what it is sent, P3 and P4 say nothing: every step may be done again."""
    scene.order()
    answer(scene, "P2", records.REFUSED, decision.LOCAL_SWITCH)
    answer(scene, "P1")
    scene.flow.review(SENT_MS + 1)
    answer(scene, "P1")
    scene.flow.review(LATER_MS + ANSWER_MS)
    answer(scene, "P1")
    scene.flow.review(LATER_MS + ANSWER_MS + 1)
    return scene.flow.report(FRAME)


def answer(scene: Scene, pod: str, outcome: int = records.ACCEPTED, reason: int = decision.NONE) -> None:
    """A node's answer to the last set-point that it was sent; a node that has answered says the same again."""
    mine = [point for point in points(scene) if point.device == DEVICES[pod]]
    point = max(mine, key=lambda one: one.command)
    made = records.Decision(point.device, 1, 1, 1, point.id, bytes(32), point.command, outcome, reason, SENT_MS)
    if not scene.store.answers(point.id)[0]:
        sealed = envelope.seal(made, DEPLOYMENT, lambda digest: bytes(64))
        assert scene.store.answer_setpoint(point.id, point.device, "decision", sealed)


def points(scene: Scene) -> list[Any]:
    return [envelope.peek(row.sealed) for row in scene.store.setpoints()]


def standing(scene: Scene) -> dict[str, int]:
    """W of the highest command of each POD."""
    last = sorted((point.command, point.value, point.device) for point in points(scene))
    return {pod: [value for _, value, device in last if device == DEVICES[pod]][-1] for pod in DEVICES}


def killed_after(folder: Path, writes: int, sends: int) -> None:
    """The day in a process that is gone at the write after these, or before the set-point after these is sent."""
    scene = Scene(folder, DEVICES)
    left, sent, change = iter(range(writes)), iter(range(sends)), scene.store._do

    def counted(sql: str, *values: object) -> int:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(sql, *values)

    def publish(topic: str, payload: bytes) -> None:
        if next(sent, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    scene.store._do = counted  # type: ignore[method-assign]
    scene.publish = publish  # type: ignore[method-assign]
    day(scene)


def test_rule_7_a_kill_at_any_write_or_set_point_ends_in_the_same_report_and_the_same_set_points(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    (tmp_path / "whole").mkdir()
    whole = Scene(tmp_path / "whole", DEVICES)
    report, stands = day(whole), standing(whole)
    assert [o.pod for o in report.outages] == ["P2", "P3", "P4"] and len(points(whole)) == 11
    codes, step = Counter[Any](), 1 if pytestconfig.getoption("--long") else 3
    for writes, sends in [*((k, 999) for k in range(0, 80, step)), *((999, k) for k in range(12))]:
        folder = tmp_path / f"killed-{writes}-{sends}"
        folder.mkdir()
        process = multiprocessing.get_context("fork").Process(target=killed_after, args=(folder, writes, sends))
        process.start()
        process.join()
        codes[process.exitcode] += 1
        after = Scene(folder, DEVICES)
        again = day(after)
        where = f"killed after {writes} writes, {sends} set-points"
        assert again.dispatched == report.dispatched, where
        assert [(o.pod, o.why, o.lost_w) for o in again.outages] == [
            (o.pod, o.why, o.lost_w) for o in report.outages
        ], where
        assert standing(after) == stands, where
        commands = Counter((point.device, point.command) for point in points(after))
        assert len(points(after)) == 11 and set(commands.values()) == {1}, where
    assert codes[-signal.SIGKILL] > 20 and codes[0] > 0


def restarted(folder: Path) -> Scene:
    return Scene(folder, DEVICES)


def test_rule_7_what_nobody_answered_goes_out_once_more_as_it_was_and_its_time_begins_anew(tmp_path: Path) -> None:
    before = Scene(tmp_path, DEVICES)
    before.order()
    for pod in ("P1", "P2"):
        before.answer(pod)
    after, start_ms = restarted(tmp_path), SENT_MS + 2 * ANSWER_MS
    assert after.flow.review(start_ms) == []
    assert {point.id for point in after.sent} == {before.point(pod).id for pod in ("P3", "P4")}
    assert after.flow.review(start_ms + ANSWER_MS - 1) == [] and len(after.sent) == 2
    (report,) = after.flow.review(start_ms + ANSWER_MS)
    assert [(o.pod, o.why) for o in report.outages] == [("P3", Why.SILENT), ("P4", Why.SILENT)]


def test_rule_7_the_same_orders_after_a_restart_send_nothing_and_nobody_who_is_out_is_asked(tmp_path: Path) -> None:
    before = Scene(tmp_path, DEVICES)
    before.order()
    for pod in DEVICES:
        before.answer(pod, *((records.REFUSED, decision.LOCAL_SWITCH) if pod == "P2" else (records.ACCEPTED,)))
    before.flow.review(SENT_MS + 1)
    for pod in ("P1", "P3", "P4"):
        before.answer(pod)
    after = restarted(tmp_path)
    after.order()
    assert [point.device for point in after.sent] == [DEVICES["P2"]], (
        "its way back to the baseline, which nobody answered"
    )
    after.order(3_000)
    assert after.flow.report(FRAME).dispatched.parts[0].parts_w == {"P1": 1_000, "P3": 1_000, "P4": 1_000}
    assert after.point("P1").command == 3


def test_rule_7_a_quarter_hour_that_is_over_is_not_sent_again_and_is_forgotten_for_good(tmp_path: Path) -> None:
    Scene(tmp_path, DEVICES).order()
    after = restarted(tmp_path)
    assert after.flow.review((FRAME + 1) * 900_000) == [] and after.sent == []
    assert after.flow.report(FRAME).dispatched.parts[0].short_w == 0
    after.flow.forget(FRAME + 1)
    with pytest.raises(KeyError):
        restarted(tmp_path).flow.report(FRAME)


def test_rule_7_a_customer_that_another_process_erases_is_named_no_more(tmp_path: Path) -> None:
    running = Scene(tmp_path, DEVICES)
    running.order()
    restarted(tmp_path).store.erase("P3", [DEVICES["P3"]])
    for pod in ("P1", "P2"):
        running.answer(pod)
    running.flow.review(SENT_MS + ANSWER_MS)
    kept = sqlite3.connect(tmp_path / "scd.sqlite").execute("select body from dispatch").fetchone()[0]
    assert '"P3"' not in kept and '"P4"' in kept
    assert sum(running.flow.report(FRAME).dispatched.parts[0].parts_w.values()) == 4_000


def test_rule_1_of_the_text_everything_comes_back() -> None:
    able = {pod: Ability(pod, 20_000, -50_000, 50_000, 10_000, 0) for pod in DEVICES}
    calls = [
        Call("é", "DSO", FRAME, "up", 4_001, dict.fromkeys(DEVICES, 3)),
        Call("n", "TSO", FRAME, "up", 7, {"P1": 1}),
    ]
    outage = Outage("P2", Why.REFUSED, "local switch", 1_000, SENT_MS)
    made = replaced(dispatch(calls, able, FRAME), able, ["P2"])
    serving = Serving(able, made, {"P1": (bytes(range(16)), SENT_MS)}, {"P1": 3}, [outage])
    assert serving_of(text_of(serving)) == serving
