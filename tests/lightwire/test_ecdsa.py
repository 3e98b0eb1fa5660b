"""Signatures: published vectors, agreement with coincurve and cryptography, rare cases, refusals."""

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
from hypothesis import example, given
from hypothesis import strategies as st
from lightwire import ecdsa
from lightwire.comb import base_multiple, base_multiple_x, base_table
from lightwire.curve import affine, finished
from lightwire.ecdsa import P256, SECP256K1
from lightwire.errors import OutOfRange
from lightwire.inversion import invert

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ecdsa.json").read_text())
CURVES = {"secp256k1": SECP256K1, "p256": P256}
LAMBDA = 0x5363AD4CC05C30E0A5261C028812645A122E22EA20816678DF02967C1B23BD72
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
    signature = ecdsa.sign(curve, int(vector["secret"], 16), digest, random)
    assert signature.hex() == vector["signature"]
    assert ecdsa.public_key(curve, int(vector["secret"], 16)).hex() == vector["public"]
    assert ecdsa.verify(curve, bytes.fromhex(vector["public"]), digest, signature)


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda v: v["name"])
def test_a_rare_but_valid_signature_is_verified(vector: dict[str, Any]) -> None:
    fields = (bytes.fromhex(vector[k]) for k in ("public", "digest", "signature"))
    assert ecdsa.verify(CURVES[vector["curve"]], *fields)


@pytest.mark.parametrize("vector", VECTORS["bad"], ids=lambda v: v["name"])
def test_a_broken_signature_is_refused(vector: dict[str, Any]) -> None:
    fields = (bytes.fromhex(vector[k]) for k in ("public", "digest", "signature"))
    assert ecdsa.verify(CURVES[vector["curve"]], *fields) is False


@given(SECRETS, DIGESTS)
def test_secp256k1_agrees_with_coincurve_in_its_signature(secret: int, digest: bytes) -> None:
    secret %= SECP256K1.n
    key = coincurve.PrivateKey(secret.to_bytes(32, "big"))
    signature = ecdsa.sign(SECP256K1, secret, digest, stream(digest))
    assert signature == key.sign_recoverable(digest, hasher=None)[:64]
    assert ecdsa.verify(SECP256K1, key.public_key.format(), digest, signature)


@given(SECRETS, DIGESTS)
def test_p256_agrees_with_cryptography(secret: int, digest: bytes) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    der = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    expected = r.to_bytes(32, "big") + min(s, P256.n - s).to_bytes(32, "big")
    assert ecdsa.sign(P256, secret, digest, stream(digest)) == expected


@given(SECRETS, DIGESTS, st.integers(0, 511))
def test_every_changed_bit_is_refused(secret: int, digest: bytes, bit: int) -> None:
    signature = ecdsa.sign(SECP256K1, secret % SECP256K1.n, digest)
    changed = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not ecdsa.verify(SECP256K1, ecdsa.public_key(SECP256K1, secret % SECP256K1.n), digest, changed)


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=70), st.sampled_from([SECP256K1, P256]))
def test_any_bytes_give_false(public: bytes, digest: bytes, signature: bytes, curve: ecdsa.Curve) -> None:
    assert ecdsa.verify(curve, public, digest, signature) is False


@pytest.mark.parametrize("curve", [SECP256K1, P256], ids=lambda c: c.name)
def test_addition_is_complete(curve: ecdsa.Curve) -> None:
    """Rule 5: infinity, a point to itself, a point to its negative."""
    x, y = curve.g
    twice = curve.double(x, y, 1, 1)
    assert curve.add(1, 1, 0, 0, x, y) == (x, y, 1, 1)
    assert curve.add(x, y, 1, 1, x, y) == twice
    z = 12345
    point = (x * z * z % curve.p, y * z * z * z % curve.p, z * z, z * z * z)
    assert affine(curve, curve.add(*point, x, y)) == affine(curve, twice)
    assert curve.add(*point, x, curve.p - y)[2:] == (0, 0)
    assert curve.double(1, 1, 0, 0)[2:] == (0, 0)


@pytest.mark.parametrize(
    "public", ["02" + "00" * 31 + "05", "02" + "ff" * 32, "04" + "00" * 31 + "01", "02" + "01" * 31, ""]
)
def test_what_is_no_compressed_point_is_refused(public: str) -> None:
    with pytest.raises(OutOfRange):
        ecdsa.decompress(SECP256K1, bytes.fromhex(public))


def test_a_key_seen_once_is_remembered_and_the_memory_is_bounded() -> None:
    digest = hashlib.sha256(b"many keys").digest()
    for secret in range(1, 10):
        public, signature = ecdsa.public_key(SECP256K1, secret), ecdsa.sign(SECP256K1, secret, digest)
        assert ecdsa.verify(SECP256K1, public, digest, signature)
        assert ecdsa.verify(SECP256K1, bytearray(public), digest, signature)
        assert len(ecdsa._tables) <= ecdsa.KEYS_KEPT


@pytest.mark.parametrize("secret", [0, -1, SECP256K1.n, SECP256K1.n + 1, 1 << 300])
def test_a_secret_outside_its_range_is_refused(secret: int) -> None:
    with pytest.raises(OutOfRange):
        ecdsa.sign(SECP256K1, secret, bytes(32))
    with pytest.raises(OutOfRange):
        ecdsa.public_key(SECP256K1, secret)


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
    for curve in (SECP256K1, P256):
        assert finished(base_table(curve)) == made.table(curve.name)


@given(st.sampled_from([SECP256K1.p, SECP256K1.n, P256.p, P256.n]), st.integers(1, 2**256), st.integers(0, 255))
def test_inversion_agrees_with_pythons_own(modulus: int, value: int, shift: int) -> None:
    value = (value >> shift) % modulus or 1
    assert invert(value, modulus) == pow(value, -1, modulus)
    assert invert(modulus - value, modulus) == pow(-value, -1, modulus)


@pytest.mark.parametrize("curve", [SECP256K1, P256], ids=lambda curve: curve.name)
@given(k=st.integers(1, 400) | st.integers(-400, -1) | st.integers(0, 2**256), z0=st.integers(1, 2**255))
@example(k=0x7FFFFDFFFFF8000020000080000200000800001FFFFF7FFFFDFFFFF7FFFFE, z0=7)  # the last addition of P-256 is P + P
@example(k=0xFFF7FFFF20000080FFFDFFFFF7FFFFDFBCE67AADA5179E8CF3B9EAC2FCE32553, z0=7)
def test_a_signature_s_x_is_the_multiple_s_also_where_the_last_addition_doubles(
    curve: ecdsa.Curve, k: int, z0: int
) -> None:
    k = k % curve.n or 1
    x, zz = ecdsa.finished(base_multiple_x(curve, k, z0))
    assert x * pow(zz, -1, curve.p) % curve.p == affine(curve, ecdsa.finished(base_multiple(curve, k, z0)))[0]


def test_4_signing_and_verifying_come_in_slices_and_give_the_same() -> None:
    digest = hashlib.sha256(b"sliced").digest()
    for curve in (SECP256K1, P256):
        steps, count = ecdsa.signing(curve, 12345, digest, stream(b"s")), 0
        try:
            while True:
                next(steps)
                count += 1
        except StopIteration as end:
            assert end.value == ecdsa.sign(curve, 12345, digest)
        assert (
            count >= 11
        )  # the nonce, entries, an inversion, sums in two slices or more, five of additions, an inversion
        assert sum(
            1 for _ in ecdsa.verifying(curve, ecdsa.public_key(curve, 12345), digest, end_signature(curve, digest))
        )


def end_signature(curve: ecdsa.Curve, digest: bytes) -> bytes:
    return ecdsa.sign(curve, 12345, digest)


@given(st.integers(1, SECP256K1.n - 1), st.sampled_from([128, 132]))
def test_every_scalar_has_two_odd_halves_that_fit(k: int, bits: int) -> None:
    """secp256k1.py, rule 2; LAMBDA is the cube root of 1 that belongs to BETA."""
    turn, parts = SECP256K1.digits(k, bits)
    first, second = (2 * part - (1 << bits) + 1 for part in parts)
    assert all(0 <= part < 1 << bits for part in parts) and max(abs(first), abs(second)) < 0.987 * 2**128
    assert pow(LAMBDA, turn, SECP256K1.n) * (first + second * LAMBDA) % SECP256K1.n == k


@pytest.mark.parametrize("k", [1, 2, 3, 4, SECP256K1.n - 1, SECP256K1.n - 2, LAMBDA, LAMBDA + 1, SECP256K1.n - LAMBDA])
def test_the_edges_of_the_halves(k: int) -> None:
    test_every_scalar_has_two_odd_halves_that_fit.hypothesis.inner_test(k, 128)  # type: ignore[attr-defined]


@given(st.integers(1, SECP256K1.n - 1))
def test_the_endomorphism_multiplies_by_lambda(secret: int) -> None:
    x, y = ecdsa.decompress(SECP256K1, ecdsa.public_key(SECP256K1, secret))
    turned = ecdsa.public_key(SECP256K1, secret * LAMBDA % SECP256K1.n)
    assert SECP256K1.turned((x, y), 1) == ecdsa.decompress(SECP256K1, turned)
