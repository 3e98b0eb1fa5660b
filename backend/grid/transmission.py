"""The transmission operator's side, simulated: a small high-voltage grid that must survive the loss of one line (N-1).

1. This operator's substation is one load of that grid: its P and Q are the profile handed over (I-12).
2. Every named outage is solved for every quarter-hour; a line above its rating is a problem of the grid above.
3. The request (I-06) is the change of the substation's withdrawal that brings the worst line back to its rating:
   loading solved with a step gives the effect, and the result is solved again until nothing is left.
4. A line on which the substation has no effect is reported as unserved, never requested.
5. What a quarter-hour needs has one direction, a day may need both: each is a request of its own.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.domain.constraint import PPT_PER_UNIT
from backend.errors import Rejected
from backend.grid.document import parse_network
from backend.grid.flow import Integers, PowerFlow, Scenarios, scenarios_of
from backend.grid.network import Network
from backend.grid.substation import SubstationProfile
from backend.nesting import too_deep

HV_FORMAT = "lightnode-transmission/1"
STEP_W = 1_000_000
ROUNDS = 6
_MOST = 10**12
_LEAST_EFFECT = 20


@dataclass(frozen=True, slots=True, eq=False)
class TransmissionModel:
    """High-voltage grid with hourly W of its other loads (24 values of local time each) and the outages it must survive."""

    network: Network
    substation_load: int
    hourly_w: Mapping[int, tuple[int, ...]]
    outages: tuple[int, ...]
    offset_quarters: int


@dataclass(frozen=True, slots=True)
class TransmissionRequest:
    """What the TSO asks (I-06): W per frame at this substation; "up" = less withdrawal. No frames: nothing to ask.

    ``reason`` names per frame the overloaded line and the outage; ``unserved`` the frames it cannot be helped in.
    """

    direction: str
    frames: tuple[int, ...]
    volume_w: tuple[int, ...]
    reason: tuple[str, ...]
    unserved: tuple[int, ...]


def parse_transmission(text: str) -> TransmissionModel:
    """The model written in ``text``. Raises Rejected for a document that does not fit."""
    if too_deep(text):
        raise Rejected("transmission model: nested too deep for a network")
    try:
        document = json.loads(text)
        hourly = {int(load): tuple(watts) for load, watts in document["hourly_w"].items()}
        substation, offset = document["substation_load"], document["offset_quarters"]
        outages = tuple(document["outages"])
        network = parse_network(json.dumps(document["network"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected(f"transmission model: {error!r:.200}") from error
    if document.get("format") != HV_FORMAT:
        raise Rejected(f"transmission model: format {document.get('format')!r:.60}, expected {HV_FORMAT!r}")
    for name, value in (
        ("substation_load", substation),
        ("offset_quarters", offset),
        *(("outages", k) for k in outages),
    ):
        if type(value) is not int or abs(value) > _MOST:
            raise Rejected(f"transmission model: {name} {value!r:.60}, expected a whole number within {_MOST}")
    model = TransmissionModel(network, substation, hourly, outages, offset)
    loads = {load.id for load in network.loads}
    if model.substation_load not in loads or set(hourly) != loads - {model.substation_load}:
        raise Rejected("transmission model: hourly_w, expected every load but the substation")
    if any(len(watts) != 24 or any(type(w) is not int or abs(w) > _MOST for w in watts) for watts in hourly.values()):
        raise Rejected("transmission model: hourly_w, expected 24 whole numbers (W) for each load")
    if not set(model.outages) <= {line.id for line in network.lines}:
        raise Rejected("transmission model: outages, expected ids of lines")
    return model


@dataclass(frozen=True, slots=True)
class TransmissionProblem:
    """A line above its rating: when, without which line (0: none is out), its loading in 1e-12 of the rating."""

    frame: int
    line: int
    name: str
    outage: int
    without: str
    loading_ppt: int


Engine = Callable[[Network], PowerFlow]


def transmission_problems(
    model: TransmissionModel, profile: SubstationProfile, engine: Engine
) -> tuple[TransmissionProblem, ...]:
    """Every line above its rating in a quarter-hour and outage, the normal state first (rules 1 and 2).

    Raises Rejected if a state has no solution. Cost: outages x frames power flows.
    """
    place, base = _base(model, profile)
    nothing = np.zeros(len(profile.frames), dtype=np.int64)
    found = []
    for outage, flow in _cases(model, engine).items():
        now = _loading(flow, base, place, nothing)
        without = _line_name(flow.network, outage) if outage else ""
        for row, column in zip(*np.nonzero(now > PPT_PER_UNIT), strict=True):
            line = flow.network.lines[int(column)]
            loading = int(now[row, column])
            found.append(TransmissionProblem(profile.frames[row], line.id, line.name, outage, without, loading))
    return tuple(sorted(found, key=lambda one: (one.frame, one.outage, one.line)))


def transmission_request(model: TransmissionModel, profile: SubstationProfile, engine: Engine) -> TransmissionRequest:
    """The TSO's request in the direction that is needed most; quarter-hours that need the other one are unserved.

    Raises Rejected if a state has no solution. Cost: outages x frames x a few power flows.
    """
    change, reason, helpless = _needed(model, profile, engine)
    direction = "down" if int(change.sum()) > 0 else "up"
    against = {int(row) for row in np.flatnonzero((change < 0) if direction == "down" else (change > 0))}
    return _request(profile.frames, direction, change, reason, helpless | against)


def transmission_requests(
    model: TransmissionModel, profile: SubstationProfile, engine: Engine
) -> tuple[TransmissionRequest, ...]:
    """The same for each direction, up first (rule 5); both name what nobody can help with."""
    change, reason, helpless = _needed(model, profile, engine)
    return tuple(_request(profile.frames, direction, change, reason, helpless) for direction in ("up", "down"))


def _needed(
    model: TransmissionModel, profile: SubstationProfile, engine: Engine
) -> tuple[Integers, list[str], set[int]]:
    """By row of the profile: the change of withdrawal (W) and why; the rows that nobody can help (rules 3 and 4)."""
    place, base = _base(model, profile)
    cases = _cases(model, engine)
    change = np.zeros(len(profile.frames), dtype=np.int64)
    reason = [""] * len(profile.frames)
    helpless: set[int] = set()
    for _ in range(ROUNDS):
        step, named, helpless = _correction(cases, base, place, change)
        reason = [old or new for old, new in zip(reason, named, strict=True)]
        if not step.any():
            break
        change = change + step
    return change, reason, helpless


def _base(model: TransmissionModel, profile: SubstationProfile) -> tuple[int, Scenarios]:
    """Where the substation stands among the loads, and the states to solve."""
    place = next(k for k, load in enumerate(model.network.loads) if load.id == model.substation_load)
    return place, _scenarios(model, profile, place)


def _cases(model: TransmissionModel, engine: Engine) -> dict[int, PowerFlow]:
    """The grid as it stands (0), and without each line whose loss it must survive."""
    return {0: engine(model.network), **{line: engine(_without(model.network, line)) for line in model.outages}}


def _request(
    frames: Sequence[int], direction: str, change: Integers, reason: Sequence[str], unserved: set[int]
) -> TransmissionRequest:
    wanted = change if direction == "down" else -change
    rows = [row for row in range(len(frames)) if wanted[row] > 0]
    return TransmissionRequest(
        direction,
        tuple(frames[row] for row in rows),
        tuple(int(wanted[row]) for row in rows),
        tuple(reason[row] for row in rows),
        tuple(frames[row] for row in sorted(unserved)),
    )


def _without(network: Network, outage: int) -> Network:
    lines = tuple(
        replace(line, from_closed=False, to_closed=False) if line.id == outage else line for line in network.lines
    )
    return replace(network, lines=lines)


def _scenarios(model: TransmissionModel, profile: SubstationProfile, place: int) -> Scenarios:
    load_w = np.zeros((len(profile.frames), len(model.network.loads)), dtype=np.int64)
    load_var = np.zeros_like(load_w)
    for column, load in enumerate(model.network.loads):
        if column == place:
            load_w[:, column], load_var[:, column] = profile.power_w, profile.power_var
            continue
        for row, frame in enumerate(profile.frames):
            hour, quarter = divmod((frame + model.offset_quarters) % 96, 4)
            now, then = model.hourly_w[load.id][hour], model.hourly_w[load.id][(hour + 1) % 24]
            load_w[row, column] = now + (then - now) * quarter // 4
        load_var[:, column] = load_w[:, column] * load.q_nominal_var // max(1, load.p_nominal_w)
    made = np.tile(np.array([g.p_nominal_w for g in model.network.generators], dtype=np.int64), (len(load_w), 1))
    return scenarios_of(model.network, load_w, load_var, made)


def _correction(
    cases: Mapping[int, PowerFlow], base: Scenarios, place: int, change: Integers
) -> tuple[Integers, list[str], set[int]]:
    """The greatest correction (W of withdrawal) any outage asks in each frame, why, and rows nobody can help."""
    best = np.zeros(len(change), dtype=np.int64)
    named, helpless = [""] * len(change), set()
    for outage, flow in cases.items():
        now = _loading(flow, base, place, change)
        effect = (_loading(flow, base, place, change + STEP_W) - now) // (STEP_W // 1_000)
        for row, column in zip(*np.nonzero(now > PPT_PER_UNIT), strict=True):
            excess, gain = int(now[row, column]) - PPT_PER_UNIT, int(effect[row, column])
            if abs(gain) < _LEAST_EFFECT * 1_000:
                helpless.add(int(row))
                continue
            step = -(-excess * 1_000 // abs(gain)) * (-1 if gain > 0 else 1)
            if abs(step) > abs(best[row]):
                best[row] = step
                line = flow.network.lines[int(column)].name
                named[int(row)] = f"{line} without {_line_name(flow.network, outage)}" if outage else line
    return best, named, helpless


def _line_name(network: Network, line_id: int) -> str:
    return next(line.name for line in network.lines if line.id == line_id)


def _loading(flow: PowerFlow, base: Scenarios, place: int, change: Integers) -> Integers:
    load_w = base.load_w.copy()
    load_w[:, place] += change
    states = flow.solve(Scenarios(load_w, base.load_var, base.generator_w, base.delta_w, base.tap))
    if not states.solved.all():
        raise Rejected("transmission model: a state has no power flow")
    return states.line_ppt
