"""Receives set-points, lets the rules decide, keeps the command number before anything else, answers signed.

An accepted set-point leaves the node only as Decision || original SetPoint; the agent acts on nothing else.
"""

from lightwire import decision, ecdsa, envelope, records
from lightwire.errors import WireError

_REFUSALS_KEPT_PER_QUARTER = 32


class SetPoints:
    """`in_force`: the id of the last accepted set-point; `refused`: how many, by reason; `answers`: still to be sent."""

    def __init__(self, recorder, journal, clock, settings, device: bytes) -> None:  # type: ignore[no-untyped-def]
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._device = device
        self._deployment = settings.value("deployment")
        self._issuers = settings.value("issuers")
        self._limits = settings.value("limits.max_withdrawal_w"), settings.value("limits.max_injection_w")
        self._refusals = [0, 0]
        self.refused = [0] * len(decision.REASONS)
        self.answers: list[tuple[int, bytes]] = []
        self.in_force = b""

    def receive(self, message: bytes) -> None:
        """Decides about one sealed set-point; never raises for what came from outside."""
        try:
            point = envelope.peek(message)
        except WireError:
            self.refused[decision.MALFORMED] += 1
            return
        if not isinstance(point, records.SetPoint):
            self.refused[decision.MALFORMED] += 1
            return
        if message == self._journal.setpoint:
            self._answer_again(point, message)
            return
        outcome, reason = self._decide(message, point)
        if outcome == records.ACCEPTED:
            self._journal.save(point.command, self._journal.head, self._journal.floor_ms, message)
            self.in_force = point.id
        else:
            self.refused[reason] += 1
            if self._too_many():
                return
        self._answer(point, message, outcome, reason)

    def _decide(self, message: bytes, point: records.SetPoint) -> tuple[int, int]:
        issuer = None
        for known in self._issuers:
            if known.id == point.issuer:
                issuer = known
        if issuer is None:
            return records.REFUSED, decision.UNKNOWN_ISSUER
        key = issuer.key
        try:
            envelope.open_sealed(
                message, self._deployment, lambda digest, sig: ecdsa.verify(ecdsa.SECP256K1, key, digest, sig)
            )
        except WireError:
            return records.REFUSED, decision.BAD_SIGNATURE
        state = decision.State(
            self._device, self._journal.command, self._limits[0], self._limits[1], self._clock.trusted
        )
        return decision.decide(point, issuer.role, state, self._clock.utc_ms(self._clock.monotonic_ms()))

    def _answer_again(self, point: records.SetPoint, message: bytes) -> None:
        """The set-point in force once more: the same signed decision, for whoever missed it."""
        self.in_force = point.id
        for record in self._journal.after(0):
            if isinstance(record, records.Decision) and record.setpoint == point.id:
                self.answers.append((record.seq, message))
                self._recorder.wake()
                return

    def _too_many(self) -> bool:
        """Refusals are journalled at a bounded rate, so that a forger cannot fill the journal."""
        quarter = self._clock.monotonic_ms() // 900_000
        if self._refusals[0] != quarter:
            self._refusals = [quarter, 0]
        self._refusals[1] += 1
        return self._refusals[1] > _REFUSALS_KEPT_PER_QUARTER

    def _answer(self, point: records.SetPoint, message: bytes, outcome: int, reason: int) -> None:
        digest = envelope.payload_digest(records.encode(point))
        now = self._clock.utc_ms(self._clock.monotonic_ms())
        record = self._recorder.keep(
            lambda device, generation, boot, seq: records.Decision(
                device, generation, boot, seq, point.id, digest, point.command, outcome, reason, now
            )
        )
        self.answers.append((record.seq, message))
        self._recorder.wake()
