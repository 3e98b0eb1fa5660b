"""A session small enough to settle on paper: eight PODs, two aggregators, both buyers. Its numbers stand in test_settled.py."""

from collections.abc import Iterable, Mapping
from typing import Any

from backend.domain.bids import Buyer, Direction, Product
from backend.domain.local_day import Calendar
from backend.domain.quantity import PPM
from backend.domain.trade import Order, OrderKind, Outcome
from backend.market.activation import order_id
from backend.market.baseline import Kind, Method
from backend.market.settled_input import (
    BaselineRow,
    Called,
    MeasuredRow,
    NotAvailable,
    PodRow,
    Reserved,
    SettlementInput,
)
from backend.market.settled_making import Settings
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms

F = 1_993_108
EUR = 1_000_000
FOR_ALL = PenaltyTable(
    (PenaltyStep(50_000, 500_000), PenaltyStep(500_000, 1_000_000), PenaltyStep(1_000_000, 1_500_000))
)
OF_TSO = PenaltyTable((PenaltyStep(0, 1_000_000),), "TSO")
TERMS = SettlementTerms((FOR_ALL, OF_TSO), {"A": 100_000}, 900_000, {"DSO": 200 * EUR})
POWERS_W = {"a": (15_000, 5_000), "b": (22_000, 12_000), "d": (5_000, 6_000), "f": (7_000, 7_000), "h": (4_000, 2_000)}


def award(offer: str, buyer: str, parts_w: dict[str, int], price_eur: int, held_eur: int = 0, **more: Any) -> Reserved:
    said = {"direction": Direction.UP, "frame": F, "step": 0, "reserve": False, "product": Product.ACTIVE, **more}
    return Reserved(
        offer=offer, request=f"r-{buyer}", buyer=Buyer(buyer), aggregator=offer[0], parts_w=parts_w,
        price_ueur_per_mwh=price_eur * EUR, availability_ueur_per_mw_h=held_eur * EUR, **said,
    )  # fmt: skip


def order(id: str, of: Reserved, parts_w: dict[str, int] | None = None) -> Called:
    """The order on an award, whole or in part."""
    return Called(
        id, OrderKind.MARKET, of.offer, of.request, of.frame, of.step, of.reserve, of.buyer, of.aggregator, of.direction,
        of.product, of.parts_w if parts_w is None else parts_w, of.price_ueur_per_mwh,
    )  # fmt: skip


def emergency(id: str, parts_w: dict[str, int], direction: Direction = Direction.UP, price_eur: int = 0) -> Called:
    return Called(
        id, OrderKind.EMERGENCY, "", "", F, 0, False, Buyer.DSO, "A", direction, Product.ACTIVE, parts_w, price_eur * EUR,
    )  # fmt: skip


def measured(pod: str, watts: int | None, ppm: int = 1_000_000, registers_ws: int | None = None) -> MeasuredRow:
    return MeasuredRow(pod, F, None if watts is None else watts * 900, ppm, registers_ws)


def worked() -> SettlementInput:
    awards = (
        award("A-1", "DSO", {"a": 10_000, "b": 20_000}, 120, 4),
        award("A-2", "TSO", {"c": 8_000}, 100, 2),
        award("B-1", "TSO", {"d": 4_000}, 90),
        award("B-2", "DSO", {"e": 6_000}, 50, direction=Direction.DOWN),
        award("B-3", "DSO", {"f": 5_000}, 80, 6),
        award("B-4", "DSO", {"g": 2_000}, 80, 6),
    )
    brp = {"a": "X", "b": "X", "c": "Y", "d": "Y", "e": "Y", "f": "Z", "g": "Z", "h": "Z"}
    rows = [measured(pod, watts) for pod, (_, watts) in POWERS_W.items() if pod != "a"]
    return SettlementInput(
        session="da-27",
        outcome_sha256="ab" * 32,
        outcome_version=1,
        terms=TERMS,
        awards=awards,
        orders=(*(order(f"o{k}", one) for k, one in enumerate(awards[:4], 1)), emergency("o9", {"h": 3_000})),
        pods=tuple(PodRow(pod, f"Owner {pod}", of, Method(Kind.SCHEDULE)) for pod, of in brp.items()),
        baselines=(
            *(BaselineRow(pod, F, watts) for pod, (watts, _) in POWERS_W.items()),
            BaselineRow("c", F, 10_000),
            BaselineRow("e", F, 1_000),
        ),
        measured=(
            *rows,
            measured("a", 5_000, registers_ws=4_480_000),
            measured("c", 2_000, 400_000, 1_710_000),
            measured("e", None, 0),
        ),
        unavailable=(NotAvailable("g", F, "inverter off"),),
    )


def domain_order(outcome: Outcome, offer: str, parts_w: dict[str, int], price_ueur_per_mwh: int) -> Order:
    """The order on the one award of an offer in an outcome, up."""
    (award,) = [one for one in outcome.awards if one.offer == offer]
    id = order_id(outcome.session, award)
    return Order(id, offer, award.request, "DSO", award.frame, parts_w, "up", price_ueur_per_mwh)


def settings(owner_of: Mapping[str, str], table: PenaltyTable, fee_ppm: Mapping[str, int]) -> Settings:
    """PODs on the schedule of BRP X, one penalty table for all."""
    pods = {pod: PodRow(pod, owner, "X", Method(Kind.SCHEDULE)) for pod, owner in owner_of.items()}
    return Settings(SettlementTerms((table,), fee_ppm), Calendar(), pods)


def case_of(
    orders: Iterable[Order],
    aggregator_of: Mapping[str, str],
    baseline_w: Mapping[tuple[str, int], int],
    energy_ws: Mapping[tuple[str, int], int],
    terms: SettlementTerms,
) -> SettlementInput:
    """The input of a session "s" in which each order is the whole of an award of its own; aggregator_of maps offers,
    energy_ws is of complete 4 s readings by (POD, quarter-hour), every POD has an owner of its own."""
    every = list(orders)
    awards = tuple(
        Reserved(
            o.offer, o.request, o.frame, k, False, Buyer(o.buyer), aggregator_of[o.offer], Direction(o.direction),
            Product.ACTIVE, o.parts_w, o.price_ueur_per_mwh, 0,
        )
        for k, o in enumerate(every)
    )  # fmt: skip
    points = sorted({(pod, o.frame) for o in every for pod in o.parts_w})
    return SettlementInput(
        session="s", outcome_sha256="ab" * 32, outcome_version=1, terms=terms, awards=awards,
        orders=tuple(order(o.id, award) for o, award in zip(every, awards, strict=True)),
        pods=tuple(PodRow(pod, f"owner {pod}", "X", Method(Kind.SCHEDULE)) for pod in sorted({p for p, _ in points})),
        baselines=tuple(BaselineRow(*point, baseline_w[point]) for point in points),
        measured=tuple(MeasuredRow(*point, energy_ws[point], PPM, None) for point in points if point in energy_ws),
    )  # fmt: skip
