"""The faults of a week, from its seed: what begins when, how long it lasts, and which dice it throws.

1. The same seed, length and choice of faults give the same schedule. Every kind occurs, however short the week is.
2. Faults overlap as they come. An outage longer than the journal and a restored store have a window of their own, since
   each has to be over, and everything delivered, before the next takes away what it would be judged by.
3. The last quarter of an hour has no fault.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

SLOT_MS = 4000
LIES = ("word_order", "sign_swap", "phantom:zero", "phantom:ffff", "phantom:absent", "phantom:spike")
METER = (
    "silent", "slow:120", "late:400", "noise:before", "noise:after", "noise:inside", "noise:broken", "noise~40", "other_unit",
    "other_unit~40", "reboot:1", "register_reset",
)  # fmt: skip
LIGHT = {  # kind: slots that it lasts, at least and at most
    "cut": (2, 12), "stall": (5, 60), "lossy": (5, 40), "broker": (1, 30), "backend": (1, 30), "commit_crash": (1, 10),
    "kill": (1, 40), "kill_inside": (1, 10), "torn": (1, 5), "slow_flash": (20, 60), "wrong_clock": (5, 30), "leap": (1, 90),
    "forged_time": (1, 1), "forged": (1, 1), "genuine": (1, 1), "replayed": (1, 1), "chain_away": (100, 400),
    "chain_new": (1, 1),
}  # fmt: skip
HEAVY = ("outage", "restore", "outage_and_kill")
_METER_SLOTS = 2, 6
_BACKUP_SLOTS = 150  # how old the copy is that a lost store is restored from
_WARM_S, _CALM_S = 240, 1200
_EVERY_S = 900  # a light fault each quarter of an hour, a meter's fault each second one


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: virtual seconds from the start, how many slots it lasts, and a number for its own dice."""

    at_s: int
    kind: str
    slots: int
    dice: int

    @property
    def is_meters(self) -> bool:
        """Whether the meter plays it."""
        return self.kind not in LIGHT and self.kind not in HEAVY


def schedule(seed: int, hours: float, outage_slots: int, lies: bool = False) -> list[Fault]:
    """In order of time. outage_slots: how long the link has to be away for the journal to overflow."""
    source = random.Random(f"week {seed}")
    windows = list(_windows(hours, outage_slots))
    found = [Fault(start, kind, slots, source.getrandbits(32)) for start, kind, slots in windows]
    spans = [(start - 60, start + slots * SLOT_MS // 1000 + _CALM_S) for start, _, slots in windows]
    free = [at for at in range(_WARM_S, int(hours * 3600) - 900, 4) if not any(a <= at < b for a, b in spans)]
    meters = METER + (LIES if lies else ())
    for kinds, limits, every in ((tuple(LIGHT), LIGHT, _EVERY_S), (meters, {}, 2 * _EVERY_S)):
        for kind in _bag(source, kinds, int(4 * len(free) // every)):
            low, high = limits.get(kind, _METER_SLOTS)
            found.append(Fault(source.choice(free), kind, source.randint(low, high), source.getrandbits(32)))
    return sorted(found, key=lambda fault: (fault.at_s, fault.kind))


def shortest_hours(outage_slots: int) -> float:
    """The shortest week that has room for every kind."""
    return (sum(_length_s(kind, outage_slots) for kind in HEAVY) + 4 * _EVERY_S) / 3600


def _windows(hours: float, outage_slots: int) -> Iterator[tuple[int, str, int]]:
    """(second, kind, slots) of the heavy faults, spread over the week; twice each if it is longer than two days."""
    kinds = HEAVY * (2 if hours > 48 else 1)
    between_s = (hours * 3600 - sum(_length_s(kind, outage_slots) for kind in kinds)) / (len(kinds) + 1)
    start = between_s
    for kind in kinds:
        yield int(start) // 4 * 4, kind, _BACKUP_SLOTS if kind == "restore" else outage_slots
        start += between_s + _length_s(kind, outage_slots)


def _length_s(kind: str, outage_slots: int) -> int:
    return (_BACKUP_SLOTS if kind == "restore" else outage_slots) * SLOT_MS // 1000 + _CALM_S


def _bag(source: random.Random, kinds: tuple[str, ...], count: int) -> list[str]:
    """Each kind once, then again, up to the count; every kind at least once."""
    found: list[str] = []
    while len(found) < max(count, len(kinds)):
        found += source.sample(kinds, len(kinds))
    return found[: max(count, len(kinds))]
