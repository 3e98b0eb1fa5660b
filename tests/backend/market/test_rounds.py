"""Rounds of clearing and validation, by hand: what validation takes away goes to the next best, within the bound.

The TSO wants 6,000 W. X is best with 6,000 W, Y next, Z last. The operator allows X half, Y nothing.
"""

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.quantity import PPM
from backend.domain.trade import Fate, Outcome, Reason
from backend.market.clearing import clear
from backend.market.rounds import Rounds, Verdict, clear_and_validate
from backend.market.rules import Rules
from tests.backend.market.books import F

OFFERS = [
    Offer(name, "A", Direction.UP, {F: 6_000}, {name: 6_000}, price, 0)
    for name, price in (("X", 1), ("Y", 2), ("Z", 3))
]
ASKED = [Request("tso", Buyer.TSO, Direction.UP, "substation", {F: 6_000}, 300)]
MOST = {"X": 3_000, "Y": 0}


def limited(outcome: Outcome) -> Verdict:
    left, parts = dict(MOST), {}
    for award in outcome.awards:
        if award.offer in left:
            kept = min(left[award.offer], award.volume_w)
            left[award.offer] -= kept
            parts[award.offer, award.request] = {F: kept * PPM // award.volume_w}
    cut = {offer for (offer, _), part in parts.items() if part[F] < PPM}
    return Verdict(parts, {offer: f"line:{offer}" for offer in cut})


def rounds(most: int, validate=limited) -> Rounds:
    rules = Rules(rounds=most)
    return clear_and_validate(
        lambda caps: clear("s", ASKED, OFFERS, [], None, rules, caps), validate, ASKED, OFFERS, [], rules
    )


def taken(found: Rounds) -> dict[str, int]:
    return {a.offer: a.volume_w for a in found.outcome.awards}


def test_1_what_validation_cuts_is_bought_elsewhere() -> None:
    found = rounds(5)
    assert (taken(found), found.rounds) == ({"X": 3_000, "Z": 3_000}, 3)
    assert found.outcome.unserved == {}


def test_3_the_last_round_cuts_and_says_what_stays_unserved() -> None:
    found = rounds(2)
    assert (taken(found), found.rounds) == ({"X": 3_000}, 2)
    assert found.outcome.unserved == {("tso", F): 3_000}
    assert taken(rounds(1)) == {"X": 3_000}


def test_4_an_offer_that_was_cut_names_the_element() -> None:
    by_offer = {r.offer: r for r in rounds(5).outcome.results}
    assert (by_offer["X"].fate, by_offer["X"].reason) == (Fate.CUT, Reason.VALIDATED_IN_PART)
    assert (by_offer["Y"].fate, by_offer["Y"].reason) == (Fate.REJECTED, Reason.NOT_VALIDATED)
    assert [by_offer[o].element for o in "XYZ"] == ["line:X", "line:Y", ""]
    assert len(by_offer) == 3


def test_without_a_cut_one_round_is_enough() -> None:
    found = rounds(5, lambda _: Verdict({}, {}))
    assert (taken(found), found.rounds) == ({"X": 6_000}, 1)


def test_2_a_tso_award_never_lowers_a_dso_award() -> None:
    local = Request("dso", Buyer.DSO, Direction.UP, "", {F: 4_000}, 300, nodes=("X", "Y", "Z"))

    def cleared(requests: list[Request], most: int) -> dict[str, int]:
        rules = Rules(rounds=most)
        found = clear_and_validate(
            lambda caps: clear("s", requests, OFFERS, [], None, rules, caps), limited, requests, OFFERS, [], rules
        )
        return {a.offer: a.volume_w for a in found.outcome.awards if a.request == "dso"}

    assert cleared([*ASKED, local], 5) == cleared([local], 5) == {"X": 3_000, "Z": 1_000}
    assert cleared([*ASKED, local], 1) == cleared([local], 1) == {"X": 3_000}
