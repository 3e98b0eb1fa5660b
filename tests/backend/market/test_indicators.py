"""Key performance indicators by hand; of several sessions as of their sums."""

from dataclasses import replace

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.trade import Award, Outcome
from backend.market.indicators import Campaign, indicators
from backend.market.settled import settled
from backend.market.settled_energy import EnergyLine
from tests.backend.market.settlement_case import worked

F = 1_993_108
OFFER = Offer("o", "A", Direction.UP, {F: 4_000, F + 1: 2_000}, {"a": 3_000, "b": 1_000}, 60_000_000, 0)
REQUEST = Request("r", Buyer.DSO, Direction.UP, "line:1", {F: 100, F + 1: 80, F + 2: 0}, 10**9)
OUTCOME = Outcome("s", (Award("o", "r", F, 4_000, {"a": 3_000, "b": 1_000}),), (), {("r", F + 1): 20})


SETTLED = settled(worked()).lines[0]


def line(pod: str, ordered_w: int, delivered_w: int, held: bool = False) -> EnergyLine:
    paid = 0 if held else min(ordered_w, delivered_w) * 900
    return replace(
        SETTLED, pod=pod, ordered_ws=ordered_w * 900, delivered_ws=delivered_w * 900, paid_ws=paid,
        payment_ueur=paid * 60 // 3_600, penalty_ueur=100, held=held,
    )  # fmt: skip


ONE = Campaign(
    (REQUEST,), (OFFER,), OUTCOME, (line("a", 3_000, 2_400), line("b", 1_000, 0, held=True)), frozenset("abcd"), 5, 1
)


def test_one_session_by_hand() -> None:
    found = indicators([ONE])
    assert (found.needs, found.needs_unserved, found.served_ppm) == (2, 1, 875_000), "whole and three quarters"
    assert (found.offered_ws, found.awarded_ws) == (6_000 * 900, 4_000 * 900)
    assert (found.ordered_ws, found.delivered_ws, found.paid_ws) == (2_700_000, 2_160_000, 2_160_000)
    assert (found.held_lines, found.accuracy_ppm) == (1, 800_000)
    assert found.cost_ueur == {"DSO": 36_000 - 100} and found.mean_price_ueur_per_mwh == 60_000_000
    assert (found.pods_registered, found.pods_offered, found.pods_awarded) == (4, 2, 2)
    assert (found.participation_ppm, found.violations_avoided) == (500_000, 4)


def test_rule_1_a_share_of_nothing_is_none() -> None:
    found = indicators([])
    assert (found.sessions, found.served_ppm, found.accuracy_ppm) == (0, None, None)
    assert found.mean_price_ueur_per_mwh is found.participation_ppm is None and found.cost_ueur == {}


def test_rule_2_of_two_sessions_sums_add_and_pods_count_once() -> None:
    found, one = indicators([ONE, ONE]), indicators([ONE])
    assert found.awarded_ws == 2 * one.awarded_ws and found.cost_ueur == {"DSO": 2 * one.cost_ueur["DSO"]}
    assert (found.pods_offered, found.accuracy_ppm, found.served_ppm) == (2, 800_000, 875_000)


def test_rule_4_an_error_greater_than_the_order_is_below_zero() -> None:
    assert indicators([replace(ONE, lines=(line("a", 1_000, -1_500),))]).accuracy_ppm == -1_500_000


def test_a_need_made_worse_than_it_was_counts_as_not_served_at_all() -> None:
    worse = replace(OUTCOME, unserved={("r", F + 1): 90})
    assert indicators([replace(ONE, outcome=worse)]).served_ppm == 500_000, "whole and nothing"
