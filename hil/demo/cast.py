"""Who plays: the customers of the example day as the site of the rig knows them, and what goes wrong for whom."""

from dataclasses import dataclass
from typing import Any

from backend.demo.customer import Customer
from backend.demo.day import ExampleDay

LEAD_FRAMES = 1
TAIL_FRAMES = 3
UNDER_DELIVERS_PPM = 500_000
POWER_CUT_SLOTS = 45


@dataclass(frozen=True, slots=True)
class Mishaps:
    """Which POD under-delivers (from its third quarter-hour on), loses power (in its fourth), gets a forged set-point."""

    under_delivers: str
    power_cut: str
    forged: str


def cast(day: ExampleDay, nodes: int) -> list[Customer]:
    """The customers that take part: the first ones of the day file, at both voltages."""
    wanted = list(day.customers)
    drop = len(wanted) - nodes
    low = [c for c in wanted if not c.medium_voltage]
    return [c for c in wanted if c not in low[len(low) - drop :]] if drop else wanted


def mishaps(customers: list[Customer]) -> Mishaps:
    """By place in the day file: the saw mill, the bakery and the dairy."""
    return Mishaps(customers[3].pod, customers[7].pod, customers[2].pod)


def site_customer(day: ExampleDay, customer: Customer, unit: int, trouble: Mishaps) -> dict[str, Any]:
    """A customer as the site wants it: actual base load by quarter-hour, a DER that acts relative to it."""
    first = day.window_first - LEAD_FRAMES
    actual = day.base_w(day.actual(), customer.pod)
    rows = range(first - day.first_frame, day.window_first + day.window_count + TAIL_FRAMES - day.first_frame)
    load = [actual[min(row, len(actual) - 1)] for row in rows]
    battery = customer.kind == "battery"
    hours_ws = customer.nameplate_w * 3600
    der: dict[str, Any] = {"lowest_w": -customer.up_w, "highest_w": customer.down_w}
    if battery:
        der |= {"lowest_w": -customer.nameplate_w, "highest_w": customer.nameplate_w}
        der |= {"capacity_ws": 4 * hours_ws, "energy_ws": 3 * hours_ws}
    if customer.pod == trouble.under_delivers:
        der |= {"delivers_ppm": UNDER_DELIVERS_PPM, "fails_from_ms": (day.window_first + 2) * 900_000}
    return {
        "pod": customer.pod, "unit": unit, "ct_ratio": customer.ct_ratio, "vt_ratio": customer.vt_ratio,
        "phase_mv": 11_547_000 if customer.medium_voltage else 230_400,
        "first_frame": first, "load_w": load, "der_w": [0] * len(load), "der": der,
    }  # fmt: skip
