"""A light node killed with -9 at any moment, within a slot or between two: nothing journalled is lost, each hole is named."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from lightwire import records

from hil.bench import Bench

POD = "IT001E00000003"
START_MS = 1_796_040_000_000 - 60_000


def live_until_dead(bench: Bench, after_s: float) -> None:
    """Ticks until the node, killed after a wall time of after_s, is found dead; it then misses three more slots."""
    child = bench.nodes[POD].child
    assert child is not None
    timer = threading.Timer(after_s, os.kill, (child.pid, signal.SIGKILL))
    timer.start()
    while f"node/{bench.nodes[POD].device.hex()}" not in bench.tick().lost:
        pass
    timer.join()
    for _ in range(3):
        bench.tick()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_node_killed_at_any_moment_loses_nothing_journalled_and_names_every_hole(
    tmp_path: Path, mosquitto: list[str], micropython: object, seed: int
) -> None:
    source = random.Random(seed)
    with Bench(tmp_path, pods=[POD], start_ms=START_MS) as bench:
        bench.warm_up()
        for _ in range(6):
            for _ in range(source.randrange(3, 12)):
                bench.tick()
            live_until_dead(bench, source.uniform(0.0, 0.1))
            bench.start_node(POD)
            bench.warm_up()
        for _ in range(5):
            bench.tick()
        bench.drain()
        store, device = bench.backend.store, bench.nodes[POD].device
        said = {(line["boot"], line["seq"]) for line in bench.produced(POD)}
        kept = {(m.boot, m.seq) for m in store.of_kind(device, records.READING)}
        assert len(said) > 40 and said <= kept
        gaps = [records.decode(m.sealed[10:-66]) for m in store.of_kind(device, records.GAP)]
        times = [t for t, *_ in store.readings(device, START_MS, 2**62)]
        missing = set(range(times[0], times[-1], 4000)) - set(times)
        named = {slot for gap in gaps for slot in range(gap.start_ms, gap.end_ms, 4000)}
        assert len(times) == len(set(times)) and missing and missing == named
        assert bench.backend.collect.refused == 0


def test_a_node_that_dies_is_a_finding_by_the_broker_s_word(
    tmp_path: Path, mosquitto: list[str], micropython: object
) -> None:
    with Bench(tmp_path, pods=[POD], start_ms=START_MS) as bench:
        bench.warm_up()
        bench.kill_node(POD)
        said = f"{bench.nodes[POD].device.hex()} is offline, says the broker"
        end = time.monotonic() + 10
        while said not in [what for _, what in bench.backend.store.findings()]:
            assert time.monotonic() < end, "nobody says that the node is gone"
            time.sleep(0.05)
        bench.start_node(POD)
        bench.warm_up()
        assert bench.facts[POD]["alarms"] == 0 and bench.backend.collect.refused == 0
