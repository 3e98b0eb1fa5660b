"""The loop of readings under every fault, with real parts: nothing lost, nothing twice, nothing believed that is forged."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from lightwire import envelope, records, topics
from lightwire.errors import WireError

from backend.adapters.mqtt import MqttLink
from backend.wiring import Backend
from hil.bench import Bench
from hil.faults import forge
from hil.faults.disk import SmallDisk
from hil.faults.link import Link
from hil.faults.netem import Netem, Weather
from hil.faults.services import (
    ChainSwitch,
    Crashed,
    access_of,
    another_backend,
    crash_before_acknowledgement,
    hang_up,
    kill_backend,
)

POD = "IT001E00000011"
# the ingest thread that ends by a fault is the point of two of the tests
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
START_MS = 1_796_040_000_000 + 8_000  # two slots into a quarter-hour


@pytest.fixture
def bench(tmp_path: Path, mosquitto: list[str], micropython: object) -> Iterator[Bench]:
    with Bench(tmp_path / "bench", pods=[POD], start_ms=START_MS) as made:
        yield made


def again(bench: Bench) -> Backend:
    """Another back end on the store of the one that is gone."""
    kill_backend(bench.backend)
    return another_backend(bench)


def through(bench: Bench, port: int) -> None:
    """The node's way to the broker leads through this port from now on."""
    bench.kill_node(POD)
    node = bench.nodes[POD]
    node.settings["broker"]["port"] = port
    node.save()
    bench.start_node(POD)
    bench.warm_up()


def assert_nothing_lost(bench: Bench) -> set[int]:
    """Everything produced is stored, once, as it was at the meter; the seqs of what was produced."""
    bench.drain()
    produced = {int(line["seq"]): line for line in bench.produced(POD)}
    kept = bench.backend.store.of_kind(bench.nodes[POD].device, records.READING)
    stored = {m.seq: records.decode(envelope.split(m.sealed)[0]) for m in kept}
    assert len(kept) == len(stored)
    assert set(produced) <= set(stored), f"lost: {sorted(set(produced) - set(stored))}"
    assert all(stored[seq].power_w == line["power_w"] for seq, line in produced.items())
    assert bench.backend.collect.refused == 0
    return set(produced)


def test_a_link_cut_at_any_byte_while_draining_loses_nothing(bench: Bench, link: Callable[[int], Link]) -> None:
    made = link(bench.broker.port)
    through(bench, made.port)
    made.cut_after(*range(1, 16_000, 997))
    made.stall()
    made.reset()
    for _ in range(60):
        bench.tick()
    made.resume()
    end = time.monotonic() + 60
    while made.cuts_left and time.monotonic() < end:
        bench.tick()
        time.sleep(0.05)
    assert not made.cuts_left
    assert len(assert_nothing_lost(bench)) >= 60
    assert bench.backend.collect.duplicates > 0, "what was sent again is recognised"


def test_a_stalled_link_moves_no_reading_from_its_slot(bench: Bench, link: Callable[[int], Link]) -> None:
    made = link(bench.broker.port)
    through(bench, made.port)
    first_ms = bench.conductor.now_ms + 4000
    made.stall()
    for _ in range(30):
        bench.tick()
    assert bench.facts[POD]["pending"] >= 30
    made.resume()
    assert_nothing_lost(bench)
    readings = bench.backend.store.readings(bench.nodes[POD].device, first_ms, first_ms + 30 * 4000)
    assert [time_ms for time_ms, *_ in readings] == list(range(first_ms, first_ms + 30 * 4000, 4000))
    truth = bench.truth(POD)
    assert all(truth[time_ms] == power_w for time_ms, power_w, *_ in readings)
    kept = bench.backend.store.of_kind(bench.nodes[POD].device, records.READING)[-30:]
    assert not any(records.decode(envelope.split(m.sealed)[0]).flags & records.LATE for m in kept)


def test_a_cable_that_is_pulled_for_good_and_put_back_loses_nothing(bench: Bench, link: Callable[[int], Link]) -> None:
    made = link(bench.broker.port)
    through(bench, made.port)
    sessions = bench.facts[POD]["sessions"]
    made.stall()
    for _ in range(20):
        bench.tick()
    made.reset()
    made.resume()
    bench.until(lambda nodes: bool(nodes[POD]["connected"] and nodes[POD]["sessions"] > sessions), ticks=100)
    assert_nothing_lost(bench)


def test_packets_lost_doubled_and_turned_lose_no_reading(bench: Bench, netem: Callable[[int, Weather], Netem]) -> None:
    weather = Weather(delay_ms=5, jitter_ms=20, loss=0.03, duplicate=0.05)
    through(bench, netem(bench.broker.port, weather).port)
    for _ in range(40):
        bench.tick()
    assert len(assert_nothing_lost(bench)) >= 40


def test_a_back_end_that_dies_between_commit_and_acknowledgement_stores_nothing_twice(
    bench: Bench,
) -> None:
    bench.warm_up()
    crashed = crash_before_acknowledgement(bench.backend)
    with suppress(Crashed):
        while not crashed.is_set():
            bench.tick()
            time.sleep(0.02)
    backend = again(bench)
    for _ in range(20):
        bench.tick()
    assert_nothing_lost(bench)
    assert backend.collect.duplicates > 0, "the broker sends what was not acknowledged again"


def test_a_full_disk_is_loud_acknowledges_nothing_unstored_and_ends_when_there_is_room(
    tmp_path: Path, mosquitto: list[str], micropython: object, small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(8 << 20)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "scd.sqlite").symlink_to(disk.folder / "scd.sqlite")
    with Bench(tmp_path / "bench", pods=[POD], start_ms=START_MS) as bench:
        bench.warm_up()
        disk.fill()
        with pytest.raises(sqlite3.OperationalError, match="full"):
            for _ in range(400):
                bench.tick()
                time.sleep(0.02)
        facts = bench.facts[POD]
        stored = [seq for _, seq, _ in bench.backend.store.numbers(bench.nodes[POD].device)]
        assert int(facts["seq"]) - int(facts["pending"]) <= max(stored)
        assert stored == list(range(1, len(stored) + 1)), "what is stored has no hole"
        disk.free()
        again(bench)
        for _ in range(20):
            bench.tick()
        assert_nothing_lost(bench)


def test_a_forged_time_is_refused_and_counted_and_the_true_one_is_taken(bench: Bench) -> None:
    bench.warm_up()
    hang_up(bench.backend._link)  # nobody but the forger answers
    bench.kill_node(POD)
    bench.start_node(POD)
    device = bench.nodes[POD].device
    intruder = MqttLink(access_of(bench.broker, bench.pki), "intruder", [topics.topic(device, "ask")])
    intruder.start()

    def asked() -> bytes:
        intruder.done(intruder.incoming(1000, 0))
        for _ in range(20):
            bench.tick()
            if nonces := intruder.incoming(1000, 0.5):
                return nonces[-1].payload
        raise AssertionError("the node asks for no time")

    def answer(sealed: bytes) -> tuple[int, int]:
        intruder.publish(topics.topic(device, "time"), sealed)
        time.sleep(0.3)
        bench.tick()
        return bench.facts[POD]["alarms"], bench.facts[POD]["times_refused"]

    kinds = forge.time_answers(bench.identity, device, bytes(16), 0)
    counted = 0, 0
    for kind in kinds:
        nonce = asked()
        forged = forge.time_answers(bench.identity, device, nonce, bench.conductor.now_ms)[kind]
        now_counted = answer(forged)
        assert sum(now_counted) == sum(counted) + 1, f"{kind} is not counted once: {counted} {now_counted}"
        assert not bench.facts[POD]["trusted"], kind
        counted = now_counted
    assert counted == (len(kinds) - 2, 2)
    true = records.TimeAnswer(bench.identity.operator, device, asked(), bench.conductor.now_ms)
    answer(forge.sealed_by(bench.identity.log_key, true, bench.identity.deployment))
    assert bench.facts[POD]["trusted"]
    intruder.stop()


def reasons(bench: Bench) -> dict[bytes, int]:
    """Reason by digest of the set-point, of every decision the back end holds."""
    kept = bench.backend.store.of_kind(bench.nodes[POD].device, records.DECISION)
    found = [records.decode(envelope.split(m.sealed)[0]) for m in kept]
    return {decision.digest: decision.reason for decision in found}


def test_forged_set_points_of_every_kind_are_refused_with_their_reason(bench: Bench) -> None:
    bench.warm_up()
    device, identity, now_ms = bench.nodes[POD].device, bench.identity, bench.conductor.now_ms
    forged = forge.set_points(identity, device, now_ms, command=7)
    for k, one in enumerate(forged.values(), 1):
        bench.backend._link.publish(topics.topic(device, "setpoint"), one.sealed)
        bench.until(lambda nodes, k=k: nodes[POD]["refused"] == k)
    facts = bench.until(lambda nodes: not nodes[POD]["setpoint"])
    assert facts[POD]["accepted"] == 0
    bench.drain()
    told = reasons(bench)
    for name, one in forged.items():
        with suppress(WireError):
            digest = envelope.payload_digest(envelope.split(one.sealed)[0])
            assert told.get(digest, one.reason) == one.reason, name
    assert set(told.values()) == {one.reason for one in forged.values()} - {forge.decision.MALFORMED}


def test_a_replayed_set_point_is_not_accepted_again(bench: Bench) -> None:
    bench.warm_up()
    device, identity = bench.nodes[POD].device, bench.identity
    good = forge.set_point(identity, device, bench.conductor.now_ms, command=7)
    genuine = forge.sealed_by(identity.issuer_key, good, identity.deployment)
    topic = topics.topic(device, "setpoint")
    bench.backend._link.publish(topic, genuine)
    bench.until(lambda nodes: nodes[POD]["accepted"] == 1)
    seq = bench.facts[POD]["seq"]
    for _ in range(3):
        bench.backend._link.publish(topic, genuine)
    ticks = 5
    for _ in range(ticks):
        time.sleep(0.1)
        bench.tick()
    assert bench.facts[POD]["accepted"] == 1
    assert bench.facts[POD]["seq"] == seq + ticks, "readings only: no decision is made anew"
    older = forge.set_point(identity, device, bench.conductor.now_ms, command=6)
    bench.backend._link.publish(topic, forge.sealed_by(identity.issuer_key, older, identity.deployment))
    bench.until(lambda nodes: nodes[POD]["refused"] == 1)
    bench.drain()
    assert reasons(bench)[envelope.payload_digest(records.encode(older))] == forge.decision.NUMBER_NOT_ABOVE_LAST


def test_a_chain_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.warm_up()
    switch = ChainSwitch(bench.chain.ledger)
    bench.backend.anchoring._ledger = switch
    switch.is_on = False
    bench.close_epoch()
    assert switch.refused > 0
    assert [state for _, _, _, state, _ in bench.backend.store.epochs()] == ["pending"]
    assert any("chain" in what for _, what in bench.backend.store.findings())
    switch.is_on = True
    for _ in range(8):
        bench.chain.advance()
        bench.backend.anchor()
    assert [state for _, _, _, state, _ in bench.backend.store.epochs()] == ["final"]
