"""What an owner's PODs can do and when (I-13), and what of it may be offered.

1. W up (less withdrawal) and down (more withdrawal) by POD and quarter-hour. What is not declared is not there.
2. A POD has one owner, and one aggregator in a quarter-hour. Two declarations that meet are a conflict, named with the POD,
   the quarter-hours and both of them.
3. A status other than ready or active takes its POD out, from the quarter-hour in which it was reported until its end. The
   latest one of a POD counts.
4. With a longest run, the POD is offered so many quarter-hours in a row from the begin of what is declared, then not for its
   rest, at least one: whatever is bought of it is no longer run, and after a longest one it rests.
5. What is reserved already is not there again: neither its W, nor the other direction in that quarter-hour.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from backend.domain.bids import MOST_UEUR_PER_MWH, MOST_W, Direction
from backend.domain.quantity import FRAME_MS
from backend.errors import Rejected
from backend.market.register import END_FRAME, Resource

MOST_RUN = 400


class DerState(StrEnum):
    """How a DER is."""

    READY = "ready"
    ACTIVE = "active"
    FAULT = "fault"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class DerStatus:
    """I-13. How a POD's DER is, from an instant (UTC ms) until before a quarter-hour; why, in the owner's words."""

    pod: str
    owner: str
    state: DerState
    time_ms: int
    until_frame: int = END_FRAME
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.time_ms < self.until_frame * FRAME_MS:
            raise Rejected(f"status of {self.pod}: until_frame {self.until_frame} is not after time_ms {self.time_ms}")

    def takes_out(self, frame: int) -> bool:
        """Whether the POD cannot be counted on in a quarter-hour (rule 3)."""
        if self.state in (DerState.READY, DerState.ACTIVE):
            return False
        return self.time_ms // FRAME_MS <= frame < self.until_frame


@dataclass(frozen=True, slots=True)
class Availability:
    """I-13. What one POD can do: W by quarter-hour, 1 or more, in each direction.

    longest_frames, rest_frames: rule 4, 0 is none. asked_ueur_per_mwh: the least its owner wants, after the fee.
    """

    pod: str
    owner: str
    aggregator: str
    up_w: Mapping[int, int]
    down_w: Mapping[int, int]
    brp: str = ""
    longest_frames: int = 0
    rest_frames: int = 0
    asked_ueur_per_mwh: int = 0

    def __post_init__(self) -> None:
        for name, one, most in (
            ("longest_frames", self.longest_frames, MOST_RUN), ("rest_frames", self.rest_frames, MOST_RUN),
            ("asked_ueur_per_mwh", self.asked_ueur_per_mwh, MOST_UEUR_PER_MWH),
        ):  # fmt: skip
            if not 0 <= one <= most:
                raise Rejected(f"availability of {self.pod}: {name} = {one}, expected 0 to {most}")
        if self.rest_frames and not self.longest_frames:
            raise Rejected(f"availability of {self.pod}: rest_frames without longest_frames, expected both")
        if any(not 1 <= w <= MOST_W for table in (self.up_w, self.down_w) for w in table.values()):
            raise Rejected(f"availability of {self.pod}: W of a quarter-hour, expected 1 to {MOST_W}")

    def w(self, direction: Direction) -> Mapping[int, int]:
        """W by quarter-hour in a direction."""
        return self.up_w if direction is Direction.UP else self.down_w

    @property
    def frames(self) -> list[int]:
        """Every quarter-hour in which it can do something."""
        return sorted(self.up_w.keys() | self.down_w.keys())


def conflicts(declared: Iterable[Availability]) -> list[str]:
    """Where declarations meet (rule 2), by POD."""
    by_pod: dict[str, list[Availability]] = {}
    for one in declared:
        by_pod.setdefault(one.pod, []).append(one)
    found = []
    for pod, rows in sorted(by_pod.items()):
        rows.sort(key=lambda one: (one.owner, one.aggregator, one.frames[:1]))
        for k, one in enumerate(rows):
            found += [said for other in rows[k + 1 :] if (said := _meets(pod, one, other))]
    return found


def _meets(pod: str, one: Availability, other: Availability) -> str:
    if one.owner != other.owner:
        return f"{pod} is declared by {one.owner} and by {other.owner}"
    both = sorted(set(one.frames) & set(other.frames))
    if not both:
        return ""
    when = f"in {len(both)} quarter-hours from {both[0]}"
    if one.aggregator == other.aggregator:
        return f"{pod} is declared twice to {one.aggregator} {when}"
    return f"{pod} is declared to {one.aggregator} and to {other.aggregator} {when}"


def checked(declared: Iterable[Availability]) -> tuple[Availability, ...]:
    """Declarations without a conflict, by POD and begin; raises Rejected that names the first of them."""
    rows = list(declared)
    found = conflicts(rows)
    if found:
        raise Rejected("availability: " + "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if found[5:] else ""))
    return tuple(sorted(rows, key=lambda one: (one.pod, one.frames[:1])))


def resources(declared: Iterable[Availability]) -> tuple[Resource, ...]:
    """The list for the register (I-02): of each declaration the most W, from its first to its last quarter-hour."""
    found = []
    for one in checked(declared):
        if one.frames:
            up_w, down_w = (max(table.values(), default=0) for table in (one.up_w, one.down_w))
            found.append(Resource(one.pod, one.aggregator, up_w, down_w, one.frames[0], one.frames[-1] + 1, one.brp))
    return tuple(found)


def offerable(
    one: Availability,
    statuses: Iterable[DerStatus] = (),
    reserved_w: Mapping[tuple[str, int, Direction], int] | None = None,
) -> Availability:
    """What of a declaration may be offered (rules 3 to 5); reserved_w: by POD, quarter-hour and direction."""
    mine = [status for status in statuses if status.pod == one.pod]
    last = max(mine, key=lambda status: status.time_ms, default=None)
    reserved = reserved_w or {}
    kept = {frame for frame in _runs(one) if last is None or not last.takes_out(frame)}
    tables = []
    for direction, other in ((Direction.UP, Direction.DOWN), (Direction.DOWN, Direction.UP)):
        left = {
            frame: w - reserved.get((one.pod, frame, direction), 0)
            for frame, w in one.w(direction).items()
            if frame in kept and not reserved.get((one.pod, frame, other))
        }
        tables.append({frame: w for frame, w in sorted(left.items()) if w > 0})
    return replace(one, up_w=tables[0], down_w=tables[1])


def unavailable(statuses: Iterable[DerStatus], frames: Iterable[int]) -> tuple[tuple[str, int, str], ...]:
    """(POD, quarter-hour, why) of those in which a POD was out by what had been reported of it until then, by POD."""
    by_pod: dict[str, list[DerStatus]] = {}
    for status in sorted(statuses, key=lambda status: status.time_ms):
        by_pod.setdefault(status.pod, []).append(status)
    found = []
    for pod in sorted(by_pod):
        for frame in sorted(frames):
            said = [status for status in by_pod[pod] if status.time_ms // FRAME_MS <= frame]
            if said and said[-1].takes_out(frame):
                found.append((pod, frame, f"{said[-1].state} {said[-1].reason}".strip()))
    return tuple(found)


def _runs(one: Availability) -> set[int]:
    """The quarter-hours that rule 4 leaves."""
    if not one.longest_frames:
        return set(one.frames)
    kept: set[int] = set()
    run, last, free_from = 0, -1, 0
    for frame in one.frames:
        if frame < free_from:
            continue
        run = run + 1 if frame == last + 1 else 1
        kept.add(frame)
        last = frame
        if run == one.longest_frames:
            free_from = frame + 1 + max(1, one.rest_frames)
    return kept
