"""What moves back behind an order, by hand: a gives 10 kW up in F at 15 kW by its schedule, half of it may come back two
quarter-hours later; 10 kW are 9,000,000 Ws."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request
from backend.domain.trade import Award, OrderKind, Outcome
from backend.errors import Rejected
from backend.market.activation import order as order_of
from backend.market.baseline import Kind, Method
from backend.market.dispute import lines_of
from backend.market.party_statement import party_statement
from backend.market.settled import Settlement, settled, settlement_text
from backend.market.settled_awards import reserved_of
from backend.market.settled_day import Sold, inputs_of
from backend.market.settled_delivered import looked_at
from backend.market.settled_difference import difference
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import BaselineRow, MeasuredRow, OtherOrder, PodRow, Reserved, SettlementInput
from backend.market.settled_making import Knowledge, Traded, made_input
from backend.market.settled_money import BrpAdjustment
from tests.backend.market.settlement_case import FOR_ALL, TERMS, F, award, order, settings

A = award("A-1", "DSO", {"a": 10_000}, 120, rebound=((2, 500_000),))
PLAIN = replace(A, rebound=())


def case(
    awards: tuple[Reserved, ...] = (A,), watts: dict[int, int | None] | None = None, watched: int = 0, **more: Any
) -> SettlementInput:
    """Every award ordered whole; watts: what a measures by quarter-hour from F, 15 kW where nothing is said."""
    seen = {0: 5_000, **(watts or {})}
    rows = [(F + k, seen.get(k, 15_000)) for k in range(6)]
    said = {
        "terms": replace(TERMS, tables=(FOR_ALL,)),
        "orders": tuple(order(f"o{k}", one) for k, one in enumerate(awards, 1)),
        "baselines": tuple(BaselineRow("a", frame, 15_000) for frame, _ in rows),
        "measured": tuple(
            MeasuredRow("a", frame, None if w is None else w * 900, 1_000_000, None) for frame, w in rows
        ),
        **more,
    }
    return SettlementInput(
        session="s", outcome_sha256="ab" * 32, outcome_version=1, awards=awards,
        pods=(PodRow("a", "ann", "X", Method(Kind.SCHEDULE)),), watched_frames=watched, **said,
    )  # fmt: skip


def told(one: Settlement) -> list[tuple[int, int, int | None, int, int, str]]:
    """Quarter-hour from F, declared, measured back, beyond, position (Ws), code."""
    return [(x.frame - F, x.declared_ws, x.back_ws, x.beyond_ws, x.position_ws, x.code.value) for x in one.rebounds]


def test_rule_1_and_2_what_comes_back_as_declared_costs_nothing_and_is_not_the_brp_s() -> None:
    """3 kW more in F+2 are 2,700,000 Ws of the 4,500,000 that were declared."""
    one, without = settled(case(watts={2: 18_000})), settled(case((PLAIN,), watts={2: 18_000}))
    assert told(one) == [(2, 4_500_000, 2_700_000, 0, 2_700_000, "as-declared")]
    assert one.adjustments == (BrpAdjustment("X", F, -9_000_000, 0), BrpAdjustment("X", F + 2, 2_700_000, 0))
    assert one.payments == without.payments and one.lines == without.lines and one.flags == ()
    assert without.adjustments == one.adjustments[:1] and without.rebounds == ()
    assert "rebounds" not in settlement_text(without), "who declares none has the same document as before"


def test_rule_3_what_is_more_than_declared_stays_the_brp_s_and_is_flagged_beyond_the_tolerance() -> None:
    """7 kW more are 6,300,000 Ws, 1,800,000 too many; 5 % of the order, 450,000 Ws, are let pass without a flag."""
    one = settled(case(watts={2: 22_000}))
    assert told(one) == [(2, 4_500_000, 6_300_000, 1_800_000, 4_500_000, "beyond-declared")]
    assert one.rebounds[0].reason == "6300000 Ws back, 4500000 declared: what is more is not part of the offer"
    assert [(flag.pod, flag.frame - F, flag.code.value) for flag in one.flags] == [("a", 2, "rebound-not-declared")]
    assert one.gained_ueur == settled(case()).gained_ueur, "nobody pays for it"
    assert settled(case(watts={2: 20_500})).flags == (), "450,000 Ws beyond"
    assert len(settled(case(watts={2: 20_501})).flags) == 1


def test_rule_1_who_delivered_half_may_move_half_of_it_back_and_who_gave_more_no_more() -> None:
    assert told(settled(case(watts={0: 10_000, 2: 18_000}))) == [
        (2, 2_250_000, 2_700_000, 450_000, 2_250_000, "beyond-declared")
    ]
    assert told(settled(case(watts={0: 0, 2: 15_000})))[0][1:3] == (4_500_000, 0)
    assert told(settled(case(watts={0: 16_000, 2: 14_000}))) == [(2, 0, -900_000, 0, 0, "none")]


def test_rule_2_behind_an_order_down_it_is_less_withdrawal() -> None:
    down = replace(A, direction=Direction.DOWN)
    one = settled(case((down,), {0: 25_000, 2: 13_000}))
    assert told(one) == [(2, 4_500_000, 1_800_000, 0, -1_800_000, "as-declared")]
    assert [x.volume_ws for x in one.adjustments] == [9_000_000, -1_800_000]


def test_rule_4_quarter_hours_behind_the_last_order_are_watched_where_the_settings_say_so() -> None:
    """Ordered in F and F+1; in F+2 4 kW more that nobody declared, in F+3 as scheduled; F+4 is not watched."""
    both = (PLAIN, replace(PLAIN, offer="A-2", frame=F + 1))
    one = settled(case(both, {1: 5_000, 2: 19_000, 4: 99_000}, watched=2))
    assert told(one) == [(2, 0, 3_600_000, 3_600_000, 0, "undeclared"), (3, 0, 0, 0, 0, "none")]
    assert {x.order for x in one.rebounds} == {"o2"} and [flag.frame - F for flag in one.flags] == [2]
    assert settled(case(both, {1: 5_000, 2: 19_000})).rebounds == ()


def test_rule_4_what_is_declared_is_not_watched_a_second_time() -> None:
    assert [(x[0], x[5]) for x in told(settled(case(watts={2: 18_000}, watched=3)))] == [
        (1, "none"), (2, "as-declared"), (3, "none"),
    ]  # fmt: skip


@pytest.mark.parametrize("elsewhere", [False, True])
def test_rule_5_where_the_pod_is_ordered_again_that_order_has_what_it_did_there(elsewhere: bool) -> None:
    again = replace(PLAIN, offer="A-2", frame=F + 2)
    others = (OtherOrder("t", "x", OrderKind.MARKET, F + 2, Direction.UP, {"a": 10_000}),)
    one = settled(case((A,), {2: 8_000}, others=others) if elsewhere else case((A, again), {2: 8_000}))
    assert told(one) == [(2, 4_500_000, None, 0, 0, "ordered-again")] and not one.rebounds[0].held
    if not elsewhere:
        assert one.lines[1].delivered_ws == 7_000 * 900, "against the baseline alone"


DOWN = award("B-1", "DSO", {"a": 10_000}, 50, frame=F + 2, direction=Direction.DOWN)
UP_FIRST = OtherOrder("da", "o1", OrderKind.MARKET, F, Direction.UP, {"a": 10_000}, ((2, 500_000),))


@pytest.mark.parametrize(
    ("watts", "baseline_w", "paid_ws", "back_ws"),
    [
        (20_000, 20_000, 0, 4_500_000),  # the rebound and nothing else
        (18_000, 18_000, 0, 2_700_000),  # less than was declared
        (24_000, 20_000, 3_600_000, 4_500_000),
        (40_000, 20_000, 9_000_000, 4_500_000),
        (14_000, 15_000, 0, 0),  # the wrong way: nothing came back
    ],
)  # fmt: skip
def test_nobody_is_paid_for_his_own_rebound(watts: int, baseline_w: int, paid_ws: int, back_ws: int) -> None:
    """10 kW up in F with half of it back in F+2, where 10 kW down are ordered: in one session, and in two."""
    one = settled(case((A, DOWN), {2: watts}))
    line = next(x for x in one.lines if x.frame == F + 2)
    assert (line.baseline_w, line.paid_ws) == (baseline_w, paid_ws)
    assert [(x.back_ws, x.position_ws, x.held) for x in one.rebounds] == [(back_ws, back_ws, False)]
    assert sum(x.volume_ws for x in one.adjustments if x.frame == F + 2) == paid_ws + back_ws
    assert bool(one.flags) is (baseline_w != 15_000)
    near = settled(case((DOWN,), {2: watts}, others=(UP_FIRST,), orders=(order("o2", DOWN),)))
    assert [(x.baseline_w, x.paid_ws) for x in near.lines] == [(baseline_w, paid_ws)] and near.rebounds == ()
    there = (OtherOrder("rt", "o2", OrderKind.MARKET, F + 2, Direction.DOWN, {"a": 10_000}),)
    ahead = settled(case((A,), {2: watts}, others=there))
    assert ahead.rebounds == one.rebounds and near.lines[0].payment_ueur == line.payment_ueur


def test_who_delivered_nothing_has_no_rebound_and_is_paid_for_what_he_delivers_then() -> None:
    one = settled(case((A, DOWN), {0: 15_000, 2: 20_000}))
    assert next(x for x in one.lines if x.frame == F + 2).paid_ws == 4_500_000


def test_what_is_ordered_on_a_rebound_of_which_nothing_is_known_is_held() -> None:
    for made in (
        case((A, DOWN), {0: None, 2: 24_000}),
        case((DOWN,), {0: None, 2: 24_000}, others=(UP_FIRST,), orders=(order("o2", DOWN),)),
    ):
        line = next(x for x in settled(made).lines if x.frame == F + 2)
        assert (line.held, line.code.value) == (True, "held-no-rebound")


def test_the_rebound_of_another_session_counts_first_if_its_id_is_first_and_no_energy_twice() -> None:
    """Two sessions' rebounds meet in F+2 and 7 kW come back: 4,500,000 Ws are o1's, the rest o2's."""
    second = replace(A, offer="A-2", frame=F + 1, rebound=((1, 500_000),))
    other = OtherOrder("rt", "o2", OrderKind.MARKET, F + 1, Direction.UP, {"a": 10_000}, second.rebound)
    watts: dict[int, int | None] = {1: 5_000, 2: 22_000}
    both = settled(case((A, second), watts))
    first = settled(case((A,), watts, others=(other,)))
    last = settled(case((second,), watts, others=(UP_FIRST,), orders=(order("o2", second),)))
    assert [x.position_ws for x in both.rebounds] == [4_500_000, 1_800_000]
    assert (*first.rebounds, *last.rebounds) == both.rebounds


def test_a_chain_of_rebounds_is_followed_to_its_begin() -> None:
    """F up, F+2 down, F+4 up, each with half of it back: session c hangs on b, b on a; a quarter-hour of nobody does not."""
    sold = [
        OtherOrder(name, name, OrderKind.MARKET, F + 2 * k, way, {"a": 10_000, "b": 1}, ((2, 500_000),))
        for k, (name, way) in enumerate((("a", Direction.UP), ("b", Direction.DOWN), ("c", Direction.UP)))
    ]
    stray = OtherOrder("d", "d", OrderKind.MARKET, F + 1, Direction.UP, {"a": 10_000}, ((4, 500_000),))
    found = looked_at([replace(sold[2], parts_w={"a": 10_000})], [*sold[:2], stray], 0)
    assert found == {("a", F + k) for k in (0, 2, 4, 6)}


def test_rule_5_two_rebounds_of_one_quarter_hour_are_told_in_order_of_order() -> None:
    """o1 may move 4,500,000 back in F+2, o2, ordered in F+1, 25 % of 9,000,000 one later; 7 kW are 6,300,000 Ws."""
    second = replace(A, offer="A-2", frame=F + 1, rebound=((1, 250_000),))
    one = settled(case((A, second), {1: 5_000, 2: 22_000}))
    assert [(x.order, x.declared_ws, x.back_ws, x.position_ws) for x in one.rebounds] == [
        ("o1", 4_500_000, 4_500_000, 4_500_000), ("o2", 2_250_000, 1_800_000, 1_800_000),
    ]  # fmt: skip
    assert one.adjustments[-1] == BrpAdjustment("X", F + 2, 6_300_000, 0)


def test_rule_5_of_both_directions_at_once_nothing_is_told() -> None:
    second = replace(A, offer="A-2", frame=F + 1, direction=Direction.DOWN, rebound=((1, 250_000),))
    one = settled(case((A, second), {1: 25_000, 2: 22_000}))
    assert {x.code.value for x in one.rebounds} == {"both-ways"} and not any(x.position_ws for x in one.rebounds)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"watts": {2: None}}, "held-no-measurement"), ({"watts": {0: None}}, "held-with-its-order"),
        ({"baselines": (BaselineRow("a", F, 15_000),)}, "held-no-baseline"),
    ],
)  # fmt: skip
def test_rule_6_without_evidence_it_is_held_and_counted(change: dict[str, Any], code: str) -> None:
    one = settled(case(**change))
    assert [(x.code.value, x.held, x.position_ws) for x in one.rebounds] == [(code, True, 0)]
    assert one.adjustments[-1] == BrpAdjustment("X", F + 2, 0, 1)


def test_reactive_power_comes_back_and_corrects_no_brp() -> None:
    var = replace(A, product=Product.REACTIVE)
    rows = [(BaselineRow("a/var", F + k, 15_000), MeasuredRow("a/var", F + k, w * 900, 1_000_000, None))
            for k, w in ((0, 5_000), (2, 18_000))]  # fmt: skip
    one = settled(case((var,), baselines=tuple(b for b, _ in rows), measured=tuple(m for _, m in rows)))
    assert told(one) == [(2, 4_500_000, 2_700_000, 0, 0, "as-declared")] and one.adjustments == ()
    assert one.rebounds[0].reason == "2700000 var s back, 4500000 declared"


def test_owner_aggregator_and_brp_are_told_and_can_dispute_it_the_buyer_is_not() -> None:
    said = json.loads(settlement_text(settled(case(watts={2: 22_000}))))
    for party in ("owner/ann", "aggregator/A", "BRP/X"):
        statement = party_statement(said, party)
        assert [x["id"] for x in statement["rebounds"]] == [f"rebound/o1/a/{F + 2}"]
        assert f"rebound/o1/a/{F + 2}" in lines_of(statement) and len(statement["flags"]) == 1
    assert "owner" not in party_statement(said, "BRP/X")["rebounds"][0]
    assert "rebounds" not in party_statement(said, "DSO")


def test_a_later_version_names_a_rebound_that_changed() -> None:
    before, after = (json.loads(settlement_text(settled(case(watts={2: w})))) for w in (None, 18_000))
    found = difference(before, after)
    assert [(x["id"], x["before"]["held"], x["after"]["held"]) for x in found["lines"]] == [
        (f"rebound/o1/a/{F + 2}", True, False)
    ]
    assert found["adjustments"] == [{"name": f"X/{F + 2}", "before": 0, "after": 2_700_000, "difference": 2_700_000}]
    assert found["parties"] == []


def test_the_input_asks_for_every_quarter_hour_in_which_something_may_come_back() -> None:
    terms = replace(settings({"a": "ann"}, FOR_ALL, {}), watched_frames=1)
    traded = Traded("s", "00" * 32, 1, (A,), (order("o1", A),))
    known = Knowledge(
        lambda pod, frame: MeasuredRow(pod, frame, 0, 1_000_000, None),
        schedule_w={("a", F + k): 15_000 + k for k in range(3)},
    )
    made = made_input(traded, terms, known)
    assert [row.frame - F for row in made.measured] == [0, 1, 2]
    assert {row.frame - F: row.power_w for row in made.baselines} == {0: 15_000, 1: 15_001, 2: 15_002}
    assert input_of(input_text(made)) == input_of(input_text(input_of(input_text(made)))) and made.watched_frames == 1


def test_an_offers_rebound_is_the_award_s_and_an_order_of_another_session_there_is_named() -> None:
    def sold(session: str, frame: int, rebound: dict[int, int]) -> tuple[Sold, Any]:
        offer = Offer(
            f"A-{session}", "A", Direction.UP, {frame: 10_000}, {"a": 10_000}, 120_000_000, 0, rebound_ppm=rebound
        )
        request = Request(f"r-{session}", Buyer.DSO, Direction.UP, "line:1", {frame: 100}, 10**9)
        made = Award(offer.id, request.id, frame, 10_000, {"a": 10_000})
        return Sold(Outcome(session, (made,), (), {}), (offer,), (request,)), order_of(
            session, made, offer, request, {"a": 10_000}
        )

    (first, one), (second, two) = sold("da", F, {3: 100_000, 2: 500_000}), sold("rt", F + 2, {})
    (found,) = reserved_of(first.outcome, first.offers, first.requests)
    assert found.rebound == ((2, 500_000), (3, 100_000))
    known = Knowledge(lambda pod, frame: MeasuredRow(pod, frame, 0, 1_000_000, None))
    made = inputs_of([first, second], [one, two], settings({"a": "ann"}, FOR_ALL, {}), known)
    assert [(x.session, x.frame - F) for x in made[0].others] == [("rt", 2)]
    assert made[1].others == (
        OtherOrder("da", one.id, OrderKind.MARKET, F, Direction.UP, {"a": 10_000}, ((2, 500_000), (3, 100_000))),
    ), "its rebound falls on what is ordered there"
    assert [row.frame - F for row in made[1].measured] == [0, 2]
    assert input_of(input_text(made[1])).others == made[1].others


@pytest.mark.parametrize(
    "rebound",
    [[[0, 1]], [[96, 1]], [[1, 0]], [[1, 1_000_001]], [[2, 1], [1, 1]], [[1, 1], [1, 1]], [[1]], [1], [[True, 1]], {}, [[1, 1.0]]],
)  # fmt: skip
def test_a_rebound_that_is_none_is_refused(rebound: Any) -> None:
    document = json.loads(input_text(case()))
    document["awards"][0]["rebound"] = rebound
    with pytest.raises(Rejected, match="rebound"):
        input_of(json.dumps(document))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20_000), st.booleans(), st.integers(1, 3)), max_size=5),
    st.dictionaries(st.integers(0, 5), st.one_of(st.none(), st.integers(-40_000, 60_000))),
    st.integers(0, 3),
)
def test_whatever_comes_back_nobody_gains_by_it_and_no_energy_is_corrected_twice(
    rows: list[tuple[int, int, bool, int]], watts: dict[int, int | None], watched: int
) -> None:
    awards = tuple(
        replace(
            A, offer=f"A-{k}", frame=F + at, parts_w={"a": w}, rebound=((later, 600_000),),
            direction=Direction.UP if up else Direction.DOWN,
        )
        for k, (at, w, up, later) in enumerate(rows)
    )  # fmt: skip
    made = case(awards, watts, watched)
    one, plain = settled(made), settled(replace(made, awards=tuple(replace(a, rebound=()) for a in awards)))
    assert all(
        x.paid_ws <= y.paid_ws and x.penalty_ueur >= y.penalty_ueur or x.held
        for x, y in zip(one.lines, plain.lines, strict=True)
    )
    again = {(f + later, way) for f, later, way in ((F + at, later, not up) for at, _, up, later in rows)}
    if not again & {(F + at, up) for at, _, up, _ in rows}:
        assert (one.payments, one.lines, one.orders) == (plain.payments, plain.lines, plain.orders)
    moved: dict[int, int] = {}
    for line in one.rebounds:
        assert abs(line.position_ws) <= line.declared_ws
    for both in (*one.rebounds, *one.lines):
        moved[both.frame] = moved.get(both.frame, 0) + both.position_ws
    base = {row.frame: 15_000 * 900 for row in made.baselines}
    for frame, position_ws in moved.items():
        seen = next(row.readings_ws for row in made.measured if row.frame == frame) if frame < F + 6 else None
        assert position_ws == 0 or (seen is not None and abs(position_ws) <= abs(seen - base[frame]))
    volumes = {x.frame: x.volume_ws for x in one.adjustments}
    lines: list[Any] = [*one.lines, *one.rebounds]
    assert volumes == {f: sum(x.position_ws for x in lines if x.frame == f) for f in volumes}
