"""Orders split per POD, and what takes the place of a POD that does not deliver: pure integer rules, no time, no I/O.

1. An order is split over the PODs of its group by their declared shares, largest remainder first, ties by POD id.
2. No POD gets more than its room: what is available of it in the order's direction, and what its limits leave beside its
   baseline. What does not fit goes to the others of the group, again by their shares.
3. Parts and shortfall add up to the order, to the watt; the shortfall is named by order.
4. Orders are served in turn: the DSO's before the TSO's, then by id. Room that is taken is taken.
5. A POD that refused or stayed silent is out for the quarter-hour. What it had is split over the rest of the same group by
   rules 1 to 3; what the others have already stays with them. Nothing moves from one order to another.
6. A POD that is out is to stand at its baseline: if it wakes up late, it must not deliver what another has taken over.
7. The order of the input never matters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backend.domain.bids import Buyer, Direction
from backend.domain.quantity import split
from backend.domain.trade import Order, Plan
from backend.errors import Rejected


@dataclass(frozen=True, slots=True)
class Ability:
    """What a POD can do in one quarter-hour. W at the POD, withdrawal positive.

    baseline_w: what it does without an order. lowest_w, highest_w: its limits (injection is negative). up_w, down_w: what is
    available of it (I-13), 0 or more.
    """

    pod: str
    baseline_w: int
    lowest_w: int
    highest_w: int
    up_w: int
    down_w: int

    def __post_init__(self) -> None:
        if self.lowest_w > self.highest_w:
            raise Rejected(f"POD {self.pod}: lowest_w {self.lowest_w} is above highest_w {self.highest_w}")
        if self.up_w < 0 or self.down_w < 0:
            raise Rejected(f"POD {self.pod}: up_w {self.up_w}, down_w {self.down_w}, expected 0 or more")

    def room_w(self, direction: str) -> int:
        """W that it can change by in a direction (rule 2)."""
        if direction == Direction.UP:
            return max(0, min(self.up_w, self.baseline_w - self.lowest_w))
        return max(0, min(self.down_w, self.highest_w - self.baseline_w))


@dataclass(frozen=True, slots=True)
class Call:
    """An order (I-09) to be split: the W that it asks for in all, and the declared shares of its group."""

    order: str
    buyer: str
    frame: int
    direction: str
    volume_w: int
    shares_w: Mapping[str, int]

    def __post_init__(self) -> None:
        if self.volume_w < 0:
            raise Rejected(f"order {self.order}: volume_w = {self.volume_w}, expected 0 or more")
        if not self.shares_w:
            raise Rejected(f"order {self.order}: no shares_w, expected those of at least one POD")
        for pod, watts in self.shares_w.items():
            if watts < 1:
                raise Rejected(f"order {self.order}: share of {pod} = {watts}, expected 1 W or more")
        if self.direction not in tuple(Direction):
            raise Rejected(f"order {self.order}: direction {self.direction!r}, expected up or down")


@dataclass(frozen=True, slots=True)
class Part:
    """W (positive, in the order's direction) of an order at each of its PODs, and what nobody of the group can give."""

    call: Call
    parts_w: Mapping[str, int]
    short_w: int


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One quarter-hour: every order with its parts, in turn (rule 4), and the plans (I-14) that follow, by POD id."""

    frame: int
    parts: tuple[Part, ...]
    plans: tuple[Plan, ...]
    out: tuple[str, ...] = ()

    def plan(self, pod: str) -> Plan | None:
        """What a POD shall do; None if nothing is asked of it."""
        return next((plan for plan in self.plans if plan.pod == pod), None)


def call_of(order: Order, shares_w: Mapping[str, int]) -> Call:
    """A call on the whole of an order, over the declared shares of its offer's group."""
    volume_w = sum(order.parts_w.values())
    return Call(order.id, order.buyer, order.frame, order.direction, volume_w, shares_w)


def shared(total_w: int, shares_w: Mapping[str, int], room_w: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """(W per POD, W that did not fit): rules 1 and 2. A POD without a room has none."""
    parts = dict.fromkeys(sorted(shares_w), 0)
    room = {pod: max(0, room_w.get(pod, 0)) for pod in parts}
    left = total_w
    while left:
        open_to = {pod: shares_w[pod] for pod in parts if room[pod] > parts[pod]}
        if not open_to:
            break
        wanted = split(left, open_to)
        full = [pod for pod, watts in wanted.items() if watts > room[pod] - parts[pod]]
        for pod in full or open_to:
            given = min(wanted[pod], room[pod] - parts[pod])
            parts[pod] += given
            left -= given
    return parts, left


def dispatch(calls: Iterable[Call], abilities: Mapping[str, Ability], frame: int) -> Dispatched:
    """Orders of one quarter-hour split per POD. Raises Rejected for an unknown POD, or the same order twice."""
    mine = sorted((call for call in calls if call.frame == frame), key=_turn)
    for call, other in pairwise(sorted(mine, key=lambda call: call.order)):
        if call.order == other.order:
            raise Rejected(f"quarter-hour {frame}: order {call.order} stands twice, expected once")
    for call in mine:
        if unknown := sorted(set(call.shares_w) - set(abilities)):
            raise Rejected(f"order {call.order}: POD {unknown[0]} of its group is not among the abilities")
    taken: dict[str, int] = {}
    parts = [_part(call, abilities, taken, {}) for call in mine]
    return Dispatched(frame, tuple(parts), _plans(parts, abilities, frame))


def replaced(before: Dispatched, abilities: Mapping[str, Ability], out: Iterable[str]) -> Dispatched:
    """The same orders without the PODs that are out: rules 5 and 6. A POD once out stays out."""
    gone = frozenset(out) | frozenset(before.out)
    taken: dict[str, int] = {}
    kept = [{pod: w for pod, w in part.parts_w.items() if pod not in gone} for part in before.parts]
    for part, keeps in zip(before.parts, kept, strict=True):
        for pod, watts in keeps.items():
            taken[pod] = taken.get(pod, 0) + _signed(part.call.direction, watts)
    able = {pod: ability for pod, ability in abilities.items() if pod not in gone}
    parts = [_part(part.call, able, taken, keeps) for part, keeps in zip(before.parts, kept, strict=True)]
    plans = list(_plans(parts, abilities, before.frame))
    asked = {plan.pod for plan in plans}
    stands = sorted({plan.pod for plan in before.plans} & gone - asked)
    plans += [Plan(pod, before.frame, abilities[pod].baseline_w, ()) for pod in stands]
    return Dispatched(before.frame, tuple(parts), tuple(sorted(plans, key=lambda plan: plan.pod)), tuple(sorted(gone)))


def changed(before: Dispatched, after: Dispatched) -> tuple[Plan, ...]:
    """Plans whose W is another than before, by POD id."""
    old = {plan.pod: plan.target_w for plan in before.plans}
    return tuple(plan for plan in after.plans if old.get(plan.pod) != plan.target_w)


def _turn(call: Call) -> tuple[bool, str]:
    return call.buyer != Buyer.DSO, call.order


def _signed(direction: str, watts: int) -> int:
    return -watts if direction == Direction.UP else watts


def _part(call: Call, abilities: Mapping[str, Ability], taken: dict[str, int], kept: Mapping[str, int]) -> Part:
    """Adds to `kept` what is missing of the call; `taken` (W of withdrawal per POD) grows by what is added."""
    room = {}
    for pod in call.shares_w:
        if pod in abilities:
            used = _signed(call.direction, taken.get(pod, 0))
            room[pod] = abilities[pod].room_w(call.direction) - max(0, used)
    more, short = shared(call.volume_w - sum(kept.values()), call.shares_w, room)
    for pod, watts in more.items():
        taken[pod] = taken.get(pod, 0) + _signed(call.direction, watts)
    whole = {pod: kept.get(pod, 0) + watts for pod, watts in more.items()}
    return Part(call, {pod: watts for pod, watts in whole.items() if watts}, short)


def _plans(parts: Sequence[Part], abilities: Mapping[str, Ability], frame: int) -> tuple[Plan, ...]:
    change: dict[str, int] = {}
    orders: dict[str, list[str]] = {}
    for part in parts:
        for pod, watts in part.parts_w.items():
            change[pod] = change.get(pod, 0) + _signed(part.call.direction, watts)
            orders.setdefault(pod, []).append(part.call.order)
    return tuple(
        Plan(pod, frame, abilities[pod].baseline_w + change[pod], tuple(sorted(orders[pod]))) for pod in sorted(change)
    )
