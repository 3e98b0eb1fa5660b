"""Plays one day of a campaign, from its first forecast to its payments; and many days, in any number of workers.

1. A day depends on season, seed and date only: days may be played in any order, anywhere, and come back in their own.
2. Each session is settled on the BRP's schedule by what the meters prove, with the settlement that every session has; money
   sums to zero over all parties.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date

import numpy as np

from backend.adapters.pandapower import Pandapower
from backend.campaign.delivery import Chance, Delivered, Imperfections, delivered, present
from backend.campaign.reality import Reality, checked, energy_ws, errors_ws, with_customers
from backend.campaign.record import DayRecord, Violated
from backend.campaign.trading import session_records, sold_of, trades_of, unserved_of
from backend.demo.season import Season, SeasonDay, load_season
from backend.demo.terms import settings_for
from backend.domain.bids import Direction
from backend.flows.market_day import DayTrades
from backend.grid.flow import Integers
from backend.grid.forecast import Series
from backend.market.settled_day import SettledDay, settled_day
from backend.market.settled_making import Knowledge


@dataclass(frozen=True, slots=True)
class Play:
    """What all days share: seed, how imperfect customers are, whether pandapower looks at every state."""

    seed: int
    how: Imperfections
    with_pandapower: bool = False


class Stage:
    """A season with its engines, on which days are played."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.season: Season = load_season(play.seed)
        self.reality = Reality(self.season)
        self._checker = Pandapower(self.season.network) if play.with_pandapower else None

    def played(self, day: date) -> DayRecord:
        """The record of a day. Rejected for one that the season has not."""
        season, play = self.season, self.play
        one, chance = season.day(day), Chance(play.seed, day)
        here = present(season.customers, chance, play.how)
        baseline_w = {c.pod: one.baseline_w(c.pod) for c in season.customers}
        trades = trades_of(season, one, self.reality.flow, here, chance, baseline_w)
        base_w = {c.pod: one.base_w(one.actual(), c.pod) for c in here}
        done = delivered(here, one.frames, base_w, trades.orders, chance, play.how)
        return self._record(day, one, trades, done, self._settled(one, trades, done))

    def _settled(self, one: SeasonDay, trades: DayTrades, done: Delivered) -> SettledDay:
        """Rule 2."""
        customers = self.season.customers
        schedule_w = {
            (c.pod, frame): w for c in customers for frame, w in zip(one.frames, one.baseline_w(c.pod), strict=True)
        }
        ordered = frozenset((pod, order.frame) for order in trades.orders for pod in order.parts_w)
        known = Knowledge(lambda pod, frame: done.measured[pod, frame], ordered, schedule_w)
        return settled_day(sold_of(trades), trades.orders, settings_for(customers, self.season.calendar), known)

    def _record(
        self,
        day: date,
        one: SeasonDay,
        trades: DayTrades,
        done: Delivered,
        settled: SettledDay,
    ) -> DayRecord:
        reality, frames, actual = self.reality, one.frames, one.actual()
        tap = np.concatenate([stage.expected.tap for stage in trades.stages])
        ordered = with_customers(self.season, actual, _ordered_w(one, actual, trades))
        pods = sorted({pod for pod, _ in done.mean_w})
        after = with_customers(self.season, actual, {pod: [done.mean_w[pod, f] for f in frames] for pod in pods})
        tapped, changed = reality.states(actual, tap), reality.states(after, tap)
        real = Violated(
            reality.broken(reality.states(actual), frames),
            reality.broken(tapped, frames),
            reality.broken(reality.states(ordered, tap), frames),
            reality.broken(changed, frames),
        )
        planned = tuple(v for stage in trades.stages for v in stage.planned_violations)
        gates = {stage.frames[0] - 1: stage.frames for stage in trades.stages}
        looked = {"after own remedies": (tapped, real.after_remedy), "after the market": (changed, real.after_market)}
        return DayRecord(
            day=day,
            frames=frames,
            sessions=session_records(
                trades,
                settled.lines,
                frozenset(c.pod for c in self.season.customers),
                real.after_remedy,
                real.after_market,
            ),
            orders=trades.orders,
            settled=settled,
            unserved=tuple(unserved_of(trades)),
            expected=Violated(trades.expected_violations, trades.after_remedy, planned, planned),
            real=real,
            error_ws=errors_ws(one, gates, actual),
            actual_ws={"load": energy_ws(actual.load_w), "generation": energy_ws(actual.generator_w)},
            curtailed_ws={
                "without market": reality.curtailed_ws(actual, tap, frames, real.after_remedy),
                "with market": reality.curtailed_ws(after, tap, frames, real.after_market),
            },
            response_s=tuple(s for _, s in sorted(done.response_s.items()) if s),
            silent=done.silent,
            weak=done.weak,
            absent=tuple(c.pod for c in self.season.customers if c.pod not in pods),
            tap_operations=_operations(trades, tap, reality),
            checked=None if self._checker is None else checked(self._checker, looked, frames),
        )


def _ordered_w(one: SeasonDay, actual: Series, trades: DayTrades) -> dict[str, list[int]]:
    """W of the PODs if every order were wholly delivered."""
    found: dict[str, list[int]] = {}
    for order in trades.orders:
        sign = -1 if order.direction == Direction.UP else 1
        for pod, watts in order.parts_w.items():
            row = found.setdefault(pod, list(one.base_w(actual, pod)))
            row[order.frame - one.frames[0]] += sign * watts
    return found


def _operations(trades: DayTrades, tap: Integers, reality: Reality) -> int:
    """How often a tap changer, or several that move together, went to another position."""
    column = {unit.id: k for k, unit in enumerate(reality.flow.network.transformers)}
    moved = 0
    for device in trades.devices.devices:
        if device.kind == "tap":
            moved += int((np.diff(tap[:, column[device.ids[0]]], prepend=device.standing) != 0).sum())
    return moved


_stages: dict[Play, Stage] = {}


def played_there(play: Play, day: date) -> DayRecord:
    """In a worker: the stage is made once."""
    if play not in _stages:
        _stages.clear()
        _stages[play] = Stage(play)
    return _stages[play].played(day)


def played_all(
    play: Play, days: Sequence[date], executor: Executor | None, progress: Callable[[DayRecord], None]
) -> Iterator[DayRecord]:
    """All days in their order (rule 1), here or by an executor; progress is told of each."""
    if executor is None:
        done: Iterator[DayRecord] = (played_there(play, day) for day in days)
    else:
        futures = [executor.submit(played_there, play, day) for day in days]
        done = (future.result() for future in futures)
    for record in done:
        progress(record)
        yield record
