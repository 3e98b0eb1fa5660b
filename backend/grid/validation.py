"""Technical validation of what the market chose (I-07), by full AC power flow, in merit order.

1. Offers are taken in the order given; each is judged on the state that the accepted ones before it leave.
2. An offer may neither break a limit that held nor worsen one that is broken: the result is never worse than without.
3. What does not fit is cut, frame by frame, to the greatest part that fits (1e-6 of the offer); an offer whose frames
   are linked is cut alike in all; below its minimum it is refused.
4. A cut or refusal names the element, its frame, limit and the margin that was left before the offer.
5. The same function judges orders: awards validated together may be activated in part, so the set that will really
   be active is validated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from backend.errors import Rejected
from backend.grid.congestion import NO_SOLUTION, Limits, Margins, limit_ppt, margins, pod_deltas
from backend.grid.flow import Integers, PowerFlow, Scenarios

WHOLE_PPM = 1_000_000


class Decision(StrEnum):
    """What becomes of an offer."""

    ACCEPTED = "accepted"
    CUT = "cut"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Changes of withdrawal (W per frame, positive = more) at the PODs of one offer; minimum part in 1e-6, 0 divisible."""

    offer: str
    delta_w: Mapping[str, tuple[int, ...]]
    minimum_ppm: int = 0
    linked: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_ppm <= WHOLE_PPM:
            raise Rejected(f"offer {self.offer}: minimum_ppm = {self.minimum_ppm}, expected 0 to {WHOLE_PPM}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the operator allows of one offer (I-07): W per POD and frame; where it binds, the element and its margin."""

    offer: str
    decision: Decision
    delta_w: Mapping[str, tuple[int, ...]]
    element: str = ""
    frame: int = 0
    limit_ppt: int = 0
    margin_ppt: int = 0


@dataclass(frozen=True, slots=True)
class _Trial:
    """The proposal's part of each frame that fits, and the limit that stops the frame with the least part."""

    part_ppm: tuple[int, ...]
    element: str
    frame: int
    margin_ppt: int


def validate(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, proposals: Sequence[Proposal]
) -> tuple[Verdict, ...]:
    """One verdict per proposal, in the order given.

    Rows of ``scenarios`` are ``frames``, without any proposal. Raises Rejected for an unknown POD or a wrong length.
    Cost: one batch of frames per proposal, twenty more for one that is cut.
    """
    network, verdicts = flow.network, []
    before = margins(network, flow.solve(scenarios), limits)
    for proposal in proposals:
        wanted = pod_deltas(network, proposal.delta_w, len(frames))
        trial = _fit(flow, scenarios, frames, limits, before, wanted)
        part = _allowed(proposal, trial, wanted)
        taken = _part(wanted, part)
        if taken.any():
            scenarios = scenarios.with_delta(scenarios.delta_w + taken)
            before = margins(network, flow.solve(scenarios), limits)
        verdicts.append(_verdict(flow, limits, proposal, trial, wanted, taken))
    return tuple(verdicts)


def _fit(
    flow: PowerFlow, scenarios: Scenarios, frames: Sequence[int], limits: Limits, before: Margins, wanted: Integers
) -> _Trial:
    count = len(frames)
    whole = np.full(count, WHOLE_PPM, dtype=np.int64)
    fits = _fits(before, _after(flow, scenarios, limits, wanted, whole))
    if fits.all():
        return _Trial((WHOLE_PPM,) * count, "", 0, 0)
    low, high = np.where(fits, WHOLE_PPM, 0), whole
    while (high - low > 1).any():
        middle = np.where(high - low > 1, (low + high) // 2, low)
        good = _fits(before, _after(flow, scenarios, limits, wanted, middle))
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    row = int(np.argmin(low))
    parts = tuple(int(p) for p in low)
    stopped = _after(flow, scenarios, limits, wanted, high)
    if not stopped.solved[row]:
        return _Trial(parts, NO_SOLUTION, frames[row], 0)
    worse = np.minimum(before.margin_ppt[row], 0) - stopped.margin_ppt[row]
    column = int(np.argmax(worse))
    return _Trial(parts, before.elements[column], frames[row], int(before.margin_ppt[row, column]))


def _after(flow: PowerFlow, scenarios: Scenarios, limits: Limits, wanted: Integers, part_ppm: Integers) -> Margins:
    changed = scenarios.with_delta(scenarios.delta_w + _part(wanted, part_ppm))
    return margins(flow.network, flow.solve(changed), limits)


def _part(wanted: Integers, part_ppm: Integers) -> Integers:
    """The part of each frame in whole W, rounded towards no change."""
    size = np.abs(wanted) * np.asarray(part_ppm, dtype=np.int64)[:, None] // WHOLE_PPM
    return np.asarray(np.sign(wanted) * size, dtype=np.int64)


def _fits(before: Margins, after: Margins) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows in which nothing that held is broken and nothing broken is worse; an unsolved start allows no change."""
    kept = (after.margin_ppt >= np.minimum(before.margin_ppt, 0)).all(axis=1)
    return np.asarray(kept & after.solved & before.solved)


def _allowed(proposal: Proposal, trial: _Trial, wanted: Integers) -> Integers:
    part = np.array(trial.part_ppm, dtype=np.int64)
    asked = (wanted != 0).any(axis=1)
    if proposal.linked and asked.any():
        part = np.full(len(part), part[asked].min(), dtype=np.int64)
    too_small = (part < proposal.minimum_ppm) & asked
    if proposal.linked and too_small.any():
        return np.zeros_like(part)
    return np.where(too_small, 0, part)


def _verdict(
    flow: PowerFlow, limits: Limits, proposal: Proposal, trial: _Trial, wanted: Integers, taken: Integers
) -> Verdict:
    place = {c.pod: k for k, c in enumerate(flow.network.connections)}
    allowed = {pod: tuple(int(w) for w in taken[:, place[pod]]) for pod in sorted(proposal.delta_w)}
    if (taken == wanted).all():
        return Verdict(proposal.offer, Decision.ACCEPTED, allowed)
    decision = Decision.CUT if taken.any() else Decision.REFUSED
    limit = 0 if trial.element == NO_SOLUTION else limit_ppt(flow.network, trial.element, limits)
    return Verdict(proposal.offer, decision, allowed, trial.element, trial.frame, limit, trial.margin_ppt)
