"""What a session holds of each POD against the others, and what an operator does about one that holds it for nothing.

1. A session that is decided holds what its outcome, as last corrected, awards; one that is not decided holds what the offers
   in its book may take.
2. It holds nothing once it is cancelled, nor, not decided, once its last quarter-hour has begun: then it awards what others
   have left, if it is decided all the same.
3. Who is refused for want of watts is told which sessions hold them, and how those that are not decided come to an end.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.domain.bids import Direction, Product
from backend.domain.constraint import reactive
from backend.domain.quantity import FRAME_MS
from backend.market.session import KEPT, Answer, MarketSession, Point, State, takes
from backend.ports import MarketEvent

_STEP: Mapping[State, str] = {
    State.ANNOUNCED: "open", State.OPEN: "close", State.CLOSED: "clear", State.CLEARED: "validate",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Held:
    """W of each POD (var of POD/var), quarter-hour and direction that a session in a state holds."""

    session: str
    state: State
    watts: Mapping[Point, int]

    @property
    def is_decided(self) -> bool:
        """Whether these are awards."""
        return self.state in (State.VALIDATED, State.PUBLISHED)


def of_book(one: MarketSession, now_ms: int) -> Held:
    """What a session holds that is not decided (rules 1 and 2)."""
    if one.state is State.CANCELLED or is_too_late(one.frames, now_ms):
        return Held(one.id, one.state, {})
    return Held(one.id, one.state, total_w(part for offer in one.book()[1] for part in takes(offer)))


def of_outcome(events: Sequence[MarketEvent], outcome: str) -> Held:
    """What a session holds by the outcome that stands; events: its own, with its offers."""
    rows, parts = offer_rows(events), []
    for award in json.loads(outcome)["awards"]:
        row = rows[award["offer"]]
        is_active, way = row.get("product", Product.ACTIVE) == Product.ACTIVE, Direction(row["direction"])
        for pod, w in award["parts_w"].items():
            parts.append(((pod if is_active else reactive(pod), award["frame"], way), w))
    is_public = any(event.what == "published" for event in events)
    return Held(events[0].session, State.PUBLISHED if is_public else State.VALIDATED, total_w(parts))


def offer_rows(events: Iterable[MarketEvent]) -> dict[str, dict[str, Any]]:
    """The rows of a session's offers as they were taken last, by id."""
    bodies = [json.loads(event.body) for event in events if event.what == "offer"]
    return {body["row"]["id"]: body["row"] for body in bodies if Answer[body["answer"]] in KEPT}


def rebound_of(row: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """(quarter-hours later, 1e-6) of an offer's row, the earlier first."""
    return tuple(sorted((int(later), part) for later, part in row.get("rebound_ppm", {}).items()))


def total_w(parts: Iterable[tuple[Point, int]]) -> dict[Point, int]:
    """W by POD, quarter-hour and direction, of parts of them."""
    found: dict[Point, int] = {}
    for point, w in parts:
        found[point] = found.get(point, 0) + w
    return found


def is_too_late(frames: Sequence[int], now_ms: int) -> bool:
    """Whether the last of a session's quarter-hours has begun."""
    return now_ms >= frames[-1] * FRAME_MS


def explained(point: Point, has_w: int | None, own_w: int, others: Iterable[Held]) -> str:
    """Who holds a POD in a quarter-hour (rule 3); own_w: other offers of the session that refuses."""
    pod, frame, way = point
    who = [f"{own_w} W other offers of this session"] if own_w else []
    who += [f"{w} W {_named(one)}" for one in others if (w := one.watts.get(point, 0))]
    return f"{pod} has {has_w} W {way} in {frame}" + (f", held: {'; '.join(who)}" if who else "")


def _named(one: Held) -> str:
    step = how_freed(one.state)
    return f"session {one.session} ({one.state}{', not decided: ' + step if step else ''})"


def how_freed(state: State) -> str:
    """How the watts of a session that is not decided become awards, or free; empty for any other."""
    step = _STEP.get(state)
    return f"`market {step}` or `market cancel` it" if step else ""
