"""A meter as a unit on a line: answers frames, plays faults, logs what it offered and what it did.

1. Frames for other units get no answer.
2. A fault is on by its span or by `switch`; going on and off, and each answer that it changed, is an event in the truth.
3. Without a fault nothing but the answer costs time.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from hil.meters.faults import (
    REBOOT_SILENT_MS,
    REBOOT_WINDOW_MS,
    Fault,
    Framing,
    Kind,
    Sending,
    falsified,
    sendings,
)
from hil.meters.meter import Meter, Terminals
from hil.meters.registers import answer
from hil.meters.truth import Event, Offered, TruthLog

_FALSIFYING = {Kind.SIGN_SWAP, Kind.PHANTOM, Kind.WORD_ORDER}
_FRAMING = {Kind.SLOW, Kind.LATE, Kind.NOISE, Kind.OTHER_UNIT, Kind.SILENT}


class Station:
    """truth: where offers and faults are written, None for nowhere. clock_ms: the meter's time; without one the instant of
    the last offer. requests: sound frames for it."""

    def __init__(
        self,
        meter: Meter,
        unit: int = 1,
        faults: tuple[Fault, ...] = (),
        truth: TruthLog | None = None,
        clock_ms: Callable[[], int] | None = None,
        seed: str = "meter",
    ) -> None:
        self.meter = meter
        self.unit = unit
        self.requests = 0
        self._faults = list(faults)
        self._on: list[Fault] = []
        self.truth = truth
        self._offered_ms = 0
        self._clock_ms = clock_ms or (lambda: self._offered_ms)
        self._random = Random(f"{seed}/{meter.pod}")
        self._asked: deque[int] = deque(maxlen=1_001)
        self._silent_until_ms = 0

    def offer(self, utc_ms: int, now: Terminals) -> Offered:
        """The meter measures: its registers hold `now` from utc_ms on."""
        self._offered_ms = utc_ms
        self._turn(utc_ms)
        offered = self.meter.offer(utc_ms, now, starting=utc_ms < self._silent_until_ms)
        if self.truth is not None:
            self.truth.write(offered)
        return offered

    def switch(self, fault: Fault, on: bool) -> None:
        """Puts a fault on or off at run time."""
        if on:
            self._faults.append(fault)
        else:
            self._faults = [f for f in self._faults if f.kind is not fault.kind]
        self._turn(self._clock_ms())

    def answer(self, unit: int, request: bytes, framing: Framing) -> tuple[Sending, ...]:
        """What the line gets for a request PDU of at least one byte."""
        if unit != self.unit:
            return ()
        self.requests += 1
        if not self._faults:
            return (Sending(0, framing.wrap(unit, self.meter.answer(request))),)
        return self._disturbed(request, framing)

    def _disturbed(self, request: bytes, framing: Framing) -> tuple[Sending, ...]:
        now_ms = self._clock_ms()
        self._turn(now_ms)
        if self._reboots(now_ms):
            self._log(now_ms, "answer", {"faults": [Kind.REBOOT], "request": request.hex(), "sent": []})
            return ()
        struck = [f for f in self._on if f.percent == 100 or self._random.randrange(100) < f.percent]
        meter = self.meter
        honest = meter.answer(request)
        response = honest
        if any(f.kind in _FALSIFYING for f in struck) and not honest[0] & 0x80:
            content = falsified(bytes(meter.content), meter.model, request, struck, self._random)
            response = answer(meter.model, content, meter.model.first, request)
        sent = sendings(self.unit, response, framing, struck, self._random)
        told = [f.text for f in struck if f.kind in _FRAMING or (f.kind in _FALSIFYING and response != honest)]
        if told:
            shown = [[s.delay_ms, s.data.hex()] for s in sent]
            self._log(now_ms, "answer", {"faults": told, "request": request.hex(), "sent": shown})
        return sent

    def _turn(self, now_ms: int) -> None:
        """Faults that begin or end by now."""
        if not self._faults and not self._on:
            return
        on = [f for f in self._faults if f.holds(now_ms)]
        for fault in (f for f in self._on if f not in on):
            self._log(now_ms, "fault_off", {"fault": fault.text})
        for fault in (f for f in on if f not in self._on):
            self._log(now_ms, "fault_on", {"fault": fault.text})
            if fault.kind is Kind.REGISTER_RESET:
                self.meter.reset()
                self._log(now_ms, "register_reset", {})
        self._on = on

    def _reboots(self, now_ms: int) -> bool:
        """Whether it is silent because it was polled fast."""
        if now_ms < self._silent_until_ms:
            return True
        fault = next((f for f in self._on if f.kind is Kind.REBOOT), None)
        if fault is None:
            return False
        self._asked.append(now_ms)
        while self._asked[0] <= now_ms - REBOOT_WINDOW_MS:
            self._asked.popleft()
        if len(self._asked) <= fault.number:
            return False
        self._asked.clear()
        self._silent_until_ms = now_ms + REBOOT_SILENT_MS
        self._log(now_ms, "restart", {"silent_until_ms": self._silent_until_ms})
        offered = self.meter.restart(now_ms)
        if self.truth is not None:
            self.truth.write(offered)
        return True

    def _log(self, utc_ms: int, event: str, facts: dict[str, Any]) -> None:
        if self.truth is not None:
            self.truth.write(Event(self.meter.pod, utc_ms, event, facts))
