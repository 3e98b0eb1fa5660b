"""What a POD delivered to each of its orders, of whatever session, and what of its movement is the rebound of an earlier one.

1. Of the orders on one POD and quarter-hour those of the market come first, in order of id, then those of an emergency.
2. A rebound that was declared is no delivery: where a POD is ordered the way in which an earlier order's rebound moves it,
   that much of what it moved is the rebound, up to what was declared of what it delivered then. The order's baseline is moved
   by it, in whole W, and nobody is paid for his own rebound.
3. A rebound against the order moves no baseline: who sells against his own rebound has it to make up for.
4. Where it is not known what the earlier order delivered, nothing is known of its rebound, and what is ordered there is held.
5. So quarter-hours hang on earlier ones, and through them on still earlier ones; `looked_at` names all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.domain.bids import Direction
from backend.domain.quantity import FRAME_S, PPM
from backend.domain.trade import OrderKind
from backend.market.settled_evidence import Evidence, Point
from backend.market.settled_input import Called, OtherOrder, Reserved, SettlementInput
from backend.market.settled_order import Source, delivered


@dataclass(frozen=True, slots=True)
class Back:
    """Where an order may move a POD (or POD/var) back; ppm: the part of what was delivered that is declared, 0 of what is only
    watched."""

    order: OtherOrder
    pod: str
    frame: int
    ppm: int

    @property
    def ordered_ws(self) -> int:
        """Of the order at the POD."""
        return self.order.parts_w[self.pod] * FRAME_S

    def declared_ws(self, delivered_ws: int) -> int:
        """Of more than was ordered nothing is declared."""
        return max(0, min(delivered_ws, self.ordered_ws)) * self.ppm // PPM


@dataclass(slots=True)
class Deliveries:
    """Ws by (order, POD); moved_w: W by which the baseline of an ordered POD and quarter-hour is moved (rule 2); both: those
    ordered up and down at once; untold: those of which rule 4 says that nothing is known."""

    ws: dict[tuple[str, str], int] = field(default_factory=dict)
    moved_w: dict[Point, int] = field(default_factory=dict)
    both: set[Point] = field(default_factory=set)
    untold: set[Point] = field(default_factory=set)


def sold_by(session: str, awards: Iterable[Reserved], orders: Iterable[Called]) -> list[OtherOrder]:
    """A session's orders as those of other sessions see them, with what their offers declared, by id."""
    rebound = {one.key: one.rebound for one in awards}
    found = [
        OtherOrder(session, one.id, one.kind, one.frame, one.direction, one.points, rebound.get(one.key, ()))
        for one in orders
    ]
    return sorted(found, key=lambda one: one.id)


def every_order(made: SettlementInput) -> list[OtherOrder]:
    """All orders of an input, its own and those of other sessions, by id."""
    return sorted([*sold_by(made.session, made.awards, made.orders), *made.others], key=lambda one: one.id)


def declared(orders: Iterable[OtherOrder]) -> list[Back]:
    """Every place in which an offer declared a rebound, in order of the orders."""
    return [
        Back(one, pod, one.frame + later, ppm) for one in orders for later, ppm in one.rebound for pod in one.parts_w
    ]


def watched(orders: Sequence[OtherOrder], frames: int) -> list[Back]:
    """Those behind the last order of a POD in which nothing was declared."""
    ordered, taken = points_of(orders), {(one.pod, one.frame) for one in declared(orders)}
    found = []
    for one in orders:
        for pod in one.parts_w:
            for frame in range(one.frame + 1, one.frame + 1 + frames):
                if (pod, frame) in ordered:
                    break
                if (pod, frame) not in taken:
                    taken.add((pod, frame))
                    found.append(Back(one, pod, frame, 0))
    return found


def looked_at(own: Sequence[OtherOrder], elsewhere: Iterable[OtherOrder], watched_frames: int) -> set[Point]:
    """Every POD and quarter-hour that the settlement of `own` hangs on (rule 5)."""
    backs = [*declared(own), *watched(own, watched_frames)]
    found = points_of(own) | {(one.pod, one.frame) for one in backs}
    behind: dict[Point, set[Point]] = {}
    for back in declared([*own, *elsewhere]):
        behind.setdefault((back.pod, back.frame), set()).add((back.pod, back.order.frame))
    left = list(found)
    while left:
        new = behind.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def deliveries(made: SettlementInput, evidence: Evidence) -> Deliveries:
    """Of an input whose rows are in order."""
    every = every_order(made)
    by_point: dict[Point, list[OtherOrder]] = {}
    for one in sorted(every, key=lambda one: (one.kind is OrderKind.EMERGENCY, one.id)):
        for pod in one.parts_w:
            by_point.setdefault((pod, one.frame), []).append(one)
    due: dict[Point, list[Back]] = {}
    for back in declared(every):
        due.setdefault((back.pod, back.frame), []).append(back)
    found = Deliveries()
    for point in sorted(by_point, key=lambda point: (point[1], point[0])):
        _deliver(found, point, by_point[point], due.get(point, ()), evidence)
    return found


def _deliver(
    found: Deliveries, point: Point, here: Sequence[OtherOrder], due: Sequence[Back], evidence: Evidence
) -> None:
    """One POD and quarter-hour; those before it are done."""
    way, pod = here[0].direction, point[0]
    if any(one.direction is not way for one in here):
        found.both.add(point)
        return
    same = [back for back in due if back.order.direction is not way]
    if any((back.order.id, pod) not in found.ws for back in same):
        found.untold.add(point)
        return
    baseline_w, seen = evidence.baseline_w(point), evidence.measured(point)
    if baseline_w is None or seen.source is Source.MISSING:
        return
    up_ws, sign = baseline_w * FRAME_S - seen.energy_ws, 1 if way is Direction.UP else -1
    back_ws = sum(back.declared_ws(found.ws[back.order.id, pod]) for back in same)
    back_w = min(back_ws, max(0, sign * up_ws)) // FRAME_S
    if back_w:
        found.moved_w[point] = -sign * back_w
    found.ws |= delivered(pod, here, up_ws - sign * back_w * FRAME_S)


def points_of(orders: Iterable[OtherOrder]) -> set[Point]:
    """Every POD and quarter-hour of these orders."""
    return {(pod, one.frame) for one in orders for pod in one.parts_w}
