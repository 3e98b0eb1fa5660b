"""Validation against a search of all parts on small cases; rules 1 to 7 of the module."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from backend.adapters.power_grid import PowerGridFlow
from backend.domain.bids import Buyer
from backend.errors import Rejected
from backend.grid.congestion import Limits, margins, pod_deltas
from backend.grid.validation import Decision, Proposal, validate

FRAMES = [100, 101]
LIMITS = Limits()


def free(flow, scenarios):
    return margins(flow.network, flow.solve(scenarios), LIMITS).margin_ppt


def never_worse(before, after):
    return bool((after >= np.minimum(before, 0)).all())


def one(offer, pod, *watts, **more):
    return Proposal(offer, {pod: watts}, **more)


def test_an_offer_that_fits_is_accepted_whole(flow, states):
    (verdict,) = validate(flow, states((0, 500_000), (0, 600_000)), FRAMES, LIMITS, [one("a", "POD3", 10_000, 20_000)])
    assert verdict.decision is Decision.ACCEPTED and verdict.delta_w == {"POD3": (10_000, 20_000)}


def test_an_offer_is_cut_to_what_fits_and_the_limit_is_named(flow, states):
    base = states((0, 1_300_000), (0, 200_000))
    (verdict,) = validate(flow, base, FRAMES, LIMITS, [one("a", "POD3", 400_000, 400_000)])
    assert verdict.decision is Decision.CUT and verdict.delta_w["POD3"][1] == 400_000
    taken = verdict.delta_w["POD3"][0]
    assert 0 < taken < 400_000
    (stop,) = verdict.stops
    assert (stop.element, stop.frame, stop.limit_ppt) == ("node:3:low", 100, 970_000_000_000)
    assert stop.margin_ppt == free(flow, base)[0, 4] and stop.passed_w == taken
    assert stop.effect_ppt_per_w == pytest.approx(stop.margin_ppt / taken, rel=0.01)
    for more, fits in ((0, True), (2, False)):
        delta = pod_deltas(flow.network, {"POD3": [taken + more, 0]}, 2)
        assert never_worse(free(flow, base), free(flow, base.with_delta(delta))) is fits


def test_a_block_that_does_not_fit_is_refused(flow, states):
    offer = one("a", "POD3", 400_000, 400_000, minimum_ppm=1_000_000, linked=True)
    (verdict,) = validate(flow, states((0, 1_300_000), (0, 200_000)), FRAMES, LIMITS, [offer])
    assert verdict.decision is Decision.REFUSED and verdict.delta_w == {"POD3": (0, 0)}
    assert verdict.element == "node:3:low"
    fits = next(s for s in verdict.stops if s.frame == FRAMES[0])
    assert 0 < fits.passed_w < 400_000, "it says what would have passed"
    assert next(s for s in verdict.stops if s.frame == FRAMES[1]).element == "linked"


def test_linked_frames_are_cut_alike(flow, states):
    offer = one("a", "POD3", 400_000, 200_000, linked=True)
    (verdict,) = validate(flow, states((0, 1_300_000), (0, 200_000)), FRAMES, LIMITS, [offer])
    assert verdict.decision is Decision.CUT
    assert abs(verdict.delta_w["POD3"][0] - 2 * verdict.delta_w["POD3"][1]) <= 1


def test_a_violated_grid_takes_relief_and_refuses_what_worsens_it(flow, states):
    base = states((0, 1_700_000), (0, 1_700_000))
    worse = one("worse", "POD2", 60_000, 60_000)
    (verdict,) = validate(flow, base, FRAMES, LIMITS, [worse])
    assert verdict.decision is Decision.REFUSED and all(s.margin_ppt < 0 and s.passed_w == 0 for s in verdict.stops)
    (better,) = validate(flow, base, FRAMES, LIMITS, [one("better", "POD3", -50_000, -50_000)])
    assert better.decision is Decision.ACCEPTED


def test_what_is_cut_is_tried_again_when_later_offers_make_room(flow, states):
    """The load first, alone too much; a block of relief that is not enough for the whole of it."""
    base = states((0, 1_450_000))
    load = one("load", "POD3", 300_000)
    (alone,) = validate(flow, base, FRAMES[:1], LIMITS, [load])
    offers = [load, one("relief", "POD3", -100_000)]
    first, second = validate(flow, base, FRAMES[:1], LIMITS, offers)
    assert second.decision is Decision.ACCEPTED and first.decision is Decision.CUT
    assert first.delta_w["POD3"][0] == pytest.approx(alone.delta_w["POD3"][0] + 100_000, abs=50)


def test_a_dso_award_is_never_lowered_by_a_tso_award(flow, states):
    base = states((0, 1_300_000), (0, 1_300_000))
    dso = [one("d1", "POD3", 100_000, 100_000), one("d2", "POD2", 90_000, 90_000)]
    tso = [one("t1", "POD3", 90_000, 90_000, buyer=Buyer.TSO), one("t2", "POD2", -40_000, -40_000, buyer=Buyer.TSO)]
    alone = validate(flow, base, FRAMES, LIMITS, dso)
    for order in ((*tso, *dso), (*dso, *tso), (tso[1], dso[0], tso[0], dso[1])):
        verdicts = {v.offer: v for v in validate(flow, base, FRAMES, LIMITS, list(order))}
        assert [verdicts[v.offer] for v in alone] == list(alone)
    assert verdicts["t1"].decision is Decision.CUT


def test_a_tso_award_does_not_take_back_what_the_dso_bought(flow, states):
    """The frame stays violated with the DSO's relief; a TSO's load may not even bring it back to where it was."""
    base = states((0, 1_700_000))
    offers = [one("d", "POD3", -20_000), one("t", "POD3", 20_000, buyer=Buyer.TSO)]
    dso, tso = validate(flow, base, FRAMES[:1], LIMITS, offers)
    assert dso.decision is Decision.ACCEPTED and tso.decision is Decision.REFUSED


def test_a_rebound_counts_and_cuts_the_offer_with_it(flow, states):
    base = states((0, 1_000_000), (0, 1_400_000))
    free_of_it = one("a", "POD3", -200_000, 0)
    rebound = one("a", "POD3", -200_000, 0, rebound_w={"POD3": (0, 160_000)})
    assert validate(flow, base, FRAMES, LIMITS, [free_of_it])[0].decision is Decision.ACCEPTED
    (verdict,) = validate(flow, base, FRAMES, LIMITS, [rebound])
    assert verdict.decision is Decision.CUT and verdict.element == "node:3:low"
    given, back = verdict.delta_w["POD3"][0], verdict.rebound_w["POD3"][1]
    assert -200_000 < given < 0 and abs(back * 5 + given * 4) <= 10, "one part of both"
    after = base.with_delta(np.array([[0, given], [0, back]]))
    assert never_worse(free(flow, base), free(flow, after))
    with pytest.raises(Rejected, match="rebound in a frame in which it is awarded"):
        one("b", "POD3", -1, rebound_w={"POD3": (1,)})


def test_reactive_power_is_judged_too(flow, states):
    base = states((0, 100_000))
    offer = Proposal("q", {}, delta_var={"POD3": (3_000_000,)})
    (verdict,) = validate(flow, base, FRAMES[:1], LIMITS, [offer])
    assert verdict.decision is Decision.CUT and 0 < verdict.delta_var["POD3"][0] < 3_000_000
    assert verdict.stops[0].element.startswith("line:") and verdict.stops[0].effect_ppt_per_w > 0


def test_a_frame_without_solution_is_named_and_stops_no_other(flow, states):
    base = states((0, 500_000_000), (0, 500_000))
    offers = [one("a", "POD2", -1_000, -1_000), one("b", "POD3", 2_000, 2_000)]
    for verdict in validate(flow, base, FRAMES, LIMITS, offers):
        assert verdict.decision is Decision.CUT
        assert [(s.frame, s.element) for s in verdict.stops] == [(FRAMES[0], "network")]
        (watts,) = verdict.delta_w.values()
        assert watts[0] == 0 and watts[1] != 0


def test_order_decides_who_gets_the_room(flow, states):
    base = states((0, 1_300_000), (0, 1_300_000))
    offers = [one(name, "POD3", 150_000, 150_000) for name in ("a", "b", "c")]
    first, second, third = validate(flow, base, FRAMES, LIMITS, offers)
    assert (first.decision, second.decision) == (Decision.ACCEPTED, Decision.CUT)
    assert sum(third.delta_w["POD3"]) <= 4 and third.stops[0].element == "node:3:low"
    swapped = validate(flow, base, FRAMES, LIMITS, offers[::-1])
    assert [v.offer for v in swapped] == ["c", "b", "a"] and swapped[0].decision is Decision.ACCEPTED


def test_a_subset_of_awards_is_judged_anew(flow, states):
    base = states((0, 1_450_000), (0, 1_450_000))
    relief, load = one("relief", "POD3", -60_000, -60_000), one("load", "POD3", 62_000, 62_000)
    together = validate(flow, base, FRAMES, LIMITS, [relief, load])
    assert [v.decision for v in together] == [Decision.ACCEPTED, Decision.ACCEPTED]
    (alone,) = validate(flow, base, FRAMES, LIMITS, [load])
    assert alone.decision is Decision.CUT


STEP = 100_000


@settings(max_examples=25)
@given(
    base=some.tuples(some.integers(0, 14), some.integers(0, 17)),
    wanted=some.lists(
        some.tuples(some.sampled_from(["POD2", "POD3"]), some.integers(-4, 4), some.booleans(), some.booleans()),
        min_size=1, max_size=5,
    ),
)  # fmt: skip
def test_the_set_is_never_worse_than_none_and_nothing_more_fits(flow, states, base, wanted):
    scenarios = states((base[0] * STEP, base[1] * STEP))
    offers = [
        one(f"o{k}", pod, watts * STEP, linked=linked, buyer=Buyer.TSO if is_tso else Buyer.DSO)
        for k, (pod, watts, linked, is_tso) in enumerate(wanted)
    ]
    verdicts = validate(flow, scenarios, FRAMES[:1], LIMITS, offers)
    local = pod_deltas(flow.network, {}, 1)
    local = local + sum(pod_deltas(flow.network, v.delta_w, 1) for v in verdicts if v.buyer is Buyer.DSO)
    whole = local + sum(pod_deltas(flow.network, v.delta_w, 1) for v in verdicts if v.buyer is Buyer.TSO)
    states_of = [free(flow, scenarios.with_delta(delta))[0] for delta in (0 * local, local, whole)]
    assert never_worse(states_of[0], states_of[1]) and never_worse(states_of[1], states_of[2])
    for offer, verdict in zip(offers, verdicts, strict=True):
        (pod,) = offer.delta_w
        (asked,), (taken,) = offer.delta_w[pod], verdict.delta_w[pod]
        assert abs(taken) <= abs(asked) and taken * asked >= 0
        assert (verdict.decision is Decision.ACCEPTED) == (taken == asked) == (not verdict.stops)
        if taken != asked:
            more = taken + (asked - taken) // 20 + (1 if asked > 0 else -1)
            delta, floor = (local, states_of[1]) if verdict.buyer is Buyer.DSO else (whole, states_of[2])
            fuller = free(flow, scenarios.with_delta(delta + pod_deltas(flow.network, {pod: [more - taken]}, 1)))[0]
            assert (fuller < np.minimum(floor, 0)).any(), "a twentieth more of what was cut would have fitted"


def test_the_answer_does_not_depend_on_threads_or_on_the_frames_beside(flow, states, three_nodes):
    base = states((0, 1_300_000), (0, 1_700_000), (0, 900_000))
    offers = [one("a", "POD3", 150_000, -80_000, 0), one("b", "POD2", 500_000, 10_000, 700_000)]
    three = [100, 101, 102]
    whole = validate(flow, base, three, LIMITS, offers)
    assert validate(PowerGridFlow(three_nodes, threads=3), base, three, LIMITS, offers) == whole
    for row in range(3):
        parts = [one(o.offer, *o.delta_w, next(iter(o.delta_w.values()))[row]) for o in offers]
        for verdict, alone in zip(whole, validate(flow, base.rows([row]), [three[row]], LIMITS, parts), strict=True):
            assert {pod: (watts[row],) for pod, watts in verdict.delta_w.items()} == dict(alone.delta_w)


def test_merit_order_finds_the_first_feasible_choice_of_blocks(flow, states):
    """Blocks only: of all subsets, the one a walk in merit order must find is the lexicographically first feasible."""
    base = states((0, 1_200_000), (0, 1_200_000))
    sizes = (200_000, 150_000, 120_000, 40_000)
    offers = [one(f"b{k}", "POD3", w, w, minimum_ppm=1_000_000, linked=True) for k, w in enumerate(sizes)]
    taken = [v.decision is Decision.ACCEPTED for v in validate(flow, base, FRAMES, LIMITS, offers)]
    feasible = []
    for subset in itertools.product((True, False), repeat=4):
        total = sum(w for w, yes in zip(sizes, subset, strict=True) if yes)
        after = free(flow, base.with_delta(pod_deltas(flow.network, {"POD3": [total, total]}, 2)))
        if never_worse(free(flow, base), after):
            feasible.append(list(subset))
    assert taken == feasible[0] and not all(taken)


def test_wrong_proposals_are_refused(flow, states):
    with pytest.raises(Rejected, match="POD PODX: not connected"):
        validate(flow, states((0, 1)), FRAMES[:1], LIMITS, [one("a", "PODX", 1)])
    with pytest.raises(Rejected, match="minimum_ppm = 2000000"):
        one("a", "POD2", 1, minimum_ppm=2_000_000)
    with pytest.raises(Rejected, match="offer a: proposed twice for the DSO"):
        validate(flow, states((0, 1)), FRAMES[:1], LIMITS, [one("a", "POD2", 1), one("a", "POD3", 1)])


def test_an_offer_is_refused_where_the_grid_has_no_solution(flow, states):
    (verdict,) = validate(flow, states((0, 500_000_000)), FRAMES[:1], LIMITS, [one("a", "POD2", -1_000)])
    assert verdict.decision is Decision.REFUSED and verdict.element == "network"
