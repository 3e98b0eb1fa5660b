"""The rule taken literally, for comparison: volume at nodes in price order, blind to the network.

1. A need for relief is asked for as the volume it would take where the effect is greatest, of PODs that help at all.
2. Nothing is held against limits; the rest is as in market.clearing, prices and ties, least parts, links and reasons.
3. What stays unserved is what the limits say of the awards, in the request's own unit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backend.domain.bids import Direction, Offer, Product, Request
from backend.domain.constraint import Constraint, reactive
from backend.domain.trade import Outcome
from backend.market.awarded import unserved
from backend.market.book import Caps
from backend.market.clearing import Moves, clear
from backend.market.rules import GUARDED, Rules


def clear_literally(
    session: str,
    requests: Sequence[Request],
    offers: Iterable[Offer],
    constraints: Sequence[Constraint],
    moves: Moves | None = None,
    rules: Rules = GUARDED,
    caps: Caps | None = None,
    node_of: Mapping[str, str] | None = None,
) -> Outcome:
    """The outcome of one session by the literal rule; arguments as of market.clearing.clear."""
    book = list(offers)
    pods = sorted({pod for offer in book for pod in offer.shares_w})
    by_element = {(c.element, c.frame): c for c in reversed(constraints)}
    origin: dict[str, str] = {}
    asked: list[Request] = []
    for request in requests:
        mine = tuple(p for p in pods if not request.nodes or (node_of or {}).get(p, p) in request.nodes)
        made = [_at(request, mine)] if request.by_volume else _as_volume(request, mine, by_element)
        origin |= {one.id: request.id for one in made}
        asked += made
    outcome = clear(session, asked, book, (), moves, rules, caps)
    awards = tuple(replace(award, request=origin[award.request]) for award in outcome.awards)
    return replace(outcome, awards=awards, unserved=unserved(requests, book, awards, constraints))


def _at(request: Request, pods: tuple[str, ...]) -> Request:
    return replace(request, nodes=pods) if request.nodes else request


def _as_volume(
    request: Request, pods: tuple[str, ...], by_element: Mapping[tuple[str, int], Constraint]
) -> list[Request]:
    """One request for volume per quarter-hour: W at the PODs that help (rule 1)."""
    sign = 1 if request.direction is Direction.UP else -1
    point = reactive if request.product is Product.REACTIVE else str
    found = []
    for frame, need in sorted(request.need.items()):
        one = by_element.get((request.element, frame))
        effect = {} if one is None else {pod: sign * one.effects.get(point(pod), 0) for pod in pods}
        helps = {pod: e for pod, e in effect.items() if e > 0}
        if helps:
            name, volume = f"{request.id}\0{frame}", -(-need // max(helps.values()))
            found.append(replace(request, id=name, element="", nodes=tuple(helps), need={frame: volume}))
    return found
