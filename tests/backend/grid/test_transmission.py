"""The TSO's request comes from a power flow, so it moves with the profile it is given."""

import json
from functools import cache

import pytest

from backend.adapters.power_grid import PowerGridFlow
from backend.demo.day import load_day
from backend.errors import Rejected
from backend.grid.forecast import day_scenarios
from backend.grid.substation import SubstationProfile, substation_profile
from backend.grid.transmission import (
    parse_transmission,
    transmission_problems,
    transmission_request,
    transmission_requests,
)

DAY = load_day()
MODEL = parse_transmission(DAY.hv_text)


@cache
def plain_profile():
    states = PowerGridFlow(DAY.network).solve(day_scenarios(DAY.network, DAY.forecast(DAY.day_ahead_gate)))
    return substation_profile(DAY.network, states, list(DAY.frames))


def profile(extra_w=0):
    plain = plain_profile()
    return SubstationProfile(plain.frames, tuple(w + extra_w for w in plain.power_w), plain.power_var)


def test_the_profile_is_the_loads_less_the_generation_plus_losses():
    made = DAY.forecast(DAY.day_ahead_gate)
    net = made.load_w.sum(axis=1) - made.generator_w.sum(axis=1)
    losses = [w - int(n) for w, n in zip(profile().power_w, net, strict=True)]
    assert all(0 < loss < 500_000 for loss in losses)


def test_the_request_asks_for_less_withdrawal_in_the_evening_and_says_why():
    request = transmission_request(MODEL, profile(), PowerGridFlow)
    assert request.direction == "up" and request.frames and request.unserved == ()
    assert set(request.frames) <= set(DAY.window)
    assert set(request.reason) == {"Line West-East without Line West-North"}


def test_the_request_moves_with_the_substation_profile():
    plain = transmission_request(MODEL, profile(), PowerGridFlow)
    more = transmission_request(MODEL, profile(300_000), PowerGridFlow)
    less = transmission_request(MODEL, profile(-2_000_000), PowerGridFlow)
    asked = dict(zip(more.frames, more.volume_w, strict=True))
    for frame, watts in zip(plain.frames, plain.volume_w, strict=True):
        assert asked[frame] - watts == pytest.approx(300_000, rel=0.02)
    assert less.frames == () and less.volume_w == ()


def test_problems_are_the_lines_above_their_rating_and_move_with_the_profile():
    found = transmission_problems(MODEL, profile(), PowerGridFlow)
    assert {p.frame for p in found} == set(transmission_request(MODEL, profile(), PowerGridFlow).frames)
    assert {(p.name, p.without) for p in found} == {("Line West-East", "Line West-North")}
    assert all(10**12 < p.loading_ppt < 1_010 * 10**9 for p in found)
    assert transmission_problems(MODEL, profile(-2_000_000), PowerGridFlow) == ()
    worse = {p.frame: p.loading_ppt for p in transmission_problems(MODEL, profile(300_000), PowerGridFlow)}
    assert all(worse[p.frame] > p.loading_ppt for p in found)


def test_rule_5_each_direction_is_a_request_of_its_own():
    """In the evening the substation draws too much; at night it feeds in more than the same line bears."""
    base = profile()
    night = [k for k, frame in enumerate(base.frames) if k < 4]
    power_w = tuple(-150_000_000 if k in night else w for k, w in enumerate(base.power_w))
    both = SubstationProfile(base.frames, power_w, base.power_var)
    up, down = transmission_requests(MODEL, both, PowerGridFlow)
    assert set(up.frames) == set(transmission_request(MODEL, base, PowerGridFlow).frames) and up.direction == "up"
    assert set(down.frames) == {base.frames[k] for k in night} and down.direction == "down"
    assert min(down.volume_w) > 0 and up.unserved == down.unserved == ()
    one = transmission_request(MODEL, both, PowerGridFlow)
    assert one.direction == "down" and set(one.unserved) == set(up.frames)


def test_with_the_volume_delivered_nothing_is_left_to_ask():
    request, base = transmission_request(MODEL, profile(), PowerGridFlow), profile()
    volume = dict(zip(request.frames, request.volume_w, strict=True))
    served = SubstationProfile(
        base.frames,
        tuple(w - volume.get(f, 0) for f, w in zip(base.frames, base.power_w, strict=True)),
        base.power_var,
    )
    assert transmission_request(MODEL, served, PowerGridFlow).frames == ()


def test_a_line_the_substation_cannot_help_is_unserved_not_requested():
    document = json.loads(DAY.hv_text)
    document["network"]["nodes"].append(
        {"id": 5, "name": "South", "u_rated_v": 110_000, "u_min_ppm": 900_000, "u_max_ppm": 1_100_000}
    )
    spur = {**document["network"]["lines"][0], "id": 5, "name": "Spur", "from": 1, "to": 5, "rated_ma": 100_000}
    document["network"]["lines"].append(spur)
    load = {**document["network"]["loads"][1], "id": 4, "name": "South", "node": 5}
    document["network"]["loads"].append(load)
    document["hourly_w"]["4"] = [50_000_000] * 24
    request = transmission_request(parse_transmission(json.dumps(document)), profile(-2_000_000), PowerGridFlow)
    assert request.frames == () and request.unserved == tuple(DAY.frames)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("format", "x", "format 'x'"),
        ("substation_load", 9, "every load but the substation"),
        ("hourly_w", {"2": [1]}, "every load but the substation"),
        ("hourly_w", {"2": [1] * 24, "3": [1.5] * 24}, "24 whole numbers"),
        ("outages", [7], "ids of lines"),
        ("outages", [{}], "outages {}, expected a whole number"),
        ("substation_load", [1], "expected a whole number"),
        ("offset_quarters", 1.5, "expected a whole number"),
        ("network", {}, "lightnode-network/2"),
    ],
)
def test_a_wrong_model_is_refused(field, value, words):
    document = {**json.loads(DAY.hv_text), field: value}
    with pytest.raises(Rejected) as refused:
        parse_transmission(json.dumps(document))
    assert words in refused.value.reason


def test_text_that_is_no_model_is_refused():
    for text in ("", "[]", "{}", "null"):
        with pytest.raises(Rejected):
            parse_transmission(text)
