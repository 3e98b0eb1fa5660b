"""Offers and requests to awards: the guarded merit order.

1. DSO requests come first (by priority, then id), then TSO requests with what is left; each has its reserve behind it.
2. For relief of an element offers stand in order of price per unit of relief on it in that quarter-hour: 50 EUR with a
   tenth of the effect is dearer than 60. For volume in order of price. Ties: receipt time, then id.
3. Each acceptance is held against every limit of the quarter-hour, linearised: the largest W that leaves none broken
   that held, and none more broken than it was. What the whole watts of its PODs would break all the same is not taken.
   A TSO acceptance thus never takes back what the DSO bought.
4. Volume is split over an offer's PODs by their shares, largest remainder, ties by POD id; of a POD no more is taken than its
   part of the whole offer, in however many awards (market.pod_parts).
5. Every offer ends in exactly one result with a reason; need that stays when all awards are active is published.
6. An award is settled at its own price, or at the dearest accepted of its request and quarter-hour: see market.pricing.
7. A POD moves in one direction in a quarter-hour, over all sessions: else neither delivery could be measured. Its reactive
   power is another matter.
8. A DSO request asks for relief beside the state of the constraints; what any award relieves counts towards it.
9. An offer is taken to its least part or not at all. Its price steps are taken in order, each when those before it are whole.
10. Linked quarter-hours are taken in the same part, by a request that asks in all of them, once.
11. A rebound is held against the limits of its quarter-hour as the movement is against its own (market.coupled).
12. A reserve is a part of the need that is taken beyond it, in the same order; it is held against limits as if it were active.
13. A request at nodes stands only for offers whose PODs are all there, one for a product only for offers of it.
14. What a limit stopped, wholly or in part, stops every offer behind it that differs in nothing but price and name, though
   others may have relieved the limit in between: a worse price never goes ahead of an equal better one.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from backend.domain.bids import Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Award, Fate, Outcome, Reason, Result
from backend.market.book import Book, Caps, Ints, book_of
from backend.market.limits import Limits, limits_of
from backend.market.merit_order import in_turn, serve_all
from backend.market.pod_parts import Parts, within_parts
from backend.market.pricing import Prices, priced
from backend.market.rules import GUARDED, Pricing, Rules
from backend.market.state import NEARNESS, State, fresh

Moves = Mapping[tuple[str, int], Direction]


def clear(
    session: str,
    requests: Iterable[Request],
    offers: Iterable[Offer],
    constraints: Iterable[Constraint],
    moves: Moves | None = None,
    rules: Rules = GUARDED,
    caps: Caps | None = None,
    node_of: Mapping[str, str] | None = None,
) -> Outcome:
    """The outcome of one session before technical validation.

    constraints: of the state that earlier sessions left; moves: which way (POD, frame) moves by their awards. caps: W of
    (offer, frame) that validation leaves. node_of: the node of each POD for requests at nodes; without it a POD is its own.
    """
    book = book_of(offers, caps)
    return clear_book(session, list(requests), book, limits_of(constraints, book), moves or {}, rules, node_of or {})


def clear_book(
    session: str,
    requests: Sequence[Request],
    book: Book,
    limits: Limits,
    moves: Moves,
    rules: Rules = GUARDED,
    node_of: Mapping[str, str] | None = None,
) -> Outcome:
    """The same for a book and limits that are columns already."""
    asked = in_turn(requests)
    state, parts = within_parts(book, asked, lambda one: decide(asked, one, limits, moves, rules, node_of))
    return outcome_of(session, state, asked, rules.pricing, parts)


def decide(
    asked: Sequence[Request],
    book: Book,
    limits: Limits,
    moves: Moves,
    rules: Rules = GUARDED,
    node_of: Mapping[str, str] | None = None,
) -> State:
    """What is taken of each entry, as columns; asked: the requests in turn."""
    state = fresh(book, limits, moves)
    serve_all(state, asked, rules.reserve_ppm, node_of or {})
    return state


def outcome_of(session: str, state: State, asked: Sequence[Request], pricing: Pricing, parts: Parts) -> Outcome:
    """The records of what was decided; asked: the requests in turn; parts: as market.pod_parts gives them."""
    return Outcome(session, _awards(state, asked, pricing, parts), _results(state), unserved_of(state, asked))


def _awards(state: State, asked: Sequence[Request], pricing: Pricing, parts_w: Parts) -> tuple[Award, ...]:
    """By request, reserve behind need, quarter-hour and merit."""
    book, prices = state.book, Prices(pricing, state)
    found = []
    for number, bought in enumerate(state.bought):
        request, offers = asked[bought.request].id, book.offer[bought.entry]
        first, last = book.first_point[offers], book.first_point[offers + 1]
        rows = zip(
            offers.tolist(), bought.volume_w.tolist(), book.point[first].tolist(), (last - first).tolist(),
            book.step[bought.entry].tolist(), priced(prices, bought), strict=True,
        )  # fmt: skip
        for place, (offer, watts, point, count, step, price) in enumerate(rows):
            if count == 1:
                parts = {book.pods[point]: watts}
            else:
                names = (book.pods[p] for p in book.point[book.points_of(offer)].tolist())
                parts = dict(zip(names, parts_w[number, place], strict=True))
            found.append(Award(book.ids[offer], request, bought.frame, watts, parts, step, bought.reserve, price))
    return tuple(found)


def _results(state: State) -> tuple[Result, ...]:
    """One per offer, by id."""
    book = state.book
    accepted, whole = accepted_w(state)
    elements = list(state.numbers)
    found = []
    rows = zip(
        book.ids, book.offered_w.tolist(), accepted.tolist(), whole.tolist(), state.level.tolist(),
        state.element_no.tolist(), strict=True,
    )  # fmt: skip
    for id, offered, taken, all_of_it, level, number in rows:
        reason = NEARNESS[level]
        if taken and all_of_it:
            found.append(Result(id, Fate.ACCEPTED, Reason.TAKEN, offered, taken))
        elif taken:
            why = Reason.NEED_MET if reason is Reason.NO_NEED else reason
            found.append(Result(id, Fate.CUT, why, offered, taken, elements[number] if why is Reason.GUARD else ""))
        else:
            found.append(Result(id, Fate.REJECTED, reason, offered, 0, elements[number]))
    return tuple(found)


def accepted_w(state: State) -> tuple[Ints, Ints]:
    """By offer: W over all quarter-hours, and whether each quarter-hour in which it was taken at all is taken whole."""
    book = state.book
    accepted = np.zeros(len(book.ids), dtype=np.int64)
    np.add.at(accepted, book.offer, state.taken_w)
    whole = np.ones(len(book.ids), dtype=bool)
    touched = np.flatnonzero(state.taken_w)
    short = touched[state.taken_w[touched] < book.full_w[touched]]
    whole[book.offer[short]] = False
    later = np.flatnonzero((book.step > 0) & (state.taken_w < book.full_w))
    later = later[state.taken_w[later - 1] > 0]
    whole[book.offer[later]] = False
    return accepted, whole


def unserved_of(state: State, asked: Sequence[Request]) -> dict[tuple[str, int], int]:
    """What stays of each need, by (request, quarter-hour), in the request's unit."""
    bought: dict[tuple[int, int], int] = {}
    for one in state.bought:
        key = (one.request, one.frame)
        bought[key] = bought.get(key, 0) + int(one.volume_w.sum())
    found = {}
    for number, request in enumerate(asked):
        for frame, need in request.need.items():
            here = state.limits.at(frame)
            if request.by_volume:
                met = bought.get((number, frame), 0)
            elif request.element in here.elements:
                row = here.elements.index(request.element)
                met = int(state.margin(frame)[row]) - int(here.margin_ppt[row])
            else:
                met = 0
            if need > met:
                found[request.id, frame] = need - met
    return found
