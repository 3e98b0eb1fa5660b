"""What simulated customers deliver of their orders, and what their meters can prove of it: the same for the same seed.

1. A customer that is absent offers nothing on that day. A silent one offers, is ordered, and does nothing all day; a weak one
   does its part (50 to 95 %) of each order.
2. A device acts some seconds after the order begins (2 to 40, by POD and day); in a quarter-hour that goes on as the one
   before it is there from the beginning.
3. What only reduces can reduce no more than its load. A battery holds eight hours of its nameplate and begins the day half
   full; full or empty it does nothing more.
4. Of a quarter-hour too many readings may be lost: it is proven by its registers, or by nothing.
5. Each chance is drawn from seed, day, POD and quarter-hour, in 1e-6; nothing else plays a part.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from backend.demo.customer import Customer
from backend.domain.bids import Direction
from backend.domain.quantity import FRAME_S, PPM
from backend.domain.trade import Order
from backend.market.settled_input import MeasuredRow

BATTERY_HOURS = 8
FASTEST_S, SLOWEST_S = 2, 40
LEAST_PART_PPM, MOST_PART_PPM = 500_000, 950_000
_HOUR_S = 3_600
_LOST_READINGS_PPM = 600_000


@dataclass(frozen=True, slots=True)
class Imperfections:
    """How often, in 1e-6: PODs of a day that are absent, silent or weak; quarter-hours known by registers only, or not."""

    absent_ppm: int = 80_000
    silent_ppm: int = 30_000
    weak_ppm: int = 120_000
    registers_ppm: int = 20_000
    missing_ppm: int = 3_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """By (POD, quarter-hour): what was measured, the W it was in the mean, how many s after the order the device acted."""

    measured: Mapping[tuple[str, int], MeasuredRow]
    mean_w: Mapping[tuple[str, int], int]
    response_s: Mapping[tuple[str, int], int]
    silent: tuple[str, ...]
    weak: tuple[str, ...]


class Chance:
    """The draws of one seed and day (rule 5)."""

    def __init__(self, seed: int, day: date) -> None:
        self._where = f"{seed}/{day.isoformat()}"

    def draw(self, *words: object) -> int:
        """0 to 999,999, the same for the same words."""
        text = "/".join((self._where, *map(str, words)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % PPM

    def happens(self, chance_ppm: int, *words: object) -> bool:
        """True so often."""
        return self.draw(*words) < chance_ppm

    def between(self, low: int, high: int, *words: object) -> int:
        """A whole number, both ends included."""
        return low + self.draw(*words) * (high - low + 1) // PPM


def present(customers: Sequence[Customer], chance: Chance, how: Imperfections) -> tuple[Customer, ...]:
    """Those who offer on that day."""
    return tuple(c for c in customers if not chance.happens(how.absent_ppm, "absent", c.pod))


def available_w(customer: Customer, base_w: int) -> int:
    """What it can withdraw less (or inject more) in a quarter-hour (rule 3)."""
    return customer.up_w if customer.kind == "battery" else max(0, min(customer.up_w, base_w))


def delivered(
    customers: Sequence[Customer],
    frames: Sequence[int],
    base_w: Mapping[str, Sequence[int]],
    orders: Sequence[Order],
    chance: Chance,
    how: Imperfections,
) -> Delivered:
    """base_w: W of each POD without its device, by quarter-hour of frames."""
    measured: dict[tuple[str, int], MeasuredRow] = {}
    mean_w: dict[tuple[str, int], int] = {}
    response_s: dict[tuple[str, int], int] = {}
    silent = _some(customers, chance, how.silent_ppm, "silent")
    weak = _some(customers, chance, how.weak_ppm, "weak")
    for customer in customers:
        pod = customer.pod
        asked = [_asked_w(pod, frame, orders) for frame in frames]
        part = 0 if pod in silent else PPM
        if pod in weak:
            part = min(part, chance.between(LEAST_PART_PPM, MOST_PART_PPM, "part", pod))
        changed_ws = _changes_ws(customer, base_w[pod], asked, part, chance)
        for k, frame in enumerate(frames):
            energy_ws = base_w[pod][k] * FRAME_S + changed_ws[k]
            mean_w[pod, frame] = energy_ws // FRAME_S
            measured[pod, frame] = _proven(energy_ws, (pod, frame), chance, how)
            if asked[k] and changed_ws[k]:
                response_s[pod, frame] = _response_s(asked, k, pod, chance)
    return Delivered(measured, mean_w, response_s, silent, weak)


def _some(customers: Sequence[Customer], chance: Chance, ppm: int, what: str) -> tuple[str, ...]:
    return tuple(c.pod for c in customers if chance.happens(ppm, what, c.pod))


def _asked_w(pod: str, frame: int, orders: Sequence[Order]) -> int:
    """Change of withdrawal that a POD's orders ask for."""
    mine = [one for one in orders if one.frame == frame and pod in one.parts_w]
    return sum(-one.parts_w[pod] if one.direction == Direction.UP else one.parts_w[pod] for one in mine)


def _response_s(asked: Sequence[int], k: int, pod: str, chance: Chance) -> int:
    if k and asked[k - 1] == asked[k]:
        return 0
    return chance.between(FASTEST_S, SLOWEST_S, "response", pod)


def _changes_ws(
    customer: Customer, base_w: Sequence[int], asked: Sequence[int], part: int, chance: Chance
) -> list[int]:
    """Ws more withdrawn in each quarter-hour (rules 1 to 3); part: 1e-6 of what is asked for."""
    whole_ws = customer.nameplate_w * BATTERY_HOURS * _HOUR_S
    held_ws, found = whole_ws // 2, []
    for k, watts in enumerate(asked):
        least = -available_w(customer, base_w[k])
        watts = max(least, min(customer.down_w, watts))
        change_ws = watts * part // PPM * (FRAME_S - _response_s(asked, k, customer.pod, chance))
        if customer.kind == "battery":
            change_ws = max(-held_ws, min(whole_ws - held_ws, change_ws))
            held_ws += change_ws
        found.append(change_ws)
    return found


def _proven(energy_ws: int, key: tuple[str, int], chance: Chance, how: Imperfections) -> MeasuredRow:
    """Rule 4."""
    if chance.happens(how.missing_ppm, "missing", *key):
        return MeasuredRow(*key, None, 0, None)
    lost = chance.happens(how.registers_ppm, "registers", *key)
    return MeasuredRow(*key, energy_ws, _LOST_READINGS_PPM if lost else PPM, energy_ws)
