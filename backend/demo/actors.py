"""What each simulated actor of the example day starts with, as files, each actor in a folder of its own.

1. Every actor has only what is its own: owners their PODs, aggregators their settings, BRPs their PODs' profiles, the TSO its
   grid, the DSO its grid, its forecast and what the PODs connected to it can do.
2. The day may stand on another date: quarter-hours move with local midnight, so it must have 96 of them.
3. Every owner declares the evening; a heat pump runs at most two hours in a row and rests one.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date

from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.domain.local_day import QUARTERS, Calendar
from backend.errors import Rejected
from backend.grid.document import written

EVENING = range(66, 88)  # 16:30 to 22:00
_RUNS = {"heat_pump": (8, 4)}
_OFFERING: Mapping[str, object] = {
    "format": "lightnode-offering/1", "price_ueur_per_mwh": {"up": 90_000_000, "down": 40_000_000}, "fee_ppm": 150_000,
    "group_below_w": 12_000, "lot_w": 100, "steps": [[600_000, 1_000_000], [400_000, 1_400_000]],
}  # fmt: skip
_DEARER = {"Aggregator-B": {"price_ueur_per_mwh": {"up": 110_000_000, "down": 30_000_000}, "fee_ppm": 100_000}}


def actor_files(day: ExampleDay, on: date) -> dict[str, str]:
    """Text by path, with / between folders; on: the date that the market day stands on."""
    frames = Calendar(day.zone).frames(on)
    if len(frames) != QUARTERS:
        raise Rejected(f"{on} has {len(frames)} quarter-hours in {day.zone}, the example day has {QUARTERS}")
    found = {
        "dso/network.json": written(day.network),
        "dso/states.json": _states(day, frames),
        "dso/capabilities.json": _capabilities(day.customers),
        "tso/hv.json": _transmission(day, frames),
    }
    for customer in day.customers:
        found[f"owners/{folder_of(customer.owner)}/pods.csv"] = _availability(customer, frames)
    for name in sorted({identity_of(customer.aggregator) for customer in day.customers}):
        found[f"{folder_of(name)}/offering.json"] = _json({**_OFFERING, **_DEARER.get(name, {})})
    for brp in sorted({customer.brp for customer in day.customers}):
        found[f"{folder_of(brp)}/profiles.csv"] = _profiles(day, [c for c in day.customers if c.brp == brp], frames)
    return found


def identity_of(name: str) -> str:
    """A party's name as bids have it: without blanks."""
    return name.replace(" ", "-")


def folder_of(name: str) -> str:
    """A party's folder."""
    return identity_of(name).lower()


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"


def _states(day: ExampleDay, frames: range) -> str:
    """The forecast made at the day-ahead gate."""
    made = day.forecast(day.day_ahead_gate)
    level = {
        "level_ppm": 500_000,
        "load_w": {str(e.id): made.load_w[:, k].tolist() for k, e in enumerate(day.network.loads)},
        "load_var": {str(e.id): made.load_var[:, k].tolist() for k, e in enumerate(day.network.loads)},
        "generator_w": {str(e.id): made.generator_w[:, k].tolist() for k, e in enumerate(day.network.generators)},
    }
    known = frames[0] + day.day_ahead_gate - day.first_frame
    pods = {customer.pod: customer.node for customer in day.customers}
    return _json(
        {
            "format": "lightnode-states/1", "frames": list(frames), "pods": pods, "known_before_frame": known,
            "levels": [level],
        }
    )  # fmt: skip


def _capabilities(customers: Iterable[Customer]) -> str:
    rows = [{"pod": c.pod, "up_w": c.up_w, "down_w": c.down_w} for c in customers]
    return _json({"format": "lightnode-capabilities/1", "capabilities": rows})


def _transmission(day: ExampleDay, frames: range) -> str:
    """The TSO's model; its hourly values are of local time."""
    return _json({**json.loads(day.hv_text), "offset_quarters": -frames[0] % QUARTERS})


def _availability(customer: Customer, frames: range) -> str:
    longest, rest = _RUNS.get(customer.kind, (0, 0))
    begin, end = frames[EVENING[0]], frames[EVENING[-1]] + 1
    head = "pod,from,until,up_w,down_w,brp,longest_frames,rest_frames"
    row = f"{customer.pod},{begin},{end},{customer.up_w},{customer.down_w},{customer.brp},{longest},{rest}"
    return f"{head}\n{row}\n"


def _profiles(day: ExampleDay, customers: Iterable[Customer], frames: range) -> str:
    lines = [
        f"{customer.pod},{frame},{w}"
        for customer in customers
        for frame, w in zip(frames, day.baseline_w(customer.pod), strict=True)
    ]
    return "\n".join(["pod,frame,w", *lines]) + "\n"
