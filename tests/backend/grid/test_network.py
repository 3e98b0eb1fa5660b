"""What a grid from outside must not be; each finding names element, field, value and what is expected."""

import copy
import json

import pytest

from backend.errors import Rejected
from backend.grid.document import parse_network
from tests.backend.grid.three_nodes import document


def change(*path_and_value):
    *path, last, value = path_and_value
    text = copy.deepcopy(document())
    at = text
    for step in path:
        at = at[step]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return text


CASES = {
    "a duplicate id": (change("nodes", 2, "id", 2), 'node:2 "n3" id = 2'),
    "a line to a node that is not there": (change("lines", 1, "to", 9), 'line:2 "b" to_node = 9'),
    "a line without impedance": (change("lines", 0, "r_uohm", 0), 'line:1 "a" x_uohm = 0'),
    "a load in kW": (change("loads", 0, "p_nominal_w", 850), 'load:1 "l2" p_nominal_w = 850, expected W at a node'),
    "a load in kW beside var": (
        change("loads", 0, {"id": 1, "name": "l2", "node": 2, "p_nominal_w": 850, "q_nominal_var": 300_000}),
        'load:1 "l2" p_nominal_w = 850, expected W at a node above 1 kV (is it kW?)',
    ),
    "a rating in A": (change("lines", 0, "rated_ma", 220), 'line:1 "a" rated_ma = 220, expected mA'),
    "a voltage in kV": (change("nodes", 0, "u_rated_v", 20), 'node:1 "n1" u_rated_v = 20, expected V'),
    "a number with a fraction": (change("lines", 0, "r_uohm", 4.5), 'line:1 "a" r_uohm = 4.5, expected a whole number'),
    "a NaN": (
        change("loads", 0, "p_nominal_w", float("nan")),
        'load:1 "l2" p_nominal_w = nan, expected a whole number',
    ),
    "a bool for a number": (change("nodes", 0, "id", True), 'node:True "n1" id = True, expected a whole number'),
    "an island": (change("lines", 1, "to_closed", False), "node:3 \"n3\" feed = 'none'"),
    "a missing field": (
        change("nodes", 0, "u_min_ppm", KeyError),
        'node:1 "n1" u_min_ppm = None, expected a whole number',
    ),
    "an unknown field": (change("nodes", 0, "u_min", 0.9), 'node:1 "n1" u_min = 0.9, expected no such field'),
    "no source": (change("sources", []), "at least one source"),
    "two voltages on one line": (change("nodes", 2, "u_rated_v", 400), 'line:2 "b" to_node = 3'),
    "a source out of range": (change("sources", 0, "u_ref_ppm", 1), "source:1 u_ref_ppm = 1"),
    "another format": (change("format", "x"), "expected 'lightnode-network/2'"),
    "a list that is none": (change("lines", 3), "network lines = 3, expected a list"),
    "an element that is none": (change("lines", 0, 7), "line number 1"),
    "a frequency of its own": (change("frequency_hz", 49), "network frequency_hz = 49, expected 50 or 60"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_network_is_refused_with_the_element_and_what_is_expected(name):
    text, words = CASES[name]
    with pytest.raises(Rejected) as refused:
        parse_network(json.dumps(text))
    assert words in refused.value.reason


def test_all_findings_come_at_once():
    text = change("lines", 0, "rated_ma", 220)
    text["loads"][0]["p_nominal_w"] = 5
    with pytest.raises(Rejected) as refused:
        parse_network(json.dumps(text))
    assert "line:1" in refused.value.reason and "load:1" in refused.value.reason


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 3}', "[" * 100_000])
def test_any_text_is_a_network_or_is_refused(text):
    with pytest.raises(Rejected):
        parse_network(text)


def test_a_pod_at_an_unknown_node_is_refused():
    network = parse_network(json.dumps(document()))
    with pytest.raises(Rejected, match="pod:POD9 node = 9, expected the id of a node"):
        network.connected({"POD9": 9})
