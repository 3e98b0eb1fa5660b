"""Orders of a quarter-hour to set-points, answers to replacements: the order of steps of the operator's dispatch.

1. Split per POD (market.dispatch), one set-point for each, sent ahead of the quarter-hour. A POD without a light node is out
   from the beginning.
2. Each review looks at every set-point that stands: refused by its node or failed at its energy manager is out at once; not
   answered ``answer_ms`` after it was sent is out as silent. An answer that comes later changes nothing any more.
3. PODs that are out are replaced within their groups; only PODs whose plan changed get a new set-point, which supersedes.
   One that was silent is sent back to its baseline, so that it does not deliver late what another has taken over.
4. Reviewed until the quarter-hour ends; after that the report stands.
5. Orders that are withdrawn or superseded are sent again as what stands now: only PODs whose plan changes, in W or in the
   orders it is for, get a new set-point, with a higher command number; who is asked for nothing any more goes back to its
   baseline, who is out stays out.
6. Reported: every POD that is out and why, every order with what it got, every watt that nobody could give.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lightwire import decision, envelope, records

from backend.adapters.sqlite import SqliteStore
from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Plan
from backend.flows.activate import Activate, Target
from backend.market.dispatch import Ability, Call, Dispatched, changed, dispatch, replaced

ANSWER_MS = 60_000


class Why(StrEnum):
    """Why a POD is out."""

    NO_NODE = "it has no light node"
    REFUSED = "its light node refused"
    FAILED = "its energy manager failed"
    SILENT = "no answer in time"


@dataclass(frozen=True, slots=True)
class Outage:
    """A POD that does not deliver in a quarter-hour. lost_w: what it had (W, positive); detail: the node's reason."""

    pod: str
    why: Why
    detail: str
    lost_w: int
    noticed_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """I-09 as it was served: orders with parts and shortfall, and the PODs that are out, in order of notice."""

    dispatched: Dispatched
    outages: tuple[Outage, ...]

    def as_json(self) -> dict[str, object]:
        """For files and people."""
        parts = [
            {
                "order": part.call.order, "buyer": part.call.buyer, "direction": part.call.direction,
                "volume_w": part.call.volume_w, "parts_w": dict(part.parts_w), "short_w": part.short_w,
            }
            for part in self.dispatched.parts
        ]  # fmt: skip
        plans = [{"pod": p.pod, "target_w": p.target_w, "orders": list(p.orders)} for p in self.dispatched.plans]
        out = [
            {"pod": o.pod, "why": o.why.value, "detail": o.detail, "lost_w": o.lost_w, "noticed_ms": o.noticed_ms}
            for o in self.outages
        ]
        return {"frame": self.dispatched.frame, "orders": parts, "plans": plans, "out": out}


@dataclass(slots=True)
class _Running:
    """A quarter-hour under way; sent: id and instant of the set-point that stands at each POD."""

    abilities: Mapping[str, Ability]
    now: Dispatched
    sent: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)


class Dispatching:
    """Keeps the orders of the quarter-hours under way served."""

    def __init__(
        self,
        store: SqliteStore,
        activate: Activate,
        device_of: Callable[[str], bytes | None],
        answer_ms: int = ANSWER_MS,
    ) -> None:
        """device_of: a POD's light node, None if it has none."""
        self._store = store
        self._activate = activate
        self._device_of = device_of
        self._answer_ms = answer_ms
        self._running: dict[int, _Running] = {}

    def send(self, calls: Iterable[Call], abilities: Mapping[str, Ability], frame: int, now_ms: int) -> Report:
        """Rule 1, or 5 if the quarter-hour is under way. Raises Rejected for an unknown POD or an order given twice."""
        if (before := self._running.get(frame)) is not None:
            return self._send_again(before, calls, abilities, now_ms)
        run = self._running[frame] = _Running(abilities, dispatch(calls, abilities, frame))
        without = {plan.pod: (Why.NO_NODE, "") for plan in run.now.plans if self._device_of(plan.pod) is None}
        first = run.now
        if without:
            self._note(run, without, now_ms)
        asked = {plan.pod for plan in first.plans}
        later = [plan for plan in run.now.plans if plan.orders or plan.pod not in asked]
        self._send(run, later, now_ms)
        return self.report(frame)

    def _send_again(
        self, run: _Running, calls: Iterable[Call], abilities: Mapping[str, Ability], now_ms: int
    ) -> Report:
        was, able = run.now, {**run.abilities, **abilities}
        made = dispatch(calls, able, was.frame)
        made = replaced(made, able, was.out) if was.out else made
        idle = sorted({plan.pod for plan in was.plans} - {plan.pod for plan in made.plans})
        plans = (*made.plans, *(Plan(pod, was.frame, able[pod].baseline_w, ()) for pod in idle))
        run.abilities, run.now = able, replace(made, plans=tuple(sorted(plans, key=lambda plan: plan.pod)))
        without = {plan.pod for plan in made.plans if self._device_of(plan.pod) is None} - set(was.out)
        if without:
            self._note(run, dict.fromkeys(without, (Why.NO_NODE, "")), now_ms)
        self._send(run, [plan for plan in run.now.plans if plan != was.plan(plan.pod)], now_ms)
        return self.report(was.frame)

    def review(self, now_ms: int) -> list[Report]:
        """Rules 2 to 4; a report for each quarter-hour in which something changed."""
        reports = []
        for frame, run in self._running.items():
            if now_ms >= (frame + 1) * FRAME_MS:
                continue
            failed = self._failed(run, now_ms)
            if failed:
                before = run.now
                self._note(run, failed, now_ms)
                self._send(run, changed(before, run.now), now_ms)
                reports.append(self.report(frame))
        return reports

    def report(self, frame: int) -> Report:
        """How a quarter-hour stands (rule 6)."""
        run = self._running[frame]
        return Report(run.now, tuple(run.outages))

    def forget(self, before_frame: int) -> None:
        """Quarter-hours that have ended need no more memory."""
        for frame in [f for f in self._running if f < before_frame]:
            del self._running[frame]

    def _failed(self, run: _Running, now_ms: int) -> dict[str, tuple[Why, str]]:
        found = {}
        for pod, (id, sent_ms) in sorted(run.sent.items()):
            verdict = None if pod in run.now.out else self._verdict(id, now_ms - sent_ms)
            if verdict is not None:
                found[pod] = verdict
        return found

    def _verdict(self, id: bytes, waited_ms: int) -> tuple[Why, str] | None:
        """Why this set-point is not going to be executed; None if it is, or may be yet."""
        decided, executed = self._store.answers(id)
        if decided:
            answer = envelope.peek(decided)
            if answer.outcome != records.ACCEPTED:
                return Why.REFUSED, _word(answer.reason)
            done = envelope.peek(executed) if executed else None
            if done is not None and done.state == records.FAILED:
                return Why.FAILED, _word(done.reason)
            return None
        return (Why.SILENT, f"{waited_ms // 1000} s") if waited_ms >= self._answer_ms else None

    def _note(self, run: _Running, out: Mapping[str, tuple[Why, str]], now_ms: int) -> None:
        before = run.now
        run.now = replaced(before, run.abilities, out)
        for pod, (why, detail) in sorted(out.items()):
            lost = sum(part.parts_w.get(pod, 0) for part in before.parts)
            run.outages.append(Outage(pod, why, detail, lost, now_ms))
            self._store.add_finding(
                now_ms, f"POD {pod}: {why}; {lost} W of quarter-hour {before.frame} replaced or short"
            )

    def _send(self, run: _Running, plans: Iterable[Plan], now_ms: int) -> None:
        targets = []
        for plan in plans:
            device = self._device_of(plan.pod)
            if device is None:
                continue
            attempt = run.attempts[plan.pod] = run.attempts.get(plan.pod, -1) + 1
            order = "/".join(plan.orders) or "baseline"
            targets.append(Target(plan.pod, device, plan.frame, plan.target_w, order, attempt))
        for target, id in zip(targets, self._activate.dispatch(targets), strict=True):
            run.sent[target.pod] = (id, now_ms)


def _word(reason: int) -> str:
    return decision.REASONS[reason] if reason < len(decision.REASONS) else f"reason {reason}"
