"""An energy manager that is the client reads the order on the light node and answers: its word reaches the customer's bundle.

Every part is real: back end, broker, firmware in the VM, meter on a pseudo terminal, Modbus client.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from lightwire import decision, envelope, records, topics

from backend.adapters.settled_meter import SettledMeter
from backend.domain.bids import Direction, Offer
from backend.domain.trade import Award, Fate, Order, Outcome, Reason, Result
from backend.evidence.verifier.anchors import Anchors, from_file
from backend.evidence.verifier.bundle import verify
from backend.flows.activate import Target
from backend.market.activation import plans
from backend.market.canonical import text
from backend.market.settled import settled
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from backend.market.statement import orders_document, outcome_document
from hil.bench import Bench
from hil.broker import Broker, client_context
from hil.demo.results import statement
from hil.ems import APPLIED, FALLBACK, IN_FORCE, NONE, STALE, EnergyManager, over_tcp, tables
from hil.pki import Pki
from tests.backend.market.settlement_case import case_of

POD = "IT001E00000009"
FRAME = 1_796_040_000_000 // 900_000
START_MS = FRAME * 900_000 - 20 * 4000
BASE_W, ORDERED_W = 50_000, 30_000
TERMS = SettlementTerms((PenaltyTable((PenaltyStep(50_000, 500_000),)),), {"Aggregator A": 100_000})
ORDER = Order("11" * 16, "A-1", "R-1", "DSO", FRAME, {POD: ORDERED_W}, "up", 100_000_000)
PERIOD = (FRAME * 900_000, (FRAME + 1) * 900_000)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def stand(bench: Callable[..., Bench], port: int) -> Bench:
    settings = {POD: {"ems": {"listen": f"127.0.0.1:{port}", "silent_s": 60}}}
    return bench(pods=[POD], start_ms=START_MS, node_settings=settings)


class TopicEms:
    """An EMS on the local broker: what it heard, and what it says."""

    def __init__(self, broker: Broker, pki: Pki, device: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.retained = 0
        identity = pki.client("ems")
        self._root = f"lightnode/{device}"
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.tls_set_context(client_context(pki, identity.cert_pem, identity.key_pem))
        self._client.on_message = self._take
        self._client.connect("localhost", broker.port)
        self._client.subscribe(f"{self._root}/setpoint", qos=1)
        self._client.loop_start()

    def _take(self, _client: object, _user: object, message: mqtt.MQTTMessage) -> None:
        self.retained += message.retain
        self.heard.append(json.loads(message.payload))

    def say(self, payload: bytes) -> None:
        self._client.publish(f"{self._root}/ems", payload, qos=1).wait_for_publish(5)

    def until(self, true_of: Callable[[dict[str, Any]], bool], within_s: float) -> dict[str, Any]:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self.heard and true_of(self.heard[-1]):
                return self.heard[-1]
            time.sleep(0.02)
        raise AssertionError(f"not heard within {within_s} s: {self.heard[-1:]}")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def reports(bench: Bench) -> list[records.EmsReport]:
    kept = bench.backend.store.of_kind(bench.nodes[POD].device, records.EMS_REPORT)
    return [envelope.peek(one.sealed) for one in kept]


def order(bench: Bench) -> bytes:
    """The order of the quarter-hour, accepted; the set-point's id."""
    (plan,) = plans([ORDER], {POD: BASE_W}, FRAME)
    target = Target(POD, bench.nodes[POD].device, FRAME, plan.target_w, "/".join(plan.orders))
    (id,) = bench.backend.activate.dispatch([target])
    bench.until(lambda _nodes: not bench.backend.activate.outstanding())
    return id


def tick_to(bench: Bench, utc_ms: int, ems: EnergyManager) -> None:
    while bench.conductor.now_ms < utc_ms:
        bench.tick()
        ems.follow()


def file_market(bench: Bench) -> None:
    """The outcome that awarded the offer, and the order on it."""
    offer = Offer(
        "A-1", "Aggregator A", Direction.UP, {FRAME: ORDERED_W}, {POD: ORDERED_W}, ORDER.price_ueur_per_mwh, 0
    )
    award = Award("A-1", ORDER.request, FRAME, ORDERED_W, {POD: ORDERED_W})
    result = Result("A-1", Fate.ACCEPTED, Reason.TAKEN, ORDERED_W, ORDERED_W)
    papers = {
        "orders": orders_document(POD, [ORDER], {"A-1": "Aggregator A"}, TERMS),
        "outcome": outcome_document(POD, [(Outcome("day-ahead", (award,), (result,), {}), [offer])]),
    }
    for kind, body in papers.items():
        bench.backend.trees.add_document(records.TREE_MARKET, kind, POD, 1, text(body), bench.conductor.now_ms)


def settle(bench: Bench) -> None:
    case = case_of([ORDER], {"A-1": "Aggregator A"}, {(POD, FRAME): BASE_W}, {}, TERMS)
    paid = settled(replace(case, measured=(SettledMeter(bench.backend.store).measured(POD, FRAME),))).lines
    body = statement(bench.backend.store, POD, PERIOD, paid, TERMS)
    trees = bench.backend.trees
    trees.add_document(records.TREE_SETTLEMENT, "statement", POD, 1, body, bench.conductor.now_ms)


def chain_of(bench: Bench, folder: Path) -> Anchors:
    path = folder / "anchors.json"
    path.write_text(json.dumps(bench.backend.anchors()))
    return from_file(path)


@pytest.mark.timeout(400)
def test_an_order_reaches_the_ems_and_its_answer_the_customers_bundle(stand: Bench, port: int, tmp_path: Path) -> None:
    ems = over_tcp("127.0.0.1", port)
    ems.free_w = BASE_W
    assert ems.follow()["state"] == NONE
    file_market(stand)
    id = order(stand)
    assert ems.follow()["id"] == id and ems.said["state"] == NONE, "it is shown before it begins, and commands nothing"
    tick_to(stand, PERIOD[0], ems)
    began = time.monotonic()
    while ems.follow()["state"] != IN_FORCE:
        assert time.monotonic() - began < 2
    assert (ems.said["state"], ems.said["commanded_w"]) == (APPLIED, BASE_W - ORDERED_W)
    tick_to(stand, PERIOD[1], ems)
    seen = ems.follow()
    assert (seen["state"], seen["id"], seen["target_w"]) == (FALLBACK, id, None)
    for _ in range(3):
        time.sleep(0.3)  # the node looks at what was written five times a second of real time
        stand.tick()
    stand.drain()
    said = reports(stand)
    assert {r.setpoint for r in said} == {id} and {r.flags for r in said} == {0}
    assert said[0].state == records.APPLIED and said[-1].state == records.EXPIRED
    assert {r.commanded_w for r in said if r.state == records.APPLIED} == {BASE_W - ORDERED_W}
    assert 2 <= len(said) <= 17
    (row,) = [one for one in stand.backend.store.setpoints() if one.id == id]
    assert envelope.peek(row.execution) == said[0], "the shared database has the EMS's word, as the node signed it"
    assert stand.facts[POD]["missed"] == stand.facts[POD]["alarms"] == 0
    settle(stand)
    for _ in range(4):
        stand.tick()
    stand.close_epoch()
    epoch = stand.conductor.now_ms // 900_000
    bundle = stand.backend.bundle(POD, PERIOD, epoch, stand.conductor.now_ms)
    assert verify(bundle.encode(), chain_of(stand, tmp_path)).anchored
    first, *batches = [json.loads(line) for line in bundle.splitlines()]
    messages = [bytes.fromhex(s) for b in batches for s in b["records"]]
    inside = [m for m in map(envelope.peek, messages) if isinstance(m, records.EmsReport)]
    assert [r for r in inside if r.state == records.APPLIED], "the EMS's word is in the verified bundle"
    (answered,) = first["setpoints"]
    assert envelope.peek(bytes.fromhex(answered["execution"])) == said[0]
    ems.close()


@pytest.mark.long
def test_a_silent_ems_is_an_alarm_at_the_node_and_a_record_in_the_store(stand: Bench, port: int) -> None:
    ems = over_tcp("127.0.0.1", port)
    ems.follow()
    for _ in range(18):
        stand.tick()
    stand.until(lambda nodes: nodes[POD]["alarms"] == 1)
    ems.follow()
    stand.drain()
    assert [(r.state, r.reason) for r in reports(stand)] == [(records.FAILED, decision.EMS_UNREACHABLE)]
    ems.close()


@pytest.mark.timeout(400)
@pytest.mark.long
def test_without_a_link_and_over_a_restart_the_window_ends_when_it_should(stand: Bench, port: int) -> None:
    ems = over_tcp("127.0.0.1", port)
    id = order(stand)
    tick_to(stand, PERIOD[0] + 40_000, ems)
    assert ems.read()["state"] == IN_FORCE
    ems.close()
    stand.broker.kill()
    stand.kill_node(POD)
    stand.start_node(POD)
    stand.tick()
    ems = over_tcp("127.0.0.1", port)
    seen = ems.read()
    assert (seen["state"], seen["clock"], seen["utc_ms"], seen["id"]) == (STALE, 0, None, None)
    assert seen["target_w"] is seen["max_withdrawal_w"] is seen["max_injection_w"] is None
    stand.broker.start()
    stand.until(lambda nodes: bool(nodes and nodes[POD]["trusted"]), ticks=100)
    assert stand.conductor.now_ms < PERIOD[1] - 40_000
    seen = ems.follow()
    assert (seen["state"], seen["id"], seen["target_w"]) == (IN_FORCE, id, BASE_W - ORDERED_W)
    stand.broker.kill()
    tick_to(stand, PERIOD[1] - 4000, ems)
    assert ems.read()["ends_in_s"] == 4
    stand.tick()
    assert (ems.read()["state"], ems.read()["ends_in_s"]) == (FALLBACK, 0)
    ems.close()


@contextmanager
def flooded(port: int) -> Iterator[list[int]]:
    """Three senders that never stop: requests, no frames, half frames. Bytes that each has got rid of."""
    stop = threading.Event()
    sent = [0] * 3

    def flood(k: int, payload: bytes) -> None:
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=0.5) as line:
                    line.settimeout(0.2)
                    for _ in range(200):
                        sent[k] += line.send(payload)
                        if stop.is_set():
                            return
            except OSError:
                continue

    request = bytes.fromhex("0001 0000 0006 01 03 0000 002d")
    payloads = (request * 50, b"\xff" * 500, request[:9])
    threads = [threading.Thread(target=flood, args=(k, payload)) for k, payload in enumerate(payloads)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.long
def test_a_flooded_ems_port_costs_no_slot(stand: Bench, port: int) -> None:
    with flooded(port) as sent:
        first = stand.conductor.now_ms + 4000
        for _ in range(40):
            stand.tick()
    stand.drain()
    kept = stand.backend.store.readings(stand.nodes[POD].device, first, first + 40 * 4000)
    assert len(kept) == 40 and stand.facts[POD]["missed"] == 0 and stand.facts[POD]["restarts"] == 0
    assert sum(sent) > 10_000


def test_the_local_topic_offers_the_order_and_takes_the_answer(bench: Callable[..., Bench], port: int) -> None:
    stand = bench(pods=[POD], start_ms=START_MS, node_settings={POD: {"ems": {"broker": f"localhost:{port}"}}})
    node = stand.nodes[POD]
    device = node.device.hex()
    topics_ = [f"lightnode/{device}/setpoint"], [f"lightnode/{device}/ems"]
    local = Broker(stand.folder / "local", stand.pki, port)
    local.admit(topics.station(node.device), reads=topics_[1], writes=topics_[0])
    local.admit("ems", reads=topics_[0], writes=topics_[1])
    with local:
        ems = TopicEms(local, stand.pki, device)
        first = ems.until(lambda said: said["state"] == NONE, 60)
        assert set(first) == {register.name for register in tables()[0]} and first["device"] == device
        id = order(stand)
        said = ems.until(lambda said: said["id"] == id.hex(), 5)
        assert (said["command"], said["value"], said["target_w"]) == (1, BASE_W - ORDERED_W, None)
        while stand.conductor.now_ms < PERIOD[0]:
            stand.tick()
        said = ems.until(lambda said: said["state"] == IN_FORCE, 5)
        assert said["target_w"] == BASE_W - ORDERED_W
        answer = {
            "heartbeat": 1, "state": APPLIED, "reason": 0, "command": said["command"], "commanded_w": said["target_w"],
            "measured_w": 20_100, "measured_var": None, "charge_permille": 400, "local_switch": 0, "emergency_stop": 0,
        }  # fmt: skip
        for hostile in (b"", b"[" * 10_000, b"{}", json.dumps(answer | {"state": 9}).encode(), b"\xff" * 60_000):
            ems.say(hostile)
        ems.say(json.dumps(answer).encode())
        stand.until(lambda _nodes: bool(reports(stand)))
        (report,) = reports(stand)
        assert (report.setpoint, report.state, report.commanded_w, report.measured_w) == (
            id, records.APPLIED, BASE_W - ORDERED_W, 20_100
        )  # fmt: skip
        assert (report.measured_var, report.charge_permille) == (records.POWER_UNKNOWN, 400)
        heard = len(ems.heard)
        ems.until(lambda _said: len(ems.heard) > heard, 15)
        again = TopicEms(local, stand.pki, device)
        again.until(lambda _said: True, 15)
        assert ems.retained == again.retained == 0
        ems.close()
        again.close()
    assert stand.facts[POD]["restarts"] == 0
