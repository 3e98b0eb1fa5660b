"""From a signed order to a changed meter register: does the DER move when it must, and only then?"""

from typing import TYPE_CHECKING

import pytest
from lightwire import decision, records

from tests.edge_agent.parts import FRAME_MS, SLOT_MS, STRANGER, T0, set_point

if TYPE_CHECKING:
    from tests.edge_agent.conftest import Edge

LOAD_W = 30_000
NEAR_W = 2_500
NEXT = {"not_before_ms": T0 + FRAME_MS, "not_after_ms": T0 + 2 * FRAME_MS}


def test_an_order_moves_the_der_and_the_meter_and_expiry_gives_it_back(edge: "Edge") -> None:
    edge.order(set_point(1))
    before = edge.tick_to(T0 - SLOT_MS)
    assert before["commanded_w"] is None and before["meter_w"] == pytest.approx(LOAD_W, abs=NEAR_W)
    assert before["held"] == [set_point(1).id.hex()]
    inside = edge.tick_to(T0 + 20 * SLOT_MS)
    assert inside["meter_w"] == pytest.approx(10_000, abs=NEAR_W) and inside["applied"] == 1
    after = edge.tick_to(T0 + FRAME_MS)
    assert after["commanded_w"] is None and after["meter_w"] == pytest.approx(36_000, abs=NEAR_W)
    assert edge.answers(2) == [(records.APPLIED, 0), (records.EXPIRED, 0)]
    assert edge.executions[0].readback_w == edge.executions[0].commanded_w == pytest.approx(-20_000, abs=NEAR_W)
    assert [e.time_ms for e in edge.executions] == [T0, T0 + FRAME_MS]


def test_a_quarter_hour_of_readings_averages_to_the_target(edge: "Edge") -> None:
    edge.order(set_point(1))
    edge.tick_to(T0 - SLOT_MS)
    powers = [edge.tick()["meter_w"] for _ in range(225)]
    assert sum(powers) / 225 == pytest.approx(10_000, abs=60)


def test_forged_orders_move_nothing_and_the_reason_is_logged(edge: "Edge") -> None:
    edge.order(set_point(1), issuer=STRANGER)
    edge.order(set_point(2), node=STRANGER)
    edge.order(set_point(3, value=10**6))
    edge.order(set_point(4, issuer=b"nobody!!"))
    inside = edge.tick_to(T0 + 3 * SLOT_MS)
    assert inside["refused"] == 4 and inside["held"] == [] and inside["commanded_w"] is None
    assert inside["meter_w"] == pytest.approx(LOAD_W, abs=NEAR_W)
    assert [e["reason"] for e in edge.events("refused")] == [
        "bad signature (set-point)",
        "bad signature (decision)",
        "not accepted by the node (beyond the limits of the point)",
        f"unknown issuer ({b'nobody!!'.hex()})",
    ]
    assert edge.executions == []


def test_without_an_agent_nothing_moves_and_a_der_left_alone_reverts_at_the_end_of_the_window(edge: "Edge") -> None:
    edge.order(set_point(1))
    edge.order(set_point(2, value=20_000, **NEXT))
    assert edge.tick_to(T0 + 2 * SLOT_MS)["meter_w"] == pytest.approx(10_000, abs=NEAR_W)
    edge.stop_agent()
    assert edge.tick_to(T0 + FRAME_MS - SLOT_MS)["meter_w"] == pytest.approx(10_000, abs=2 * NEAR_W)
    assert edge.tick_to(T0 + FRAME_MS)["meter_w"] == pytest.approx(36_000, abs=NEAR_W), "the DER's own timer"
    edge.agent = edge.start_agent()
    assert edge.tick(3)["meter_w"] == pytest.approx(20_000, abs=NEAR_W), "what is still valid resumes"


def test_an_order_sent_while_the_agent_is_away_waits_for_it(edge: "Edge") -> None:
    edge.stop_agent()
    edge.order(set_point(1), wait=False)
    edge.agent = edge.start_agent()
    while not edge.events("held"):
        edge.conductor.wait_for(["nobody"], 0.01)
    assert edge.tick_to(T0 + 3 * SLOT_MS)["meter_w"] == pytest.approx(10_000, abs=NEAR_W)


def test_a_lost_link_changes_nothing_until_expiry_and_the_answers_arrive_later(edge: "Edge") -> None:
    edge.order(set_point(1, fallback=records.FALLBACK_VALUE, fallback_value=25_000))
    edge.tick_to(T0 - SLOT_MS)
    edge.broker.stop()
    assert edge.tick_to(T0 + 5 * SLOT_MS)["meter_w"] == pytest.approx(10_000, abs=NEAR_W)
    assert edge.tick_to(T0 + FRAME_MS + 5 * SLOT_MS)["meter_w"] == pytest.approx(25_000, abs=NEAR_W)
    edge.broker.start()
    assert edge.answers(2) == [(records.APPLIED, 0), (records.EXPIRED, 0)]


@pytest.mark.parametrize("edge", [{"fails_from_ms": T0 + 100 * SLOT_MS, "delivers_ppm": 500_000}], indirect=True)
def test_a_der_that_delivers_half_is_seen_at_the_meter_and_nowhere_else(edge: "Edge") -> None:
    edge.order(set_point(1))
    assert edge.tick_to(T0 + 90 * SLOT_MS)["meter_w"] == pytest.approx(10_000, abs=NEAR_W)
    assert edge.tick_to(T0 + 110 * SLOT_MS)["meter_w"] == pytest.approx(20_000, abs=NEAR_W)
    assert edge.answers(1) == [(records.APPLIED, decision.NONE)]


@pytest.mark.parametrize("edge", [{"spans_ms": {"ems_down": [[T0 - SLOT_MS, T0 + 3 * SLOT_MS]]}}], indirect=True)
def test_an_energy_manager_that_is_down_is_reported_once_and_obeys_when_it_is_back(edge: "Edge") -> None:
    edge.order(set_point(1))
    down = edge.tick_to(T0 + 2 * SLOT_MS)
    assert down["commanded_w"] is None and down["meter_w"] == pytest.approx(LOAD_W, abs=NEAR_W)
    back = edge.tick_to(T0 + 6 * SLOT_MS)
    assert back["meter_w"] == pytest.approx(10_000, abs=NEAR_W)
    assert edge.answers(2) == [(records.FAILED, decision.EMS_UNREACHABLE), (records.APPLIED, decision.NONE)]
