"""When owners said that their PODs cannot deliver (I-13): statuses to quarter-hours that earn no availability.

1. A status is ``lightnode-status/1``: a POD's owner says that it is ready, active, off or has a fault, from an instant until before
   a quarter-hour; without ``until_frame`` until the next status.
2. In a quarter-hour counts the latest status that was reported before its end. With off or fault the POD is unavailable from the
   quarter-hour of the report on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.domain.quantity import FRAME_MS
from backend.market.settled_document import MOST_FRAME
from backend.market.settled_evidence import Point
from backend.market.settled_input import NotAvailable
from backend.market.strict import parse

FORMAT = "lightnode-status/1"


class State(StrEnum):
    """How a DER is."""

    READY = "ready"
    ACTIVE = "active"
    FAULT = "fault"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Status:
    """What an owner said of a POD at an instant (UTC ms)."""

    pod: str
    owner: str
    state: State
    time_ms: int
    until_frame: int
    reason: str


def status_of(text: str) -> Status:
    """Rule 1; Rejected in one line."""
    fields = parse(text, "status", FORMAT)
    made = Status(
        fields.name("pod"), fields.party("owner"), fields.choice("state", State), fields.whole("time_ms", 0, 1 << 62),
        fields.whole("until_frame", 1, MOST_FRAME) if fields.has("until_frame") else MOST_FRAME,
        fields.words("reason") if fields.has("reason") else "",
    )  # fmt: skip
    fields.end()
    return made


def not_available(statuses: Iterable[Status], points: Iterable[Point]) -> tuple[NotAvailable, ...]:
    """Those of the points (POD and quarter-hour) in which the POD is unavailable (rule 2), in order."""
    by_pod: dict[str, list[Status]] = {}
    for one in sorted(statuses, key=lambda one: (one.time_ms, one.state)):
        by_pod.setdefault(one.pod, []).append(one)
    found = []
    for pod, frame in sorted(set(points)):
        said = [one for one in by_pod.get(pod, ()) if one.time_ms < (frame + 1) * FRAME_MS]
        if said and said[-1].state in (State.OFF, State.FAULT) and frame < said[-1].until_frame:
            found.append(NotAvailable(pod, frame, said[-1].reason or said[-1].state.value))
    return tuple(found)
