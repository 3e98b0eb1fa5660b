"""The loop: receive, decide, command, report. The rules are lightwire.decision's and policy's; none is made here."""

import logging

from lightwire import decision, envelope, records

from edge_agent.ems import Ems, EmsUnavailable
from edge_agent.holder import Holder, Refused
from edge_agent.keys import AgentKey
from edge_agent.link import Link
from edge_agent.policy import wanted_w
from edge_agent.settings import Settings

CONTROL_MS = 12_000
LOG = logging.getLogger("lightnode-agent")


class Agent:
    """One customer's agent. While a set-point is in force the DER follows the rest of the customer every CONTROL_MS."""

    def __init__(self, settings: Settings, key: AgentKey, holder: Holder, link: Link, ems: Ems) -> None:
        self._settings = settings
        self._key = key
        self._holder = holder
        self._link = link
        self._ems = ems
        self._commanded_w: int | None = None
        self._last: tuple[records.SetPoint | None, int] = (None, 0)
        self._reported: set[tuple[bytes, int]] = set()
        self.applied = 0
        self.refused = 0

    def step(self, now_ms: int) -> dict[str, object]:
        """Acts for this instant and says what it did."""
        self.receive()
        point, value_w = decision.in_force(self._holder.points, now_ms)
        try:
            self._act(point, value_w, now_ms)
        except EmsUnavailable as error:
            LOG.warning("the energy manager is not there: %s", error)
            if point is not None:
                self._report(point, records.FAILED, now_ms, self._commanded_w or 0, 0)
        return {
            "held": [p.id.hex() for p in self._holder.points],
            "applied": self.applied,
            "refused": self.refused,
            "commanded_w": self._commanded_w,
        }

    def receive(self) -> None:
        """Takes what has arrived; what is not authentic is counted and logged."""
        for message in self._link.decisions():
            try:
                self._holder.take(message)
            except Refused as refusal:
                self.refused += 1
                LOG.warning("refused a message: %s", refusal)

    def _act(self, point: records.SetPoint | None, value_w: int | None, now_ms: int) -> None:
        if point is None or value_w is None:
            if self._commanded_w is not None:
                self._ems.release()
                self._commanded_w = None
            if point is not None:
                self._report(point, records.EXPIRED, now_ms, 0, 0)
            return
        if self._commanded_w is not None and self._last[0] is point and now_ms - self._last[1] < CONTROL_MS:
            return
        state = self._ems.read()
        target_w = wanted_w(point, value_w, state.pod_w, state.der_w, self._settings.nameplate_w)
        if target_w is None:
            return
        before_w = state.der_w if self._commanded_w is None else self._commanded_w
        next_w = decision.ramped(before_w, target_w, point.ramp_w_per_s, now_ms - self._last[1] if self._last[1] else 0)
        readback_w = self._ems.command(next_w)
        self._commanded_w = next_w
        self._last = (point, now_ms)
        if now_ms < point.not_after_ms:
            self._report(point, records.APPLIED, now_ms, next_w, readback_w)

    def _report(self, point: records.SetPoint, state: int, now_ms: int, commanded_w: int, readback_w: int) -> None:
        """One record per set-point and state; expiry of what was applied needs no second word."""
        applied = (point.id, records.APPLIED) in self._reported
        if (point.id, state) in self._reported or (state == records.EXPIRED and applied):
            return
        self._reported.add((point.id, state))
        self.applied += state == records.APPLIED
        record = records.Execution(
            self._key.id, 1, self._holder.boot, self._holder.next_seq(), self._settings.device, point.id,
            envelope.payload_digest(records.encode(point)), state, 0, now_ms, commanded_w, readback_w,
        )  # fmt: skip
        self._link.report(envelope.seal(record, self._settings.deployment, self._key.sign))
