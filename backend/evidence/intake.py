"""Sealed bytes to a verified record: the one place where a message from outside becomes one we believe.

1. The key is the registered one of the record's device and generation, of the right role; its signature must hold.
2. A record belongs on the topic of its own device.
3. A key that was revoked brings nothing new: evidence counts only if it was anchored before its key's revocation.
4. (device, boot, seq) names one payload for ever: the same payload again is a duplicate, another one is equivocation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lightwire import envelope
from lightwire.errors import WireError

from backend.evidence.decoding import decode

Verify = Callable[[bytes, bytes], bool]


class Refused(Exception):
    """A message that is not believed; the reason is counted and kept as a finding."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A registered key and what it may sign for."""

    role: str
    algorithm: int
    verify: Verify
    is_revoked: bool = False


def open_verified(
    sealed: bytes, deployment: bytes, signers: Mapping[tuple[bytes, int], Signer], role: str, signer_field: str
) -> Any:
    """The record in sealed bytes, signed by the registered key of its `signer_field` and generation (rules 1 and 3); Refused."""
    try:
        payload, signature, algorithm = envelope.split(sealed)
        record = decode(payload)
    except WireError as error:
        raise Refused(f"not a record: {error}") from error
    who = getattr(record, signer_field, b"")
    signer = signers.get((who, getattr(record, "generation", 1)))
    if signer is None or signer.role != role:
        raise Refused(f"no registered {role} key for {who.hex()}")
    if algorithm != signer.algorithm:
        raise Refused(f"{who.hex()}: algorithm {algorithm} where {signer.algorithm} is registered")
    if not signer.verify(envelope.digest(payload, deployment, algorithm), signature):
        raise Refused(f"{who.hex()}: signature of kind {record.KIND}")
    if signer.is_revoked:
        raise Refused(f"{who.hex()}: its key {getattr(record, 'generation', 1)} is revoked")
    return record


def same_payload(one: bytes, other: bytes) -> bool:
    """Rule 4: whether two messages under one identity carry the same payload (signatures may differ)."""
    return envelope.split(one)[0] == envelope.split(other)[0]
