"""The guarded merit order over columns: requests in turn, each through the queues of its quarter-hours.

Its rules are those of market.clearing, which states them; here is how they are gone through in the least work:
quarter-hours are independent of each other but for coupled offers, at which those they touch are brought level first.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from backend.domain.bids import Buyer, Direction, Request
from backend.domain.quantity import PPM
from backend.domain.trade import Reason
from backend.market.book import PRODUCTS, Book, Ints
from backend.market.coupled import Stopped, Unit, serve_unit, units_of
from backend.market.limits import FrameLimits
from backend.market.merit import Candidates
from backend.market.queue import Queue
from backend.market.relief import effect_of_all
from backend.market.state import LEVEL, State


def in_turn(requests: Sequence[Request]) -> list[Request]:
    """Requests as they are served: the DSO's before the TSO's, by priority, then id."""
    return sorted(requests, key=lambda r: (r.buyer is not Buyer.DSO, r.priority, r.id))


def serve_all(state: State, requests: Sequence[Request | None], reserve_ppm: int, node_of: Mapping[str, str]) -> None:
    """Serves requests that stand in turn, each with its reserve behind it; None keeps the place of one that waits."""
    frames = sorted({f for request in requests if request for f in request.need})
    for number, request in enumerate(requests):
        if request is None:
            continue
        there = at_nodes(state.book, request, node_of)
        for reserve in (False, True)[: 2 if reserve_ppm else 1]:
            turn = (2 * number + reserve) * len(frames)
            turns = {f: turn + k for k, f in enumerate(frames)}
            _serve(state, request, number, reserve_ppm if reserve else None, turns, there)


def at_nodes(book: Book, request: Request, node_of: Mapping[str, str]) -> Ints | None:
    """By offer, whether all its PODs stand at the nodes asked for; None where any will do."""
    if not request.nodes:
        return None
    nodes = frozenset(request.nodes)
    here = np.array([node_of.get(pod, pod) in nodes for pod in book.pods], dtype=bool)
    away = np.add.reduceat(~here[book.point], book.first_point[:-1]) if len(book.ids) else np.zeros(0, dtype=int)
    return np.asarray(away == 0)


def _serve(
    state: State,
    request: Request,
    number: int,
    reserve_ppm: int | None,
    turns: Mapping[int, int],
    there: Ints | None,
) -> None:
    queues: dict[int, Queue] = {}
    unfit = unfit_for(state.book, request, there)
    coupled = bool(state.book.coupled.any())
    for frame in sorted(request.need):
        need = request.need[frame]
        if reserve_ppm is not None:
            need += -(-need * reserve_ppm // PPM)
        queue = queue_of(state, request, number, frame, need, turns[frame], reserve_ppm is not None, unfit)
        if coupled:
            queues[frame] = queue
        else:
            queue.advance()
    if coupled:
        stopped: Stopped = {}
        for unit in units_of(state, request, queues, there):
            _bring_level(state, queues, unit)
            serve_unit(state, unit, queues, stopped)
        for queue in queues.values():
            queue.advance()


def _bring_level(state: State, queues: Mapping[int, Queue], unit: Unit) -> None:
    for frame in unit.touched:
        if frame in queues:
            queues[frame].advance(unit.merit)


def queue_of(
    state: State, request: Request, number: int, frame: int, need: int, turn: int, reserve: bool, unfit: Ints
) -> Queue:
    """What a request may take in a quarter-hour, in order of merit; unfit: see `unfit_for`."""
    here = state.limits.at(frame)
    row, effects = asked(state, request, here)
    left = need - met(state, request, number, frame, here, row)
    entry = eligible(state, request, frame, effects, unfit)
    offer = state.book.offer[entry]
    if effects is None:
        ones = np.ones(len(entry), dtype=np.int64)
        candidates = Candidates(state.book, entry, ones, ones)
    else:
        candidates = Candidates(state.book, entry, effects[offer], state.book.whole_share[offer])
    return Queue(state, candidates, frame, number, reserve, row, left, turn)


def asked(state: State, request: Request, here: FrameLimits) -> tuple[int | None, Ints | None]:
    """Place of the element asked for and the effect on it by offer; None and None for volume; no effect if it is unknown."""
    if request.by_volume:
        return None, None
    if request.element not in here.elements:
        return -1, np.zeros(len(state.book.ids), dtype=np.int64)
    row = here.elements.index(request.element)
    return row, effect_of_all(state.book, state.limits, here.effect_ppt_per_w[row])


def met(state: State, request: Request, number: int, frame: int, here: FrameLimits, row: int | None) -> int:
    """What of the need is met: W bought for this request, or relief (ppt) by whatever was bought."""
    if row is None:
        return sum(int(b.volume_w.sum()) for b in state.bought if b.request == number and b.frame == frame)
    if request.element not in here.elements:
        return 0
    return int(state.margin(frame)[row]) - int(here.margin_ppt[row])


def unfit_for(book: Book, request: Request, there: Ints | None) -> Ints:
    """By offer the level (state.NEARNESS) of the first reason why a request cannot take it in any quarter-hour; 0 if none."""
    why = np.zeros(len(book.ids), dtype=np.int8)
    _note_first(why, book.product != PRODUCTS[request.product], Reason.OTHER_PRODUCT)
    _note_first(why, book.sign != (-1 if request.direction is Direction.UP else 1), Reason.WRONG_DIRECTION)
    if there is not None:
        _note_first(why, ~there, Reason.NOT_AT_NODE)
    return why


def eligible(state: State, request: Request, frame: int, effects: Ints | None, unfit: Ints) -> Ints:
    """Entries that the request may take in a quarter-hour, without coupled ones; of the others the reason is noted."""
    book, here = state.book, state.book.entries(frame)
    offer = book.offer[here]
    why = unfit[offer]
    _note_first(why, book.price[here] > request.price_cap_ueur_per_mwh, Reason.PRICE_CAP)
    if effects is not None:
        _note_first(why, effects[offer] <= 0, Reason.NO_EFFECT)
    if frame in state.moved:
        _note_first(why, _against(state, frame, offer), Reason.OTHER_WAY)
    plain = ~book.coupled[offer]
    np.maximum.at(state.level, offer, why * plain)
    good = plain & (why == 0) & (book.volume_w[here] > state.taken_w[here])
    return np.asarray(here.start + np.flatnonzero(good))


def _note_first(why: Ints, fails: Ints, reason: Reason) -> None:
    """Levels of the first test that failed: those that have none yet and fail this one get its reason."""
    why += ((why == 0) & fails).view(np.int8) * np.int8(LEVEL[reason])


def _against(state: State, frame: int, offer: Ints) -> Ints:
    """Whether one of the points of each of these offers already moves the other way in a quarter-hour."""
    book, moves = state.book, state.moves(frame)
    if len(book.point) == len(book.ids):
        return np.asarray(moves[book.point[offer]] == -book.sign[offer])
    other = moves[book.point] == -np.repeat(book.sign, np.diff(book.first_point))
    return np.asarray(np.logical_or.reduceat(other, book.first_point[:-1])[offer])
