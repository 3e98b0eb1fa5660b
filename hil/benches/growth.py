"""Growth: a year of quarter-hours and a grid of 9,000 nodes, solved in this process and by one and two worker processes.

1. The year is a grid of 122 nodes, 35,040 quarter-hours, only the worst of each element kept. Its profiles are the eight days
   of the example, repeated.
2. The large grid is solved for a week like the small one, and for the whole year by two workers: nothing is extrapolated.
3. What the workers answer of the year of the small grid and of the week is compared, byte by byte, with what this process
   found; a difference ends the measurement.
4. Elapsed time, since that is what workers are for: a busy machine shows. Processor time of all workers, their start included,
   beside that of one process: what spreading costs, on a busy machine too.
"""

import os
import resource
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import reduce
from importlib.metadata import version
from multiprocessing import get_context

import numpy as np

from backend.adapters.pooled import PART, PooledFlow
from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import HERE
from backend.demo.profile import read_profiles
from backend.grid.flow import Integers
from backend.grid.year import Extremes, Stretch, worst_of
from hil.benches.figure import Figure
from hil.errors import RigError
from hil.grown_grid import grown_network

WHAT = "growth: a year of quarter-hours and a grid of 9,000 nodes, by one and two workers"
YEAR, WEEK = 35_040, 672
SMALL, LARGE = 100, 9_000
WORKERS = (1, 2)
_SMALL_PART, _LARGE_PART = 10 * PART, PART // 4
_ALONE = "this process alone"


def measure() -> dict[str, Figure]:
    """Every figure of the area, in one run."""
    profiles = read_profiles((HERE / "profiles.csv").read_text()).values
    figures = growth("year_of_122_nodes", SMALL, repeated(profiles, YEAR), _SMALL_PART)
    figures |= growth("week_of_9002_nodes", LARGE, repeated(profiles, WEEK), _LARGE_PART)
    return figures | whole_year("year_of_9002_nodes", LARGE, repeated(profiles, YEAR), _LARGE_PART)


def versions() -> dict[str, str]:
    """What it was measured with."""
    return {name: version(name) for name in ("power-grid-model", "numpy")} | {"processors": str(os.cpu_count())}


def repeated(profiles: Mapping[str, Integers], count: int) -> Stretch:
    """Profiles over and over, to so many quarter-hours."""
    return Stretch({name: np.resize(values, count) for name, values in profiles.items()})


def growth(name: str, buses: int, stretch: Stretch, part: int) -> dict[str, Figure]:
    """Seconds of one stretch on a grid of this size, alone and with workers, beside each other."""
    flow = PowerGridFlow(grown_network(buses))
    start, used = time.monotonic(), time.process_time()
    plain = reduce(Extremes.joined, (worst_of(flow, one) for one in _parts(stretch, part)))
    alone_s, alone_cpu_s = time.monotonic() - start, time.process_time() - used
    figures = {f"{name}.alone": Figure(round(alone_s, 2), "s"), f"{name}.alone_cpu": Figure(round(alone_cpu_s, 2), "s")}
    figures[f"{name}.state"] = Figure(round(alone_cpu_s * 1e6 / stretch.count / len(flow.network.nodes), 3), "us/node")
    took: dict[int, float] = {}
    for count in WORKERS:
        made, took[count], cpu_s = _spread(flow, stretch, part, count)
        if made.as_bytes() != plain.as_bytes():
            raise RigError(f"{name}: {count} workers found something else than one process")
        figures[f"{name}.workers_{count}"] = Figure(round(took[count], 2), "s", _ALONE, round(alone_s, 2))
        figures[f"{name}.workers_{count}_cpu"] = Figure(round(cpu_s, 2), "s", _ALONE, round(alone_cpu_s, 2))
    first, last = min(WORKERS), max(WORKERS)
    figures[f"{name}.speed_up"] = Figure(round(took[first] / took[last], 2), f"times, {last} workers against {first}")
    return figures


def whole_year(name: str, buses: int, stretch: Stretch, part: int) -> dict[str, Figure]:
    """Rule 2: the stretch by as many workers as there are at most."""
    flow, count = PowerGridFlow(grown_network(buses)), max(WORKERS)
    _, took_s, cpu_s = _spread(flow, stretch, part, count)
    states = stretch.count * len(flow.network.nodes)
    return {
        f"{name}.workers_{count}": Figure(round(took_s / 60, 2), "min"),
        f"{name}.workers_{count}_cpu": Figure(round(cpu_s / 60, 2), "min"),
        f"{name}.state": Figure(round(cpu_s * 1e6 / states, 3), "us/node"),
    }


def _spread(flow: PowerGridFlow, stretch: Stretch, part: int, count: int) -> tuple[Extremes, float, float]:
    """What so many workers find, the seconds that passed, and those of all their processors, their start included."""
    used = _children_s()
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        pooled = PooledFlow(flow, pool)
        _warm(pooled, stretch)
        start = time.monotonic()
        made = reduce(Extremes.joined, pooled.fold(_parts(stretch, part), worst_of))
        took_s = time.monotonic() - start
    return made, took_s, _children_s() - used


def _children_s() -> float:
    """Processor seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _warm(pooled: PooledFlow, stretch: Stretch) -> None:
    """Every worker starts and makes its engine before the clock does."""
    list(pooled.fold((stretch.part(0, 1) for _ in range(2 * max(WORKERS))), worst_of))


def _parts(stretch: Stretch, size: int) -> Iterator[Stretch]:
    for first in range(0, stretch.count, size):
        yield stretch.part(first, min(first + size, stretch.count))
