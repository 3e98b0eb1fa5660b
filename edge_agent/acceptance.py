"""Pure: from bytes of the decision topic to a set-point the agent may act on, or the reason why not.

1. The message is a sealed Decision of our light node, then the original sealed SetPoint; both signatures hold.
2. The decision is about exactly this set-point (id and digest of its payload) and says accepted.
3. The rules of lightwire.decision accept it here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lightwire import decision, envelope, records
from lightwire.errors import BadSignature, WireError

from edge_agent.keys import Verify

_DECISION_BYTES = envelope.message_length(records.DECISION)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this agent believes: its node's key, and role and key of each issuer by id."""

    deployment: bytes
    node: Verify
    issuers: Mapping[bytes, tuple[int, Verify]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A set-point the node has accepted and the rules allow; sealed: its original message."""

    point: records.SetPoint
    digest: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message changes nothing: a reason number of lightwire.decision and what exactly."""

    reason: int
    detail: str

    def __str__(self) -> str:
        return f"{decision.REASONS[self.reason]} ({self.detail})" if self.detail else decision.REASONS[self.reason]


def authentic(message: bytes, trust: Trust) -> Accepted | Refusal:
    """Rules 1 and 2. Any bytes give one or the other."""
    try:
        decided = envelope.open_sealed(message[:_DECISION_BYTES], trust.deployment, trust.node)
        if not isinstance(decided, records.Decision):
            return Refusal(decision.MALFORMED, "no decision")
    except BadSignature:
        return Refusal(decision.BAD_SIGNATURE, "decision")
    except WireError as error:
        return Refusal(decision.MALFORMED, f"decision: {error}")
    opened = open_point(message[_DECISION_BYTES:], trust)
    if isinstance(opened, Refusal):
        return opened
    if (decided.setpoint, decided.digest) != (opened.point.id, opened.digest):
        return Refusal(decision.MALFORMED, "the decision is about another set-point")
    if decided.device != opened.point.device:
        return Refusal(decision.WRONG_DEVICE, "decision")
    if decided.outcome != records.ACCEPTED:
        return Refusal(decision.NOT_ACCEPTED, decision.REASONS[min(decided.reason, len(decision.REASONS) - 1)])
    return opened


def open_point(sealed: bytes, trust: Trust) -> Accepted | Refusal:
    """An issuer's set-point whose signature holds."""
    try:
        peeked = envelope.peek(sealed)
        if not isinstance(peeked, records.SetPoint):
            return Refusal(decision.MALFORMED, "no set-point")
        if peeked.issuer not in trust.issuers:
            return Refusal(decision.UNKNOWN_ISSUER, peeked.issuer.hex())
        point = envelope.open_sealed(sealed, trust.deployment, trust.issuers[peeked.issuer][1])
    except BadSignature:
        return Refusal(decision.BAD_SIGNATURE, "set-point")
    except WireError as error:
        return Refusal(decision.MALFORMED, f"set-point: {error}")
    return Accepted(point, envelope.payload_digest(records.encode(point)), sealed)


def allowed(found: Accepted, trust: Trust, state: decision.State, now_ms: int) -> Refusal | None:
    """Rule 3: None if the agent may hold the set-point."""
    role = trust.issuers[found.point.issuer][0]
    outcome, reason = decision.decide(found.point, role, state, now_ms)
    return None if outcome == records.ACCEPTED else Refusal(reason, "")
