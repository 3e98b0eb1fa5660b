"""Signatures: RFC 6979's own vectors, agreement with coincurve and cryptography, refusals, both interpreters."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coincurve
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from lightwire import ecdsa
from lightwire.ecdsa import P256, SECP256K1

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ecdsa.json").read_text())
CURVES = {"secp256k1": SECP256K1, "p256": P256}
SECRETS = st.integers(1, P256.n - 1)
DIGESTS = st.binary(min_size=32, max_size=32)


def stream(seed: bytes) -> Callable[[int], bytes]:
    """A repeatable random source for blinding."""
    state = [seed]

    def random(count: int) -> bytes:
        state[0] = hashlib.sha256(state[0]).digest()
        return state[0][:count]

    return random


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["name"])
@pytest.mark.parametrize("random", [None, stream(b"blind")], ids=["plain", "blinded"])
def test_a_vector_is_signed_to_its_bytes_and_verified(vector: dict[str, Any], random: Any) -> None:
    curve, digest = CURVES[vector["curve"]], bytes.fromhex(vector["digest"])
    signature, _ = ecdsa.sign(curve, int(vector["secret"], 16), digest, random)
    assert signature.hex() == vector["signature"]
    assert ecdsa.public_key(curve, int(vector["secret"], 16)).hex() == vector["public"]
    assert ecdsa.verify(curve, bytes.fromhex(vector["public"]), digest, signature)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda v: v["name"])
def test_a_broken_signature_is_refused(vector: dict[str, Any]) -> None:
    fields = (bytes.fromhex(vector[k]) for k in ("public", "digest", "signature"))
    assert not ecdsa.verify(CURVES[vector["curve"]], *fields)


@given(SECRETS, DIGESTS)
def test_secp256k1_agrees_with_coincurve_in_signature_and_recovery(secret: int, digest: bytes) -> None:
    secret %= SECP256K1.n
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    signature, recovery = ecdsa.sign(SECP256K1, secret, digest, stream(digest))
    assert signature + bytes([recovery]) == key.sign_recoverable(digest, hasher=None)
    assert ecdsa.verify(SECP256K1, key.public_key.format(), digest, signature)


@given(SECRETS, DIGESTS)
def test_p256_agrees_with_cryptography(secret: int, digest: bytes) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    der = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    expected = r.to_bytes(32, "big") + min(s, P256.n - s).to_bytes(32, "big")
    assert ecdsa.sign(P256, secret, digest, stream(digest))[0] == expected


@given(SECRETS, DIGESTS, st.integers(0, 511))
def test_every_changed_bit_is_refused(secret: int, digest: bytes, bit: int) -> None:
    signature, _ = ecdsa.sign(SECP256K1, secret % SECP256K1.n, digest)
    changed = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not ecdsa.verify(SECP256K1, ecdsa.public_key(SECP256K1, secret % SECP256K1.n), digest, changed)


@pytest.mark.parametrize("secret", [1, 2, 3, SECP256K1.n - 1, SECP256K1.n - 2, 1 << 255])
def test_edge_secrets_give_the_public_key_of_coincurve(secret: int) -> None:
    expected = coincurve.PrivateKey(secret.to_bytes(32, "big")).public_key.format()
    assert ecdsa.public_key(SECP256K1, secret) == expected


def test_the_committed_tables_are_the_ones_of_the_foreign_generator(tmp_path: Path) -> None:
    import importlib.util

    source = Path(__file__).parents[1] / "vectors" / "make_combs.py"
    spec = importlib.util.spec_from_file_location("make_combs", source)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert SECP256K1.comb() == made.table("secp256k1")
    assert P256.comb() == made.table("p256")


SCRIPT = """
import json
from lightwire import ecdsa
with open({path!r}) as f:
    vectors = json.load(f)
curves = {{"secp256k1": ecdsa.SECP256K1, "p256": ecdsa.P256}}
import os
for v in vectors["good"]:
    curve, digest, secret = curves[v["curve"]], bytes.fromhex(v["digest"]), int(v["secret"], 16)
    for random in (None, os.urandom):
        signature, _ = ecdsa.sign(curve, secret, digest, random)
        assert signature == bytes.fromhex(v["signature"]), v["name"]
    assert ecdsa.verify(curve, bytes.fromhex(v["public"]), digest, signature), v["name"]
for v in vectors["bad"]:
    assert not ecdsa.verify(curves[v["curve"]], bytes.fromhex(v["public"]), bytes.fromhex(v["digest"]), bytes.fromhex(v["signature"]))
print("held", len(vectors["good"]), len(vectors["bad"]))
"""


def test_the_vectors_hold_in_the_vm(micropython: Callable[[str], str]) -> None:
    path = Path(__file__).parents[1] / "vectors" / "ecdsa.json"
    assert micropython(SCRIPT.format(path=str(path))).split() == [
        "held",
        str(len(VECTORS["good"])),
        str(len(VECTORS["bad"])),
    ]
