"""What the grid rules found as documents of plain values, with the planner's names and words beside the numbers.

Every document has its ``format``; records keep the names of their fields; sorted keys and no blanks make one text of one
answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from backend.domain.constraint import Constraint
from backend.grid.congestion import NO_SOLUTION, Violation
from backend.grid.localisation import Localisation, name_of
from backend.grid.need import Sizing
from backend.grid.network import Network
from backend.grid.plan import DayPlan
from backend.grid.radial import branches_of
from backend.grid.remedy import Device, apart
from backend.grid.substation import SUBSTATION, SubstationProfile
from backend.grid.validation import LINKED, Verdict

LOCALISATION, PLAN, REQUESTS = "lightnode-localisation/1", "lightnode-plan/1", "lightnode-requests/1"
CONSTRAINTS, VERDICTS = "lightnode-constraints/1", "lightnode-verdicts/1"
_W_OF_MW = 1_000_000
_DEVICE = {
    "tap": ("tap of transformer", "taps of transformers"),
    "three_winding_tap": ("tap of three-winding transformer", "taps of three-winding transformers"),
    "bank": ("capacitor bank", "capacitor banks"),
}


def plain(value: Any) -> Any:
    """Records as objects, mappings with text keys, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def text_of(document: Mapping[str, Any]) -> str:
    """The one text of a document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def constraints(
    network: Network, found: Sequence[Constraint], frames: Sequence[int], unsolved: Sequence[int]
) -> dict[str, Any]:
    """What a market session is cleared within: margin and effect of each POD, per element and frame; the frames that this is
    said of, those among them without a solution; the node of each POD."""
    nodes = {one.pod: str(one.node) for one in network.connections}
    said = {"constraints": plain(found), "frames": list(frames), "unsolved": list(unsolved)}
    return {"format": CONSTRAINTS, **said, "nodes": nodes}


def localisation(network: Network, found: Localisation) -> dict[str, Any]:
    """I-10, with the alert."""
    return {"format": LOCALISATION, "network": network.name, **plain(found)}


def plan(network: Network, made: DayPlan) -> dict[str, Any]:
    """The plan (I-11): schedule of devices, switching list, what it was for and what it leaves."""
    switches = made.switches
    return _schedule(network, made) | {
        "format": PLAN,
        "network": network.name,
        "frames": list(made.devices.frames),
        "switching": _switching(network, made),
        "opened": None if switches is None else list(switches.opened),
        "explanation": explained(made),
    }


def renewed_plan(network: Network, made: DayPlan, held: Mapping[str, Any], frames: Sequence[int]) -> dict[str, Any]:
    """The document `held` of a plan with other positions in these frames; violations and losses are those of these frames."""
    before, after = held["devices"], _schedule(network, made)["devices"]
    moved = sum(a["positions"] != b["positions"] for a, b in zip(before, after, strict=True))
    said = (
        f"renewed for frames {frames[0]} to {frames[-1]}: {len(made.before)} violations as planned; "
        f"{moved} devices go elsewhere; {_left(made)}"
    )
    return {**held, **_schedule(network, made), "explanation": said}


def _schedule(network: Network, made: DayPlan) -> dict[str, Any]:
    by_name = {d.name: d for d in made.devices.devices}
    return {
        "devices": [
            {
                "kind": d.kind,
                "ids": list(d.ids),
                "standing": d.standing,
                "positions": list(row),
                "apart": list(apart(network, d)),
            }
            for d, row in zip(made.devices.devices, made.devices.positions, strict=True)
        ],
        "operations": [
            {"frame": f, "device": name, "from": a, "to": b, "text": _moves(network, by_name[name], a, b)}
            for f, name, a, b in made.devices.operations()
        ],
        "before": [_violation(network, v) for v in made.before],
        "after": [_violation(network, v) for v in made.after],
        "loss_before_wh": made.loss_before_wh,
        "loss_after_wh": made.loss_after_wh,
    }


def _switching(network: Network, made: DayPlan) -> list[dict[str, Any]]:
    if made.switches is None:
        return []
    rows: list[dict[str, Any]] = []
    branches, names = branches_of(network), _names(network)
    for step in made.switches.steps:
        for do, element, left in (
            ("close", step.close, step.broken_between_ppt),
            ("open", step.open, step.broken_after_ppt),
        ):
            a, b, _ = branches[element]
            words = f"{do} {element} ({names[element]}) between node {a} and node {b}"
            rows.append({"number": len(rows) + 1, "do": do, "element": element, "broken_ppt": left, "text": words})
    return rows


def _names(network: Network) -> dict[str, str]:
    return {f"line:{e.id}": e.name for e in network.lines} | {f"link:{e.id}": e.name for e in network.links}


def _moves(network: Network, device: Device, before: int, after: int) -> str:
    """One operation in words, each of the units that move together by its own positions."""
    units = zip(device.ids, apart(network, device), strict=True)
    moves = [f"{id} from {before + steps} to {after + steps}" for id, steps in units]
    return f"{_DEVICE[device.kind][len(moves) > 1]} {', '.join(moves)}"


def explained(made: DayPlan) -> str:
    """The plan in one sentence."""
    done = len(made.devices.operations())
    said = f"{len(made.before)} violations as it stands; {done} operations of taps and banks"
    if made.switches is not None:
        said += f"; {2 * len(made.switches.steps)} switches after {made.switches.tried} power flows tried"
    return f"{said}; {_left(made)}; losses {made.loss_before_wh} Wh before, {made.loss_after_wh} Wh after"


def _left(made: DayPlan) -> str:
    return f"{len(made.after)} violations are left for the market" if made.after else "no violation is left"


def requests(network: Network, sizing: Sizing) -> dict[str, Any]:
    """The DSO's local requests (I-06), each mapped to nodes, and what nobody can serve."""
    node = {c.pod: c.node for c in network.connections}
    rows = []
    for number, need in enumerate(sizing.needs, 1):
        at: dict[int, dict[str, Any]] = {}
        for pod, effect in zip(need.pods, need.effect_ppt, strict=True):
            at.setdefault(node[pod], {"node": node[pod], "effect_ppt": effect, "pods": []})["pods"].append(pod)
        rows.append(
            {
                "id": f"DSO-{number}",
                "buyer": "DSO",
                "element": need.element,
                "name": name_of(network, need.element),
                "direction": need.direction,
                "product": need.product,
                "frames": [
                    {"frame": f, "relief_ppt": r, "volume_w": w, "volume_var": q}
                    for f, r, w, q in zip(
                        need.frames,
                        need.relief_ppt,
                        need.volume_w,
                        need.volume_var or (0,) * len(need.frames),
                        strict=True,
                    )
                ],
                "nodes": list(at.values()),
            }
        )
    least = {"frames": sizing.frames, "delta_w": sizing.least_w, "delta_var": sizing.least_var}
    unserved = [_violation(network, v) for v in sizing.unserved]
    return {"format": REQUESTS, "network": network.name, "requests": rows, "least": plain(least), "unserved": unserved}


def verdicts(network: Network, found: Sequence[Verdict], left: Sequence[Violation]) -> dict[str, Any]:
    """I-07: every offer's verdict in words and numbers, and what stays broken with what was accepted."""
    rows = [plain(v) | {"text": said_of(network, v)} for v in found]
    after = [_violation(network, v) for v in left]
    return {"format": VERDICTS, "network": network.name, "verdicts": rows, "after": after}


def said_of(network: Network, verdict: Verdict) -> str:
    """One verdict for a reader."""
    if not verdict.stops:
        return f"{verdict.offer}: {verdict.decision}"
    stop = next(s for s in verdict.stops if s.element == verdict.element)
    if stop.element == NO_SOLUTION:
        why = f"no solution in frame {stop.frame}"
    elif stop.element == LINKED:
        why = f"frame {stop.frame} is linked to one that is stopped"
    else:
        why = (
            f"{stop.element} ({name_of(network, stop.element)}) in frame {stop.frame}: {_percent(stop.margin_ppt)} of rated was "
            f"free, {_percent(stop.effect_ppt_per_w * _W_OF_MW)} are used per MW; {stop.passed_w} W would have passed"
        )
    return f"{verdict.offer}: {verdict.decision}: {why}"


def substation(network: Network, before: SubstationProfile, after: SubstationProfile) -> dict[str, Any]:
    """I-12, as it stands and with the plan and the awards."""
    return {"format": SUBSTATION, "network": network.name, "before": plain(before), "after": plain(after)}


def _violation(network: Network, one: Violation) -> dict[str, Any]:
    name = "no solution" if one.element == NO_SOLUTION else name_of(network, one.element)
    return plain(one) | {"name": name}  # type: ignore[no-any-return]


def _percent(ppt: int) -> str:
    sign, size = ("-", -ppt) if ppt < 0 else ("", ppt)
    return f"{sign}{size // 10**10}.{size // 10**8 % 100:02d} %"
