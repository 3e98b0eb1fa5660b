"""Reading the document of a plan (`lightnode-plan/1`)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.errors import Rejected
from backend.grid.answer import PLAN
from backend.grid.network import Network
from backend.grid.radial import branches_of
from backend.grid.remedy import Device, DevicePlan, devices_of
from backend.nesting import too_deep


@dataclass(frozen=True, slots=True, eq=False)
class HeldPlan:
    """What a document says: where devices go, what is open (None: as it stands), and all of it as it was read."""

    devices: DevicePlan
    opened: tuple[str, ...] | None
    document: Mapping[str, Any]


def parse_plan(text: str, network: Network) -> HeldPlan:
    """Raises Rejected if it is no plan, or one of another network."""
    try:
        document = {} if too_deep(text) else json.loads(text)
        if document.get("format") != PLAN:
            raise Rejected(f"plan: format, expected {PLAN!r}")
        if document["network"] != network.name:
            raise Rejected(f"plan: of another network, expected one of {network.name!r}")
        frames = tuple(int(f) for f in document["frames"])
        devices = tuple(_device(network, d, len(frames)) for d in document["devices"])
        positions = tuple(tuple(int(p) for p in d["positions"]) for d in document["devices"])
        opened = None if document["opened"] is None else tuple(str(name) for name in document["opened"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected(f"plan: {error!r}") from error
    for name in opened or ():
        if name not in branches_of(network):
            raise Rejected(f"plan opened {name!r}: not a line or a link of network {network.name!r}")
    return HeldPlan(DevicePlan(frames, devices, positions, (), ()), opened, document)


def _device(network: Network, row: Mapping[str, Any], count: int) -> Device:
    ids = tuple(row["ids"])
    known = next((d for d in devices_of(network) if d.kind == row["kind"] and d.ids == ids), None)
    places, id = {*row["positions"], row["standing"]}, ids[0] if ids else -1
    if len(row["positions"]) != count:
        raise Rejected(
            f"plan {row['kind']} {id}: {len(row['positions'])} positions, expected {count}, one for each frame"
        )
    if known is None or not places <= set(known.positions):
        raise Rejected(f"plan {row['kind']} {id}: not a device that may be moved, or not to these positions")
    return replace(known, standing=row["standing"])
