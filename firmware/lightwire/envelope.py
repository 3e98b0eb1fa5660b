"""COSE_Sign1 (RFC 9052) around a record, with constant length and fixed offsets.

1. Message: d2 84 | protected | a0 | 58 len payload | 58 40 signature (r || s). Sig_structure per RFC 9052 section 4.4.
2. external_aad = kind (1 byte) || deployment id (16 bytes): no record can be replayed as another kind or elsewhere.
3. Algorithms: ES256K (-47, RFC 8812) and ES256 (-7); which one a device has stands in the registry.
4. Only low s is valid, so a message has one signature for each nonce; `verify` has to refuse the other.
"""

import hashlib

from . import records
from .errors import BadSignature, OutOfRange, TrailingBytes, Truncated, UnknownVersion

DEPLOYMENT_BYTES = 16
_PROTECTED = {
    records.ES256K: b"\x44\xa1\x01\x38\x2e",
    records.ES256: b"\x43\xa1\x01\x26",
}
_ALGORITHM = {v: k for k, v in _PROTECTED.items()}


def to_sign(payload: bytes, deployment: bytes, algorithm: int = records.ES256K) -> bytes:
    """The Sig_structure of a payload: what is hashed with SHA-256 and signed."""
    if len(deployment) != DEPLOYMENT_BYTES:
        raise OutOfRange(f"deployment id of {len(deployment)} bytes, {DEPLOYMENT_BYTES} wanted")
    kind = records.kind_of(payload)
    return b"".join(
        (
            b"\x84\x6aSignature1",
            _PROTECTED[algorithm],
            b"\x51",
            bytes((kind,)),
            deployment,
            b"\x58",
            bytes((len(payload),)),
            payload,
        )
    )


def digest(payload: bytes, deployment: bytes, algorithm: int = records.ES256K) -> bytes:
    """SHA-256 of the Sig_structure (32 bytes)."""
    return hashlib.sha256(to_sign(payload, deployment, algorithm)).digest()


def payload_digest(payload: bytes) -> bytes:
    """SHA-256 of a payload: what deliveries, decisions and the chain of statements refer to."""
    return hashlib.sha256(payload).digest()


def wrap(payload: bytes, signature: bytes, algorithm: int = records.ES256K) -> bytes:
    """The sealed message of a payload and its signature (64 bytes r || s)."""
    return b"".join(
        (
            b"\xd2\x84",
            _PROTECTED[algorithm],
            b"\xa0\x58",
            bytes((len(payload),)),
            payload,
            b"\x58\x40",
            signature,
        )
    )


def seal(record, deployment, sign, algorithm=records.ES256K):  # type: ignore[no-untyped-def]
    """The sealed message of a record; `sign` takes a digest (32 bytes) and returns r || s (64 bytes)."""
    payload = records.encode(record)
    return wrap(payload, sign(digest(payload, deployment, algorithm)), algorithm)


def split(message: bytes) -> tuple[bytes, bytes, int]:
    """(payload, signature, algorithm) of a sealed message, nothing verified. Raises a WireError for any other bytes."""
    if len(message) < 8:
        raise Truncated(f"{len(message)} bytes")
    head = message[2:7] if message[2:3] == b"\x44" else message[2:6]
    if message[:2] != b"\xd2\x84" or head not in _ALGORITHM:
        raise UnknownVersion("not a COSE_Sign1 message of this format")
    at = 2 + len(head)
    if message[at : at + 2] != b"\xa0\x58":
        raise OutOfRange(f"unprotected header or payload head at byte {at}")
    if len(message) < at + 3:
        raise Truncated(f"{len(message)} bytes")
    end = at + 3 + message[at + 2]
    if len(message) < end + 66:
        raise Truncated(f"{len(message)} of {end + 66} bytes")
    if len(message) > end + 66:
        raise TrailingBytes(f"{len(message) - end - 66} bytes after the message")
    if message[end : end + 2] != b"\x58\x40":
        raise OutOfRange(f"signature head at byte {end}")
    return message[at + 3 : end], message[end + 2 :], _ALGORITHM[head]


def peek(message: bytes):  # type: ignore[no-untyped-def]
    """The record inside a message whose signature was NOT checked: only to find the key to check it with."""
    return records.decode(split(message)[0])


def claim(message, deployment, algorithm=records.ES256K):  # type: ignore[no-untyped-def]
    """(record, digest, signature) of a message: it is the record of whoever's signature of the digest this is.

    For who checks the signature in slices; until then nothing of the record may be believed. Raises a WireError for bytes
    that are not canonical.
    """
    payload, signature, found = split(message)
    if found != algorithm:
        raise UnknownVersion(f"algorithm {found} where {algorithm} is registered")
    return records.decode(payload), digest(payload, deployment, algorithm), signature


def open_sealed(message, deployment, verify, algorithm=records.ES256K):  # type: ignore[no-untyped-def]
    """The record of a message whose signature holds.

    verify(digest: 32 bytes, signature: 64 bytes) -> bool, bound to the one key that may have signed.
    Raises BadSignature, or another WireError for bytes that are not canonical.
    """
    record, hashed, signature = claim(message, deployment, algorithm)
    if not verify(hashed, signature):
        raise BadSignature(f"signature of kind {record.KIND}")
    return record


def message_length(kind: int, algorithm: int = records.ES256K) -> int:
    """Bytes of every sealed message of this kind."""
    return 2 + len(_PROTECTED[algorithm]) + 3 + records.payload_length(kind) + 66
