"""Sealed messages: foreign vectors, and each way to break one."""

import json
from pathlib import Path
from typing import Any

import pytest
from lightwire import ecdsa, envelope, errors, records

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "records.json").read_text())
DEPLOYMENT = bytes.fromhex(VECTORS["deployment"])


def verifier(key: str, algorithm: int) -> Any:
    curve = ecdsa.SECP256K1 if algorithm == records.ES256K else ecdsa.P256
    public = bytes.fromhex(VECTORS["keys"][key])
    return lambda digest, signature: ecdsa.verify(curve, public, digest, signature)


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
def test_a_foreign_message_opens_and_its_bytes_are_ours(vector: dict[str, Any]) -> None:
    message, algorithm = bytes.fromhex(vector["message"]), vector["algorithm"]
    record = envelope.open_sealed(message, DEPLOYMENT, verifier(vector["key"], algorithm), algorithm)
    payload, signature, _ = envelope.split(message)
    assert records.encode(record) == payload == bytes.fromhex(vector["payload"])
    assert envelope.digest(payload, DEPLOYMENT, algorithm).hex() == vector["to_sign_sha256"]
    assert envelope.payload_digest(payload).hex() == vector["payload_sha256"]
    assert envelope.seal(record, DEPLOYMENT, lambda _digest: signature, algorithm) == message
    assert len(message) == envelope.message_length(record.KIND, algorithm)


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda c: c["name"])
def test_a_broken_message_gives_its_true_reason(case: dict[str, str]) -> None:
    with pytest.raises(getattr(errors, case["error"])):
        envelope.open_sealed(bytes.fromhex(case["message"]), DEPLOYMENT, verifier("first", records.ES256K))


def test_every_changed_byte_is_refused() -> None:
    message = bytes.fromhex(next(v for v in VECTORS["good"] if v["name"] == "reading 1")["message"])
    for at in range(len(message)):
        changed = message[:at] + bytes([message[at] ^ 0x40]) + message[at + 1 :]
        with pytest.raises(errors.WireError):
            envelope.open_sealed(changed, DEPLOYMENT, verifier("first", records.ES256K))


def test_an_algorithm_the_registry_does_not_name_is_refused() -> None:
    vector = next(v for v in VECTORS["good"] if v["name"] == "hardware key")
    with pytest.raises(errors.UnknownVersion, match="registered"):
        envelope.open_sealed(bytes.fromhex(vector["message"]), DEPLOYMENT, lambda d, s: True, records.ES256K)
