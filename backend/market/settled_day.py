"""The settlements of all sessions of a market day that was held in one process, and the day's money over all of them.

1. Each order is settled with the session on whose award it was given, from an input like any other (settled_making.py); what
   other sessions ordered of the same PODs is named in it. An order on no award of these sessions is refused.
2. Lines, totals and flags of the day are those of its sessions; payments are added up by payer, payee and what they are for,
   corrections of positions by BRP and quarter-hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backend.domain.bids import Buyer, Offer, Request
from backend.domain.trade import Order, Outcome
from backend.errors import Rejected
from backend.market import canonical
from backend.market.activation import order_id
from backend.market.settled import Settlement, settled, settlement_text
from backend.market.settled_awards import reserved_of
from backend.market.settled_delivered import sold_by
from backend.market.settled_energy import EnergyLine, OrderTotal
from backend.market.settled_evidence import Flag
from backend.market.settled_input import Called, SettlementInput
from backend.market.settled_making import Knowledge, Settings, Traded, made_input
from backend.market.settled_money import BrpAdjustment, Paid, added_up, together, unbalanced_ueur


@dataclass(frozen=True, slots=True)
class Sold:
    """One session's published outcome, and the book that it was made of."""

    outcome: Outcome
    offers: Sequence[Offer]
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class SettledDay:
    """The settlements of a day's sessions, in their order (rule 2)."""

    settlements: tuple[Settlement, ...]

    @property
    def lines(self) -> tuple[EnergyLine, ...]:
        """By POD, quarter-hour and order."""
        found = [line for one in self.settlements for line in one.lines]
        return tuple(sorted(found, key=lambda line: (line.pod, line.frame, line.order)))

    @property
    def orders(self) -> tuple[OrderTotal, ...]:
        """Totals, session by session."""
        return tuple(total for one in self.settlements for total in one.orders)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What somebody should look at, each once."""
        found = {flag for one in self.settlements for flag in one.flags}
        return tuple(sorted(found, key=lambda flag: (flag.pod, flag.frame, flag.code, flag.reason)))

    @property
    def payments(self) -> tuple[Paid, ...]:
        """Over all sessions."""
        return added_up(paid for one in self.settlements for paid in one.payments)

    @property
    def adjustments(self) -> tuple[BrpAdjustment, ...]:
        """Over all sessions."""
        return together(moved for one in self.settlements for moved in one.adjustments)

    @property
    def unbalanced_ueur(self) -> int:
        """What the payments move otherwise than the lines say; 0 when the books close."""
        held_ready = [line for one in self.settlements for line in one.availability]
        return unbalanced_ueur(self.lines, held_ready, self.payments)

    @property
    def sha256(self) -> str:
        """Of the texts of all its settlements, by which two runs are compared."""
        return canonical.digest([settlement_text(one) for one in self.settlements])


def settled_day(sold: Iterable[Sold], orders: Iterable[Order], settings: Settings, known: Knowledge) -> SettledDay:
    """All of it; Rejected for an order that is on no award, or a POD that is not among the settings."""
    return SettledDay(tuple(settled(one) for one in inputs_of(sold, orders, settings, known)))


def inputs_of(
    sold: Iterable[Sold], orders: Iterable[Order], settings: Settings, known: Knowledge
) -> tuple[SettlementInput, ...]:
    """The input of each session (rule 1)."""
    by_id = {one.id: one for one in orders if one.parts_w}
    sessions = {one.outcome.session: one for one in sold}
    called = {name: _called(one, by_id) for name, one in sessions.items()}
    awards = {name: reserved_of(one.outcome, one.offers, one.requests) for name, one in sessions.items()}
    for order in by_id.keys() - {one.id for of in called.values() for one in of}:
        raise Rejected(f"order {order}: is on no award of {', '.join(sessions)}")
    found = []
    for name, one in sessions.items():
        elsewhere = [row for s in sessions if s != name for row in sold_by(s, awards[s], called[s])]
        traded = Traded(name, canonical.digest(one.outcome), 1, awards[name], called[name], elsewhere)
        found.append(made_input(traded, settings, known))
    return tuple(found)


def _called(one: Sold, orders: Mapping[str, Order]) -> tuple[Called, ...]:
    """The orders on a session's awards."""
    by_offer, found = {offer.id: offer for offer in one.offers}, []
    for award in one.outcome.awards:
        order = orders.get(order_id(one.outcome.session, award))
        if order is not None:
            offer = by_offer[award.offer]
            found.append(
                Called(
                    order.id, order.kind, award.offer, award.request, award.frame, award.step, award.reserve,
                    Buyer(order.buyer), offer.aggregator, offer.direction, offer.product, order.parts_w,
                    order.price_ueur_per_mwh,
                )
            )  # fmt: skip
    return tuple(found)
