"""What is believed, and each reason why a message is not."""

import hashlib

import coincurve
import pytest
from lightwire import envelope, records

from backend.adapters.keys import SigningKey, verifier
from backend.evidence.intake import Refused, Signer, open_verified

KEY, OTHER = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
DEVICE = hashlib.sha256(KEY.public).digest()[:8]
DEPLOYMENT = bytes(16)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
READING = records.Reading(DEVICE, 1, 1, 1, 4000, 0, -5, 5, 1, 2, (1, 2, 3), 50_000)
SIGNERS = {(DEVICE, 1): Signer("node", records.ES256K, verifier(KEY.public))}
SEALED = envelope.seal(READING, DEPLOYMENT, KEY.sign)


def opened(sealed: bytes, deployment: bytes = DEPLOYMENT, role: str = "node") -> object:
    return open_verified(sealed, deployment, SIGNERS, role, "device")


def test_a_sealed_reading_is_believed() -> None:
    assert opened(SEALED) == READING


def high_s(sealed: bytes) -> bytes:
    return sealed[:-32] + (ORDER - int.from_bytes(sealed[-32:], "big")).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        (b"", "not a record: 0 bytes"),
        (SEALED + b"\0", "not a record: 1 bytes after the message"),
        (SEALED[:20] + b"\xff" + SEALED[21:], "no registered node key"),
        (SEALED[:-1] + bytes((SEALED[-1] ^ 1,)), "signature of kind 1"),
        (SEALED[:-64] + bytes(64), "signature of kind 1"),
        (SEALED[:-64] + b"\xff" * 64, "signature of kind 1"),
        (high_s(SEALED), "signature of kind 1"),
        (envelope.seal(READING, DEPLOYMENT, OTHER.sign), "signature of kind 1"),
        (envelope.seal(READING, b"\x01" * 16, KEY.sign), "signature of kind 1"),
        (envelope.seal(READING, DEPLOYMENT, KEY.sign, records.ES256), "algorithm 2 where 1 is registered"),
        (envelope.seal(records.Reading(*READING[:1], 2, *READING[2:]), DEPLOYMENT, KEY.sign), "no registered node key"),
    ],
)
def test_what_is_not_believed_says_why(sealed: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        opened(sealed)


def test_a_key_signs_only_in_its_role() -> None:
    with pytest.raises(Refused, match="no registered agent key"):
        opened(SEALED, role="agent")


def test_the_direct_call_agrees_with_the_library_s_own_verification() -> None:
    for k in range(50):
        digest = hashlib.sha256(bytes((k,))).digest()
        signature = KEY.sign(digest)
        der = coincurve.ecdsa.cdata_to_der(coincurve.ecdsa.deserialize_compact(signature))
        assert verifier(KEY.public)(digest, signature)
        assert coincurve.PublicKey(KEY.public).verify(der, digest, hasher=None)
        assert not verifier(OTHER.public)(digest, signature)
