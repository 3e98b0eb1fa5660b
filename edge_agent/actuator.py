"""From what rules now to the energy manager, with as few requests as that takes.

1. What rules anew is acted on at once. Then the POD is measured after one slot (the first measure of a quarter-hour still
   shows the load of the one before), and every third slot; every slot while a ramp or a limit needs it.
2. Nothing is written while the command does not change.
3. The device is told to revert alone at the end of the window, as the set-point's fallback says.
4. An energy manager that does not answer is tried once more at once, then at each tick; that is a failure, said once by
   the caller. The emergency stop and the local switch at the device outrank us: nothing is commanded then.
"""

from dataclasses import dataclass

from lightwire import decision, records

from edge_agent.ems import Bounds, Command, Ems, Measured
from edge_agent.errors import EmsRefused, EmsUnreachable
from edge_agent.policy import Wanted, next_step, resource_target

SLOT_MS = 4_000
_SELDOM_SLOTS = 3


@dataclass(frozen=True, slots=True)
class Done:
    """What came of acting: reason 0, or why not; W at the resource as commanded and as read back."""

    reason: int
    commanded_w: int
    readback_w: int


class Actuator:
    """`commanded_w`: what the resource was told, None while it follows its own schedule."""

    def __init__(self, ems: Ems) -> None:
        self._ems = ems
        self._ruled: tuple[int, bytes] | None = None
        self._done: Done | None = None
        self._measures = 0
        self._due_ms = 0
        self._acted_ms = 0
        self._unbidden_w: int | None = None
        self._sent: int | None = None
        self.commanded_w: int | None = None

    def act(self, ruling: decision.Ruling, now_ms: int) -> Done | None:
        """What came of it if something was tried now; None when nothing was due."""
        point = ruling.point
        if point is None:
            return None
        ruled = (ruling.mode, point.id)
        if ruled != self._ruled:
            self._ruled, self._measures, self._due_ms, self._sent = ruled, 0, now_ms, None
        if now_ms < self._due_ms:
            return None
        try:
            done = self._try(ruling, now_ms)
        except EmsUnreachable:
            done = Done(decision.EMS_UNREACHABLE, 0, 0)
        except EmsRefused:
            done = Done(decision.EMS_REFUSED, 0, 0)
        if done.reason:
            self._due_ms, self._measures, self._sent = now_ms, 0, None
        return done

    def _try(self, ruling: decision.Ruling, now_ms: int) -> Done:
        try:
            return self._once(ruling, now_ms)
        except EmsUnreachable:
            return self._once(ruling, now_ms)

    def _once(self, ruling: decision.Ruling, now_ms: int) -> Done:
        if ruling.value is None:
            self._let_go()
            self._due_ms = 1 << 62
            return Done(decision.NONE, 0, 0)
        bounds, measured = self._ems.bounds(), self._ems.measure()
        if measured.emergency_stop or measured.local_switch:
            reason = decision.EMERGENCY_STOP if measured.emergency_stop else decision.LOCAL_SWITCH
            return Done(reason, 0, measured.der_w)
        if measured.commanded_w is None:
            self._unbidden_w = measured.der_w
        point = ruling.point
        wanted = Wanted(point.control, ruling.value, point.ramp_w_per_s)
        target_w = resource_target(wanted, measured, self._unbidden_w, bounds)
        if target_w is None:
            if self.commanded_w is not None or self._sent is None:
                self._let_go()
                self._sent = 0
            self._plan(now_ms, wanted, arrived=True)
            return Done(decision.NONE, measured.der_w, measured.der_w)
        power_w = self._ramped(target_w, measured, point.ramp_w_per_s, now_ms)
        readback_w = self._send(ruling, power_w, measured, bounds, now_ms)
        self._plan(now_ms, wanted, arrived=power_w == target_w)
        reason = decision.NONE if readback_w is not None else decision.EMS_REFUSED
        return Done(reason, power_w, readback_w or 0)

    def _ramped(self, target_w: int, measured: Measured, ramp_w_per_s: int, now_ms: int) -> int:
        start_w = measured.der_w if self.commanded_w is None else self.commanded_w
        elapsed_ms = SLOT_MS if not self._measures else now_ms - self._acted_ms
        self._acted_ms = now_ms
        return next_step(start_w, target_w, ramp_w_per_s, elapsed_ms)

    def _send(
        self, ruling: decision.Ruling, power_w: int, measured: Measured, bounds: Bounds, now_ms: int
    ) -> int | None:
        """What the device holds after the command, None if it is something else than we said."""
        if self._sent == power_w and self.commanded_w == power_w:
            return power_w
        self._ems.command(self._command(ruling, power_w, measured, bounds, now_ms))
        first = self._sent is None
        self.commanded_w = self._sent = power_w
        if not first:
            return power_w
        held_w = self._ems.measure().commanded_w
        good = held_w is not None and abs(held_w - power_w) <= max(1, abs(power_w) // 1000)
        return held_w if good else None

    def _command(
        self, ruling: decision.Ruling, power_w: int, measured: Measured, bounds: Bounds, now_ms: int
    ) -> Command:
        point = ruling.point
        if ruling.mode != decision.RULES_WINDOW or point.fallback == records.FALLBACK_HOLD:
            return Command(power_w)
        after_s = -((now_ms - point.not_after_ms) // 1000)
        reverts_to_w = None
        if point.fallback == records.FALLBACK_VALUE:
            wanted = Wanted(point.control, point.fallback_value)
            reverts_to_w = resource_target(wanted, measured, self._unbidden_w, bounds)
        return Command(power_w, after_s, reverts_to_w)

    def _let_go(self) -> None:
        self._ems.release()
        self.commanded_w = None

    def _plan(self, now_ms: int, wanted: Wanted, arrived: bool) -> None:
        self._measures += 1
        often = self._measures < 2 or not arrived or wanted.control != records.TARGET
        self._due_ms = now_ms + (SLOT_MS if often else _SELDOM_SLOTS * SLOT_MS)
