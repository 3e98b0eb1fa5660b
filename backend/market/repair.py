"""From a program's numbers to whole watts that keep every limit: see market.optimal, rule 3."""

from collections.abc import Mapping

import numpy as np

from backend.market.book import Ints
from backend.market.coupled import fits_now, take_unit
from backend.market.optimal_columns import Columns, Coupled, Plain
from backend.market.queue import Queue
from backend.market.relief import window
from backend.market.state import Bought, State

_NEARLY = 1e-4
_PASSES = 3


def take(state: State, columns: Columns, values: Ints, queues: Mapping[tuple[int, int], Queue]) -> None:
    """Takes what the program says, rounded down. What a limit stops is tried again when others have relieved it."""
    wanted = [_whole_watts(plain, values) for plain in columns.plain]
    units = list(columns.coupled)
    for _ in range(_PASSES):
        for plain, rest in zip(columns.plain, wanted, strict=True):
            left = state.book.volume_w[plain.entry] - state.taken_w[plain.entry]
            watts = _kept(state, plain, np.clip(rest, 0, left))
            _take_plain(state, plain, watts)
            rest -= watts
        units = [one for one in units if not _take_coupled(state, one, values, queues)]


def _whole_watts(plain: Plain, values: Ints) -> Ints:
    """W of each entry, rounded down; of a block all or nothing."""
    value = values[plain.column]
    divisible = np.floor(value + _NEARLY).astype(np.int64)
    return np.where(plain.block, np.where(value > 0.5, plain.scale, 0), divisible)


def _take_coupled(state: State, one: Coupled, values: Ints, queues: Mapping[tuple[int, int], Queue]) -> bool:
    mine = {f: queue for (number, f), queue in queues.items() if number == one.request}
    part = int(np.floor(values[one.column] * one.scale + _NEARLY))
    fits = fits_now(state, one.unit, part) if part else 0
    if fits:
        take_unit(state, one.unit, mine, fits)
    return bool(fits) or not part


def _kept(state: State, plain: Plain, watts: Ints) -> Ints:
    """What keeps least parts, the order of price steps, one direction of each POD, and every limit."""
    book, entry = state.book, plain.entry
    least = np.maximum(0, book.least_w[entry] - state.taken_w[entry])
    watts = np.where(watts < least, 0, watts)
    wrong = _against(state, plain)
    watts[wrong] = 0
    place = {int(e): k for k, e in enumerate(entry)} if (book.step[entry] > 0).any() else {}
    for k in np.flatnonzero((book.step[entry] > 0) & (watts > 0)):
        before = int(entry[k]) - 1
        whole = state.taken_w[before] + (watts[place[before]] if before in place else 0)
        watts[k] = watts[k] if whole == book.full_w[before] else 0
    return _within_limits(state, plain, watts, least)


def _against(state: State, plain: Plain) -> Ints:
    book, moves = state.book, state.moves(plain.frame)
    offers = book.offer[plain.entry]
    return np.array(
        [bool((moves[book.point[book.points_of(o)]] == -book.sign[o]).any()) for o in offers.tolist()], dtype=bool
    )


def _within_limits(state: State, plain: Plain, watts: Ints, least: Ints) -> Ints:
    """Takes back of what eats a limit that would break, the dearest first, until none does."""
    book, here, margin = state.book, state.limits.at(plain.frame), state.margin(plain.frame)
    while watts.any():
        some = np.flatnonzero(watts)
        one = window(book, state.limits, here, book.offer[plain.entry[some]], watts[some])
        after = margin + one.gained(np.ones(len(some), dtype=bool))
        short = np.minimum(margin, 0) - after
        if not (short > 0).any():
            return watts
        row = int(np.argmax(short > 0))
        ((effect,), _, (slack,)) = one.rows(np.array([row]))
        eaters = np.flatnonzero(effect < 0) if (effect < 0).any() else np.arange(len(some))
        dearest = max(eaters.tolist(), key=lambda k: (int(book.price[plain.entry[some[k]]]), k))
        eats, place = max(1, -int(effect[dearest])), some[dearest]
        back = -(-(int(short[row]) + int(slack[dearest])) * int(one.shares[dearest]) // eats)
        kept = max(0, int(watts[place]) - back)
        watts[place] = kept if kept >= least[place] else 0
        later = np.flatnonzero(
            (plain.entry > plain.entry[place]) & (book.offer[plain.entry] == book.offer[plain.entry[place]])
        )
        watts[later] = 0
    return watts


def _take_plain(state: State, plain: Plain, watts: Ints) -> None:
    some = np.flatnonzero(watts)
    if not len(some):
        return
    book, entry, taken = state.book, plain.entry[some], watts[some]
    one = window(book, state.limits, state.limits.at(plain.frame), book.offer[entry], taken)
    state.margin(plain.frame)[:] += one.gained(np.ones(len(some), dtype=bool))
    state.taken_w[entry] += taken
    state.move(book.offer[entry], taken, plain.frame)
    state.bought.append(Bought(plain.request, False, plain.frame, entry, taken))
