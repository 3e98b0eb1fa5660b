"""What the campaign's actors bring to a market day."""

from dataclasses import replace
from datetime import date

from backend.campaign.delivery import Chance
from backend.campaign.reality import compared
from backend.campaign.trading import as_available, downward
from backend.domain.bids import Direction, Offer
from backend.grid.congestion import Violation
from tests.backend.campaign.test_delivery import BATTERY, PUMP

F = 1_993_108
FRAMES = (F, F + 1, F + 2)
UP = Offer("o", "A", Direction.UP, dict.fromkeys(FRAMES, 250), {"pod": 500}, 50, 1)


def test_rule_2_an_offer_has_no_more_than_the_schedule_leaves_to_reduce() -> None:
    (found,) = as_available([UP], [PUMP], FRAMES, {"pod": [600, 100, 0]})
    assert found.volume_w == {F: 250, F + 1: 50}, "half of what it can, in each quarter-hour"
    (battery,) = as_available([UP], [replace(BATTERY, up_w=500)], FRAMES, {"pod": [0, 0, 0]})
    assert battery.volume_w == UP.volume_w


def test_what_can_take_more_offers_it_once() -> None:
    chance = Chance(1, date(2026, 1, 5))
    (found,) = downward([PUMP], [UP], FRAMES, chance, 1)
    assert found.direction is Direction.DOWN and found.volume_w == dict.fromkeys(FRAMES, 300)
    assert 40_000_000 <= found.price_ueur_per_mwh <= 120_000_000
    assert downward([PUMP], [UP, found], FRAMES, chance, 1) == ()
    assert downward([replace(PUMP, down_w=0)], [UP], FRAMES, chance, 1) == ()


def test_engines_agree_unless_one_sees_more_than_rounding() -> None:
    def one(element: str, amount: int) -> Violation:
        return Violation(F, element, 0, 0, amount)

    both, only = compared(
        [one("a", 10**9), one("b", 10**6), one("c", 10**7)], [one("a", 10**9 + 50), one("d", 3 * 10**6)]
    )
    assert (both, only) == (1, [(F, "c", "ours"), (F, "d", "theirs")])
