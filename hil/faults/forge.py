"""Forged messages: time answers and set-points that a light node must refuse, each with the reason it must give.

1. A forger knows everything but the keys: ids, formats, old messages, and he may write to the broker.
2. Set-points of the right issuer that break a rule are made with the issuer's key: an issuer may be wrong, too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lightwire import decision, envelope, records

from backend.adapters.keys import SigningKey
from backend.wiring import Identity

FRAME_MS = 900_000
OTHER_DEVICE = b"\xee" * 8


@dataclass(frozen=True, slots=True)
class Forged:
    """A sealed message and why it must be refused: a number of lightwire.decision."""

    sealed: bytes
    reason: int


def set_point(
    identity: Identity, device: bytes, now_ms: int, command: int, other: Mapping[str, object] = MappingProxyType({})
) -> records.SetPoint:
    """A set-point that a node would accept, but for what `other` changes."""
    fields: dict[str, object] = {
        "id": os.urandom(16), "device": device, "issuer": identity.issuer, "role": records.ROLE_DSO, "command": command,
        "not_before_ms": now_ms, "not_after_ms": now_ms + FRAME_MS, "resource": records.POD_NET,
        "control": records.TARGET, "value": 1000, "ramp_w_per_s": 0, "fallback": records.FALLBACK_RELEASE,
        "fallback_value": 0, "reason": 0, "order": bytes(16), "nonce": bytes(16), "salt": os.urandom(16),
    }  # fmt: skip
    return records.SetPoint(**{**fields, **other})


def sealed_by(key: SigningKey, record: object, deployment: bytes) -> bytes:
    """The record, sealed with this key in this deployment."""
    sealed: bytes = envelope.seal(record, deployment, key.sign)
    return sealed


def set_points(identity: Identity, device: bytes, now_ms: int, command: int) -> Mapping[str, Forged]:
    """A set-point of each forged or wrong kind; command: above the node's last one."""
    thief, issuer, deployment = SigningKey(os.urandom(32)), identity.issuer_key, identity.deployment

    def wrong(reason: int, **other: object) -> Forged:
        point = set_point(identity, device, now_ms, command, other)
        return Forged(sealed_by(issuer, point, deployment), reason)

    good = set_point(identity, device, now_ms, command)
    genuine = sealed_by(issuer, good, deployment)
    return {
        "wrong key": Forged(sealed_by(thief, good, deployment), decision.BAD_SIGNATURE),
        "log key": Forged(sealed_by(identity.log_key, good, deployment), decision.BAD_SIGNATURE),
        "other deployment": Forged(sealed_by(issuer, good, os.urandom(16)), decision.BAD_SIGNATURE),
        "changed value": Forged(_with_value(genuine, good), decision.BAD_SIGNATURE),
        "other type": Forged(_as_another_kind(identity, device, now_ms), decision.MALFORMED),
        "no record": Forged(os.urandom(215), decision.MALFORMED),
        "cut short": Forged(genuine[:-1], decision.MALFORMED),
        "other device": wrong(decision.WRONG_DEVICE, device=OTHER_DEVICE),
        "unknown issuer": wrong(decision.UNKNOWN_ISSUER, issuer=b"\x66" * 8),
        "other role": wrong(decision.ROLE_NOT_ALLOWED, role=records.ROLE_TSO),
        "old number": wrong(decision.NUMBER_NOT_ABOVE_LAST, command=0),
        "ended": wrong(decision.ALREADY_EXPIRED, not_before_ms=now_ms - 2 * FRAME_MS, not_after_ms=now_ms - FRAME_MS),
        "longer than a day": wrong(decision.WINDOW_TOO_LONG, not_after_ms=now_ms + decision.WINDOW_MAX_MS + 1),
        "beyond the limits": wrong(decision.BEYOND_LIMITS, value=2**31 - 1),
        "other resource": wrong(decision.UNKNOWN_RESOURCE, resource=7),
    }


def time_answers(identity: Identity, device: bytes, nonce: bytes, utc_ms: int) -> Mapping[str, bytes]:
    """A sealed time answer of each forged kind; nonce: the one that is open. All say utc_ms."""
    thief, log, deployment = SigningKey(os.urandom(32)), identity.log_key, identity.deployment

    def answer(**other: object) -> records.TimeAnswer:
        fields = {"operator": identity.operator, "device": device, "nonce": nonce, "utc_ms": utc_ms}
        return records.TimeAnswer(**{**fields, **other})

    delivery = records.Delivery(identity.operator, bytes(8), device, 1, 1, bytes(32), utc_ms)
    return {
        "wrong key": sealed_by(thief, answer(), deployment),
        "issuer key": sealed_by(identity.issuer_key, answer(), deployment),
        "other deployment": sealed_by(log, answer(), os.urandom(16)),
        "other device": sealed_by(log, answer(device=OTHER_DEVICE), deployment),
        "other operator": sealed_by(log, answer(operator=bytes(8)), deployment),
        "other type": sealed_by(log, delivery, deployment),
        "no record": os.urandom(125),
        "wrong nonce": sealed_by(log, answer(nonce=os.urandom(16)), deployment),
        "no nonce": sealed_by(log, answer(nonce=bytes(16)), deployment),
    }


def _with_value(sealed: bytes, point: records.SetPoint) -> bytes:
    """The signature of one set-point under another value."""
    changed = records.SetPoint(**{**point._asdict(), "value": point.value + 1})
    return envelope.wrap(records.encode(changed), envelope.split(sealed)[1])


def _as_another_kind(identity: Identity, device: bytes, now_ms: int) -> bytes:
    answer = records.TimeAnswer(identity.operator, device, bytes(16), now_ms)
    return sealed_by(identity.issuer_key, answer, identity.deployment)
