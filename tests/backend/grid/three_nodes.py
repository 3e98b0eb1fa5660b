"""A grid small enough to be calculated by hand: one source, two lines in a row, at 20 kV."""

import json

import numpy as np

from backend.grid.document import parse_network
from backend.grid.flow import scenarios_of


def document():
    node = {"u_rated_v": 20_000, "u_min_ppm": 970_000, "u_max_ppm": 1_030_000}
    line = {"from_closed": True, "to_closed": True, "r_uohm": 4_000_000, "x_uohm": 0, "c_pf": 0, "rated_ma": 50_000}
    load = {"profile": "flat", "p_nominal_w": 1_000_000, "q_nominal_var": 0}
    return {
        "format": "lightnode-network/1",
        "name": "three nodes",
        "frequency_hz": 50,
        "nodes": [{"id": k, "name": f"n{k}", **node} for k in (1, 2, 3)],
        "lines": [
            {"id": 1, "name": "a", "from": 1, "to": 2, **line},
            {"id": 2, "name": "b", "from": 2, "to": 3, **line},
        ],
        "transformers": [],
        "links": [],
        "sources": [{"id": 1, "node": 1, "u_ref_ppm": 1_000_000}],
        "loads": [{"id": 1, "name": "l2", "node": 2, **load}, {"id": 2, "name": "l3", "node": 3, **load}],
        "generators": [],
    }


def network():
    """The grid with a POD at each of its two loads."""
    return parse_network(json.dumps(document())).connected({"POD2": 2, "POD3": 3})


def states(*rows):
    """Scenarios from rows of (W at node 2, W at node 3)."""
    load_w = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return scenarios_of(network(), load_w, np.zeros_like(load_w), np.zeros((len(load_w), 0), dtype=np.int64))
