"""The live quarter-hours: orders ahead of their window, set-points out, readings in, and what goes wrong on the way."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import coincurve
from lightwire import envelope, records

from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Order, Plan
from backend.flows.activate import Target
from backend.market.activation import plans
from hil.bench import Bench, BenchError
from hil.conductor import Tick
from hil.demo.cast import POWER_CUT_SLOTS, Mishaps
from hil.demo.story import Event

SLOT_MS = 4000
LEAD_MS = 60_000
HOLD_S = 30.0
RESEND_S = 4.0
BEHIND = 40


@dataclass(slots=True)
class Live:
    """Runs the window of `frames`; `plans_made` by frame, `events` in order."""

    bench: Bench
    frames: list[int]
    orders: tuple[Order, ...]
    baseline_w: Mapping[tuple[str, int], int]
    trouble: Mishaps
    progress: Callable[[int, int], None]
    plans_made: dict[int, list[Plan]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    receipts: dict[str, int] = field(default_factory=dict)
    _down_since: int = 0
    _waiting: dict[bytes, str] = field(default_factory=dict)
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bench.watch = self._after

    def run(self) -> None:
        """From the first warm slot to the first slots after the window."""
        end = (self.frames[-1] + 1) * FRAME_MS
        start = self.bench.conductor.now_ms
        while self.bench.conductor.now_ms < end + 2 * SLOT_MS:
            upcoming = self.bench.conductor.now_ms + SLOT_MS
            self._before(upcoming)
            self.bench.tick()
            self.progress(min(upcoming, end) - start, end - start)

    def run_out(self) -> int:
        """Lives on without orders until the epoch that holds the settlement is over and final; its number."""
        epoch = self.frames[-1] + 1
        while self.bench.conductor.now_ms < (epoch + 1) * FRAME_MS or not self.bench.backend.anchoring.settled:
            self.bench.tick()
        return epoch

    def _after(self, done: Tick) -> None:
        """After each slot: keeps up with the back end and starts again what ended by itself."""
        self._note_facts()
        for name in done.lost:
            self._restart(name)
        self._revive_broker()
        if done.number % 25 == 0:
            self._keep_up()

    def say(self, what: str) -> None:
        """An event at this instant."""
        self.events.append(Event(self.bench.conductor.now_ms, what))

    def _before(self, upcoming: int) -> None:
        for frame in self.frames:
            if frame not in self.plans_made and upcoming >= frame * FRAME_MS - LEAD_MS:
                self._order(frame)
        if self._waiting and any(upcoming == f * FRAME_MS for f in self.frames):
            self._hold()
        self._power_cut(upcoming)
        if upcoming == self.frames[1] * FRAME_MS + 20 * SLOT_MS:
            self._forge()

    def _order(self, frame: int) -> None:
        """Plans of the frame's orders, as set-points to their devices."""
        pods = {pod for one in self.orders if one.frame == frame for pod in one.parts_w}
        made = plans(self.orders, {pod: self.baseline_w[pod, frame] for pod in pods}, frame)
        made = [plan for plan in made if plan.pod in self.bench.nodes]
        self.plans_made[frame] = made
        if not made:
            return
        targets = [
            Target(p.pod, self.bench.nodes[p.pod].device, frame, p.target_w, "/".join(p.orders)) for p in made
        ]  # fmt: skip
        sent = self.bench.backend.activate.dispatch(targets)
        self._waiting |= {id: target.pod for id, target in zip(sent, targets, strict=True)}
        self.say(f"{len(made)} set-points sent for the quarter-hour that begins in {LEAD_MS // 1000} s")

    def _hold(self) -> None:
        """Holds time until every set-point that can be is decided and held by its agent: results do not depend on speed."""
        end = time.monotonic() + HOLD_S
        again = time.monotonic() + RESEND_S
        while time.monotonic() < end:
            if time.monotonic() > again:
                again += RESEND_S
                self._revive_broker()
                self.bench.backend.activate.send_again(set(self._waiting))
            outstanding = self.bench.backend.activate.outstanding()
            wanted = {
                id for id, pod in self._waiting.items() if pod in self.bench.facts and self.bench.node_is_alive(pod)
            }
            if not wanted & outstanding and self._held(wanted):
                self._waiting = {i: p for i, p in self._waiting.items() if i in outstanding}
                return
            time.sleep(0.02)
            self.bench.poll_agents()
        silent = sorted({self._waiting[id] for id in wanted & self.bench.backend.activate.outstanding()})
        raise BenchError(f"set-points unanswered after {HOLD_S:.0f} s by {', '.join(silent) or 'the agents'}")

    def _held(self, wanted: set[bytes]) -> bool:
        """Whether the agents hold what their nodes accepted."""
        held = {id for facts in self.bench.agent_facts.values() for id in facts["held"]}
        agents = self.bench.agent_facts.keys()
        return all(id.hex() in held for id in wanted if self._waiting[id] in agents)

    def _power_cut(self, upcoming: int) -> None:
        cut = self.frames[min(3, len(self.frames) - 1)] * FRAME_MS + 60 * SLOT_MS
        pod = self.trouble.power_cut
        if upcoming == cut:
            self.bench.kill_node(pod)
            self._down_since = upcoming
            self.say(f"{pod}: the power of the light node is cut")
        elif upcoming == cut + POWER_CUT_SLOTS * SLOT_MS:
            self.bench.start_node(pod)
            self.say(f"{pod}: power is back")

    def _restart(self, name: str) -> None:
        """A part that ended by itself: a light node is started again, what was journalled is kept."""
        for pod, node in self.bench.nodes.items():
            if name == f"node/{node.device.hex()}":
                self.say(f"{pod}: the light node ended by itself and is started again")
                self.bench.start_node(pod)
                return
        raise BenchError(f"{name} ended: see its log below {self.bench.folder}")

    def _forge(self) -> None:
        """Somebody with access to the broker, but without the key, orders a customer to inject at full power."""
        pod = self.trouble.forged
        device = self.bench.nodes[pod].device
        now = self.bench.conductor.now_ms
        point = records.SetPoint(
            id=hashlib.sha256(b"forged").digest()[:16], device=device, issuer=self.bench.identity.issuer, role=1,
            command=0xFFFFFFF0, not_before_ms=now, not_after_ms=now + FRAME_MS, resource=0, control=1, value=-900_000,
            ramp_w_per_s=0, fallback=2, fallback_value=0, reason=0, order=bytes(16), nonce=bytes(16), salt=os.urandom(16),
        )  # fmt: skip
        thief = coincurve.PrivateKey()
        sealed = envelope.seal(
            point, self.bench.identity.deployment, lambda digest: thief.sign_recoverable(digest, hasher=None)[:64]
        )
        self.bench.inject(device, "setpoint", sealed)
        self.say(f"{pod}: somebody without the key sends a set-point of -900 kW")

    def _keep_up(self) -> None:
        """Waits while the back end is more than BEHIND records behind a node."""
        end = time.monotonic() + HOLD_S
        while time.monotonic() < end:
            committed = self.bench.backend.collect.committed()
            facts = self.bench.facts.items()
            if all(int(f["seq"]) - committed[self.bench.nodes[p].device] < BEHIND for p, f in facts):
                return
            self._revive_broker()
            time.sleep(0.02)

    def _revive_broker(self) -> None:
        if not self.bench.broker.alive:
            self.say("the broker ended by itself and is started again")
            self.bench.broker.start()

    def _note_facts(self) -> None:
        """Receipts count on over restarts of a node."""
        for pod, facts in self.bench.facts.items():
            boot, receipts = self._last.get(pod, (0, 0))
            fresh = int(facts["boot"]) != boot
            self.receipts[pod] = self.receipts.get(pod, 0) + int(facts["receipts"]) - (0 if fresh else receipts)
            self._last[pod] = (int(facts["boot"]), int(facts["receipts"]))
