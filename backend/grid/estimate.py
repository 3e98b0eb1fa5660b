"""State of the grid from what was measured (I-19, I-04, I-01): estimated, its bad data named, its blind spots named.

1. What no measurement tells is found first and named; there the grid's nominal values stand in, marked as assumed, with a
   deviation as large as they are. Without any voltage the source's reference stands in.
   What looks like another unit, or cannot be true where it is, is named before (magnitude.py).
2. The method that is asked for first is tried; if it does not converge, it is tried again with what is measured nowhere at its
   nominal (the engine may need it although the flows tell it), and then the other one is. What failed is reported.
3. Bad data: the largest normalised residual, |residual| over its own standard deviation (not the sensor's), of everything
   that was said and not assumed. Above 4 it is taken out, one at a time, and the state is estimated anew; at most ten times.
   What was taken out stays as a shadow without weight, so that what the others say of its place is known in the end. If
   nothing gives a state without it, it stays in.
4. The deviation of a residual is sigma * sqrt(1 - k), k being how far the estimate follows an error of that measurement.
   Where it follows wholly (k above 0.9999) an error cannot be seen: the sensor is named as unchecked. The linear method
   turns power into current and weighs it otherwise than its sigma says: of its state only voltages are examined, against
   sigma alone. Newton-Raphson is therefore the first choice.
5. Of many measurements the 200 with the largest residual over sigma are examined in each round.
6. Integers: voltages in 1e-6 of rated, loadings in ppm, residuals in 1e-3 of their deviation.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isqrt
from typing import Protocol

from backend.errors import Rejected
from backend.grid.flow import Integers
from backend.grid.magnitude import Suspect, believed, suspects, told, unit_that_explains
from backend.grid.measurement import Measurement, Origin, Quantity, fitting
from backend.grid.network import Network
from backend.grid.observe import Unobservable, closed_branches, fed, unobservable

THRESHOLD_MILLI = 4_000
MOST_REMOVED = 10
MOST_EXAMINED = 200
_PPM = 1_000_000
_FOLLOWS_PPM = 999_900
_SOURCE_SIGMA_PPM = 20_000
_LEAST_SIGMA = 1_000
_NO_WEIGHT = 1_000


class Method(StrEnum):
    """How the equations are solved."""

    LINEAR = "iterative linear"
    NEWTON = "Newton-Raphson"


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """One solution. voltage_upu per node, loading in ppm and W, var into the ``from`` end per line and transformer; fed: per
    node; residual: (of value, of second) per measurement, in its unit: measured less estimated. method: None if there is no
    solution, and reason says why."""

    method: Method | None
    reason: str
    voltage_upu: Integers
    fed: Integers
    line_ppm: Integers
    line_w: Integers
    line_var: Integers
    transformer_ppm: Integers
    transformer_w: Integers
    transformer_var: Integers
    residual: Sequence[tuple[int, int]]


class Estimator(Protocol):
    """Engine bound to one network."""

    @property
    def network(self) -> Network:
        """The grid whose state it estimates."""
        ...

    def solve(self, measured: Sequence[Measurement], opened: Sequence[str], method: Method) -> Solved:
        """The state; one without a method if there is no solution, never raised."""
        ...

    def follow_ppm(
        self,
        measured: Sequence[Measurement],
        opened: Sequence[str],
        method: Method,
        channels: Sequence[tuple[int, int]],
    ) -> Sequence[int]:
        """How far the estimate follows an error of one deviation of each channel (measurement, 0 value or 1 second), ppm."""
        ...


@dataclass(frozen=True, slots=True)
class Bad:
    """A sensor that was taken out: where, what it said, what the others say, its normalised residual, the unit that explains it
    ("kW for W") or ""."""

    sensor: str
    place: str
    quantity: str
    origin: str
    value: int
    expected: int
    normalised_milli: int
    unit: str


@dataclass(frozen=True, slots=True)
class Residual:
    """What stays of one measurement. normalised_milli: None where an error cannot be seen or was not examined."""

    sensor: str
    place: str
    quantity: str
    origin: str
    value: int
    residual: int
    normalised_milli: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The state with all that is to be known of its worth. tried: (method, reason) of what did not converge."""

    solved: Solved
    tried: tuple[tuple[str, str], ...]
    suspects: tuple[Suspect, ...]
    bad: tuple[Bad, ...]
    residuals: tuple[Residual, ...]
    unchecked: tuple[str, ...]
    blind: Unobservable
    dead: tuple[str, ...]
    opened: tuple[str, ...]


def estimate(
    engine: Estimator, measured: Iterable[Measurement], opened: Iterable[str] = (), first: Method = Method.NEWTON
) -> Estimate:
    """The state of the grid. Raises Rejected for a sensor at a place that the grid has not, or if neither method converges."""
    network, apart = engine.network, tuple(sorted(set(opened)))
    _check_opened(network, apart)
    alive = fed(network, closed_branches(network, apart))
    every = fitting(network, measured)
    said = suspects(network, every, alive, apart)
    left = believed(every, said)
    out_of_it: list[tuple[Measurement, int]] = []
    tried: dict[tuple[str, str], None] = {}
    needed: list[Measurement] = []
    while True:
        blind = unobservable(network, left, apart)
        whole = [*left, *_assumed(network, left, blind.injections)]
        spare = _assumed(network, whole, _untold(network, whole, alive))
        shadows = [_shadow(one) for one, _ in out_of_it]
        try:
            whole, solved = _solved(engine, (whole, spare, shadows), apart, first, tried)
        except Rejected:
            if not out_of_it:
                raise
            needed.append(out_of_it.pop()[0])
            left.append(needed[-1])
            continue
        seen = _examined(engine, whole, shadows, apart, solved)
        worst = max((k for k in seen if whole[k] not in needed), key=lambda k: (seen[k] or 0, -k), default=None)
        if worst is None or (seen[worst] or 0) <= THRESHOLD_MILLI or len(out_of_it) == MOST_REMOVED:
            break
        out_of_it.append((whole[worst], seen[worst] or 0))
        del left[worst]
    last = solved.residual[len(whole) :]
    bad = tuple(_bad(one, residual, size) for (one, size), residual in zip(out_of_it, last, strict=True))
    residuals = tuple(_residual(one, solved.residual[k], seen.get(k)) for k, one in enumerate(whole))
    unchecked = tuple(f"{whole[k].sensor} ({whole[k].place})" for k, size in seen.items() if size is None)
    dead = tuple(f"node:{node.id}" for node in network.nodes if node.id not in alive)
    seen_at = {(r.sensor, r.place, r.quantity, r.origin): r.value - r.residual for r in residuals}
    named = tuple(told(s, seen_at.get((s.sensor, s.place, s.quantity, s.origin), 0)) for s in said.values())
    return Estimate(solved, tuple(tried), named, bad, residuals, unchecked, blind, dead, apart)


def _shadow(one: Measurement) -> Measurement:
    return replace(one, sigma=one.sigma * _NO_WEIGHT, second_sigma=one.second_sigma * _NO_WEIGHT)


def _check_opened(network: Network, opened: Sequence[str]) -> None:
    known = {f"{b[0]}:{b[1]}" for b in closed_branches(network)}
    for element in opened:
        kind, _, id = element.partition(":")
        there = kind in ("line", "transformer", "link") and any(str(e.id) == id for e in getattr(network, f"{kind}s"))
        if element not in known and not there:
            raise Rejected(f"breaker: {element!r} is no line, transformer or link of grid {network.name!r}")


def _untold(network: Network, measured: Sequence[Measurement], alive: Collection[int]) -> list[str]:
    """Injections with supply that no measurement is of."""
    told = {(one.kind, one.element) for one in measured}
    kinds = (
        ("load", network.loads), ("generator", network.generators), ("storage", network.storages), ("source", network.sources)
    )  # fmt: skip
    return [f"{kind}:{e.id}" for kind, of in kinds for e in of if e.node in alive and (kind, e.id) not in told]


def _assumed(network: Network, measured: Sequence[Measurement], names: Iterable[str]) -> list[Measurement]:
    """Rule 1: nominal values at these injections, and a voltage if there is none."""
    made = []
    nominal = {
        f"{kind}:{e.id}": (e.p_nominal_w, e.q_nominal_var)
        for kind, of in (("load", network.loads), ("generator", network.generators), ("storage", network.storages))
        for e in of
    }
    for name in names:
        kind, _, id = name.partition(":")
        watts, var = nominal.get(name, (0, 0))
        sigma = max(_LEAST_SIGMA, abs(watts), abs(var)) if name in nominal else _PPM * 100
        made.append(Measurement("nominal", Quantity.POWER, kind, int(id), watts, sigma, var, sigma, "", Origin.ASSUMED))
    if not any(one.quantity is Quantity.VOLTAGE for one in measured):
        rated = {node.id: node.u_rated_v for node in network.nodes}
        for source in network.sources:
            value, sigma = (rated[source.node] * ppm // 1_000 for ppm in (source.u_ref_ppm, _SOURCE_SIGMA_PPM))
            made.append(
                Measurement("reference", Quantity.VOLTAGE, "node", source.node, value, sigma, origin=Origin.ASSUMED)
            )
    return made


def _solved(
    engine: Estimator,
    parts: tuple[list[Measurement], list[Measurement], list[Measurement]],
    opened: Sequence[str],
    first: Method,
    tried: dict[tuple[str, str], None],
) -> tuple[list[Measurement], Solved]:
    """Rule 2, and what was estimated from; parts: measured and assumed, what else could be assumed, shadows."""
    whole, spare, shadows = parts
    reasons = []
    for method in (first, Method.NEWTON if first is Method.LINEAR else Method.LINEAR):
        for used in (whole, [*whole, *spare]) if spare else (whole,):
            solved = engine.solve([*used, *shadows], opened, method)
            if solved.method is not None:
                return used, solved
        tried[method.value, solved.reason] = None
        reasons.append(f"{method.value}: {solved.reason}")
    raise Rejected(f"estimate: no method gives a state ({'; '.join(reasons)})")


def _examined(
    engine: Estimator,
    whole: Sequence[Measurement],
    shadows: Sequence[Measurement],
    opened: Sequence[str],
    solved: Solved,
) -> dict[int, int | None]:
    """Normalised residual in 1e-3 by measurement, of those examined (rules 3 to 5); None where an error cannot be seen."""
    assert solved.method is not None
    weighted = []
    for k, one in enumerate(whole):
        for part, sigma in enumerate((one.sigma, one.second_sigma)):
            if sigma and _is_examined(one, part, solved.method):
                weighted.append((-abs(solved.residual[k][part]) * _PPM // sigma, k, part))
    channels = [(k, part) for _, k, part in sorted(weighted)[:MOST_EXAMINED]]
    if solved.method is Method.LINEAR:
        follows: Sequence[int] = [0] * len(channels)
    else:
        follows = engine.follow_ppm([*whole, *shadows], opened, solved.method, channels)
    found: dict[int, int | None] = {}
    for (k, part), follow in zip(channels, follows, strict=True):
        if follow > _FOLLOWS_PPM:
            found.setdefault(k, None)
            continue
        sigma = (whole[k].sigma, whole[k].second_sigma)[part]
        size = abs(solved.residual[k][part]) * _PPM // max(1, sigma * isqrt((_PPM - follow) * _PPM) // 1_000)
        found[k] = max(size, found.get(k) or 0)
    return found


def _is_examined(one: Measurement, part: int, method: Method | None) -> bool:
    if one.origin is Origin.ASSUMED or (part and one.quantity is Quantity.CURRENT):
        return False
    return method is not Method.LINEAR or one.quantity is Quantity.VOLTAGE


def _bad(one: Measurement, residual: tuple[int, int], size: int) -> Bad:
    expected = one.value - residual[0]
    unit = unit_that_explains(one.quantity, one.value, expected)
    return Bad(one.sensor, one.place, one.quantity.value, one.origin.value, one.value, expected, size, unit)


def _residual(one: Measurement, residual: tuple[int, int], size: int | None) -> Residual:
    return Residual(one.sensor, one.place, one.quantity.value, one.origin.value, one.value, residual[0], size)


def estimate_document(network: Network, made: Estimate) -> dict[str, object]:
    """For files and people (lightnode-estimate/1)."""
    solved = made.solved
    assert solved.method is not None
    return {
        "format": "lightnode-estimate/1",
        "network": network.name,
        "method": solved.method.value,
        "not_converged": [{"method": method, "reason": reason} for method, reason in made.tried],
        "nodes": {
            str(n.id): {"voltage_upu": int(solved.voltage_upu[k]), "fed": bool(solved.fed[k])}
            for k, n in enumerate(network.nodes)
        },
        "lines": _branches([e.id for e in network.lines], solved.line_ppm, solved.line_w, solved.line_var),
        "transformers": _branches(
            [e.id for e in network.transformers], solved.transformer_ppm, solved.transformer_w, solved.transformer_var
        ),
        "suspects": [_fields(one) for one in made.suspects],
        "bad_data": [_fields(one) for one in made.bad],
        "residuals": [_fields(one) for one in made.residuals],
        "unchecked": list(made.unchecked),
        "unobservable": {"branches": list(made.blind.branches), "injections": list(made.blind.injections)},
        "dead": list(made.dead),
        "opened": list(made.opened),
    }


def _branches(ids: Sequence[int], ppm: Integers, watts: Integers, var: Integers) -> dict[str, dict[str, int]]:
    return {
        str(id): {"loading_ppm": int(ppm[k]), "from_w": int(watts[k]), "from_var": int(var[k])}
        for k, id in enumerate(ids)
    }


def _fields(one: Bad | Residual | Suspect) -> dict[str, object]:
    return {name: getattr(one, name) for name in type(one).__slots__}
