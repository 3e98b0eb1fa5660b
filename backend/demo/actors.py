"""What each simulated actor of the example day starts with, as files, each actor in a folder of its own.

1. Every actor has only what is its own: owners their PODs, aggregators their settings, BRPs their PODs' profiles, the TSO its
   grid, the DSO its grid, its forecast and what the PODs connected to it can do.
2. The day may stand on another date, of 92, 96 or 100 quarter-hours: each has the values of what the clock on the wall shows,
   so an hour of the example day is left out or stands twice. The TSO's hourly values follow the clock as it is at noon.
3. Every owner declares the evening; a heat pump runs at most two hours in a row and rests one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from backend.demo.customer import Customer
from backend.demo.day import ExampleDay
from backend.domain.local_day import QUARTERS, Calendar
from backend.grid.document import written

_NOON = 48
EVENING = range(66, 88)  # 16:30 to 22:00
_RUNS = {"heat_pump": (8, 4)}
_OFFERING: Mapping[str, object] = {
    "format": "lightnode-offering/1", "price_ueur_per_mwh": {"up": 90_000_000, "down": 40_000_000}, "fee_ppm": 150_000,
    "group_below_w": 12_000, "lot_w": 100, "steps": [[600_000, 1_000_000], [400_000, 1_400_000]],
}  # fmt: skip
_DEARER = {"Aggregator-B": {"price_ueur_per_mwh": {"up": 110_000_000, "down": 30_000_000}, "fee_ppm": 100_000}}


@dataclass(frozen=True, slots=True)
class LocalDay:
    """The quarter-hours of a date and, of each, what the clock on the wall shows (0 to 95)."""

    frames: range
    walls: tuple[int, ...]

    @classmethod
    def of(cls, zone: str, on: date) -> "LocalDay":
        """Those of a date of a zone."""
        calendar = Calendar(zone)
        frames = calendar.frames(on)
        return cls(frames, tuple(calendar.place(frame)[1] for frame in frames))

    def frame(self, wall: int) -> int:
        """The last quarter-hour at which the clock shows this."""
        return self.frames[len(self.walls) - 1 - self.walls[::-1].index(wall)]


def actor_files(day: ExampleDay, on: date) -> dict[str, str]:
    """Text by path, with / between folders; on: the date that the market day stands on."""
    local = LocalDay.of(day.zone, on)
    found = {
        "dso/network.json": written(day.network),
        "dso/states.json": _states(day, local),
        "dso/capabilities.json": _capabilities(day.customers),
        "tso/hv.json": _transmission(day, local),
    }
    for customer in day.customers:
        found[f"owners/{folder_of(customer.owner)}/pods.csv"] = _availability(customer, local)
    for name in sorted({identity_of(customer.aggregator) for customer in day.customers}):
        found[f"{folder_of(name)}/offering.json"] = _json({**_OFFERING, **_DEARER.get(name, {})})
    for brp in sorted({customer.brp for customer in day.customers}):
        found[f"{folder_of(brp)}/profiles.csv"] = _profiles(day, [c for c in day.customers if c.brp == brp], local)
    return found


def identity_of(name: str) -> str:
    """A party's name as bids have it: without blanks."""
    return name.replace(" ", "-")


def folder_of(name: str) -> str:
    """A party's folder."""
    return identity_of(name).lower()


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"


def _states(day: ExampleDay, local: LocalDay) -> str:
    """The forecast made at the day-ahead gate."""
    made, rows = day.forecast(day.day_ahead_gate), list(local.walls)
    level = {
        "level_ppm": 500_000,
        "load_w": {str(e.id): made.load_w[rows, k].tolist() for k, e in enumerate(day.network.loads)},
        "load_var": {str(e.id): made.load_var[rows, k].tolist() for k, e in enumerate(day.network.loads)},
        "generator_w": {str(e.id): made.generator_w[rows, k].tolist() for k, e in enumerate(day.network.generators)},
    }
    known = local.frames[0] + day.day_ahead_gate - day.first_frame
    pods = {customer.pod: customer.node for customer in day.customers}
    return _json(
        {
            "format": "lightnode-states/1", "frames": list(local.frames), "pods": pods, "known_before_frame": known,
            "levels": [level],
        }
    )  # fmt: skip


def _capabilities(customers: Iterable[Customer]) -> str:
    rows = [{"pod": c.pod, "up_w": c.up_w, "down_w": c.down_w} for c in customers]
    return _json({"format": "lightnode-capabilities/1", "capabilities": rows})


def _transmission(day: ExampleDay, local: LocalDay) -> str:
    """The TSO's model; its hourly values are of local time."""
    return _json({**json.loads(day.hv_text), "offset_quarters": (_NOON - local.frame(_NOON)) % QUARTERS})


def _availability(customer: Customer, local: LocalDay) -> str:
    longest, rest = _RUNS.get(customer.kind, (0, 0))
    begin, end = local.frame(EVENING[0]), local.frame(EVENING[-1]) + 1
    head = "pod,from,until,up_w,down_w,brp,longest_frames,rest_frames"
    row = f"{customer.pod},{begin},{end},{customer.up_w},{customer.down_w},{customer.brp},{longest},{rest}"
    return f"{head}\n{row}\n"


def _profiles(day: ExampleDay, customers: Iterable[Customer], local: LocalDay) -> str:
    lines = []
    for customer in customers:
        w = day.baseline_w(customer.pod)
        lines += [f"{customer.pod},{f},{w[wall]}" for f, wall in zip(local.frames, local.walls, strict=True)]
    return "\n".join(["pod,frame,w", *lines]) + "\n"
