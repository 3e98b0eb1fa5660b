"""Documents of a day's work: what is taken, and that everything else is refused by name."""

import json
from pathlib import Path

import pytest

from backend.domain.bids import Buyer
from backend.errors import Rejected
from backend.grid.document import parse_network
from backend.grid.states import parse_awards, parse_capabilities, parse_states
from tests.backend.grid import three_nodes as small

GRID = parse_network((Path(__file__).parents[3] / "backend/demo/baran_wu_33.json").read_text())
STATES = {
    "format": "lightnode-states/1",
    "frames": [100, 101],
    "levels": [{"level_ppm": 900_000, "load_w": {"1": [5, 6]}}, {"level_ppm": 500_000}],
    "pods": {"P": 18},
    "known_before_frame": 90,
}


def states(**change):
    return json.dumps({k: v for k, v in {**STATES, **change}.items() if v is not None})


def awards(**change):
    row = {"offer": "a", "delta_w": {"POD3": [1, -2]}, **change}
    return json.dumps({"format": "lightnode-awards/1", "awards": [{k: v for k, v in row.items() if v is not None}]})


def test_rule_5_what_stands_twice_is_refused_and_never_the_last_taken():
    for text in (
        states().replace('"1":', '"1": [7, 7], "1":'),
        states().replace('"frames":', '"frames": [3], "frames":'),
    ):
        with pytest.raises(Rejected, match=r"states (1|frames): stands twice in one object"):
            parse_states(text, GRID)
    with pytest.raises(Rejected, match="awards POD3: stands twice"):
        parse_awards(awards().replace('"POD3":', '"POD3": [9, 9], "POD3":'), 2)


@pytest.mark.parametrize(("part", "words"), [((1, 1000), "is it kW"), ((1000, 1), "is it mW")])
def test_rule_6_another_unit_is_suspected_by_magnitude(part, words):
    load_w = {str(e.id): [e.p_nominal_w * part[0] // part[1]] * 2 for e in GRID.loads}
    with pytest.raises(Rejected, match=words):
        parse_states(states(levels=[{"level_ppm": 500_000, "load_w": load_w}]), GRID)


@pytest.mark.parametrize(("part", "words"), [((1, 1000), "is it kW, or a site at rest"), ((1000, 1), "is it mW")])
def test_rule_7_one_load_in_another_unit_is_taken_and_named(part, words):
    load = GRID.loads[0]
    values = [load.p_nominal_w * part[0] // part[1]] * 2
    level = {"level_ppm": 500_000, "load_w": {str(load.id): values}}
    day = parse_states(states(levels=[level]), GRID)
    assert day.middle().load_w[:, 0].tolist() == values
    assert (
        len(day.suspects) == 1 and f'load_w of {load.id} "{load.name}"' in day.suspects[0] and words in day.suspects[0]
    )
    other = {**level, "level_ppm": 900_000, "load_w": {str(load.id): [0, load.p_nominal_w]}}
    assert parse_states(states(levels=[level, other]), GRID).suspects == ()
    assert parse_states(states(levels=[{**level, "load_w": {str(load.id): [0, 0]}}]), GRID).suspects == ()


def test_a_field_that_nothing_reads_is_refused():
    with pytest.raises(Rejected, match="generator_var: no such field"):
        parse_states(states(levels=[{"level_ppm": 500_000, "generator_var": {}}]), GRID)


def test_a_level_gives_its_loads_and_leaves_the_others_nominal():
    day = parse_states(states(), GRID)
    assert day.frames == (100, 101) and sorted(day.levels) == [500_000, 900_000]
    assert day.levels[900_000].load_w[:, 0].tolist() == [5, 6]
    assert day.levels[900_000].load_w[:, 1].tolist() == [GRID.loads[1].p_nominal_w] * 2
    assert [c.pod for c in day.network.connections] == ["P"] and day.middle() is day.levels[500_000]
    assert day.level(800_000) is day.levels[900_000]


def test_what_was_made_after_the_gate_is_refused():
    assert parse_states(states(), GRID, gate=90).frames
    for known in (91, None):
        with pytest.raises(Rejected, match="known_before_frame = .*expected 90 or earlier"):
            parse_states(states(known_before_frame=known), GRID, gate=90)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "x"}, "format, expected 'lightnode-states/1'"),
        ({"more": 1}, "states more: no such field"),
        ({"frames": None}, "states frames: missing"),
        ({"frames": []}, "1 to 40000 quarter-hours"),
        ({"frames": [2, 2]}, "ascending"),
        ({"frames": [1.5, 2]}, "states frames = 1.5, expected a whole number"),
        ({"frames": [-1, 2]}, "states frames = -1"),
        ({"levels": []}, "at least one level"),
        ({"levels": [{"level_ppm": 0}]}, "level_ppm = 0"),
        ({"levels": [{"level_ppm": 5}, {"level_ppm": 5}]}, "level_ppm = 5"),
        ({"levels": [{"level_ppm": True}]}, "level_ppm = True"),
        ({"levels": [{"level_ppm": 5, "load_w": {"99": [1, 2]}}]}, "load_w: '99' is not the id"),
        ({"levels": [{"level_ppm": 5, "load_w": {"1": [1]}}]}, "load_w of 1: 1 values, expected 2"),
        ({"levels": [{"level_ppm": 5, "load_w": {"1": [1, float("nan")]}}]}, "load_w of 1 = nan, expected a whole"),
        ({"levels": [{"level_ppm": 5, "load_w": {"1": [1, True]}}]}, "load_w of 1 = True"),
        ({"levels": [{"level_ppm": 5, "load_kw": {}}]}, "level load_kw: no such field"),
        ({"pods": {"P": 999}}, "999"),
        ({"pods": {"P": "x"}}, "pods P = 'x'"),
        ({"known_before_frame": "x"}, "known_before_frame = 'x'"),
    ],
)
def test_wrong_states_are_refused_by_name(change, words):
    with pytest.raises(Rejected) as refused:
        parse_states(states(**change), GRID)
    assert words in refused.value.reason and "\n" not in refused.value.reason


@pytest.mark.parametrize("text", ["", "[]", "{", "nul", "[" * 100_000, '{"format": "lightnode-states/1"'])
def test_any_text_is_refused_in_one_line(text):
    for parse in (lambda t: parse_states(t, GRID), lambda t: parse_capabilities(t, GRID), lambda t: parse_awards(t, 2)):
        with pytest.raises(Rejected):
            parse(text)


def test_an_award_has_all_it_needs():
    (one,) = parse_awards(awards(buyer="TSO", minimum_ppm=5, linked=True, rebound_w={"POD3": [0, 0]}), 2)
    assert (one.offer, one.buyer, one.minimum_ppm, one.linked) == ("a", Buyer.TSO, 5, True)
    assert one.delta_w == {"POD3": (1, -2)} and one.delta_var == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"offer": ""}, "award offer = ''"),
        ({"buyer": "XSO"}, "buyer = 'XSO', expected DSO or TSO"),
        ({"linked": 1}, "linked = 1, expected true or false"),
        ({"minimum_ppm": 2_000_000}, "minimum_ppm = 2000000"),
        ({"minimum_ppm": "x"}, "minimum_ppm = 'x'"),
        ({"delta_w": {"POD3": [1]}}, "1 values, expected 2"),
        ({"delta_w": None}, "neither delta_w nor delta_var"),
        ({"delta_kw": {}}, "award delta_kw: no such field"),
    ],
)
def test_wrong_awards_are_refused_by_name(change, words):
    with pytest.raises(Rejected) as refused:
        parse_awards(awards(**change), 2)
    assert words in refused.value.reason


def test_capabilities_are_sorted_and_checked():
    def parse(*rows):
        return parse_capabilities(
            json.dumps({"format": "lightnode-capabilities/1", "capabilities": list(rows)}), small.network()
        )

    able = parse({"pod": "POD3", "up_w": 5}, {"pod": "POD2", "down_var": 7})
    assert [(c.pod, c.up_w, c.down_w, c.up_var, c.down_var) for c in able] == [
        ("POD2", 0, 0, 0, 7),
        ("POD3", 5, 0, 0, 0),
    ]
    for rows, words in (
        (({"pod": "X"},), "POD X: not connected"),
        (({"pod": "POD2"}, {"pod": "POD2"}), "given twice"),
        (({"pod": "POD2", "up_w": -1},), "up_w = -1"),
        (({"pod": "POD2", "up_w": 1.5},), "up_w = 1.5"),
    ):
        with pytest.raises(Rejected, match=words):
            parse(*rows)
