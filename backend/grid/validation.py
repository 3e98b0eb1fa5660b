"""Technical validation of what the market chose (I-07), by full AC power flow, in merit order.

1. The DSO's awards are judged first, in the order given, as if no TSO had asked; then the TSO's on top of them, held
   against what the DSO's leave: a DSO award is never lowered by a TSO award.
2. What is accepted may, as a whole, neither break a limit that held nor worsen one that is broken: the result is never
   worse than without the market.
3. The set is the largest in merit order: a run that is borne together is accepted whole; an offer that is not borne on
   top of those before it is cut, frame by frame, to the greatest part that is; below its minimum it is refused; and
   what was cut is tried again if later ones made room.
4. An offer whose frames are linked, or that has a rebound, is cut alike in all its frames, rebound included.
5. Each frame that is cut or refused names the element, its limit, the margin left before the offer, what a watt of the
   offer uses of it, and the W that would have passed.
6. A frame without a solution is "no solution": nothing is allowed in it, and the other frames are judged all the same.
7. The same function judges orders: awards validated together may be activated in part, so the set that will really
   be active is validated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from backend.domain.bids import Buyer
from backend.domain.quantity import half_even
from backend.errors import Rejected
from backend.grid.acceptance import (
    NO_STATE,
    WHOLE_PPM,
    Cut,
    Standing,
    part_of,
    runs_of,
    take_furthest,
    take_part,
)
from backend.grid.congestion import NO_SOLUTION, Limits, limit_ppt
from backend.grid.flow import Integers, PowerFlow, Scenarios
from backend.grid.network import Network

LINKED = "linked"
MOST_RETRIES = 4
_BLOCK_BYTES = 32_000_000
_MOST_TOGETHER = 128
Change = Mapping[str, tuple[int, ...]]


class Decision(StrEnum):
    """What becomes of an offer."""

    ACCEPTED = "accepted"
    CUT = "cut"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is awarded of one offer to one buyer: changes of withdrawal (W per frame, positive = more) at its PODs.

    minimum_ppm: the least part of it (1e-6) that may be allowed, 0 is divisible. delta_var: the same in var.
    rebound_w: what its PODs will do in other frames as a consequence, W per frame; it is scaled with the offer.
    """

    offer: str
    delta_w: Change
    minimum_ppm: int = 0
    linked: bool = False
    buyer: Buyer = Buyer.DSO
    delta_var: Change = field(default_factory=dict)
    rebound_w: Change = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_ppm <= WHOLE_PPM:
            raise Rejected(f"offer {self.offer}: minimum_ppm = {self.minimum_ppm}, expected 0 to {WHOLE_PPM}")
        for pod, watts in self.rebound_w.items():
            if any(a and b for a, b in zip(watts, self.delta_w.get(pod, ()), strict=False)):
                raise Rejected(f"offer {self.offer}: POD {pod} has a rebound in a frame in which it is awarded")

    @property
    def is_joint(self) -> bool:
        """Whether all its frames are cut alike."""
        return self.linked or any(any(watts) for watts in self.rebound_w.values())


@dataclass(frozen=True, slots=True)
class Stop:
    """Why one frame of an offer was not allowed whole: the limit that binds; element "network": no solution;
    "linked": another of its frames is stopped.


    margin_ppt: head-room left before the offer. effect_ppt_per_w: what a watt of the offer uses of it (per var if the
    offer has only var). passed_w: what the frame would have borne (W over all its PODs), whatever the minimum.
    """

    frame: int
    element: str
    limit_ppt: int
    margin_ppt: int
    effect_ppt_per_w: int
    passed_w: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the operator allows of one offer (I-07): W and var per POD and frame, and its stops, in order of frames."""

    offer: str
    decision: Decision
    delta_w: Change
    buyer: Buyer = Buyer.DSO
    delta_var: Change = field(default_factory=dict)
    rebound_w: Change = field(default_factory=dict)
    stops: tuple[Stop, ...] = ()

    @property
    def element(self) -> str:
        """The limit that stops the frame with the least left, "" if none."""
        return min(self.stops, key=lambda s: (s.passed_w, s.frame)).element if self.stops else ""


def validate(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, proposals: Sequence[Proposal]
) -> tuple[Verdict, ...]:
    """One verdict per proposal, in the order given.

    Rows of ``scenarios`` are ``frames``, without any proposal. Raises Rejected for an unknown POD, a wrong length, or an
    offer proposed twice for one buyer. Cost: two batches of frames if all is borne, some ten more for each that is not.
    """
    _check(flow.network, len(frames), proposals)
    standing = Standing(flow, scenarios, limits, has_var=any(p.delta_var for p in proposals))
    found: dict[int, Verdict] = {}
    for buyer in (Buyer.DSO, Buyer.TSO):
        places = [k for k, p in enumerate(proposals) if p.buyer is buyer]
        case = _Case(standing, flow.network, frames, [proposals[k] for k in places])
        case.run()
        found.update({k: case.verdict(n, limits) for n, k in enumerate(places)})
    return tuple(found[k] for k in range(len(proposals)))


def _check(network: Network, count: int, proposals: Sequence[Proposal]) -> None:
    pods, seen = {c.pod for c in network.connections}, set()
    for p in proposals:
        if (p.offer, p.buyer) in seen:
            raise Rejected(f"offer {p.offer}: proposed twice for the {p.buyer}, expected once")
        seen.add((p.offer, p.buyer))
        for pod, values in (*p.delta_w.items(), *p.delta_var.items(), *p.rebound_w.items()):
            if pod not in pods:
                raise Rejected(f"offer {p.offer}: POD {pod}: not connected to this grid")
            if len(values) != count:
                raise Rejected(f"offer {p.offer}: POD {pod}: {len(values)} values, expected {count}")


class _Case:
    """The awards of one buyer on a standing grid."""

    def __init__(
        self, standing: Standing, network: Network, frames: Sequence[int], proposals: Sequence[Proposal]
    ) -> None:
        self._standing, self._network, self._frames, self._proposals = standing, network, frames, proposals
        self._place = {c.pod: column for column, c in enumerate(network.connections)}
        self._cuts: dict[int, dict[int, Cut]] = {}
        self._taken: dict[int, Integers] = {}
        self._details: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self) -> None:
        """Takes what is borne of all of them, then once more of those that were cut while there is new room."""
        width = self._standing.delta.size * 8 or 1
        most = max(1, min(_MOST_TOGETHER, _BLOCK_BYTES // width))
        for block in runs_of([p.is_joint for p in self._proposals], most):
            self._take_block(block, self._proposals[block.start].is_joint)
        for _ in range(MOST_RETRIES):
            more = [self._retry(k) for k in sorted(self._cuts)]
            if not any(more):
                break

    def _wanted(self, k: int) -> Integers:
        p = self._proposals[k]
        table = np.zeros((len(self._frames), self._standing.delta.shape[1]), dtype=np.int64)
        for change, offset in ((p.delta_w, 0), (p.rebound_w, 0), (p.delta_var, self._standing.pods)):
            for pod, values in change.items():
                table[:, self._place[pod] + offset] += values
        return table

    def _take_block(self, block: range, is_joint: bool) -> None:
        wanted = np.stack([self._wanted(k) for k in block])
        sums = np.concatenate([np.zeros_like(wanted[:1]), np.cumsum(wanted, axis=0)])
        at = np.zeros(len(self._frames), dtype=np.int64)
        while (at < len(block)).any():
            at = take_furthest(self._standing, sums, at, is_joint)
            rows = np.flatnonzero(at < len(block))
            for place, row in zip(at[rows].tolist(), rows.tolist(), strict=True):
                self._taken.setdefault(block[place], wanted[place].copy())[row] = 0
            asked = rows[wanted[at[rows], rows].any(axis=1)]
            if len(asked):
                places = at[asked]
                self._take_rest([block[p] for p in places.tolist()], asked, wanted[places, asked], is_joint)
            at[rows] += 1

    def _retry(self, k: int) -> bool:
        """Whether more of a cut offer was taken, because later ones made room at the limits that stopped it."""
        cuts, free = self._cuts[k], self._standing.free
        roomier = [r for r, c in cuts.items() if c.column >= 0 and free[r, c.column] > c.after_ppt]
        if not roomier:
            return False
        before = self._taken[k].copy()
        is_joint = self._proposals[k].is_joint
        rows = np.array(sorted(cuts if is_joint else roomier), dtype=np.int64)
        self._take_rest([k] * len(rows), rows, self._wanted(k)[rows], is_joint)
        return bool((self._taken[k] != before).any())

    def _take_rest(self, whose: Sequence[int], rows: Integers, wanted: Integers, is_joint: bool) -> None:
        """Takes what fits of what is not taken yet: in each row of the offer that ``whose`` names, all rows in one batch."""
        taken = np.stack([self._taken[k][row] for k, row in zip(whose, rows.tolist(), strict=True)])
        rest = wanted - taken
        minimum = np.array([self._proposals[k].minimum_ppm for k in whose], dtype=np.int64)
        least = np.where(taken.any(axis=1), 0, minimum)
        before = self._standing.delta[rows].copy()
        cuts = take_part(self._standing, rows, rest, least, is_joint)
        passed = taken + part_of(rest, np.array([c.part_ppm for c in cuts], dtype=np.int64))
        taken += self._standing.delta[rows] - before
        for place, (k, row) in enumerate(zip(whose, rows.tolist(), strict=True)):
            self._taken[k][row] = taken[place]
            if (taken[place] == wanted[place]).all():
                self._cuts.get(k, {}).pop(row, None)
            else:
                self._cuts.setdefault(k, {})[row] = cuts[place]
                self._details[k, row] = (self._volume(rest[place]), self._volume(passed[place]))

    def verdict(self, k: int, limits: Limits) -> Verdict:
        """The verdict on the k-th of them."""
        p, pods, at = self._proposals[k], len(self._network.connections), self._place
        if k not in self._taken or (self._taken[k] == self._wanted(k)).all():
            changes = ({pod: c[pod] for pod in sorted(c)} for c in (p.delta_w, p.delta_var, p.rebound_w))
            whole_w, whole_var, rebound_w = changes
            return Verdict(p.offer, Decision.ACCEPTED, whole_w, p.buyer, whole_var, rebound_w)
        taken = self._taken[k]
        decision = Decision.CUT if taken.any() else Decision.REFUSED

        def of(change: Change, offset: int) -> dict[str, tuple[int, ...]]:
            return {
                pod: tuple(
                    int(w) if asked else 0 for w, asked in zip(taken[:, at[pod] + offset], change[pod], strict=True)
                )
                for pod in sorted(change)
            }

        stops = tuple(self._stop(k, row, limits) for row in sorted(self._cuts.get(k, {})))
        return Verdict(p.offer, decision, of(p.delta_w, 0), p.buyer, of(p.delta_var, pods), of(p.rebound_w, 0), stops)

    def _stop(self, k: int, row: int, limits: Limits) -> Stop:
        cut, frame = self._cuts[k][row], self._frames[row]
        volume, passed = self._details[k, row]
        if cut.column < 0:
            name = NO_SOLUTION if cut.column == NO_STATE else LINKED
            return Stop(frame, name, 0, 0, 0, passed)
        element = self._standing.elements[cut.column]
        effect = half_even(cut.used_ppt, volume) if volume else 0
        return Stop(frame, element, limit_ppt(self._network, element, limits), cut.before_ppt, effect, passed)

    def _volume(self, change: Integers) -> int:
        """W over all PODs of one row of a change; var if it has no W."""
        size, pods = np.abs(change), self._standing.pods
        return int(size[:pods].sum()) or int(size[pods:].sum())
