"""Where a watt decides: the whole watts of a group's PODs against limits that their rate alone would not break.

By hand: line:1 is over by 10 (ppt). Less withdrawal at a makes that worse by 3 per W, at b better by 3. A group of both, in
equal parts, has no effect per W; but its first watt comes from a alone (largest remainder, ties by POD), and the line would
be over by 13. So it is, too, where an offer is bought in two goes that round otherwise than the one award they become.
"""

import pytest

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.trade import Fate, Reason
from backend.market.awarded import changes
from backend.market.clearing import clear
from backend.market.optimal import clear_optimally
from backend.market.rules import Rules
from tests.backend.market.books import F, tight_case
from tests.backend.market.plain import clear as plain

GROUP = Offer("G", "A", Direction.UP, {F: 2}, {"a": 1, "b": 1}, 50, 0)
OVER = [Constraint("line:1", F, -10, {"a": -3, "b": 3})]


def asked(need_w: int) -> list[Request]:
    return [Request("t", Buyer.TSO, Direction.UP, "substation", {F: need_w}, 100)]


def more_broken(offers, awards, table) -> list[tuple[str, int]]:
    """Limits that an outcome leaves broken, or more broken than they were."""
    change = changes(offers, awards)
    return [(c.element, c.frame) for c in table if c.margin_after(change.get(c.frame, {})) < min(c.margin_ppt, 0)]


def test_by_hand_a_watt_that_the_rate_does_not_see_is_not_taken() -> None:
    outcome = clear("s", asked(1), [GROUP], OVER)
    assert not outcome.awards and outcome.unserved == {("t", F): 1}
    (result,) = outcome.results
    assert (result.fate, result.reason, result.element) == (Fate.REJECTED, Reason.GUARD, "line:1")


def test_by_hand_both_watts_are_taken_since_they_cancel() -> None:
    outcome = clear("s", asked(2), [GROUP], OVER)
    assert [dict(a.parts_w) for a in outcome.awards] == [{"a": 1, "b": 1}] and not outcome.unserved


def test_by_hand_a_rebound_is_rounded_too() -> None:
    """3 W of a and 1 of b rebound to a third each: 1 and 0 W, more withdrawal at a, on a line that b alone would relieve."""
    group = Offer("G", "A", Direction.UP, {F: 4}, {"a": 3, "b": 1}, 50, 0, rebound_ppm={1: 333_334})
    table = [Constraint("line:1", F + 1, -10, {"a": 1, "b": -3})]
    assert clear("s", asked(4), [group], table).results[0].reason is Reason.GUARD


def guarded(seed: int) -> None:
    requests, offers, table, reserve = tight_case(seed)
    outcome = clear("s", requests, offers, table, None, Rules(reserve_ppm=reserve))
    assert not more_broken(offers, outcome.awards, table), seed
    assert outcome == plain("s", requests, offers, table, None, reserve), seed


def optimal(seed: int) -> None:
    requests, offers, table, reserve = tight_case(seed)
    outcome, _ = clear_optimally("s", requests, offers, table, None, Rules(reserve_ppm=reserve))
    assert not more_broken(offers, outcome.awards, table), seed
    by_id = {o.id: o for o in offers}
    assert all(w <= by_id[a.offer].shares_w[pod] for a in outcome.awards for pod, w in a.parts_w.items()), seed
    keys = [(a.offer, a.request, a.frame, a.step, a.reserve) for a in outcome.awards]
    assert len(keys) == len(set(keys)), seed


def test_no_limit_breaks_by_rounding_and_the_fast_order_is_the_plain_one() -> None:
    for seed in (*range(60), 91, 173, 180, 332, 419):
        guarded(seed)


@pytest.mark.long
def test_no_limit_breaks_by_rounding_often() -> None:
    for seed in range(20_000):
        guarded(seed)


def test_no_limit_breaks_by_rounding_at_the_optimum() -> None:
    for seed in (*range(15), 2_487):
        optimal(seed)


@pytest.mark.long
def test_no_limit_breaks_by_rounding_at_the_optimum_often() -> None:
    for seed in range(4_000):
        optimal(seed)
