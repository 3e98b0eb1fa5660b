"""Validation against a search of all parts on small cases; rules 1 to 5 of the module."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

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
    assert (verdict.element, verdict.frame, verdict.limit_ppt) == ("node:3:low", 100, 970_000_000_000)
    assert verdict.margin_ppt == free(flow, base)[0, 4]
    for more, fits in ((0, True), (2, False)):
        delta = pod_deltas(flow.network, {"POD3": [taken + more, 0]}, 2)
        assert never_worse(free(flow, base), free(flow, base.with_delta(delta))) is fits


def test_a_block_that_does_not_fit_is_refused(flow, states):
    offer = one("a", "POD3", 400_000, 400_000, minimum_ppm=1_000_000, linked=True)
    (verdict,) = validate(flow, states((0, 1_300_000), (0, 200_000)), FRAMES, LIMITS, [offer])
    assert verdict.decision is Decision.REFUSED and verdict.delta_w == {"POD3": (0, 0)}
    assert verdict.element == "node:3:low"


def test_linked_frames_are_cut_alike(flow, states):
    offer = one("a", "POD3", 400_000, 200_000, linked=True)
    (verdict,) = validate(flow, states((0, 1_300_000), (0, 200_000)), FRAMES, LIMITS, [offer])
    assert verdict.decision is Decision.CUT
    assert abs(verdict.delta_w["POD3"][0] - 2 * verdict.delta_w["POD3"][1]) <= 1


def test_a_violated_grid_takes_relief_and_refuses_what_worsens_it(flow, states):
    base = states((0, 1_700_000), (0, 1_700_000))
    worse, better = one("worse", "POD2", 1_000, 1_000), one("better", "POD3", -50_000, -50_000)
    verdicts = {v.offer: v for v in validate(flow, base, FRAMES, LIMITS, [worse, better])}
    assert verdicts["worse"].decision is Decision.REFUSED and verdicts["worse"].margin_ppt < 0
    assert verdicts["better"].decision is Decision.ACCEPTED


def test_order_decides_who_gets_the_room(flow, states):
    base = states((0, 1_300_000), (0, 1_300_000))
    offers = [one(name, "POD3", 150_000, 150_000) for name in ("a", "b", "c")]
    first, second, third = validate(flow, base, FRAMES, LIMITS, offers)
    assert (first.decision, second.decision) == (Decision.ACCEPTED, Decision.CUT)
    assert sum(third.delta_w["POD3"]) <= 4
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


@given(
    base=some.tuples(some.integers(0, 14), some.integers(0, 17)),
    wanted=some.lists(some.tuples(some.sampled_from(["POD2", "POD3"]), some.integers(-4, 4)), min_size=1, max_size=4),
)
def test_verdicts_agree_with_a_search_of_all_parts(flow, states, base, wanted):
    scenarios = states((base[0] * STEP, base[1] * STEP))
    offers = [one(f"o{k}", pod, watts * STEP) for k, (pod, watts) in enumerate(wanted)]
    verdicts = validate(flow, scenarios, FRAMES[:1], LIMITS, offers)
    state = scenarios
    for offer, verdict in zip(offers, verdicts, strict=True):
        (pod,) = offer.delta_w
        (asked,), (taken,) = offer.delta_w[pod], verdict.delta_w[pod]
        parts = [asked * k // 20 for k in range(21)]
        rows = state.rows([0] * 21).with_delta(
            np.concatenate([state.delta_w + pod_deltas(flow.network, {pod: [w]}, 1) for w in parts])
        )
        before = free(flow, state)[0]
        good = [w for w, after in zip(parts, free(flow, rows), strict=True) if never_worse(before, after)]
        assert abs(taken) >= max(abs(w) for w in good)
        state = state.with_delta(state.delta_w + pod_deltas(flow.network, {pod: [taken]}, 1))
        assert never_worse(before, free(flow, state)[0])
        assert (verdict.decision is Decision.ACCEPTED) == (taken == asked)
    assert never_worse(free(flow, scenarios)[0], free(flow, state)[0])


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


def test_an_offer_is_refused_where_the_grid_has_no_solution(flow, states):
    (verdict,) = validate(flow, states((0, 500_000_000)), FRAMES[:1], LIMITS, [one("a", "POD2", -1_000)])
    assert verdict.decision is Decision.REFUSED and verdict.element == "network"
