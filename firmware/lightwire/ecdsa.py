"""Deterministic, blinded ECDSA on secp256k1 and P-256 in portable Python: one code for both curves.

1. Nonces are RFC 6979 (HMAC-SHA-256), s is the low one, so a digest has one signature under a key.
2. No branch on secret bits: k*G is the comb of `comb`, every step the same for every k.
3. With a random source the projective point, both inversions and s are blinded; the signature does not change.
4. Nothing blocks: `signing` and `verifying` are generators that yield between their steps and return the result; `sign`
   and `verify` run them to their end.
5. `verify` never raises, and a signature can be made for which a comb meets P + P.
6. The tables of the last KEYS_KEPT public keys are kept: a device meets the same few again.
"""

import hashlib

from .comb import base_multiple, base_multiple_x, sum_of_multiples
from .curve import P256 as P256
from .curve import SECP256K1 as SECP256K1
from .curve import Curve, affine, decompressing
from .curve import finished as finished
from .errors import OutOfRange
from .inversion import INVERSION_KIB, invert
from .key_table import make_table

KEYS_KEPT = 4
_INNER = int.from_bytes(b"\x36" * 32, "big")
_OUTER = int.from_bytes(b"\x5c" * 32, "big")
_tables: dict[tuple[str, bytes], bytearray] = {}


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """What HMAC hashes before a message and before its hash, for a key of 32 bytes."""
    number = int.from_bytes(key, "big")
    return (number ^ _INNER).to_bytes(32, "big") + b"\x36" * 32, (number ^ _OUTER).to_bytes(32, "big") + b"\x5c" * 32


def _hmac(pads: tuple[bytes, bytes], message: bytes) -> bytes:
    return hashlib.sha256(pads[1] + hashlib.sha256(pads[0] + message).digest()).digest()


def _nonce(curve: Curve, secret: int, z: int) -> int:
    """RFC 6979, section 3.2, for SHA-256 and a 256-bit order."""
    message = secret.to_bytes(32, "big") + (z % curve.n).to_bytes(32, "big")
    v = b"\x01" * 32
    pads = b"\x36" * 64, b"\x5c" * 64  # of a key of zeros
    for mark in (b"\x00", b"\x01"):
        pads = _pads(_hmac(pads, v + mark + message))
        v = _hmac(pads, v)
    while True:
        v = _hmac(pads, v)
        found = int.from_bytes(v, "big")
        if 0 < found < curve.n:
            return found
        pads = _pads(_hmac(pads, v + b"\x00"))
        v = _hmac(pads, v)


def _scalar(random, limit: int) -> int:  # type: ignore[no-untyped-def]
    """A random number in 1..limit-1, or 1 without a random source (no blinding)."""
    if random is None:
        return 1
    return int.from_bytes(random(32), "big") % (limit - 1) + 1


def signing(curve: Curve, secret: int, digest: bytes, random=None):  # type: ignore[no-untyped-def]
    """r || s (64 bytes, low s) of a digest (32 bytes), in slices.

    random: callable(count) -> bytes for blinding, or None. Without it the result is the same, the timing may leak.
    """
    if not 0 < secret < curve.n or len(digest) != 32:
        raise OutOfRange("secret key or digest outside its range")
    n = curve.n
    z = int.from_bytes(digest, "big")
    k = _nonce(curve, secret, z)
    yield 5
    x, zz = yield from base_multiple_x(curve, k, _scalar(random, curve.p))
    b = _scalar(random, curve.p)
    r = x * (invert(zz * b % curve.p, curve.p) * b % curve.p) % curve.p % n
    yield INVERSION_KIB
    b = _scalar(random, n)
    s = invert(k * b % n, n) * ((b * z + (b * secret % n) * r) % n) % n
    yield
    if s > n >> 1:
        s = n - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def sign(curve: Curve, secret: int, digest: bytes, random=None) -> bytes:  # type: ignore[no-untyped-def]
    """What `signing` returns."""
    return finished(signing(curve, secret, digest, random))  # type: ignore[no-any-return]


def public_key(curve: Curve, secret: int) -> bytes:
    """The compressed public key (33 bytes) of a secret in 1..n-1."""
    if not 0 < secret < curve.n:
        raise OutOfRange("secret key outside its range")
    x, y = affine(curve, finished(base_multiple(curve, secret, 1)))
    return bytes((2 + (y & 1),)) + x.to_bytes(32, "big")


def decompress(curve: Curve, public: bytes) -> tuple[int, int]:
    """(x, y) of a compressed key; OutOfRange if it is no point of the curve."""
    return finished(decompressing(curve, public))  # type: ignore[no-any-return]


def _table(curve: Curve, public: bytes):  # type: ignore[no-untyped-def]
    """The comb table of a public key, made if it is not kept (rule 6)."""
    key = (curve.name, bytes(public))
    if key not in _tables:
        x, y = yield from decompressing(curve, key[1])
        made = yield from make_table(curve, x, y)
        if len(_tables) >= KEYS_KEPT:
            _tables.clear()
        _tables[key] = made
    return _tables[key]


def verifying(curve: Curve, public: bytes, digest: bytes, signature: bytes):  # type: ignore[no-untyped-def]
    """Whether r || s (64 bytes, low s only) is the key's (33 bytes) signature of a digest (32 bytes), in slices."""
    n = curve.n
    p = curve.p
    if len(signature) != 64 or len(digest) != 32:
        return False
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not 0 < r < n or not 0 < s <= n >> 1:
        return False
    try:
        table = yield from _table(curve, public)
    except OutOfRange:
        return False
    w = invert(s, n)
    yield INVERSION_KIB
    u = int.from_bytes(digest, "big") * w % n
    x, _, zz, _ = yield from sum_of_multiples(curve, r * w % n, table, u)
    if not zz:
        return False
    return x == r * zz % p or (r + n < p and x == (r + n) * zz % p)


def verify(curve: Curve, public: bytes, digest: bytes, signature: bytes) -> bool:
    """What `verifying` returns. Never raises."""
    return finished(verifying(curve, public, digest, signature))  # type: ignore[no-any-return]
