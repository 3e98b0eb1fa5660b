"""The agent: holds accepted set-points, acts on what rules, answers signed.

1. It acts on nothing but Decision || SetPoint of its own light node (acceptance.py), kept on disk before it counts.
2. At each tick the rules of lightwire.decision say what rules; the actuator does it.
3. Each set-point is answered once in each state: APPLIED when the energy manager holds its value, SUPERSEDED when another
   took its place, EXPIRED when its fallback was taken, FAILED (reason) when the energy manager could not be moved.
   A window that ends where the next one begins needs no answer.
4. A lost link changes nothing: what is held is held, at expiry the fallback comes.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping

from lightwire import decision, envelope, records

from edge_agent.acceptance import Accepted, Refusal, Trust, allowed, authentic
from edge_agent.actuator import Actuator, Done
from edge_agent.ems import Ems
from edge_agent.keys import AgentKey, verifier
from edge_agent.log import Log
from edge_agent.settings import Settings
from edge_agent.state import Held, State

Facts = dict[str, object]
Send = Callable[[int, bytes], None]
_GENERATION = 1


def trust_of(settings: Settings) -> Trust:
    """The keys in the settings; AgentError if one is no key."""
    return Trust(
        settings.deployment,
        verifier(settings.node_key),
        {i.id: (i.role, verifier(i.key)) for i in settings.issuers},
    )


class Agent:
    """`receive` and `tick` may be called from different threads. `send(seq, sealed)` takes an execution to the broker."""

    def __init__(self, settings: Settings, key: AgentKey, trust: Trust, state: State, ems: Ems, log: Log) -> None:
        self._settings = settings
        self._key = key
        self._trust = trust
        self._state = state
        self._actuator = Actuator(ems)
        self._log = log
        self._lock = threading.Lock()
        self._timed = threading.Event()
        self._stopped = False
        self._now_ms = 0
        self._changes_ms = 0
        self._ruling = decision.in_force([], 0)
        self._refused = 0
        self._applied = 0
        self._delivered: deque[int] = deque()
        self.send: Send = lambda seq, sealed: None
        state.boot += 1
        state.save()

    def resend(self) -> None:
        """Gives everything in the outbox to `send`: once after a start."""
        with self._lock:
            for seq, sealed in self._state.outbox.items():
                self.send(seq, sealed)

    def sent(self, seq: int) -> None:
        """The broker has this execution. Takes no lock: the client's thread calls it inside a lock of its own."""
        self._delivered.append(seq)

    def receive(self, message: bytes) -> bool:
        """One message of the decision topic; True when what it brings is on disk, or is nothing.

        Waits for the first tick: without the time an ended window would look like one to come. False after `stop`.
        """
        self._timed.wait()
        if self._stopped:
            return False
        self._take(message)
        return True

    def stop(self) -> None:
        """No message is taken any more."""
        self._stopped = True
        self._timed.set()

    def tick(self, now_ms: int) -> Facts:
        """Acts on what rules at now_ms; the facts a conductor is told."""
        with self._lock:
            self._now_ms = now_ms
            self._timed.set()
            while self._delivered:
                self._state.outbox.pop(self._delivered.popleft(), None)
            if now_ms >= self._changes_ms:
                self._turn(now_ms)
            done = self._actuator.act(self._ruling, now_ms)
            if done is not None:
                self._answer(done, now_ms)
            return {
                "held": [h.accepted.point.id.hex() for h in self._state.held],
                "applied": self._applied,
                "refused": self._refused,
                "commanded_w": self._actuator.commanded_w,
            }

    def _take(self, message: bytes) -> None:
        with self._lock:
            found = authentic(message, self._trust)
            if isinstance(found, Refusal):
                self._refuse(found)
                return
            if any(h.accepted.digest == found.digest for h in self._state.held):
                return
            refusal = allowed(found, self._trust, self._rules_state(), self._now_ms)
            if refusal is not None:
                self._refuse(refusal, found)
                return
            self._state.last_command = found.point.command
            self._state.held.append(Held(found))
            self._state.save()
            self._changes_ms = 0
            self._log("held", setpoint=found.point.id.hex(), command=found.point.command)

    def _rules_state(self) -> decision.State:
        settings = self._settings
        return decision.State(
            settings.device, self._state.last_command, settings.max_withdrawal_w, settings.max_injection_w
        )

    def _refuse(self, refusal: Refusal, found: Accepted | None = None) -> None:
        self._refused += 1
        self._log("refused", reason=str(refusal), setpoint=found.point.id.hex() if found else "")

    def _turn(self, now_ms: int) -> None:
        """A window has begun or ended, or something new came: what rules, what was superseded, what can go."""
        held = self._state.held
        points = [h.accepted.point for h in held]
        self._ruling = decision.in_force(points, now_ms)
        for item in held:
            if not item.reported & {records.SUPERSEDED, records.EXPIRED} and decision.is_superseded(
                item.accepted.point, points, now_ms
            ):
                self._report(item, records.SUPERSEDED, Done(decision.NONE, 0, 0), now_ms)
        needed = decision.still_needed(points, now_ms)
        if len(needed) < len(held):
            self._state.held = [h for h in held if h.accepted.point in needed]
            self._state.save()
        edges = [edge for p in points for edge in (p.not_before_ms, p.not_after_ms) if edge > now_ms]
        self._changes_ms = min(edges, default=1 << 62)

    def _answer(self, done: Done, now_ms: int) -> None:
        point = self._ruling.point
        item = next(h for h in self._state.held if h.accepted.point == point)
        state = records.APPLIED if self._ruling.mode == decision.RULES_WINDOW else records.EXPIRED
        state = records.FAILED if done.reason else state
        if state not in item.reported:
            self._report(item, state, done, now_ms)

    def _report(self, item: Held, state: int, done: Done, now_ms: int) -> None:
        item.reported.add(state)
        self._applied += state == records.APPLIED
        self._state.seq += 1
        found = item.accepted
        execution = records.Execution(
            agent=self._key.agent,
            generation=_GENERATION,
            boot=self._state.boot,
            seq=self._state.seq,
            device=found.point.device,
            setpoint=found.point.id,
            digest=found.digest,
            state=state,
            reason=done.reason,
            time_ms=now_ms,
            commanded_w=done.commanded_w,
            readback_w=done.readback_w,
        )
        sealed = envelope.seal(execution, self._settings.deployment, self._key.sign)
        self._state.outbox[self._state.seq] = sealed
        self._state.save()
        self.send(self._state.seq, sealed)
        self._log(NAMES[state], setpoint=found.point.id.hex(), reason=decision.REASONS[done.reason])


NAMES: Mapping[int, str] = {
    records.APPLIED: "applied",
    records.SUPERSEDED: "superseded",
    records.EXPIRED: "expired",
    records.FAILED: "failed",
}
