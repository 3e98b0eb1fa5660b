"""Whether an order comes in time, keeps parts together, and turns no POD: see market.orders, rules 3, 4 and 7."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from backend.domain.bids import Direction, Product
from backend.domain.quantity import FRAME_MS, PPM
from backend.market.ordered import OrderAnswer, Ordered


class PodRegister(Protocol):
    """Whose a POD is and what it has, by quarter-hour."""

    def whose(self, pod: str, frame: int) -> str | None:
        """Its aggregator, None if it has none."""
        ...

    def has_w(self, pod: str, frame: int, direction: Direction) -> int | None:
        """W in a direction, None if nothing bounds it."""
        ...


Ways = Mapping[tuple[str, int], Direction]


def passed(frames: Iterable[int], lead_ms: int, now_ms: int) -> OrderAnswer | None:
    if any(now_ms >= (frame + 1) * FRAME_MS for frame in frames):
        return OrderAnswer.OVER
    if any(now_ms > frame * FRAME_MS - lead_ms for frame in frames):
        return OrderAnswer.LEAD
    return None


def volume_of(offer: str, ordered: Iterable[Ordered]) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in ordered:
        if one.offer == offer:
            found[one.frame] = found.get(one.frame, 0) + one.volume_w
    return found


def is_same_part(volume_w: Mapping[int, int], whole_w: Mapping[int, int]) -> bool:
    """Whether some part, in 1e-6 of the whole and rounded down, gives each of the volumes."""
    low = max(-(-w * PPM // whole_w[frame]) for frame, w in volume_w.items())
    high = min(((w + 1) * PPM - 1) // whole_w[frame] for frame, w in volume_w.items())
    return low <= min(high, PPM)


def is_one_way(made: Iterable[Ordered], others: Iterable[Ordered], ways: Ways) -> bool:
    """Rule 7; active power only, as the meter's baseline is."""
    found = dict(ways)
    found |= {(pod, one.frame): one.direction for one in others if one.product is Product.ACTIVE for pod in one.parts_w}
    return all(
        found.get((pod, one.frame), one.direction) is one.direction
        for one in made
        if one.product is Product.ACTIVE
        for pod in one.parts_w
    )
