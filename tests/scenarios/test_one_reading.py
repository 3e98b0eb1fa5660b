"""One reading to its receipt, with every real part: meter on a pty, firmware in the VM, broker, store, chain."""

from pathlib import Path

import pytest
from lightwire import records

from hil.bench import Bench

START_MS = 1_796_040_000_000 - 8_000  # two slots before a quarter-hour


@pytest.fixture
def bench(tmp_path: Path, mosquitto: list[str], micropython: object):
    with Bench(tmp_path, pods=["IT001E00000001", "IT001E00000002"], start_ms=START_MS) as made:
        yield made


def test_readings_are_signed_stored_anchored_and_their_receipts_checked_on_the_device(bench: Bench) -> None:
    bench.warm_up()
    for _ in range(2 + 225 + 2):
        bench.tick()
    bench.drain()
    bench.close_epoch()
    facts = bench.until(lambda nodes: all(n["awaiting"] <= 1 and n["receipts"] >= 1 for n in nodes.values()))
    for pod, node in bench.nodes.items():
        mine = facts[pod]
        assert mine["alarms"] == 0
        readings = bench.backend.store.readings(node.device, 1_796_040_000_000, 1_796_040_900_000)
        assert len(readings) == 225
        truth = bench.truth(pod)
        assert all(truth[t] == w for t, w, _, _ in readings)
    assert bench.backend.collect.refused == 0


def test_kill_9_at_a_slot_loses_nothing_journalled_and_names_the_gap(bench: Bench) -> None:
    bench.warm_up()
    pod, node = next(iter(bench.nodes.items()))
    for _ in range(30):
        bench.tick()
    bench.kill_node(pod)
    for _ in range(20):
        bench.tick()
    bench.start_node(pod)
    for _ in range(30):
        bench.tick()
    bench.drain()
    store = bench.backend.store
    produced = {line["seq"] for line in bench.produced(pod)}
    kept = {m.seq for m in store.of_kind(node.device, records.READING)}
    assert produced <= kept
    gaps = [records.decode(m.sealed[10:-66]) for m in store.of_kind(node.device, records.GAP)]
    assert [(g.cause, g.slots) for g in gaps] == [(records.CAUSE_POWER, 20)]
    times = [t for t, *_ in store.readings(node.device, START_MS, 2**62)]
    missing = set(range(times[0], times[-1], 4000)) - set(times)
    assert missing == set(range(gaps[0].start_ms, gaps[0].end_ms, 4000))
    assert bench.backend.collect.refused == 0
