"""States over an executor: the same bytes for any number of workers, bounded in memory, a dead worker named."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import fields
from multiprocessing import get_context

import numpy as np
import pytest

from backend.adapters.pooled import MOST_WAITING, PooledFlow
from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import HERE
from backend.demo.profile import read_profiles
from backend.errors import Unavailable
from backend.grid.flow import PowerFlow, States
from backend.grid.year import Stretch, extremes_of, worst_of
from hil.grown_grid import grown_network

PROFILES = read_profiles((HERE / "profiles.csv").read_text())
STRETCH = Stretch(PROFILES.values).part(0, 100)
FLOW = PowerGridFlow(grown_network(60))


class AtOnce(Executor):
    """Does everything when it is submitted, in this process."""

    def __init__(self) -> None:
        self.most = self.under_way = 0

    def submit(self, work, /, *arguments, **named):  # type: ignore[no-untyped-def]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        done: Future[object] = Future()
        done.set_result(work(*arguments, **named))
        return done


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def as_bytes(states: States) -> bytes:
    return b"".join(getattr(states, f.name).tobytes() for f in fields(States))


def test_rule_1_the_same_bytes_with_one_thread_many_processes_or_none(processes: ProcessPoolExecutor) -> None:
    scenarios = STRETCH.scenarios(FLOW.network)
    plain = as_bytes(FLOW.solve(scenarios))
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(3) as three:
        for executor in (AtOnce(), one, three, processes):
            for part in (7, 96):
                assert as_bytes(PooledFlow(FLOW, executor, part).solve(scenarios)) == plain


def test_rule_1_without_states_there_is_nothing_to_solve() -> None:
    none = STRETCH.part(0, 0).scenarios(FLOW.network)
    assert PooledFlow(FLOW, AtOnce()).solve(none).solved.shape == (0,)


def test_rule_2_a_worker_keeps_the_last_two_grids() -> None:
    from backend.adapters import pooled

    for buses in (10, 40, 70, 10):
        flow = PowerGridFlow(grown_network(buses))
        made = PooledFlow(flow, AtOnce()).solve(STRETCH.part(0, 2).scenarios(flow.network))
        assert made.solved.all() and len(pooled._engines) <= 2


def test_rule_3_parts_under_way_are_bounded() -> None:
    made = PooledFlow(FLOW, AtOnce())
    taken: list[int] = []

    def parts() -> Iterator[Stretch]:
        for k in range(40):
            taken.append(k)
            yield STRETCH.part(k, k + 1)

    results = made.fold(parts(), worst_of)
    next(results)
    assert len(taken) == MOST_WAITING
    assert sum(1 for _ in results) == 39 and len(taken) == 40


def test_rule_4_the_worst_of_each_element_is_the_same_however_it_was_cut(processes: ProcessPoolExecutor) -> None:
    whole = extremes_of(FLOW.solve(STRETCH.scenarios(FLOW.network)))
    for executor, size in ((AtOnce(), 13), (processes, 30)):
        parts = [STRETCH.part(first, min(first + size, 100)) for first in range(0, 100, size)]
        first, *rest = PooledFlow(FLOW, executor).fold(parts, worst_of)
        for one in rest:
            first = first.joined(one)
        assert first.as_bytes() == whole.as_bytes() and first.count == 100


def dies(_flow: PowerFlow, _part: int) -> int:
    os._exit(3)


def fails(_flow: PowerFlow, part: int) -> int:
    raise ValueError(f"part {part}")


@pytest.mark.long
def test_rule_5_a_worker_that_dies_is_named() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(Unavailable, match="worker: ended by itself after 0 parts"),
    ):
        list(PooledFlow(FLOW, pool).fold([1, 2], dies))


def test_a_mistake_in_the_work_flies() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="part 1"):
        list(PooledFlow(FLOW, pool).fold([1, 2], fails))


def test_a_stretch_is_nominal_times_profile() -> None:
    network = grown_network(40)
    profiles = {"load/H0-A/p": np.array([500_000, 1_000_000], dtype=np.int64)}
    made = Stretch(profiles).scenarios(network)
    load = network.loads[0]
    assert load.profile == "H0-A" and made.load_w[:, 0].tolist() == [round(load.p_nominal_w / 2), load.p_nominal_w]
    assert made.generator_w[0].tolist() == [e.p_nominal_w for e in network.generators], "no profile: flat"


def test_a_quarter_hour_without_a_solution_is_counted_and_not_read() -> None:
    one = extremes_of(FLOW.solve(STRETCH.part(0, 1).scenarios(FLOW.network)))
    twice = STRETCH.part(0, 2).scenarios(FLOW.network)
    twice.load_w[1] *= 10_000
    made = extremes_of(FLOW.solve(twice))
    assert (
        (made.count, made.unsolved) == (2, 1)
        and (made.low_ppt == one.low_ppt).all()
        and (made.line_ppt == one.line_ppt).all()
    )


@pytest.mark.parametrize("buses", [1, 100, 1_000])
def test_the_grown_grid_has_its_size_and_is_the_same_each_time(buses: int) -> None:
    made = grown_network(buses)
    assert buses <= len(made.nodes) < buses + 32 and made == grown_network(buses)
