"""Many states of a grid spread over an executor (concurrent.futures' interface): processes here, a cluster elsewhere.

1. States are cut into parts of a fixed size, whatever the number of workers; parts come back in order. The same states give
   the same bytes with any executor.
2. A worker makes its engine once per grid and keeps the last two; a part carries the grid along, so any worker can take it,
   also one that has just started.
3. At most ``MOST_WAITING`` parts are under way: memory does not grow with the number of states.
4. ``fold`` leaves only what is asked for of a part to travel back, and joins it in order.
5. A worker that dies is an outside party that is not there: Unavailable, with the number of states that were done.
"""

import hashlib
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import fields
from functools import partial
from typing import TypeVar

import numpy as np

from backend.errors import Unavailable
from backend.grid.flow import PowerFlow, Scenarios, States
from backend.grid.network import Network

PART = 96
MOST_WAITING = 16
_MOST_ENGINES = 2
_engines: "OrderedDict[bytes, PowerFlow]" = OrderedDict()
T = TypeVar("T")
P = TypeVar("P")


class PooledFlow:
    """A PowerFlow whose states are solved by an executor. flow: an engine that can travel (it is pickled once)."""

    def __init__(self, flow: PowerFlow, executor: Executor, part: int = PART) -> None:
        self._flow = flow
        self._executor = executor
        self._part = part
        self._carried = pickle.dumps(flow)
        self._name = hashlib.sha256(self._carried).digest()

    @property
    def network(self) -> Network:
        """The grid whose states it solves."""
        return self._flow.network

    def solve(self, scenarios: Scenarios) -> States:
        """States of all scenarios, in their order (rule 1)."""
        if scenarios.count == 0:
            return self._flow.solve(scenarios)
        solved = list(self.fold(scenarios.parts(self._part), _whole))
        return States(**{f.name: np.concatenate([getattr(one, f.name) for one in solved]) for f in fields(States)})

    def fold(self, parts: Iterable[P], work: Callable[[PowerFlow, P], T]) -> Iterator[T]:
        """What ``work`` (a function of a module, so that it can travel) makes of each part, in order (rules 3 and 4)."""
        waiting: deque[Future[T]] = deque()
        done = 0
        run = partial(_worked, self._name, self._carried, work)
        try:
            for part in parts:
                waiting.append(self._executor.submit(run, part))
                if len(waiting) >= MOST_WAITING:
                    yield waiting.popleft().result()
                    done += 1
            while waiting:
                yield waiting.popleft().result()
                done += 1
        except BrokenExecutor as error:
            raise Unavailable("worker", f"ended by itself after {done} parts: {error}") from error
        finally:
            for future in waiting:
                future.cancel()


def _whole(flow: PowerFlow, scenarios: Scenarios) -> States:
    return flow.solve(scenarios)


def _worked(name: bytes, carried: bytes, work: Callable[[PowerFlow, P], T], part: P) -> T:
    """In the worker (rule 2)."""
    flow = _engines.pop(name, None)
    if flow is None:
        flow = pickle.loads(carried)  # made by this program's other half, never by anybody outside
    _engines[name] = flow
    while len(_engines) > _MOST_ENGINES:
        _engines.popitem(last=False)
    return work(flow, part)
