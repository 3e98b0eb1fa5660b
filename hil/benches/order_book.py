"""An invented order book of any size on an invented radial grid, as columns: the same for a seed.

Twenty feeders of ten nodes each; an offer stands at one node. In the evening some feeders' first lines are overloaded, in the
afternoon the TSO wants volume; every line is monitored in every quarter-hour. Everybody offers all day.
"""

from dataclasses import dataclass

import numpy as np

from backend.domain.bids import Buyer, Direction, Request
from backend.market.book import Book, Ints, turns
from backend.market.limits import FrameLimits, Limits, limits_at

FRAMES = 96
FEEDERS, DEPTH = 20, 10
_FIRST = 1_960_000
_EUR = 1_000_000
_RATED_W = 8_000_000
_PPT_PER_W = 10**12 // _RATED_W
_EVENING, _AFTERNOON = range(68, 84), range(52, 68)
_OVERLOADED = 6
_CAP_UEUR_PER_MWH = 1_000 * _EUR


@dataclass(frozen=True, slots=True)
class OrderBook:
    """What one clearing takes."""

    requests: list[Request]
    book: Book
    limits: Limits


def order_book(count: int, seed: int, blocks_ppm: int = 0) -> OrderBook:
    """`count` offers in each of 96 quarter-hours; blocks_ppm: the part of them that is blocks."""
    draw = np.random.default_rng(seed)
    node = draw.integers(0, FEEDERS * DEPTH, count)
    watts = draw.integers(5, 200, count) * 100
    # the flexibility of a small book is that of few large customers: all books can serve the same need
    watts = np.maximum(1, watts * 10_000 // count)
    sign = np.where(draw.random(count) < 0.75, -1, 1)
    price = draw.integers(3_000, 40_000, count) * (_EUR // 100)
    block = draw.random(count) < blocks_ppm / 1_000_000
    book = _columns(count, watts, sign, price, block, draw.integers(0, 3_600_000, count))
    return OrderBook(_requests(), book, _limits(draw, node, book))


def _columns(count: int, watts: Ints, sign: Ints, price: Ints, block: Ints, received: Ints) -> Book:
    pods = tuple(f"P{k:06}" for k in range(count))
    plain = np.arange(count)
    ones = np.ones(count, dtype=np.int64)
    zeros = np.zeros(count * FRAMES, dtype=np.int64)
    volume = np.tile(watts, FRAMES)
    return Book(
        ids=tuple(f"O{k:06}" for k in range(count)),
        received_ms=received,
        turn=turns(received),
        sign=sign,
        product=np.zeros(count, dtype=np.int8),
        whole_share=ones,
        offered_w=watts * FRAMES,
        minimum_ppm=np.where(block, 1_000_000, 0),
        coupled=np.zeros(count, dtype=bool),
        linked=np.zeros(count, dtype=bool),
        rebound_ppm={},
        first_point=np.arange(count + 1),
        points=pods,
        pods=pods,
        point=plain,
        share=ones,
        frames=tuple(range(_FIRST, _FIRST + FRAMES)),
        entry_of=np.arange(FRAMES + 1) * count,
        offer=np.tile(plain, FRAMES),
        step=zeros,
        volume_w=volume,
        full_w=volume,
        least_w=np.tile(np.where(block, watts, 0), FRAMES),
        price=np.tile(price, FRAMES),
        stepped=np.zeros(count * FRAMES, dtype=bool),
    )


def _limits(draw: np.random.Generator, node: Ints, book: Book) -> Limits:
    """One monitored line per feeder and depth 0, 3 and 6, both ways: a withdrawal behind it loads or relieves it."""
    elements, rows = [], []
    place = np.arange(FEEDERS * DEPTH)
    for feeder in range(FEEDERS):
        for depth in (0, 3, 6):
            behind = (place // DEPTH == feeder) & (place % DEPTH >= depth)
            loss = 1 + (place % DEPTH) * 0.004
            for way in (1, -1):
                elements.append(f"line:{feeder}.{depth}:{'out' if way > 0 else 'back'}")
                rows.append(np.where(behind, way * (_PPT_PER_W * loss).astype(np.int64), 0))
    effect = np.array(rows, dtype=np.int64)
    by_frame = {}
    for k, frame in enumerate(book.frames):
        margin = draw.integers(10**11, 10**12, len(elements))
        if k in _EVENING:
            for feeder in range(_OVERLOADED):
                margin[elements.index(f"line:{feeder}.0:out")] = -draw.integers(10**10, 10**11)
        by_frame[frame] = FrameLimits(tuple(elements), margin, effect)
    return limits_at(node, by_frame, FEEDERS * DEPTH)


def _requests() -> list[Request]:
    found = [
        Request(
            f"D{feeder}", Buyer.DSO, Direction.UP, f"line:{feeder}.0:out",
            dict.fromkeys((_FIRST + k for k in _EVENING), 10**11), _CAP_UEUR_PER_MWH, feeder,
        )
        for feeder in range(_OVERLOADED)
    ]  # fmt: skip
    volume = dict.fromkeys((_FIRST + k for k in (*_AFTERNOON, *_EVENING)), 6_000_000)
    return [*found, Request("T", Buyer.TSO, Direction.UP, "substation", volume, _CAP_UEUR_PER_MWH)]
