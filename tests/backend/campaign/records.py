"""Two small days by hand: one session each, one order, a few violations."""

from datetime import date

from backend.campaign.record import Checked, DayRecord, Differs, Named, SessionRecord, Violated
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.trade import Award, Order, Outcome
from backend.grid.congestion import Violation
from backend.market.indicators import Campaign
from backend.market.settled_day import SettledDay, Sold, settled_day
from backend.market.settled_input import MeasuredRow
from backend.market.settled_making import Knowledge
from backend.market.settled_terms import PenaltyStep, PenaltyTable
from tests.backend.market.settlement_case import domain_order, settings

F = 1_964_000
MWH_WS = 3_600_000_000


def broken(*frames: int, element: str = "line:1") -> tuple[Violation, ...]:
    return tuple(Violation(F + f, element, 11 * 10**11, 10**12, 10**11) for f in frames)


def settled_as(sold: Sold, order: Order) -> SettledDay:
    """2 MW ordered of 3, 1.6 delivered; half the price for what is missing beyond a twentieth."""
    terms = settings({"pod": "owner"}, PenaltyTable((PenaltyStep(50_000, 500_000),)), {"A": 100_000})
    known = Knowledge(
        lambda pod, frame: MeasuredRow(pod, frame, 1_400_000 * 900, 1_000_000, None),
        schedule_w={("pod", F): 3_000_000},
    )
    return settled_day([sold], [order], terms, known)


def record(day: date = date(2026, 1, 5), checked: Checked | None = None) -> DayRecord:
    """1 MWh asked for, 0.5 ordered at 60 EUR, 0.4 delivered; five violations, three after taps, one left that no plan knew."""
    offer = Offer("o", "A", Direction.UP, {F: 4_000_000}, {"pod": 4_000_000}, 60_000_000, 0)
    request = Request("r", Buyer.DSO, Direction.UP, "line:1", {F: 100}, 10**9)
    outcome = Outcome(f"{day}-da", (Award("o", "r", F, 2_000_000, {"pod": 2_000_000}),), (), {("r", F): 50})
    order = domain_order(outcome, "o", {"pod": 2_000_000}, 60_000_000)
    settled = settled_as(Sold(outcome, (offer,), (request,)), order)
    campaign = Campaign((request,), (offer,), outcome, settled.lines, frozenset({"pod", "other"}))
    return DayRecord(
        day=day,
        frames=tuple(range(F, F + 96)),
        sessions=(SessionRecord(f"{day}-da", campaign, 1, {"DSO": MWH_WS, "TSO": 0}),),
        orders=(order,),
        settled=settled,
        unserved=(
            Named(f"{day}-da", "r", "line:1", F, 50, "ppt"),
            Named(f"{day}-da", "", "node:2:high", F + 1, 7, "ppt"),
        ),
        expected=Violated(broken(0, 1), broken(0), broken(0), broken(0)),
        real=Violated(broken(0, 1, 2, 3, 4), broken(0, 1, 2), broken(0, 2), broken(0, 2)),
        error_ws={
            "day-ahead load": MWH_WS,
            "near-real-time load": 0,
            "day-ahead generation": 2 * MWH_WS,
            "near-real-time generation": MWH_WS,
        },  # fmt: skip
        actual_ws={"load": 10 * MWH_WS, "generation": 4 * MWH_WS},
        curtailed_ws={"without market": 3 * MWH_WS, "with market": MWH_WS},
        response_s=(2, 10, 40),
        silent=(),
        weak=("pod",),
        absent=("other",),
        tap_operations=2,
        checked=checked,
    )


CHECKED = Checked("pandapower 3", 100, 4, (Differs("after the market", F + 5, "line:1", "theirs"),))
