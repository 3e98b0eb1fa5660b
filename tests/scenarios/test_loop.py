"""The loop is physical: an order moves the meter through node, agent and DER; without the agent nothing moves, nothing is paid."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.adapters.settled_meter import SettledMeter
from backend.domain.trade import Order
from backend.flows.activate import Target
from backend.market.settled import settled
from backend.market.settled_terms import SettlementTerms
from hil.bench import Bench
from tests.backend.market.settlement_case import case_of

POD = "IT001E00000007"
FRAME = 1_796_040_000_000 // 900_000
START_MS = FRAME * 900_000 - 20 * 4000
BASE_W, ORDERED_W = 50_000, 30_000
TERMS = SettlementTerms((), {"Aggregator A": 100_000})


@pytest.fixture
def bench(tmp_path: Path, mosquitto: list[str], micropython: object) -> Iterator[Bench]:
    with Bench(tmp_path, pods=[POD], start_ms=START_MS, with_agents=True) as made:
        made.warm_up()
        yield made


def run_frame(bench: Bench, frame: int) -> None:
    """Sends the order for a quarter-hour and lives through it."""
    bench.backend.activate.dispatch([Target(POD, bench.nodes[POD].device, frame, BASE_W - ORDERED_W, f"order {frame}")])
    bench.until(lambda _nodes: not bench.backend.activate.outstanding())
    while bench.conductor.now_ms < (frame + 1) * 900_000:
        bench.tick()


def paid_ws(bench: Bench, frame: int) -> int:
    bench.drain()
    order = Order("o", "A-1", "r", "DSO", frame, {POD: ORDERED_W}, "up", 100_000_000)
    case = case_of([order], {"A-1": "Aggregator A"}, {(POD, frame): BASE_W}, {}, TERMS)
    (line,) = settled(replace(case, measured=(SettledMeter(bench.backend.store).measured(POD, frame),))).lines
    return line.paid_ws


def test_an_order_moves_the_meter_and_without_the_agent_nothing_moves_and_nothing_is_paid(bench: Bench) -> None:
    run_frame(bench, FRAME)
    with_agent = paid_ws(bench, FRAME)
    assert with_agent >= ORDERED_W * 900 * 97 // 100
    assert bench.agent_facts[POD]["applied"] == 1
    bench.stop_agent(POD)
    bench.release_der(POD)
    while (bench.conductor.now_ms + 4000) % 900_000:
        bench.tick()
    following = bench.conductor.now_ms // 900_000 + 1
    run_frame(bench, following)
    row = next(r for r in bench.backend.store.setpoints() if not r.execution)
    assert row.decision, "the light node accepts, but nobody carries it to the DER"
    truth = bench.truth(POD)
    means = [truth[following * 900_000 + 4000 * k] for k in range(225)]
    assert abs(sum(means) // 225 - BASE_W) <= 1
    assert paid_ws(bench, following) == 0


def test_a_forged_set_point_is_refused_and_moves_nothing(bench: Bench) -> None:
    import coincurve
    from lightwire import envelope, records

    device = bench.nodes[POD].device
    point = records.SetPoint(
        id=bytes(16), device=device, issuer=bench.identity.issuer, role=1, command=99, not_before_ms=START_MS,
        not_after_ms=START_MS + 900_000, resource=0, control=1, value=-40_000, ramp_w_per_s=0, fallback=2,
        fallback_value=0, reason=0, order=bytes(16), nonce=bytes(16), salt=bytes(16),
    )  # fmt: skip
    thief = coincurve.PrivateKey()
    sealed = envelope.seal(point, bench.identity.deployment, lambda d: thief.sign_recoverable(d, hasher=None)[:64])
    bench.inject(device, "setpoint", sealed)
    facts = bench.until(lambda nodes: nodes[POD]["refused"] == 1)
    assert facts[POD]["setpoint"] == ""
    assert bench.agent_facts[POD]["held"] == []
    assert all(abs(w - BASE_W) < 2000 for w in bench.truth(POD).values())


def test_a_killed_broker_is_started_again_and_nothing_is_lost(bench: Bench) -> None:
    for _ in range(20):
        bench.tick()
    bench.broker.kill()
    for _ in range(20):
        bench.tick()
    bench.broker.start()
    bench.until(lambda nodes: bool(nodes[POD]["connected"]), ticks=200)
    bench.drain()
    store = bench.backend.store
    produced = {line["seq"] for line in bench.produced(POD)}
    kept = {m.seq for m in store.of_kind(bench.nodes[POD].device, 1)}
    assert len(produced) >= 40 and produced <= kept
    assert bench.backend.collect.refused == 0
