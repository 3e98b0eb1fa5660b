"""What buyers order of a session's published outcome (I-09), and what an emergency takes outside of it: pure rules.

1. An order stands on an award of its buyer, in its product, whole or in part; all orders on an award together never take
   more of a POD than was awarded of it. The cheapest price step goes first; W is split over what is left of the PODs' parts.
2. The same order again changes nothing; the same id with another content is refused, and so is one that has gone.
3. An order is in time until the offer's lead time before its quarter-hour; an offer with a ramp needs, before that, the
   time to reach all that is then ordered of it. After the quarter-hour it is over.
4. What is ordered keeps the offer's least part for each buyer (or all that the buyer was awarded, if that is less), and
   linked quarter-hours are ordered in the same part.
5. Its buyer withdraws an order, or puts another in its place, until rule 3 says it is too late for any quarter-hour that
   changes; what stays the same in the new order stays as it was, its ids too.
6. An emergency order needs no award and no lead time, only a quarter-hour of the session that is not over, and PODs that
   are registered; it is marked. It earns the dearest price of the POD's latest award of the session in its direction, up to
   that quarter-hour, times a factor; without an award a price that is announced with the session.
7. A POD is ordered in one direction in a quarter-hour: nothing turns it against an order that stands, in any session.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.quantity import FRAME_MS, PPM, half_even, split
from backend.domain.trade import Award, OrderKind, Outcome
from backend.market.order_check import PodRegister, Ways, is_one_way, is_same_part, passed, volume_of
from backend.market.order_row import BuyerOrder, EmergencyOrder
from backend.market.ordered import EmergencyTerms, OrderAnswer, Ordered

_MINUTE_MS = 60_000


@dataclass(slots=True)
class OrderBook:
    """What is ordered of a session. published: its latest outcome, None before there is one."""

    session: str
    frames: Sequence[int]
    offers: Mapping[str, Offer]
    requests: Mapping[str, Request]
    terms: EmergencyTerms
    published: Outcome | None = None
    _orders: dict[str, BuyerOrder | EmergencyOrder] = field(default_factory=dict)
    _ordered: dict[str, tuple[Ordered, ...]] = field(default_factory=dict)

    def standing(self) -> tuple[Ordered, ...]:
        """What stands, in order of receipt, then of quarter-hour and step."""
        return tuple(one for of in self._ordered.values() for one in of)

    def restore(self, order: BuyerOrder | EmergencyOrder, ordered: Sequence[Ordered]) -> None:
        """Puts back what was taken before, as it was."""
        self._orders[order.id] = order
        self._ordered[order.id] = tuple(ordered)
        if isinstance(order, BuyerOrder) and order.supersedes:
            self._ordered.pop(order.supersedes, None)

    def remove(self, id: str) -> None:
        """Takes out what was withdrawn."""
        self._ordered.pop(id, None)

    def of(self, id: str) -> tuple[Ordered, ...]:
        """What stands of a buyer's order; nothing if it has gone."""
        return self._ordered.get(id, ())

    def take(self, order: BuyerOrder, party: str, now_ms: int, ways: Ways) -> OrderAnswer:
        """Takes an order on an award, or says why not; ways: of PODs by the orders of other sessions."""
        if (known := self._known(order, party)) is not None:
            return known
        if self.published is None:
            return OrderAnswer.NOT_PUBLISHED
        before = self._orders.get(order.supersedes)
        if (wrong := self._award_of(order) or self._place(order, before)) is not None:
            return wrong
        kept = self._unchanged(order)
        changes = set(order.volume_w) | {one.frame for one in self.of(order.supersedes)}
        changes -= {one.frame for one in kept}
        made = self._drawn(order, changes, now_ms)
        if made is None:
            return OrderAnswer.TOO_MUCH
        after = [*self._others(order.supersedes), *kept, *made]
        offer = self.offers[order.offer]
        wrong = self._late(offer, changes, after, now_ms) or self._parts(offer, order, after)
        if wrong is None and not is_one_way(after, self._others(order.supersedes), ways):
            wrong = OrderAnswer.OTHER_WAY
        if wrong is not None:
            return wrong
        self.restore(order, sorted((*kept, *made), key=lambda one: (one.frame, one.step)))
        return OrderAnswer.TAKEN

    def take_emergency(
        self, order: EmergencyOrder, party: str, now_ms: int, ways: Ways, registered: PodRegister
    ) -> OrderAnswer:
        """Takes an emergency order, or says why not (rule 6)."""
        if (known := self._known(order, party)) is not None:
            return known
        if not set(order.volume_w) <= set(self.frames):
            return OrderAnswer.OUTSIDE
        if any(now_ms >= (frame + 1) * FRAME_MS for frame in order.volume_w):
            return OrderAnswer.OVER
        if any(registered.whose(pod, frame) is None for pod in order.shares_w for frame in order.volume_w):
            return OrderAnswer.UNKNOWN_POD
        made = self._emergency(order, registered, now_ms)
        if not is_one_way(made, self.standing(), ways):
            return OrderAnswer.OTHER_WAY
        if self._beyond(made, registered):
            return OrderAnswer.BEYOND_POD
        self.restore(order, made)
        return OrderAnswer.TAKEN

    def withdraw(self, id: str, party: str, now_ms: int) -> OrderAnswer:
        """Takes an order back, or says why not (rule 5); an emergency until its first quarter-hour begins."""
        order = self._orders.get(id)
        if order is None:
            return OrderAnswer.NOT_HERE
        if order.buyer != party:
            return OrderAnswer.NOT_THEIRS
        if id not in self._ordered:
            return OrderAnswer.GONE
        frames = set(order.volume_w)
        if isinstance(order, EmergencyOrder):
            wrong = passed(frames, 0, now_ms)
        else:
            offer, after = self.offers[order.offer], self._others(id)
            wrong = passed(frames, offer.lead_s * 1000, now_ms) or self._least(offer, order.buyer, frames, after)
        if wrong is not None:
            return wrong
        self.remove(id)
        return OrderAnswer.WITHDRAWN

    def _known(self, order: BuyerOrder | EmergencyOrder, party: str) -> OrderAnswer | None:
        """Rule 2."""
        if order.buyer != party:
            return OrderAnswer.NOT_THEIRS
        before = self._orders.get(order.id)
        if before is None:
            return None
        if before != order:
            return OrderAnswer.OTHER_CONTENT
        return OrderAnswer.AGAIN if order.id in self._ordered else OrderAnswer.GONE

    def _award_of(self, order: BuyerOrder) -> OrderAnswer | None:
        request, frames = self.requests.get(order.request), {a.frame for a in self._awards(order)}
        if request is None or not set(order.volume_w) <= frames:
            return OrderAnswer.NOT_AWARDED
        if request.buyer is not order.buyer:
            return OrderAnswer.OTHER_BUYER
        if self.offers[order.offer].product is not order.product:
            return OrderAnswer.OTHER_PRODUCT
        return None

    def _place(self, order: BuyerOrder, before: BuyerOrder | EmergencyOrder | None) -> OrderAnswer | None:
        if not order.supersedes:
            return None
        if before is None:
            return OrderAnswer.NOT_HERE
        if before.buyer is not order.buyer:
            return OrderAnswer.NOT_THEIRS
        if before.id not in self._ordered:
            return OrderAnswer.GONE
        key = order.offer, order.request, order.reserve
        if not isinstance(before, BuyerOrder) or (before.offer, before.request, before.reserve) != key:
            return OrderAnswer.OTHER_AWARD
        return None

    def _awards(self, order: BuyerOrder) -> list[Award]:
        """Its awards, by quarter-hour and price step."""
        awards = self.published.awards if self.published is not None else ()
        mine = [a for a in awards if (a.offer, a.request, a.reserve) == (order.offer, order.request, order.reserve)]
        return sorted(mine, key=lambda a: (a.frame, a.step))

    def _others(self, id: str) -> list[Ordered]:
        return [one for key, of in self._ordered.items() if key != id for one in of]

    def _unchanged(self, order: BuyerOrder) -> list[Ordered]:
        """What a superseded order has in quarter-hours whose W stays."""
        before = self.of(order.supersedes)
        sums: dict[int, int] = {}
        for one in before:
            sums[one.frame] = sums.get(one.frame, 0) + one.volume_w
        return [one for one in before if order.volume_w.get(one.frame) == sums[one.frame]]

    def _drawn(self, order: BuyerOrder, changes: Iterable[int], now_ms: int) -> list[Ordered] | None:
        """Rule 1; None if less is left."""
        taken: dict[tuple[int, int, str], int] = {}
        for one in self._others(order.supersedes):
            if (one.offer, one.request, one.reserve) == (order.offer, order.request, order.reserve):
                for pod, w in one.parts_w.items():
                    taken[one.frame, one.step, pod] = taken.get((one.frame, one.step, pod), 0) + w
        left_w = {frame: order.volume_w[frame] for frame in sorted(changes) if frame in order.volume_w}
        made = []
        for award in self._awards(order):
            free = {p: max(0, w - taken.get((award.frame, award.step, p), 0)) for p, w in award.parts_w.items()}
            volume = min(left_w.get(award.frame, 0), sum(free.values()))
            if volume:
                left_w[award.frame] -= volume
                made.append(self._on(order, award, split(volume, {p: w for p, w in free.items() if w}), now_ms))
        return None if any(left_w.values()) else made

    def _on(self, order: BuyerOrder, award: Award, parts_w: Mapping[str, int], now_ms: int) -> Ordered:
        offer = self.offers[order.offer]
        price = offer.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
        identity = f"{self.session}/order/{order.id}/{award.frame}/{award.step}"
        return Ordered(
            _id(identity), order.id, OrderKind.MARKET, offer.id, order.request, award.frame, award.step, award.reserve,
            order.buyer, offer.aggregator, offer.direction, offer.product, {p: w for p, w in parts_w.items() if w}, price,
            now_ms,
        )  # fmt: skip

    def _late(self, offer: Offer, changes: Iterable[int], after: Iterable[Ordered], now_ms: int) -> OrderAnswer | None:
        """Rule 3, of quarter-hours that change."""
        frames = set(changes)
        if (wrong := passed(frames, offer.lead_s * 1000, now_ms)) is not None or not offer.ramp_w_per_min:
            return wrong
        volume = volume_of(offer.id, after)
        for frame in frames:
            ramp_ms = -(-volume.get(frame, 0) * _MINUTE_MS // offer.ramp_w_per_min)
            if now_ms > frame * FRAME_MS - offer.lead_s * 1000 - ramp_ms:
                return OrderAnswer.RAMP
        return None

    def _parts(self, offer: Offer, order: BuyerOrder, after: Sequence[Ordered]) -> OrderAnswer | None:
        """Rule 4."""
        if offer.linked:
            whole: dict[int, int] = {}
            for award in self._awards(order):
                whole[award.frame] = whole.get(award.frame, 0) + award.volume_w
            if set(whole) != set(order.volume_w) or not is_same_part(order.volume_w, whole):
                return OrderAnswer.LINKED
        return self._least(offer, order.buyer, set(order.volume_w), after)

    def _least(self, offer: Offer, buyer: Buyer, frames: Iterable[int], after: Iterable[Ordered]) -> OrderAnswer | None:
        mine = volume_of(offer.id, (one for one in after if one.buyer is buyer))
        awarded: dict[int, int] = {}
        for award in self.published.awards if self.published is not None else ():
            if award.offer == offer.id and self.requests[award.request].buyer is buyer:
                awarded[award.frame] = awarded.get(award.frame, 0) + award.volume_w
        for frame in frames:
            if 0 < mine.get(frame, 0) < min(offer.least_w(frame), awarded.get(frame, 0)):
                return OrderAnswer.LEAST
        return None

    def _emergency(self, order: EmergencyOrder, registered: PodRegister, now_ms: int) -> list[Ordered]:
        return [
            Ordered(
                _id(f"{self.session}/emergency/{order.id}/{frame}/{pod}"), order.id, OrderKind.EMERGENCY, "", "", frame, 0,
                False, order.buyer, registered.whose(pod, frame) or "", order.direction, Product.ACTIVE, {pod: w},
                self.price_of(pod, frame, order.direction), now_ms,
            )
            for frame in sorted(order.volume_w)
            for pod, w in sorted(split(order.volume_w[frame], order.shares_w).items())
            if w
        ]  # fmt: skip

    def price_of(self, pod: str, frame: int, direction: Direction) -> int:
        """micro-EUR/MWh of an emergency (rule 6)."""
        prices: dict[int, int] = {}
        for award in self.published.awards if self.published is not None else ():
            offer = self.offers[award.offer]
            alike = offer.direction is direction and offer.product is Product.ACTIVE
            if alike and award.frame <= frame and award.parts_w.get(pod):
                price = offer.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
                prices[award.frame] = max(price, prices.get(award.frame, 0))
        if not prices:
            return self.terms.price_ueur_per_mwh
        return half_even(prices[max(prices)] * self.terms.factor_ppm, PPM)

    def _beyond(self, made: Sequence[Ordered], registered: PodRegister) -> bool:
        """Whether a POD has less than is ordered of it, here."""
        taken: dict[tuple[str, int, Direction], int] = {}
        for one in (*self.standing(), *made):
            for pod, w in one.parts_w.items() if one.product is Product.ACTIVE else ():
                taken[pod, one.frame, one.direction] = taken.get((pod, one.frame, one.direction), 0) + w
        for pod, frame, direction in sorted({(pod, one.frame, one.direction) for one in made for pod in one.parts_w}):
            has_w = registered.has_w(pod, frame, direction)
            if has_w is not None and taken[pod, frame, direction] > has_w:
                return True
        return False


def _id(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
