"""Documents of a day's work on a grid: states to solve, what points can change, awards to judge; JSON text to records.

1. Every number is whole with its unit in its name; what is unknown, missing or not whole is refused by name.
2. A load or generator that a level does not name stands at its nominal power in every frame.
3. Frames are UTC quarter-hours (utc_ms // 900000), ascending, each once; every list has one value a frame.
4. ``known_before_frame`` is the first quarter-hour that was not known when the states were made; a gate refuses states
   made with later knowledge, and states that do not say.
5. A field or an id that stands twice in one object is refused, as JSON would keep the last of them only.
6. A level whose loads are never together a five-hundredth of their nominal power looks like kW, one whose loads are always
   a hundred times that looks like mW: both are refused.
7. One load or generator that is such a one by itself, in every level and frame, may be a site at rest: it is taken as it is and
   is one of the ``suspects``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from backend.domain.bids import Buyer
from backend.errors import Rejected
from backend.grid.flow import Integers, Scenarios, scenarios_of
from backend.grid.need import Capability
from backend.grid.network import Network
from backend.grid.validation import Proposal
from backend.nesting import too_deep

STATES, CAPABILITIES, AWARDS = "lightnode-states/1", "lightnode-capabilities/1", "lightnode-awards/1"
MIDDLE_PPM = 500_000
_MOST_FRAMES = 40_000


@dataclass(frozen=True, slots=True, eq=False)
class DayStates:
    """The grid with its PODs, the frames, the states of each level (1e-6) of the forecast, and what looks like another unit."""

    network: Network
    frames: tuple[int, ...]
    levels: Mapping[int, Scenarios]
    suspects: tuple[str, ...] = ()

    def middle(self) -> Scenarios:
        """The states of the level nearest to one half."""
        return self.level(MIDDLE_PPM)

    def level(self, level_ppm: int) -> Scenarios:
        """The states of the level nearest to this one."""
        return self.levels[min(self.levels, key=lambda p: (abs(p - level_ppm), p))]


def parse_states(text: str, network: Network, gate: int | None = None) -> DayStates:
    """The states written in ``text``. Raises Rejected in one line that names field, value and what is expected."""
    document = _document(text, STATES, {"frames", "levels"}, {"pods", "known_before_frame"})
    frames = _frames(document["frames"])
    _check_gate(document.get("known_before_frame"), gate)
    pods = _pods(document.get("pods", {}))
    if pods:
        network = network.connected({c.pod: c.node for c in network.connections} | pods)
    if not isinstance(document["levels"], list) or not document["levels"]:
        raise Rejected("states levels: expected a list of at least one level")
    levels: dict[int, Scenarios] = {}
    for row in document["levels"]:
        fields = _fields(row, "states level", {"level_ppm"}, {"load_w", "load_var", "generator_w"})
        level = fields["level_ppm"]
        if type(level) is not int or not 0 < level < 1_000_000 or level in levels:
            raise Rejected(f"states level_ppm = {level!r}, expected a number of 1e-6, 1 to 999999, each once")
        levels[level] = _scenarios(network, fields, len(frames))
    return DayStates(network, frames, levels, tuple(_suspects(network, tuple(levels.values()))))


def parse_capabilities(text: str, network: Network) -> tuple[Capability, ...]:
    """What PODs could change, in the order of their names. Raises Rejected."""
    document = _document(text, CAPABILITIES, {"capabilities"}, set())
    known = {c.pod for c in network.connections}
    found: dict[str, Capability] = {}
    for row in _rows(document["capabilities"], "capabilities"):
        numbers = {"up_w", "down_w", "up_var", "down_var"}
        fields = _fields(row, "capability", {"pod"}, numbers)
        pod = fields.pop("pod")
        if pod not in known:
            raise Rejected(f"capability of POD {pod}: not connected to this grid")
        if pod in found:
            raise Rejected(f"capability of POD {pod}: given twice")
        for name, value in fields.items():
            _whole(value, f"capability of {pod} {name}")
        found[pod] = Capability(pod, **({"up_w": 0, "down_w": 0} | fields))
    return tuple(found[pod] for pod in sorted(found))


def parse_awards(text: str, count: int) -> tuple[Proposal, ...]:
    """The awarded list to judge, in merit order. Raises Rejected."""
    document = _document(text, AWARDS, {"awards"}, set())
    return tuple(_proposal(row, count) for row in _rows(document["awards"], "awards"))


def _proposal(row: object, count: int) -> Proposal:
    optional = {"buyer", "minimum_ppm", "linked", "delta_w", "delta_var", "rebound_w"}
    fields = _fields(row, "award", {"offer"}, optional)
    offer = fields["offer"]
    if not isinstance(offer, str) or not offer:
        raise Rejected(f"award offer = {offer!r}, expected the id of an offer")
    buyer = fields.get("buyer", Buyer.DSO.value)
    if buyer not in list(Buyer):
        raise Rejected(f"award of {offer} buyer = {buyer!r}, expected DSO or TSO")
    if not isinstance(fields.get("linked", False), bool):
        raise Rejected(f"award of {offer} linked = {fields['linked']!r}, expected true or false")
    least = _whole(fields.get("minimum_ppm", 0), f"award of {offer} minimum_ppm")
    changes = {
        name: _series(fields.get(name, {}), f"award of {offer} {name}", count)
        for name in ("delta_w", "delta_var", "rebound_w")
    }  # fmt: skip
    if not changes["delta_w"] and not changes["delta_var"]:
        raise Rejected(f"award of {offer}: neither delta_w nor delta_var, expected W or var per POD and frame")
    return Proposal(offer, minimum_ppm=least, linked=fields.get("linked", False), buyer=Buyer(buyer), **changes)


def _scenarios(network: Network, fields: Mapping[str, Any], count: int) -> Scenarios:
    load_w = _table(fields.get("load_w", {}), "load_w", [(e.id, e.p_nominal_w) for e in network.loads], count)
    _check_unit(load_w, sum(abs(e.p_nominal_w) for e in network.loads))
    load_var = _table(fields.get("load_var", {}), "load_var", [(e.id, e.q_nominal_var) for e in network.loads], count)
    made_w = _table(
        fields.get("generator_w", {}), "generator_w", [(e.id, e.p_nominal_w) for e in network.generators], count
    )
    return scenarios_of(network, load_w, load_var, made_w)


def _table(given: object, name: str, nominal: Sequence[tuple[int, int]], count: int) -> Integers:
    rows = _series(given, f"states {name}", count)
    known = {str(id) for id, _ in nominal}
    for key in sorted(set(rows) - known):
        raise Rejected(f"states {name}: {key!r} is not the id of one in the network")
    columns = [rows.get(str(id), (value,) * count) for id, value in nominal]
    return np.array(columns, dtype=np.int64).reshape(len(nominal), count).T.copy()


def _check_unit(load_w: Integers, nominal_w: int) -> None:
    """Rule 6."""
    most, least = (int(f(np.abs(load_w).sum(axis=1))) for f in (np.max, np.min))
    if 0 < most < nominal_w // 500:
        raise Rejected(f"states load_w: {most} W together at most, expected near the nominal {nominal_w} W (is it kW?)")
    if 0 < nominal_w * 100 < least:
        raise Rejected(
            f"states load_w: {least} W together at least, expected near the nominal {nominal_w} W (is it mW?)"
        )


def _suspects(network: Network, levels: Sequence[Scenarios]) -> Iterator[str]:
    """Rule 7, in one line each."""
    for field, elements in (("load_w", network.loads), ("generator_w", network.generators)):
        sizes = np.concatenate([getattr(states, field) for states in levels])
        for k, element in enumerate(elements):
            said = other_unit(sizes[:, k], abs(element.p_nominal_w))
            if said:
                yield f'states {field} of {element.id} "{element.name}": {said}'


def other_unit(watts: Integers, nominal_w: int) -> str:
    """Why all these powers of one load or generator look like another unit (rule 7), "" if they do not."""
    most, least = int(np.abs(watts).max()), int(np.abs(watts).min())
    if 0 < most < nominal_w // 500:
        return f"{most} W at most, of {nominal_w} W nominal (is it kW, or a site at rest?)"
    return f"{least} W at least, of {nominal_w} W nominal (is it mW?)" if 0 < nominal_w * 100 < least else ""


def _series(given: object, name: str, count: int) -> dict[str, tuple[int, ...]]:
    if not isinstance(given, dict):
        raise Rejected(f"{name}: expected an object of lists")
    for key, values in given.items():
        if not isinstance(values, list) or len(values) != count:
            size = len(values) if isinstance(values, list) else values
            raise Rejected(f"{name} of {key}: {size!r} values, expected {count}, one for each frame")
        for value in values:
            _whole(value, f"{name} of {key}")
    return {key: tuple(values) for key, values in given.items()}


def _frames(given: object) -> tuple[int, ...]:
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_FRAMES:
        raise Rejected(f"states frames: expected a list of 1 to {_MOST_FRAMES} quarter-hours")
    for value in given:
        if _whole(value, "states frames") < 0:
            raise Rejected(f"states frames = {value}, expected 0 or more (utc_ms // 900000)")
    if any(b <= a for a, b in pairwise(given)):
        raise Rejected("states frames: expected ascending quarter-hours, each once")
    return tuple(given)


def _check_gate(known_before: object, gate: int | None) -> None:
    if known_before is not None:
        _whole(known_before, "states known_before_frame")
    if gate is not None and (not isinstance(known_before, int) or known_before > gate):
        raise Rejected(f"states known_before_frame = {known_before!r}, expected {gate} or earlier: the gate")


def _pods(given: object) -> dict[str, int]:
    if not isinstance(given, dict):
        raise Rejected("states pods: expected an object of POD to node id")
    return {pod: _whole(node, f"states pods {pod}") for pod, node in given.items()}


def _document(text: str, kind: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    name = kind.split("/", maxsplit=1)[0].removeprefix("lightnode-")
    if too_deep(text):
        raise Rejected(f"{name}: nested too deep")
    try:
        found = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, name))
    except (ValueError, RecursionError) as error:
        raise Rejected(f"{name}: not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != kind:
        raise Rejected(f"{name}: format, expected {kind!r}")
    return _fields(found, name, {"format", *needed}, optional)


def _once(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key in found if [k for k, _ in pairs].count(key) > 1)
        raise Rejected(f"{name} {twice}: stands twice in one object, expected once")
    return found


def _fields(row: object, name: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise Rejected(f"{name}: {row!r}, expected an object")
    for key in sorted(set(row) - needed - optional):
        raise Rejected(f"{name} {key}: no such field, known are {', '.join(sorted(needed | optional))}")
    for key in sorted(needed - set(row)):
        raise Rejected(f"{name} {key}: missing")
    return dict(row)


def _rows(given: object, name: str) -> list[object]:
    if not isinstance(given, list):
        raise Rejected(f"{name}: expected a list")
    return given


def _whole(value: object, name: str) -> int:
    if type(value) is not int or abs(value) > 10**15:
        raise Rejected(f"{name} = {value!r}, expected a whole number")
    return value
