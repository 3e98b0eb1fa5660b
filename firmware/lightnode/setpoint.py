"""Receives set-points, lets the rules decide, keeps the command number before anything else, answers signed.

1. An accepted set-point leaves the node only as Decision || original SetPoint; the agent acts on nothing else.
2. Set-point and command number are in the journal before there is a Decision; if power fails between the two, the
   Decision is made at the next start.
3. A set-point that was accepted before, and comes again, gets the same Decision again. After a restart the Decisions of
   all that may still rule are sent again.
4. Set-points are decided one after the other, each on what the one before it left. Whoever is cancelled between rule 2's
   two steps leaves the Decision to the next that comes.
5. A forged set-point is refused with its reason and counted as an alarm. Refusals are journalled at a bounded rate, so
   that a forger cannot fill the journal; those above it are only counted.
5. While the energy manager says that the local switch or the emergency stop is on, nothing remote rules or is accepted.
"""

import asyncio

from lightwire import decision, envelope, records
from lightwire.errors import WireError

from .compat import sleep_ms
from .slices import holds, opened

_REFUSALS_PER_QUARTER = 32
_QUARTER_MS = 900_000
_ANSWERS_KEPT = 64


class SetPoints:
    """`accepted`: how many since the start; `refused`: how many by reason; `answers`: (seq, set-point) still to be sent;
    `emergency_stop`, `local_switch`: at the site (rule 5)."""

    def __init__(self, recorder, journal, clock, settings, device: bytes) -> None:  # type: ignore[no-untyped-def]
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._device = device
        self._deployment = settings.value("deployment")
        self._issuers = settings.value("issuers")
        self._limits = settings.value("limits.max_withdrawal_w"), settings.value("limits.max_injection_w")
        self._quarter = 0
        self._refusals = 0
        self.emergency_stop = False
        self.local_switch = False
        self._points: list[records.SetPoint] = []
        self._lock = asyncio.Lock()
        self._undecided = journal.setpoints()  # accepted; whether there is a Decision is still to be looked at
        self.accepted = 0
        self.alarms = 0
        self.refused = [0] * len(decision.REASONS)
        self.answers: list[tuple[int, bytes]] = []
        for message in self._undecided:
            self._points.append(envelope.peek(message))  # type: ignore[arg-type]

    @property
    def points(self) -> list[records.SetPoint]:
        """Those accepted that may still rule."""
        return self._points

    def ruling(self) -> decision.Ruling:
        """What rules now."""
        now = self._clock.utc_ms() if self._clock.trusted else None
        if now is not None:
            self._points = decision.still_needed(self._points, now)
        ruling = decision.in_force(self._points, now, self.emergency_stop, self.local_switch)
        self._journal.in_force = ruling.point.command if ruling.point else 0
        return ruling

    @property
    def in_force(self) -> bytes:
        """The id of the set-point whose window is open now, b"" if there is none."""
        ruling = self.ruling()
        return ruling.point.id if ruling.mode == decision.RULES_WINDOW else b""

    async def ready(self) -> None:
        """Everything that was accepted has its Decision, and all that may still rule are to be sent (rule 3)."""
        async with self._lock:
            await self._resume()

    async def receive(self, message: bytes) -> None:
        """Decides about one sealed set-point; never raises for what came from outside."""
        async with self._lock:
            await self._resume()
            await sleep_ms(0)
            await self._receive(message)

    async def _receive(self, message: bytes) -> None:
        try:
            point = envelope.peek(message)
        except WireError:
            point = None
        if not isinstance(point, records.SetPoint):
            self.refused[decision.MALFORMED] += 1
            self.alarms += 1
            return
        digest = envelope.payload_digest(records.encode(point))
        if digest in self._journal.decided:
            self._answer(self._journal.decided[digest], message)
            return
        outcome, reason = await self._decide(message, point)
        if outcome == records.ACCEPTED:
            await sleep_ms(0)
            self._journal.accept(point.command, point.not_after_ms, message)
            self._points.append(point)
            self._undecided.append(message)
            self.accepted += 1
            await sleep_ms(0)
            await self._resume()
        else:
            self.refused[reason] += 1
            self.alarms += reason == decision.BAD_SIGNATURE
            if not self._too_many():
                await self._keep(point, digest, message, outcome, reason)

    async def _resume(self) -> None:
        while self._undecided:
            message = self._undecided[0]
            point = envelope.peek(message)
            digest = envelope.payload_digest(records.encode(point))
            if digest in self._journal.decided:
                self._answer(self._journal.decided[digest], message)
            else:
                await self._keep(point, digest, message, records.ACCEPTED, decision.NONE)  # type: ignore[arg-type]
            del self._undecided[0]

    async def _decide(self, message: bytes, point: records.SetPoint) -> tuple[int, int]:
        issuer = None
        for known in self._issuers:
            if known.id == point.issuer:
                issuer = known
        if issuer is None:
            return records.REFUSED, decision.UNKNOWN_ISSUER
        key = issuer.key
        try:
            await opened(message, self._deployment, lambda digest, signature: holds(key, digest, signature))
        except WireError:
            return records.REFUSED, decision.BAD_SIGNATURE
        state = decision.State(
            self._device,
            self._journal.command,
            *self._limits,
            self._clock.trusted,
            self._clock.nonce,
            self.emergency_stop,
            self.local_switch,
        )
        return decision.decide(point, issuer.role, state, self._clock.utc_ms())

    def _too_many(self) -> bool:
        quarter = self._clock.monotonic_ms() // _QUARTER_MS
        if self._quarter != quarter:
            self._quarter, self._refusals = quarter, 0
        self._refusals += 1
        return self._refusals > _REFUSALS_PER_QUARTER

    async def _keep(self, point: records.SetPoint, digest: bytes, message: bytes, outcome: int, reason: int) -> None:
        now = self._clock.utc_ms()
        record = await self._recorder.keep(
            lambda device, generation, boot, seq: records.Decision(
                device, generation, boot, seq, point.id, digest, point.command, outcome, reason, now
            )
        )
        self._answer(record.seq, message)

    def _answer(self, seq: int, message: bytes) -> None:
        if len(self.answers) < _ANSWERS_KEPT:
            self.answers.append((seq, message))
        self._recorder.wake()
