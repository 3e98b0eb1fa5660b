"""The two curves, secp256k1 and P-256: points in Jacobian coordinates, the field's arithmetic.

1. Formulas are complete where a caller needs it: P + P, P - P and infinity are answered rightly and never raise.
2. Both curves reduce by `%`. For secp256k1 folding (2^256 = 2^32 + 977 mod p) is quicker in itself, but makes three times
   the garbage: with its collection, and the search for free memory, it is slower on a device.
"""

from .errors import OutOfRange
from .inversion import inverting

_P = 2**256 - 2**32 - 977
_Q = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


class Curve:
    """A short Weierstrass curve y^2 = x^3 + ax + b over p with base point g of prime order n.

    double(x, y, z) and add(x, y, z, x2, y2) are its formulas: Jacobian points, z = 0 is infinity, (x2, y2) is affine.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self, name: str, p: int, n: int, a: int, b: int, g: tuple[int, int], columns: int, double, add
    ) -> None:
        """columns: of the base point's comb, see comb.py."""
        self.name = name
        self.p = p
        self.n = n
        self.a = a
        self.b = b
        self.g = g
        self.columns = columns
        self.double = double
        self.add = add
        self._comb = b""

    def comb(self) -> bytes:
        """The base point's comb table (16,384 bytes, of P-256 4,096), read once and kept."""
        if not self._comb:
            if self.name == "secp256k1":
                from .comb_secp256k1 import TABLE
            else:
                from .comb_p256 import TABLE
            self._comb = TABLE
        return self._comb


def _double_k1(x: int, y: int, z: int) -> tuple[int, int, int]:
    p = _P
    yy = y * y % p
    s = (x * yy << 2) % p
    m = x * x * 3 % p
    x3 = (m * m - (s + s)) % p
    return x3, (m * (s - x3) - (yy * yy << 3)) % p, (y * z << 1) % p


def _add_k1(x: int, y: int, z: int, x2: int, y2: int) -> tuple[int, int, int]:
    if not z:
        return x2, y2, 1
    p = _P
    zz = z * z % p
    h = (x2 * zz - x) % p
    r = (y2 * (z * zz % p) - y) % p
    if not h:
        return (1, 1, 0) if r else _double_k1(x, y, z)
    hh = h * h % p
    v = x * hh % p
    hhh = h * hh % p
    x3 = (r * r - (hhh + v + v)) % p
    return x3, (r * (v - x3) - y * hhh) % p, z * h % p


def _double_p256(x: int, y: int, z: int) -> tuple[int, int, int]:
    p = _Q
    yy = y * y % p
    s = (x * yy << 2) % p
    zz = z * z % p
    m = (x - zz) * (x + zz) * 3 % p
    x3 = (m * m - s - s) % p
    return x3, (m * (s - x3) - (yy * yy << 3)) % p, (y * z << 1) % p


def _add_p256(x: int, y: int, z: int, x2: int, y2: int) -> tuple[int, int, int]:
    if not z:
        return x2, y2, 1
    p = _Q
    zz = z * z % p
    h = (x2 * zz - x) % p
    r = (y2 * (z * zz % p) - y) % p
    if not h:
        return (1, 1, 0) if r else _double_p256(x, y, z)
    hh = h * h % p
    v = x * hh % p
    hhh = h * hh % p
    x3 = (r * r - hhh - v - v) % p
    return x3, (r * (v - x3) - y * hhh) % p, z * h % p


SECP256K1 = Curve(
    "secp256k1",
    _P,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    0,
    7,
    (
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
    16,
    _double_k1,
    _add_k1,
)
P256 = Curve(
    "p256",
    _Q,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    22,
    _double_p256,
    _add_p256,
)


def affine(curve: Curve, point: tuple[int, int, int], blind: int = 1):  # type: ignore[no-untyped-def]
    """(x, y) of a Jacobian point other than infinity, in slices; blind: a random number in 1..p-1 for a secret point."""
    x, y, z = point
    p = curve.p
    zi = yield from inverting(z * blind % p, p)
    zi = zi * blind % p
    z2 = zi * zi % p
    return x * z2 % p, y * (z2 * zi % p) % p


def decompressing(curve: Curve, public: bytes):  # type: ignore[no-untyped-def]
    """(x, y) of a compressed key, in slices; OutOfRange if it is no point of the curve."""
    p = curve.p
    if len(public) != 33 or public[0] not in (2, 3):
        raise OutOfRange("a public key has 33 bytes and starts with 02 or 03")
    x = int.from_bytes(public[1:], "big")
    square = (x * x % p * x + curve.a * x + curve.b) % p
    y = 1
    powers = [1]
    for _ in range(15):
        powers.append(powers[-1] * square % p)
    yield
    for byte in ((p + 1) >> 2).to_bytes(32, "big"):
        for nibble in (byte >> 4, byte & 15):
            for _ in range(4):
                y = y * y % p
            y = y * powers[nibble] % p
        yield
    if x >= p or y * y % p != square:
        raise OutOfRange("the public key is no point of " + curve.name)
    return x, (y if y & 1 == public[0] & 1 else p - y)
