"""Offers that move more than one quarter-hour: linked ones in the same part of all, and those with a rebound.

1. A linked offer stands for a request that asks in all its quarter-hours and that it helps in each. It is taken once, in
   one part (1e-6): the least that need and limits leave in any of them. Its merit is its whole price by its whole relief.
2. What rebounds moves the same points the other way, quarter-hours later, and is held against the limits there. It is
   nobody's award, and does not say which way a POD moves.
3. Whole watts differ from the part by rounding: limits keep that much free. What breaks one all the same is not taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from backend.domain.bids import Direction, Request
from backend.domain.quantity import PPM
from backend.domain.trade import Reason
from backend.market.book import PRODUCTS, Ints
from backend.market.limits import FrameLimits
from backend.market.merit import Merit
from backend.market.queue import Queue
from backend.market.state import Bought, State

_OWN_LINKED, _REBOUND = 2, 3


@dataclass(frozen=True, slots=True)
class Unit:
    """Entries taken together: by quarter-hour the entry; touched: also where it rebounds, in order."""

    merit: Merit
    offer: int
    entries: Mapping[int, int]
    touched: tuple[int, ...]
    linked: bool


@dataclass(slots=True)
class _Movement:
    """What a unit does in one quarter-hour for each of its parts, times PPM or PPM squared; roundings: of whole watts."""

    per_part: int
    roundings: int


def units_of(state: State, request: Request, queues: Mapping[int, Queue], at_nodes: Ints | None) -> list[Unit]:
    """Units the request may take, best first; of the other coupled offers the reason is noted."""
    book = state.book
    by_offer: dict[int, list[tuple[int, int]]] = {}
    for place, frame in enumerate(book.frames):
        for entry in range(int(book.entry_of[place]), int(book.entry_of[place + 1])):
            if book.coupled[book.offer[entry]]:
                by_offer.setdefault(int(book.offer[entry]), []).append((frame, entry))
    found: list[Unit] = []
    for offer, entries in by_offer.items():
        asked = [(f, e) for f, e in entries if f in request.need]
        if not asked:
            continue
        if book.linked[offer] and len(asked) < len(entries):
            _note(state, offer, Reason.LINKED)
            continue
        groups = [entries] if book.linked[offer] else [[one] for one in asked]
        found.extend(unit for group in groups if (unit := _unit(state, request, queues, offer, dict(group), at_nodes)))
    return sorted(found, key=lambda unit: (*unit.merit[:3], min(unit.entries), unit.merit[3]))


def _unit(
    state: State,
    request: Request,
    queues: Mapping[int, Queue],
    offer: int,
    entries: dict[int, int],
    at_nodes: Ints | None,
) -> Unit | None:
    book = state.book
    sign = -1 if request.direction is Direction.UP else 1
    prices = {f: int(book.price[e]) for f, e in entries.items()}
    effects = {f: _effect(state, queues[f], offer) for f in entries}
    tests = [
        (book.product[offer] == PRODUCTS[request.product], Reason.OTHER_PRODUCT),
        (book.sign[offer] == sign, Reason.WRONG_DIRECTION),
        (at_nodes is None or bool(at_nodes[offer]), Reason.NOT_AT_NODE),
        (max(prices.values()) <= request.price_cap_ueur_per_mwh, Reason.PRICE_CAP),
        (min(effects.values()) > 0, Reason.NO_EFFECT),
        (not any(_against(state, offer, f) for f in entries), Reason.OTHER_WAY),
    ]
    for passes, reason in tests:
        if not passes:
            _note(state, offer, reason)
            return None
    if any(state.taken_w[e] >= book.volume_w[e] or (book.linked[offer] and state.taken_w[e]) for e in entries.values()):
        return None
    full = {f: int(book.full_w[e]) for f, e in entries.items()}
    price = sum(prices[f] * full[f] for f in entries) / Fraction(sum(full[f] * effects[f] for f in entries))
    later = {f + d for f in entries for d in book.rebound_ppm.get(offer, {})}
    step = int(book.step[next(iter(entries.values()))])
    touched = tuple(sorted(later | set(entries)))
    return Unit((price, int(book.received_ms[offer]), offer, step), offer, entries, touched, bool(book.linked[offer]))


def _note(state: State, offer: int, reason: Reason) -> None:
    state.note(np.array([offer]), reason)


def _against(state: State, offer: int, frame: int) -> bool:
    book = state.book
    return bool((state.moves(frame)[book.point[book.points_of(offer)]] == -book.sign[offer]).any())


def _effect(state: State, queue: Queue, offer: int) -> Fraction:
    """Relief per W of what the request asks for."""
    if queue.row is None:
        return Fraction(1)
    here = state.limits.at(queue.frame)
    if queue.row not in range(len(here.elements)):
        return Fraction(0)
    return rates(state, offer, here)[queue.row]


def rates(state: State, offer: int, here: FrameLimits) -> list[Fraction]:
    """Head-room gained per W, of each element."""
    book = state.book
    mine = book.points_of(offer)
    rows = here.effect_ppt_per_w[:, state.limits.place[book.point[mine]]].tolist()
    share = book.share[mine].tolist()
    whole, sign = int(book.whole_share[offer]), -int(book.sign[offer])
    return [Fraction(sign * sum(e * s for e, s in zip(row, share, strict=True)), whole) for row in rows]


def _slacks(state: State, offer: int, here: FrameLimits) -> list[int]:
    book = state.book
    rows = here.effect_ppt_per_w[:, state.limits.place[book.point[book.points_of(offer)]]].tolist()
    return [sum(abs(e) for e in row) for row in rows]


Stopped = dict[tuple[object, ...], tuple[str, int]]  # what is alike -> element that stopped the first of it, turn


def serve_unit(state: State, unit: Unit, queues: Mapping[int, Queue], stopped: Stopped) -> None:
    """Takes as much of a unit as need and limits leave; parts are W, of a linked offer 1e-6 of it.

    stopped: units of this request that a limit stopped; it grows by this one if a limit does."""
    book = state.book
    if any(queues[f].need <= 0 for f in unit.entries):
        return _note(state, unit.offer, Reason.NEED_MET)
    (frame, entry), *_ = unit.entries.items()
    if book.step[entry] > 0 and state.taken_w[entry - 1] < book.full_w[entry - 1]:
        return None
    movements = _movements(state, unit)
    wanted = min(_wanted(state, unit, queues[f], movements[f]) for f in unit.entries)
    least = _least(state, unit)
    if wanted < least:
        return _note(state, unit.offer, Reason.MINIMUM)
    fits, element, at = _fits(state, unit, movements, wanted)
    key = _alike(state, unit, least)
    before = stopped.get(key)
    if fits < wanted:
        turn = queues[at].turn if at in queues else queues[frame].turn
        state.note_stopped(np.array([unit.offer]), (element,), np.array([0]), turn)
        stopped.setdefault(key, (element, turn))
    if fits >= max(1, least):
        if before is not None:
            state.note_stopped(np.array([unit.offer]), before[:1], np.array([0]), before[1])
        else:
            take_unit(state, unit, queues, fits)
    return None


def _alike(state: State, unit: Unit, least: int) -> tuple[object, ...]:
    """The same for units that differ in nothing but price and name: points, shares, W left, least part, rebound."""
    book, mine = state.book, state.book.points_of(unit.offer)
    left = tuple((f, int(book.volume_w[e]) - int(state.taken_w[e])) for f, e in sorted(unit.entries.items()))
    rebound = tuple(sorted(book.rebound_ppm.get(unit.offer, {}).items()))
    share = tuple(book.share[mine].tolist())
    return unit.linked, left, least, rebound, tuple(book.point[mine].tolist()), share if len(share) > 1 else ()


def _least(state: State, unit: Unit) -> int:
    """The least part; of a linked offer one that is a watt or more in each quarter-hour."""
    book = state.book
    if not unit.linked:
        (entry,) = unit.entries.values()
        return max(0, int(book.least_w[entry]) - int(state.taken_w[entry]))
    full = [int(book.full_w[e]) for e in unit.entries.values()]
    return max(int(book.minimum_ppm[unit.offer]), -(-PPM // min(full)))


def _movements(state: State, unit: Unit) -> dict[int, _Movement]:
    book, found = state.book, {f: _Movement(0, 0) for f in unit.touched}
    single = len(range(*book.points_of(unit.offer).indices(len(book.point)))) == 1
    for frame, entry in unit.entries.items():
        size = int(book.full_w[entry]) if unit.linked else 1
        found[frame].per_part += size * PPM
        found[frame].roundings += _OWN_LINKED if unit.linked else (0 if single else 1)
        for later, part in book.rebound_ppm.get(unit.offer, {}).items():
            found[frame + later].per_part -= size * part
            found[frame + later].roundings += _REBOUND
    return found


def _wanted(state: State, unit: Unit, queue: Queue, movement: _Movement) -> int:
    """The part that the need of a quarter-hour asks for, at most what is left."""
    book, entry = state.book, unit.entries[queue.frame]
    here = state.limits.at(queue.frame)
    slack = 0 if queue.row is None else movement.roundings * _slacks(state, unit.offer, here)[queue.row]
    watts = -(-Fraction(queue.need + slack) // _effect(state, queue, unit.offer))
    watts = min(int(watts), int(book.volume_w[entry]) - int(state.taken_w[entry]))
    return watts * PPM // int(book.full_w[entry]) if unit.linked else watts


def _fits(state: State, unit: Unit, movements: Mapping[int, _Movement], wanted: int) -> tuple[int, str, int]:
    """The largest part up to `wanted` that every limit leaves; the element that stops it and its quarter-hour."""
    fits, element, at = wanted, "", 0
    whole = PPM * PPM if unit.linked else PPM
    for frame in unit.touched:
        here, movement = state.limits.at(frame), movements[frame]
        rows = zip(here.elements, state.margin(frame).tolist(), rates(state, unit.offer, here),
                   _slacks(state, unit.offer, here), strict=True)  # fmt: skip
        for name, margin, rate, slack in rows:
            eaten = -rate * movement.per_part / whole
            if eaten > 0 and (most := int(max(0, margin - movement.roundings * slack) // eaten)) < fits:
                fits, element, at = most, name, frame
    rounded = _broken(state, unit, fits) if fits else None
    return (fits, element, at) if rounded is None else (0, *rounded)


def _broken(state: State, unit: Unit, part: int) -> tuple[str, int] | None:
    """The first element, with its quarter-hour, that the whole watts of a part would break, if one."""
    for frame, parts_w in sorted(state.moved_w(unit.offer, _volume_w(state, unit, part)).items()):
        row = state.broken_by(unit.offer, frame, parts_w)
        if row is not None:
            return state.limits.at(frame).elements[row], frame
    return None


def _volume_w(state: State, unit: Unit, part: int) -> dict[int, int]:
    """W of a part of a unit, by quarter-hour."""
    full = {f: int(state.book.full_w[e]) for f, e in sorted(unit.entries.items())}
    return {f: watts * part // PPM if unit.linked else part for f, watts in full.items()}


def fits_now(state: State, unit: Unit, wanted: int) -> int:
    """The part up to `wanted` that limits, least part, directions and earlier price steps leave, without a look at needs."""
    book = state.book
    if any(_against(state, unit.offer, f) for f in unit.entries):
        return 0
    entry = next(iter(unit.entries.values()))
    if book.step[entry] > 0 and state.taken_w[entry - 1] < book.full_w[entry - 1]:
        return 0
    fits, _, _ = _fits(state, unit, _movements(state, unit), wanted)
    return fits if fits >= max(1, _least(state, unit)) else 0


def take_unit(state: State, unit: Unit, queues: Mapping[int, Queue], part: int) -> None:
    """Books a part of a unit, with what rebounds of it."""
    volume_w = _volume_w(state, unit, part)
    for frame, parts_w in state.moved_w(unit.offer, volume_w).items():
        _change_margins(state, queues, unit.offer, frame, parts_w)
    for frame, watts in volume_w.items():
        queue, entry = queues[frame], unit.entries[frame]
        state.taken_w[entry] += watts
        state.move(np.array([unit.offer]), np.array([watts]), frame)
        state.bought.append(Bought(queue.request, queue.reserve, frame, np.array([entry]), np.array([watts])))
        if queue.row is None:
            queue.need -= watts


def _change_margins(state: State, queues: Mapping[int, Queue], offer: int, frame: int, parts_w: Sequence[int]) -> None:
    """Moves an offer's points by these W, with the needs that hang on the limits."""
    margin = state.margin(frame)
    for m, change in enumerate(state.gained(offer, frame, parts_w)):
        margin[m] += change
        if frame in queues and queues[frame].row == m:
            queues[frame].need -= change
