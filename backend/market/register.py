"""Whose each POD is and what it can give (I-02), for a period: one aggregator per POD and quarter-hour.

1. A row is valid from its first quarter-hour until before its end; without a period it is valid for ever.
2. Two rows of one POD whose periods meet are a conflict, named with both aggregators.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from backend.domain.bids import Direction
from backend.errors import Rejected

END_FRAME = 1 << 28


@dataclass(frozen=True, slots=True)
class Resource:
    """I-02. A POD's flexibility: W it can go up and down in a quarter-hour, its aggregator and BRP, for a period."""

    pod: str
    aggregator: str
    up_w: int
    down_w: int
    from_frame: int = 0
    until_frame: int = END_FRAME
    brp: str = ""

    def __post_init__(self) -> None:
        if min(self.up_w, self.down_w) < 0:
            raise Rejected(f"resource {self.pod}: up_w and down_w, expected 0 or more")
        if not 0 <= self.from_frame < self.until_frame <= END_FRAME:
            raise Rejected(
                f"resource {self.pod}: from_frame {self.from_frame}, until_frame {self.until_frame}: expected an end"
                " after its begin"
            )

    def w(self, direction: Direction) -> int:
        """W in a direction."""
        return self.up_w if direction is Direction.UP else self.down_w


class Register:
    """All resources, by POD."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        """Raises Rejected for a conflict (rule 2)."""
        held: dict[str, list[Resource]] = {}
        for one in resources:
            held.setdefault(one.pod, []).append(one)
        self._held: Mapping[str, list[Resource]] = {
            pod: sorted(rows, key=lambda r: (r.from_frame, r.aggregator)) for pod, rows in sorted(held.items())
        }
        found = self._conflicts()
        if found:
            raise Rejected("resources: " + "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if found[5:] else ""))

    def _conflicts(self) -> list[str]:
        found = []
        for pod, rows in self._held.items():
            for a, b in pairwise(rows):
                if b.from_frame < a.until_frame:
                    whose = f"of {a.aggregator} and of {b.aggregator}" if a.aggregator != b.aggregator else "twice"
                    end = min(a.until_frame, b.until_frame)
                    period = "" if end == END_FRAME else f" up to {end - 1}"
                    since = f" from quarter-hour {b.from_frame}" if b.from_frame or period else ""
                    found.append(f"{pod} stands twice, {whose}{since}{period}")
        return found

    def of(self, pod: str, frame: int) -> Resource | None:
        """What is registered of a POD in a quarter-hour; None if nothing is."""
        return next((r for r in self._held.get(pod, ()) if r.from_frame <= frame < r.until_frame), None)

    def rows(self) -> list[Resource]:
        """All of them, by POD and period."""
        return [one for rows in self._held.values() for one in rows]
