"""The set-points the agent holds: let in only with the node's signed acceptance, kept over a restart."""

import json
import os

from lightwire import envelope, records
from lightwire.errors import WireError

from edge_agent.keys import verifier
from edge_agent.settings import Settings

KEPT = 64


class Refused(Exception):
    """A message the agent does not act on, and why."""


class Holder:
    """`points` in force or to come; `counters` (boot, seq) for the agent's own records."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._node = verifier(settings.node_key)
        self._issuers = {issuer.id: (issuer.role, verifier(issuer.key)) for issuer in settings.issuers}
        self._path = settings.state_dir / "held.json"
        self._messages: list[str] = []
        self.points: list[records.SetPoint] = []
        self.boot, self.seq = 0, 0
        self._load()

    def take(self, message: bytes) -> records.SetPoint | None:
        """Keeps an accepted set-point and returns it; None for one it has, or one its node refused; Refused otherwise."""
        point, decision = self.open(message)
        if decision.outcome != records.ACCEPTED or any(p.id == point.id for p in self.points):
            return None
        self.points.append(point)
        self._messages.append(message.hex())
        self.points, self._messages = self.points[-KEPT:], self._messages[-KEPT:]
        self.save()
        return point

    def open(self, message: bytes) -> tuple[records.SetPoint, records.Decision]:
        """Set-point and decision of a message, both signatures checked; Refused with the reason."""
        length = envelope.message_length(records.DECISION)
        deployment = self._settings.deployment
        try:
            decision = envelope.open_sealed(message[:length], deployment, self._node)
            claimed = envelope.peek(message[length:])
            if not isinstance(decision, records.Decision) or not isinstance(claimed, records.SetPoint):
                raise Refused("not a decision with its set-point")
            if claimed.issuer not in self._issuers:
                raise Refused("set-point of an unknown issuer")
            role, verify = self._issuers[claimed.issuer]
            point = envelope.open_sealed(message[length:], deployment, verify)
        except WireError as error:
            raise Refused(str(error)) from error
        if decision.digest != envelope.payload_digest(records.encode(point)) or decision.setpoint != point.id:
            raise Refused("decision about another set-point")
        if decision.device != self._settings.device or point.device != self._settings.device or point.role != role:
            raise Refused("for another device or in another role")
        return point, decision

    def next_seq(self) -> int:
        """The next number for a record of the agent; kept before it is used."""
        self.seq += 1
        self.save()
        return self.seq

    def save(self) -> None:
        """Writes the state, whole or not at all."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"boot": self.boot, "seq": self.seq, "messages": self._messages}))
        os.replace(fresh, self._path)

    def _load(self) -> None:
        if self._path.exists():
            state = json.loads(self._path.read_text())
            self.boot, self.seq, self._messages = state["boot"], state["seq"], state["messages"]
            self.points = [self.open(bytes.fromhex(m))[0] for m in self._messages]
        self.boot += 1
        self.save()
