"""Orders to set-points, and what happens when a POD refuses, fails or says nothing."""

import hashlib
from pathlib import Path

import pytest
from lightwire import decision, envelope, records

from backend.adapters.keys import SigningKey, verifier
from backend.adapters.sqlite import SqliteStore
from backend.flows.activate import Activate
from backend.flows.dispatch import ANSWER_MS, Dispatching, Why
from backend.flows.ledgers import EvidenceTrees
from backend.market.dispatch import Ability, Call

DEPLOYMENT = bytes(range(16))
ISSUER, NODE = (SigningKey(hashlib.sha256(name).digest()) for name in (b"issuer", b"node"))
FRAME = 1_996_000
SENT_MS = FRAME * 900_000 - 120_000
DEVICES = {f"P{k}": bytes([k]) * 8 for k in range(1, 5)}


class Scene:
    """A dispatch and the nodes behind its link."""

    def __init__(self, folder: Path, devices: dict[str, bytes]) -> None:
        self.store = SqliteStore(folder / "scd.sqlite")
        issuer = hashlib.sha256(ISSUER.public).digest()[:8]
        trees = EvidenceTrees(self.store, ISSUER.sign, DEPLOYMENT, issuer)
        self.sent: list[records.SetPoint] = []
        activate = Activate(self.store, trees, self, ISSUER, (DEPLOYMENT, issuer))
        self.flow = Dispatching(self.store, activate, devices.get)

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append(envelope.open_sealed(payload, DEPLOYMENT, verifier(ISSUER.public)))

    def order(self, volume_w: int = 4_000) -> None:
        self.send(Call("o", "DSO", FRAME, "up", volume_w, dict.fromkeys(DEVICES, 1_000)))

    def send(self, *calls: Call) -> None:
        able = {pod: Ability(pod, 20_000, -50_000, 50_000, 10_000, 0) for pod in DEVICES}
        self.flow.send(calls, able, FRAME, SENT_MS)

    def point(self, pod: str) -> records.SetPoint:
        return [point for point in self.sent if point.device == DEVICES[pod]][-1]

    def answer(self, pod: str, outcome: int = records.ACCEPTED, reason: int = decision.NONE) -> None:
        point = self.point(pod)
        made = records.Decision(point.device, 1, 1, 1, point.id, bytes(32), point.command, outcome, reason, SENT_MS)
        assert self.store.answer_setpoint(
            point.id, point.device, "decision", envelope.seal(made, DEPLOYMENT, NODE.sign)
        )

    def fail(self, pod: str) -> None:
        point = self.point(pod)
        made = records.Execution(
            bytes(8), 1, 1, 1, point.device, point.id, bytes(32), records.FAILED, decision.EMS_REFUSED, SENT_MS, 0, 0
        )
        sealed = envelope.seal(made, DEPLOYMENT, NODE.sign)
        assert self.store.answer_setpoint(point.id, point.device, "execution", sealed)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, DEVICES)


def test_rule_1_one_set_point_per_pod_with_its_part(scene: Scene) -> None:
    scene.order()
    assert [(p.device, p.value) for p in scene.sent] == [(device, 19_000) for device in DEVICES.values()]
    assert all(p.not_before_ms == FRAME * 900_000 for p in scene.sent)


def test_rule_1_a_pod_without_a_light_node_is_out_from_the_beginning(tmp_path: Path) -> None:
    scene = Scene(tmp_path, {pod: id for pod, id in DEVICES.items() if pod != "P3"})
    scene.order(3_000)
    assert [p.value for p in scene.sent] == [19_000] * 3
    (outage,) = scene.flow.report(FRAME).outages
    assert (outage.pod, outage.why, outage.lost_w) == ("P3", Why.NO_NODE, 750)


def test_rule_2_nothing_changes_while_everybody_answers(scene: Scene) -> None:
    scene.order()
    for pod in DEVICES:
        scene.answer(pod)
    assert scene.flow.review(SENT_MS + 10 * ANSWER_MS) == [] and len(scene.sent) == 4


def test_rule_2_a_refusal_is_replaced_at_once_with_its_reason(scene: Scene) -> None:
    scene.order()
    for pod in ("P1", "P3", "P4"):
        scene.answer(pod)
    scene.answer("P2", records.REFUSED, decision.EMERGENCY_STOP)
    (report,) = scene.flow.review(SENT_MS + 1)
    (outage,) = report.outages
    assert (outage.pod, outage.why, outage.detail, outage.lost_w) == ("P2", Why.REFUSED, "emergency stop", 1_000)
    assert report.dispatched.parts[0].parts_w == {"P1": 1_334, "P3": 1_333, "P4": 1_333}
    assert [scene.point(pod).value for pod in ("P1", "P3", "P4")] == [18_666, 18_667, 18_667]
    assert scene.point("P1").command == 2, "it supersedes"


def test_rule_2_an_energy_manager_that_fails_is_out(scene: Scene) -> None:
    scene.order()
    for pod in DEVICES:
        scene.answer(pod)
    scene.fail("P4")
    (report,) = scene.flow.review(SENT_MS + 1)
    assert [(o.pod, o.why) for o in report.outages] == [("P4", Why.FAILED)]


def test_rule_2_silence_is_a_refusal_only_after_its_time(scene: Scene) -> None:
    scene.order()
    for pod in ("P1", "P2", "P3"):
        scene.answer(pod)
    assert scene.flow.review(SENT_MS + ANSWER_MS - 1) == []
    (report,) = scene.flow.review(SENT_MS + ANSWER_MS)
    assert [(o.pod, o.why) for o in report.outages] == [("P4", Why.SILENT)]


def test_rule_3_who_was_silent_is_sent_back_to_its_baseline_and_asked_no_more(scene: Scene) -> None:
    scene.order()
    for pod in ("P1", "P2", "P3"):
        scene.answer(pod)
    scene.flow.review(SENT_MS + ANSWER_MS)
    assert (scene.point("P4").value, scene.point("P4").command) == (20_000, 2)
    for pod in ("P1", "P2", "P3"):
        scene.answer(pod)
    assert scene.flow.review(SENT_MS + 3 * ANSWER_MS) == []


def test_rule_3_when_a_replacement_fails_too_the_rest_serves_and_then_the_shortfall_is_named(scene: Scene) -> None:
    scene.order(20_000)
    scene.answer("P1")
    for pod in ("P2", "P3"):
        scene.answer(pod, records.REFUSED, decision.LOCAL_SWITCH)
    (first,) = scene.flow.review(SENT_MS + 1)
    assert first.dispatched.parts[0].parts_w == {"P1": 10_000, "P4": 10_000} and not first.dispatched.parts[0].short_w
    scene.answer("P1")
    (second,) = scene.flow.review(SENT_MS + 1 + ANSWER_MS)
    assert second.dispatched.parts[0].short_w == 10_000 and [o.pod for o in second.outages] == ["P2", "P3", "P4"]


def test_rule_4_after_the_quarter_hour_nothing_is_sent(scene: Scene) -> None:
    scene.order()
    assert scene.flow.review((FRAME + 1) * 900_000) == [] and len(scene.sent) == 4


def test_rule_6_the_operator_sees_it_among_the_findings(scene: Scene) -> None:
    scene.order()
    scene.flow.review(SENT_MS + ANSWER_MS)
    assert any("P1: no answer in time; 1000 W" in what for _, what in scene.store.findings())
    document = scene.flow.report(FRAME).as_json()
    assert document["orders"][0]["short_w"] == 4_000  # type: ignore[index]


def test_rule_5_a_superseded_order_changes_only_the_plans_that_differ_with_higher_commands(scene: Scene) -> None:
    scene.order()
    new = Call("n", "DSO", FRAME, "up", 3_000, {"P1": 1_000, "P2": 2_000})
    scene.send(new)
    values = {pod: (scene.point(pod).value, scene.point(pod).command) for pod in DEVICES}
    assert values == {"P1": (19_000, 2), "P2": (18_000, 2), "P3": (20_000, 2), "P4": (20_000, 2)}
    assert len({point.id for point in scene.sent}) == len(scene.sent) == 8
    scene.send(new)
    assert len(scene.sent) == 8, "nothing is sent that says the same"
    scene.send()
    assert [(scene.point(pod).value, scene.point(pod).command) for pod in ("P1", "P2")] == [(20_000, 3), (20_000, 3)]
    assert len(scene.sent) == 10


def test_rule_5_the_same_order_with_another_volume_goes_out_again_and_back(scene: Scene) -> None:
    for volume_w in (4_000, 2_000, 4_000):
        scene.order(volume_w)
    assert [(p.value, p.command) for p in scene.sent if p.device == DEVICES["P1"]] == [
        (19_000, 1), (19_500, 2), (19_000, 3),
    ]  # fmt: skip
    assert len({point.id for point in scene.sent}) == 12


def test_rule_5_who_is_out_stays_out(scene: Scene) -> None:
    scene.order()
    for pod in ("P1", "P3", "P4"):
        scene.answer(pod)
    scene.answer("P2", records.REFUSED, decision.LOCAL_SWITCH)
    scene.flow.review(SENT_MS + 1)
    scene.order(3_000)
    report = scene.flow.report(FRAME)
    assert report.dispatched.parts[0].parts_w == {"P1": 1_000, "P3": 1_000, "P4": 1_000}
    assert [o.pod for o in report.outages] == ["P2"] and scene.point("P2").command == 2
    assert scene.point("P2").value == 20_000
