"""What the commands of day.py do: documents in, one rule called, text or one JSON document out.

Exit codes: 0 done; 1 refused, or for `localise` an alert, for `request` a need that nobody can serve; 2 wrong usage.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.adapters.power_grid import PowerGridFlow
from backend.errors import BackendError, Rejected
from backend.grid import answer
from backend.grid.congestion import Limits, closed_frames, constraints, pod_deltas, reactive_of, violations
from backend.grid.document import parse_network
from backend.grid.exchange import with_open
from backend.grid.flow import Scenarios
from backend.grid.localisation import localise
from backend.grid.need import Capability, size
from backend.grid.network import Network
from backend.grid.plan import Allowed, plan_day, renew_day, switchable_of
from backend.grid.plan_document import HeldPlan, parse_plan
from backend.grid.radial import branches_of, ways_of
from backend.grid.remedy import with_positions
from backend.grid.states import DayStates, parse_awards, parse_capabilities, parse_states, round_of
from backend.grid.substation import substation_profile
from backend.grid.validation import Verdict, validate

DONE, REFUSED = 0, 1
_SHOWN = 12
Answer = tuple[int, dict[str, Any], list[str]]


def run(options: argparse.Namespace) -> int:
    """The exit code; what was found on stdout, a refusal in one line on stderr."""
    commands: dict[str, Callable[[argparse.Namespace], Answer]] = {
        "localise": _localise, "plan": _plan, "request": _request, "constraints": _constraints, "validate": _validate,
        "substation": _substation,
    }  # fmt: skip
    try:
        code, document, lines = commands[options.grid_day](options)
    except (BackendError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        if options.json:
            print(json.dumps({"reason": reason}))
        else:
            print(f"lightnode: {reason}", file=sys.stderr)
        return REFUSED
    print(answer.text_of(document) if options.json else "\n".join(lines))
    return code


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(options.voltage_margin_ppm, options.loading_margin_ppm, options.season)


def _states(options: argparse.Namespace) -> DayStates:
    """The states of the document, as they will be with the plan if one is given; what looks like another unit on stderr."""
    day = _planned(options, getattr(options, "plan", None))
    for said in (*day.suspects, *_unbalanced(day.network)):
        print(f"lightnode: {said}", file=sys.stderr)
    return day


def _unbalanced(network: Network) -> Iterator[str]:
    """That single phases are not looked at here, if something is connected to them."""
    every: tuple[Any, ...] = (*network.loads, *network.generators, *network.storages, *network.connections)
    count = sum(one.phases != "abc" for one in every)
    if count:
        yield (
            f"{count} loads, generators, storages or PODs are on one or two phases: here their power counts as shared by three, "
            "and a limit may be broken in one phase; see `lightnode grid check --phases`"
        )


def _planned(options: argparse.Namespace, path: Path | None) -> DayStates:
    network = parse_network(_read(options.network))
    day = parse_states(_read(options.states), network, options.gate)
    if path is None:
        return day
    held = parse_plan(_read(path), day.network)
    table = held.devices.table(day.frames)
    levels = {p: with_positions(day.network, s, held.devices.devices, table) for p, s in day.levels.items()}
    return _opened(replace(day, levels=levels), held)


def _opened(day: DayStates, held: HeldPlan) -> DayStates:
    """The states with the switches of a plan."""
    if held.opened is None:
        return day
    ways, opened = ways_of(day.network, branches_of(day.network)), frozenset(held.opened)
    if not ways.is_fed(opened):
        raise Rejected("plan opened: leaves a node without feed, expected every node fed")
    wanted = [opened] * len(day.frames)
    return replace(day, levels={p: with_open(day.network, s, ways, wanted) for p, s in day.levels.items()})


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise Rejected(f"{path}: not text: {error.reason}") from error


def _localise(options: argparse.Namespace) -> Answer:
    day = _states(options)
    found = localise(PowerGridFlow(day.network), day.levels, day.frames, _limits(options), options.outage)
    document = answer.localisation(day.network, found)
    if found.alert is None:
        return DONE, document, [f"every limit holds in {len(day.frames)} frames"]
    lines = [f"ALERT {found.alert.severity}: {found.alert.text}"]
    lines += [_congestion_line(row) for row in document["congestions"][:_SHOWN]]
    lines += _more(len(found.congestions))
    lines += [f"without {x.outage}: {len(x.nodes)} nodes lost, {x.load_w} W" for x in found.lost]
    return REFUSED, document, lines


def _congestion_line(row: dict[str, Any]) -> str:
    where = f"{row['element']} {row['name']}" + (f" without {row['outage']}" if row["outage"] else "")
    excess, chance = row["amount_ppt"] // 10**6, row["probability_ppm"] // 10_000
    return f"frame {row['frame']} {where}: {excess} ppm beyond its limit, probability {chance} %"


def _more(count: int) -> list[str]:
    return [f"and {count - _SHOWN} more: --json names them all"] if count > _SHOWN else []


def _plan(options: argparse.Namespace) -> Answer:
    day = _states(options)
    for name, number in (
        ("--device-operations", options.device_operations),
        ("--switch-operations", options.switch_operations),
    ):
        if not 0 <= number <= 1_000:
            raise Rejected(f"{name} = {number}, expected 0 to 1000")
    if options.renew is not None:
        return _renewed(options, day)
    names = tuple(branches_of(day.network)) if options.all else tuple(options.switchable or switchable_of(day.network))
    allowed = Allowed(options.device_operations, options.switch_operations, options.losses, names)
    made = plan_day(PowerGridFlow(day.network), day.middle(), day.frames, _limits(options), allowed)
    document = answer.plan(day.network, made)
    return DONE, document, _plan_lines(document, document["operations"])


def _renewed(options: argparse.Namespace, day: DayStates) -> Answer:
    if options.losses or options.all or options.switchable:
        raise Rejected("--renew moves taps and banks only, expected neither --losses nor switches beside it")
    held = parse_plan(_read(options.renew), day.network)
    states = _opened(day, held).middle()
    flow, frames = PowerGridFlow(day.network), day.frames
    made = renew_day(flow, states, frames, _limits(options), held.devices, options.device_operations)
    document = answer.renewed_plan(day.network, made, held.document, frames)
    return DONE, document, _plan_lines(document, [o for o in document["operations"] if o["frame"] in frames])


def _plan_lines(document: dict[str, Any], operations: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{row['text']}, frame {row['frame']}" for row in operations]
    lines += [f"{row['number']}. {row['text']}" for row in document["switching"]]
    return [*lines, document["explanation"]]


def _request(options: argparse.Namespace) -> Answer:
    day = _states(options)
    states = day.level(options.level)
    if options.capabilities is None:
        day = replace(day, network=_with_points(day.network))
        points = len(day.network.connections)
        states = replace(states, delta_w=np.zeros((len(day.frames), points), dtype=np.int64), delta_var=None)
        able = _own_loads(day.network)
    else:
        able = list(parse_capabilities(_read(options.capabilities), day.network))
    sizing = size(PowerGridFlow(day.network), states, day.frames, _limits(options), able)
    document = answer.requests(day.network, sizing)
    lines = []
    for row in document["requests"]:
        key = "volume_w" if row["product"] == "active" else "volume_var"
        most = max(f[key] for f in row["frames"])
        unit = key.rsplit("_", 1)[1].replace("w", "W")
        nodes = ", ".join(str(n["node"]) for n in row["nodes"][:4])
        lines.append(
            f"{row['id']}: {row['direction']} for {row['element']} {row['name']} in {len(row['frames'])} frames, at most {most} "
            f"{unit}, best at node {nodes}"
        )
    lines += [f"unserved: {v['element']} {v['name']} in frame {v['frame']}" for v in document["unserved"]]
    return REFUSED if sizing.unserved else DONE, document, lines or ["nothing is to be bought"]


def _constraints(options: argparse.Namespace) -> Answer:
    day = _states(options)
    flow, states = PowerGridFlow(day.network), day.level(options.level)
    found = constraints(flow, states, day.frames, _limits(options), options.near_ppm)
    dark = closed_frames(found)
    lines = [f"frame {c.frame} {c.element}: margin {c.margin_ppt // 10**6} ppm" for c in found if c.frame not in dark]
    lines += [f"frame {frame}: no solution, nothing may be traded in it" for frame in dark]
    document = answer.constraints(day.network, found, day.frames, dark)
    return REFUSED if dark else DONE, document, lines or ["no element is near its limit"]


def _with_points(network: Network) -> Network:
    """A point "node:ID" at every node that has a load, in place of the PODs."""
    nodes = sorted({load.node for load in network.loads if load.p_nominal_w > 0})
    return network.connected({f"node:{node}": node for node in nodes})


def _own_loads(network: Network) -> list[Capability]:
    able = []
    for point in network.connections:
        watts = sum(load.p_nominal_w for load in network.loads if load.node == point.node)
        able.append(Capability(point.pod, max(0, watts), max(0, watts)))
    return able


def _judged(options: argparse.Namespace, day: DayStates) -> tuple[tuple[Verdict, ...], Scenarios]:
    proposals = parse_awards(_read(options.awards), len(day.frames))
    flow, states = PowerGridFlow(day.network), day.middle()
    found = validate(flow, states, day.frames, _limits(options), proposals)
    count = len(day.frames)
    watts, var = states.delta_w, reactive_of(states)
    for verdict in found:
        watts = (
            watts + pod_deltas(day.network, verdict.delta_w, count) + pod_deltas(day.network, verdict.rebound_w, count)
        )
        var = var + pod_deltas(day.network, verdict.delta_var, count)
    return found, states.with_delta(watts, var)


def _validate(options: argparse.Namespace) -> Answer:
    day = _states(options)
    found, active = _judged(options, day)
    states = PowerGridFlow(day.network).solve(active)
    left = violations(day.network, states, day.frames, _limits(options))
    document = answer.verdicts(day.network, found, left) | round_of(_read(options.awards))
    lines = [row["text"] for row in document["verdicts"]]
    lines.append(f"{len(left)} violations are left with what is accepted" if left else "no violation is left")
    return DONE, document, lines


def _substation(options: argparse.Namespace) -> Answer:
    after_day = _states(options)
    before_day = _planned(options, None)
    active = after_day.middle() if options.awards is None else _judged(options, after_day)[1]
    flow = PowerGridFlow(after_day.network)
    before = substation_profile(flow.network, flow.solve(before_day.middle()), after_day.frames)
    after = substation_profile(flow.network, flow.solve(active), after_day.frames)
    document = answer.substation(flow.network, before, after)
    lines = ["frame: W and var before, W and var after"]
    late = dict(zip(after.frames, zip(after.power_w, after.power_var, strict=True), strict=True))
    early = dict(zip(before.frames, zip(before.power_w, before.power_var, strict=True), strict=True))
    for frame in after_day.frames:
        told = [" ".join(map(str, part.get(frame, ("no", "solution")))) for part in (early, late)]
        lines.append(f"{frame}: {' '.join(told)}")
    return DONE, document, lines
