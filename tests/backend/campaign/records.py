"""Two small days by hand: one session each, one order, a few violations."""

from datetime import date

from backend.campaign.record import Checked, DayRecord, Differs, Named, SessionRecord, Violated
from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.trade import Award, Order, Outcome
from backend.grid.congestion import Violation
from backend.market.indicators import Campaign
from backend.market.settlement import Line, Payment, Source

F = 1_964_000
MWH_WS = 3_600_000_000


def broken(*frames: int, element: str = "line:1") -> tuple[Violation, ...]:
    return tuple(Violation(F + f, element, 11 * 10**11, 10**12, 10**11) for f in frames)


def record(day: date = date(2026, 1, 5), checked: Checked | None = None) -> DayRecord:
    """1 MWh asked for, 0.5 ordered at 60 EUR, 0.4 delivered; five violations, three after taps, one left that no plan knew."""
    offer = Offer("o", "A", Direction.UP, {F: 4_000_000}, {"pod": 4_000_000}, 60_000_000, 0)
    request = Request("r", Buyer.DSO, Direction.UP, "line:1", {F: 100}, 10**9)
    outcome = Outcome(f"{day}-da", (Award("o", "r", F, 2_000_000, {"pod": 2_000_000}),), (), {("r", F): 50})
    line = Line(
        "x", "o", "DSO", "A", "pod", F, MWH_WS // 2, MWH_WS * 4 // 10, MWH_WS * 4 // 10, 60_000_000, 24_000_000, 3_000_000,
        2_400_000, Source.READINGS, False,
    )  # fmt: skip
    campaign = Campaign((request,), (offer,), outcome, (line,), frozenset({"pod", "other"}))
    return DayRecord(
        day=day,
        frames=tuple(range(F, F + 96)),
        sessions=(SessionRecord(f"{day}-da", campaign, 1, {"DSO": MWH_WS, "TSO": 0}),),
        orders=(Order("x", "o", "r", "DSO", F, {"pod": 2_000_000}, "up", 60_000_000),),
        lines=(line,),
        payments=(
            Payment("DSO", "A", 24_000_000, "delivered flexibility"),
            Payment("A", "DSO", 3_000_000, "penalty for missing flexibility"),
        ),
        unbalanced_ueur=0,
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
