"""Offers as columns: what a clearing of a hundred thousand of them reads.

1. Offers stand by id, so that their place breaks ties; the points they move (PODs) by name.
2. An entry is one price step of an offer in one quarter-hour; entries stand by quarter-hour, offer, step.
3. A cap, W of an offer in a quarter-hour, leaves of its steps what lies below it; what it offered stays what it was.
4. Linked offers and offers with a rebound are coupled: they move more than one quarter-hour.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.domain.bids import Direction, Offer, Product
from backend.errors import Rejected

Ints = npt.NDArray[Any]
Caps = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Columns over offers: ids ... first_point; over their points: point (place among `points`), share; over entries: the rest.

    turn: place by receipt time, then id. sign: +1 down, -1 up, of withdrawal.
    whole_share: the sum of an offer's shares; of a single POD share and sum are 1.
    offered_w: over all quarter-hours, without caps. entry_of: where a quarter-hour's entries begin, one more than frames.
    full_w: of the step without a cap. least_w: of the first step, 0 elsewhere.
    stepped: whether the quarter-hour has price steps.
    """

    ids: tuple[str, ...]
    received_ms: Ints
    turn: Ints
    sign: Ints
    product: Ints
    whole_share: Ints
    offered_w: Ints
    minimum_ppm: Ints
    coupled: npt.NDArray[np.bool_]
    linked: npt.NDArray[np.bool_]
    rebound_ppm: Mapping[int, Mapping[int, int]]
    first_point: Ints
    points: tuple[str, ...]
    pods: tuple[str, ...]
    point: Ints
    share: Ints
    frames: tuple[int, ...]
    entry_of: Ints
    offer: Ints
    step: Ints
    volume_w: Ints
    full_w: Ints
    least_w: Ints
    price: Ints
    stepped: Ints

    def entries(self, frame: int) -> slice:
        """Where a quarter-hour's entries stand; empty for one in which nobody offers."""
        place = int(np.searchsorted(self.frames, frame)) if self.frames else 0
        if place == len(self.frames) or self.frames[place] != frame:
            return slice(0, 0)
        return slice(int(self.entry_of[place]), int(self.entry_of[place + 1]))

    def points_of(self, offer: int) -> slice:
        """Where an offer's points stand in `point` and `share`."""
        return slice(int(self.first_point[offer]), int(self.first_point[offer + 1]))


PRODUCTS = {product: k for k, product in enumerate(Product)}


def book_of(offers: Iterable[Offer], caps: Caps | None = None) -> Book:
    """The columns of these offers. Raises Rejected for two offers with one id."""
    ordered = sorted(offers, key=lambda o: o.id)
    for one, other in pairwise(ordered):
        if one.id == other.id:
            raise Rejected(f"offer {one.id} stands twice in the book")
    entries = _entries(ordered, caps or {})
    names, point, share, first = _points(ordered)
    single = np.diff(first) == 1
    whole = np.array([sum(o.shares_w.values()) for o in ordered], dtype=np.int64)
    share[first[:-1][single]] = 1
    rebound = {k: dict(sorted(o.rebound_ppm.items())) for k, o in enumerate(ordered) if o.rebound_ppm}
    linked = np.array([o.linked for o in ordered], dtype=bool)
    received = np.array([o.received_ms for o in ordered], dtype=np.int64)
    return Book(
        ids=tuple(o.id for o in ordered),
        received_ms=received,
        turn=turns(received),
        sign=np.array([-1 if o.direction is Direction.UP else 1 for o in ordered], dtype=np.int64),
        product=np.array([PRODUCTS[o.product] for o in ordered], dtype=np.int8),
        whole_share=np.where(single, 1, whole),
        offered_w=np.array([sum(o.volume_w.values()) for o in ordered], dtype=np.int64),
        minimum_ppm=np.array([o.minimum_ppm for o in ordered], dtype=np.int64),
        coupled=linked | np.array([bool(o.rebound_ppm) for o in ordered], dtype=bool),
        linked=linked,
        rebound_ppm=rebound,
        first_point=first,
        points=tuple(names),
        pods=tuple(names.values()),
        point=point,
        share=share,
        **entries,
    )


def turns(received_ms: Ints) -> Ints:
    """By offer, its place by receipt time, then id."""
    place = np.empty(len(received_ms), dtype=np.int64)
    place[np.argsort(received_ms, kind="stable")] = np.arange(len(received_ms))
    return place


def _points(offers: list[Offer]) -> tuple[dict[str, str], Ints, Ints, Ints]:
    """Point -> POD in order of name, place of each offer's points and its shares by name, and where they begin."""
    points = [offer.points for offer in offers]
    pod_of: dict[str, str] = {}
    for offer, mine in zip(offers, points, strict=True):
        pod_of.update(zip(mine, offer.shares_w, strict=True))
    names = {name: pod_of[name] for name in sorted(pod_of)}
    place = {name: k for k, name in enumerate(names)}
    by_name = [sorted(mine.items()) if len(mine) > 1 else mine.items() for mine in points]
    point = [place[name] for mine in by_name for name, _ in mine]
    share = [watts for mine in by_name for _, watts in mine]
    first = np.concatenate(([0], np.cumsum([len(mine) for mine in points], dtype=np.int64)))
    return names, np.array(point, dtype=np.int64), np.array(share, dtype=np.int64), first


def _entries(offers: list[Offer], caps: Caps) -> dict[str, Any]:
    """The columns over entries (rules 2 and 3)."""
    frame: list[int] = []
    volume: list[int] = []
    price: list[int] = []
    step: list[int] = []
    counts = []
    for offer in offers:
        before = len(frame)
        if offer.steps:
            for f in offer.volume_w:
                for k, one in enumerate(offer.steps_of(f)):
                    frame.append(f)
                    volume.append(one.volume_w)
                    price.append(one.price_ueur_per_mwh)
                    step.append(k)
        else:
            frame.extend(offer.volume_w.keys())
            volume.extend(offer.volume_w.values())
            price.extend([offer.price_ueur_per_mwh] * len(offer.volume_w))
            step.extend([0] * len(offer.volume_w))
        counts.append(len(frame) - before)
    owner = np.repeat(np.arange(len(offers)), counts)
    frames, steps = np.array(frame, dtype=np.int64), np.array(step, dtype=np.int64)
    order = np.lexsort((steps, owner, frames))
    known, begin = np.unique(frames[order], return_index=True)
    columns: dict[str, Any] = {
        "frames": tuple(int(f) for f in known),
        "entry_of": np.append(begin, len(order)),
        "offer": owner[order],
        "step": steps[order],
        "full_w": np.array(volume, dtype=np.int64)[order],
        "price": np.array(price, dtype=np.int64)[order],
    }
    has_steps = np.array([bool(o.steps) for o in offers], dtype=bool)
    columns["stepped"] = has_steps[columns["offer"]]
    columns["least_w"] = _least(offers, columns, frames[order])
    columns["volume_w"] = _capped(offers, columns, frames[order], caps)
    return columns


def _least(offers: list[Offer], columns: Mapping[str, Any], frame: Ints) -> Ints:
    least = np.zeros(len(frame), dtype=np.int64)
    demanding = np.array([o.minimum_ppm > 0 for o in offers], dtype=bool)
    if demanding.any():
        for k in np.flatnonzero(demanding[columns["offer"]] & (columns["step"] == 0)):
            least[k] = offers[int(columns["offer"][k])].least_w(int(frame[k]))
    return least


def _capped(offers: list[Offer], columns: Mapping[str, Any], frame: Ints, caps: Caps) -> Ints:
    volume: Ints = columns["full_w"].copy()
    place = {offer.id: k for k, offer in enumerate(offers)}
    for (id, f), most_w in caps.items():
        if id not in place:
            continue
        mine = np.flatnonzero((columns["offer"] == place[id]) & (frame == f))
        for k in mine:
            volume[k] = max(0, min(int(volume[k]), most_w))
            most_w -= int(columns["full_w"][k])
    return volume
