"""A distribution grid of any size, made by rule and the same each time: for measuring how work grows with the grid.

1. One 110 kV node, a transformer with on-load taps, ten medium-voltage feeders; stations in a row on each, every one with a
   transformer to 400 V and a street of 28 nodes, one customer each; every third has a generator.
2. Powers vary by a hash of the place; loads and generators take the profiles of the example day in turn.
"""

import hashlib

from backend.grid.network import Injection, Line, Network, Node, Source, Transformer

STREET = 28
FEEDERS = 10
_LOADS = ("H0-A", "H0-B", "H0-C", "G0-A", "L1-A", "G3-A")
_MADE = ("PV3", "PV5", "PV6", "PV8")


def grown_network(buses: int) -> Network:
    """A grid of at least this many nodes (rule 1)."""
    stations = max(1, -(-(buses - 2) // (STREET + 2)))
    parts = _Parts()
    parts.node("HV", 110_000)
    parts.node("MV", 20_000)
    parts.transformer(1, 2, (110_000, 20_000), 63_000_000, on_load=True)
    last = dict.fromkeys(range(FEEDERS), 2)
    for number in range(stations):
        feeder = number % FEEDERS
        last[feeder] = _station(parts, last[feeder], number)
    return Network(
        f"grown {parts.count} nodes", 50, tuple(parts.nodes), tuple(parts.lines), tuple(parts.transformers), (),
        (Source(1, 1, 1_020_000),), tuple(parts.loads), tuple(parts.made),
    )  # fmt: skip


class _Parts:
    """What is built so far; ids count from 1 within a kind."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.lines: list[Line] = []
        self.transformers: list[Transformer] = []
        self.loads: list[Injection] = []
        self.made: list[Injection] = []

    @property
    def count(self) -> int:
        return len(self.nodes)

    def node(self, name: str, u_rated_v: int) -> int:
        self.nodes.append(Node(self.count + 1, name, u_rated_v, 900_000, 1_100_000))
        return self.count

    def line(self, a: int, b: int, per_km: tuple[int, int, int], length_m: int, rated_ma: int) -> None:
        """per_km: uOhm, uOhm, pF."""
        r, x, c = (value * length_m // 1_000 for value in per_km)
        id = len(self.lines) + 1
        self.lines.append(Line(id, f"line {id}", a, b, True, True, r, x, c, rated_ma))

    def transformer(self, a: int, b: int, volts: tuple[int, int], sn_va: int, on_load: bool = False) -> None:
        id = len(self.transformers) + 1
        self.transformers.append(
            Transformer(
                id, f"transformer {id}", a, b, True, *volts, sn_va, 60_000, sn_va // 100, 3_000, sn_va // 700, 5, "from",
                -9 if on_load else -2, 9 if on_load else 2, 0, 0, volts[0] * (15 if on_load else 25), on_load,
            )
        )  # fmt: skip


def _station(parts: _Parts, before: int, number: int) -> int:
    at_mv = parts.node(f"station {number}", 20_000)
    parts.line(before, at_mv, (161_000, 117_000, 273_000), 300 + _dice(number, "m") % 500, 361_000)
    at_lv = parts.node(f"station {number} 400 V", 400)
    parts.transformer(at_mv, at_lv, (20_000, 400), 400_000)
    last = at_lv
    for house in range(STREET):
        if house % 7 == 0:
            last = at_lv
        here = parts.node(f"house {number}.{house}", 400)
        parts.line(last, here, (206_000, 80_000, 0), 30 + _dice(number, house) % 20, 270_000)
        watts = 1_000 + _dice(number, house, "w") % 2_500
        parts.loads.append(
            Injection(
                len(parts.loads) + 1, f"house {number}.{house}", here, _LOADS[house % len(_LOADS)], watts, watts // 4
            )
        )
        if house % 3 == 0:
            profile = _MADE[house % len(_MADE)]
            parts.made.append(Injection(len(parts.made) + 1, f"roof {number}.{house}", here, profile, 2 * watts, 0))
        last = here
    return at_mv


def _dice(*words: object) -> int:
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
