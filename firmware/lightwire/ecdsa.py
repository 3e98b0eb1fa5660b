"""Deterministic, blinded ECDSA on secp256k1 and P-256 in portable Python: one code for both curves.

1. Nonces are RFC 6979 (HMAC-SHA-256), s is the low one, so a digest has one signature under a key.
2. k*G is a signed all-bits-set comb of 8 teeth and 2 blocks over a table of 256 points (16 KiB): 15 doublings and 31
   additions for every k, no branch on secret bits (Hedabou, Pinel, Beneteau 2005; Hamburg 2012).
3. With a random source the projective point, both inversions and s are blinded; the signature does not change.
4. Inversion is Euclid's by divmod, 12 times faster than Fermat's on a microcontroller and blinded where its operand
   is secret. `pow(a, -1, m)` is not used: MicroPython returns 0.
5. Addition is complete: a signature can be made for which the comb meets P + P, and `verify` never raises.
"""

import hashlib

from .errors import OutOfRange


class Curve:
    """A short Weierstrass curve y^2 = x^3 + ax + b over p with base point g of prime order n."""

    def __init__(self, name: str, p: int, n: int, a: int, b: int, g: tuple[int, int]) -> None:
        self.name = name
        self.p = p
        self.n = n
        self.a = a
        self.b = b
        self.g = g
        self._comb = b""

    def comb(self) -> bytes:
        """The comb table (16,384 bytes), read once and kept in RAM."""
        if not self._comb:
            if self.name == "secp256k1":
                from .comb_secp256k1 import TABLE
            else:
                from .comb_p256 import TABLE
            self._comb = TABLE
        return self._comb


SECP256K1 = Curve(
    "secp256k1",
    2**256 - 2**32 - 977,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    0,
    7,
    (
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
)
P256 = Curve(
    "p256",
    0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)


def invert(value: int, modulus: int) -> int:
    """The inverse modulo a prime, by Euclid with unsigned cofactors; value in 1..modulus-1."""
    u, v = 0, 1
    r, s = modulus, value
    while True:
        q, r = divmod(r, s)
        if not r:
            return v
        u += q * v
        q, s = divmod(s, r)
        if not s:
            return modulus - u
        v += q * u


def double(curve: Curve, x: int, y: int, z: int) -> tuple[int, int, int]:
    """2P in Jacobian coordinates."""
    p = curve.p
    yy = y * y % p
    s = 4 * x * yy % p
    if curve.a:
        zz = z * z % p
        m = 3 * (x - zz) * (x + zz) % p
    else:
        m = 3 * x * x % p
    x3 = (m * m - 2 * s) % p
    return x3, (m * (s - x3) - 8 * yy * yy) % p, 2 * y * z % p


def add(curve: Curve, x: int, y: int, z: int, x2: int, y2: int) -> tuple[int, int, int]:
    """P + Q for any Jacobian P (z = 0 is infinity) and affine Q, also if P is Q or -Q.

    A random secret meets neither special case (odds below 2^-240), so these branches tell nothing about it.
    """
    if not z:
        return x2, y2, 1
    p = curve.p
    zz = z * z % p
    h = (x2 * zz - x) % p
    r = (y2 * (z * zz % p) - y) % p
    if not h:
        return (1, 1, 0) if r else double(curve, x, y, z)
    hh = h * h % p
    v = x * hh % p
    hhh = h * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - y * hhh) % p, z * h % p


def _multiply_base(curve: Curve, k: int, z0: int) -> tuple[int, int, int]:
    """k*G for odd k in 1..n-1, Jacobian; z0 randomises the representation (1 for none)."""
    table = curve.comb()
    p = curve.p
    number = int.from_bytes
    bits = ((k >> 1) | (1 << 255)).to_bytes(32, "little")
    x = y = z = 0
    for column in range(15, -1, -1):
        if z:
            x, y, z = double(curve, x, y, z)
        for block in (0, 1):
            at = (block << 4) + column
            byte, bit = at >> 3, at & 7
            teeth = 0
            for tooth in range(28, -1, -4):
                teeth = teeth << 1 | (bits[tooth + byte] >> bit & 1)
            sign = teeth >> 7
            entry = (block << 7 | ((teeth & 127) ^ (sign - 1 & 127))) << 6
            px = number(table[entry : entry + 32], "big")
            py = number(table[entry + 32 : entry + 64], "big")
            py = (p - py, py)[sign]
            if z:
                x, y, z = add(curve, x, y, z, px, py)
            else:
                t = z0 * z0 % p
                x, y, z = px * t % p, py * (t * z0 % p) % p, z0
    return x, y, z


def _hmac(key: bytes, *parts: bytes) -> bytes:
    inner = hashlib.sha256(bytes([b ^ 0x36 for b in key]) + b"\x36" * 32)
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(bytes([b ^ 0x5C for b in key]) + b"\x5c" * 32)
    outer.update(inner.digest())
    return outer.digest()


def _nonce(curve: Curve, secret: int, z: int) -> int:
    """RFC 6979, section 3.2, for SHA-256 and a 256-bit order."""
    x = secret.to_bytes(32, "big")
    h = (z % curve.n).to_bytes(32, "big")
    v = b"\x01" * 32
    k = b"\x00" * 32
    for mark in (b"\x00", b"\x01"):
        k = _hmac(k, v, mark, x, h)
        v = _hmac(k, v)
    while True:
        v = _hmac(k, v)
        found = int.from_bytes(v, "big")
        if 0 < found < curve.n:
            return found
        k = _hmac(k, v, b"\x00")
        v = _hmac(k, v)


def _scalar(random, limit: int) -> int:  # type: ignore[no-untyped-def]
    """A random number in 1..limit-1, or 1 without a random source (no blinding)."""
    if random is None:
        return 1
    return int.from_bytes(random(32), "big") % (limit - 1) + 1


def _affine(curve: Curve, point: tuple[int, int, int], blind: int) -> tuple[int, int]:
    x, y, z = point
    p = curve.p
    zi = invert(z * blind % p, p) * blind % p
    z2 = zi * zi % p
    return x * z2 % p, y * (z2 * zi % p) % p


def sign(curve: Curve, secret: int, digest: bytes, random=None) -> tuple[bytes, int]:  # type: ignore[no-untyped-def]
    """(r || s: 64 bytes with low s, recovery id 0..3) of a digest (32 bytes).

    random: callable(count) -> bytes for blinding, or None. Without it the result is the same, the timing may leak.
    """
    if not 0 < secret < curve.n or len(digest) != 32:
        raise OutOfRange("secret key or digest outside its range")
    n = curve.n
    z = int.from_bytes(digest, "big")
    k = _nonce(curve, secret, z)
    even = 1 - (k & 1)
    point = _multiply_base(curve, (k, n - k)[even], _scalar(random, curve.p))
    x, y = _affine(curve, point, _scalar(random, curve.p))
    r = x % n
    b = _scalar(random, n)
    s = invert(k * b % n, n) * ((b * z + (b * secret % n) * r) % n) % n
    recovery = ((y & 1) ^ even) | (2 if x >= n else 0)
    if s > n >> 1:
        s = n - s
        recovery ^= 1
    return r.to_bytes(32, "big") + s.to_bytes(32, "big"), recovery


def public_key(curve: Curve, secret: int) -> bytes:
    """The compressed public key (33 bytes) of a secret in 1..n-1."""
    if not 0 < secret < curve.n:
        raise OutOfRange("secret key outside its range")
    even = 1 - (secret & 1)
    x, y = _affine(curve, _multiply_base(curve, (secret, curve.n - secret)[even], 1), 1)
    return bytes((2 + ((y & 1) ^ even),)) + x.to_bytes(32, "big")


def decompress(curve: Curve, public: bytes) -> tuple[int, int]:
    """(x, y) of a compressed key; OutOfRange if it is no point of the curve."""
    p = curve.p
    if len(public) != 33 or public[0] not in (2, 3):
        raise OutOfRange("a public key has 33 bytes and starts with 02 or 03")
    x = int.from_bytes(public[1:], "big")
    square = (x * x % p * x + curve.a * x + curve.b) % p
    y = pow(square, (p + 1) >> 2, p)
    if x >= p or y * y % p != square:
        raise OutOfRange("the public key is no point of " + curve.name)
    return x, (y if y & 1 == public[0] & 1 else p - y)


_known: dict[tuple[str, bytes], list[tuple[int, int]]] = {}
_KNOWN_MAX = 8


def _odd_multiples(curve: Curve, public: bytes) -> list[tuple[int, int]]:
    """[Q, 3Q, ... 15Q] affine, kept for the few keys a device meets."""
    public = bytes(public)
    key = (curve.name, public)
    if key not in _known:
        x, y = decompress(curve, public)
        x2, y2 = _affine(curve, double(curve, x, y, 1), 1)
        points = [(x, y)]
        jacobian = (x, y, 1)
        for _ in range(7):
            jacobian = add(curve, jacobian[0], jacobian[1], jacobian[2], x2, y2)
            points.append(_affine(curve, jacobian, 1))
        if len(_known) >= _KNOWN_MAX:
            _known.clear()
        _known[key] = points
    return _known[key]


def _multiply(curve: Curve, k: int, points: list[tuple[int, int]]) -> tuple[int, int, int]:
    """k*Q from Q's odd multiples, by a sliding window of 5 signed bits. Public values only: it branches."""
    digits = []
    while k:
        digit = 0
        if k & 1:
            digit = k & 31
            if digit > 15:
                digit -= 32
            k -= digit
        digits.append(digit)
        k >>= 1
    x, y, z = 1, 1, 0
    for digit in reversed(digits):
        if z:
            x, y, z = double(curve, x, y, z)
        if digit > 0:
            x, y, z = add(curve, x, y, z, points[digit >> 1][0], points[digit >> 1][1])
        elif digit:
            x, y, z = add(curve, x, y, z, points[-digit >> 1][0], curve.p - points[-digit >> 1][1])
    return x, y, z


def verify(curve: Curve, public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether r || s (64 bytes, low s only) is the key's (33 bytes) signature of a digest (32 bytes). Never raises."""
    n = curve.n
    if len(signature) != 64 or len(digest) != 32:
        return False
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not 0 < r < n or not 0 < s <= n >> 1:
        return False
    try:
        points = _odd_multiples(curve, public)
    except OutOfRange:
        return False
    w = invert(s, n)
    u1 = int.from_bytes(digest, "big") * w % n
    x, y, z = _multiply(curve, r * w % n, points)
    if u1:
        even = 1 - (u1 & 1)
        bx, by = _affine(curve, _multiply_base(curve, (u1, n - u1)[even], 1), 1)
        x, y, z = add(curve, x, y, z, bx, curve.p - by if even else by)
    if not z:
        return False
    px, _ = _affine(curve, (x, y, z), 1)
    return px % n == r
