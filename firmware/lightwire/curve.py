"""The two curves, secp256k1 and P-256: points in XYZZ coordinates, the field's arithmetic.

1. A point (x, y, zz, zzz) is (x / zz, y / zzz) with zz^3 = zzz^2 (Sutherland 2008); zz = 0 is infinity. An addition costs ten
   products and nine reductions, one less of each than in Jacobian coordinates.
2. Formulas are complete where a caller needs it: P + P, P - P and infinity are answered rightly and never raise.
3. The formulas of secp256k1, whose a is 0, are in its own module.
"""

from . import secp256k1
from .errors import OutOfRange
from .inversion import invert

_Q = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF


class Curve:
    """A short Weierstrass curve y^2 = x^3 + ax + b over p with base point g of prime order n; a is 0 or -3.

    double(x, y, zz, zzz) and add(x, y, zz, zzz, x2, y2) are its formulas: (x2, y2) is affine.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self, name: str, p: int, n: int, a: int, b: int, g: tuple[int, int], halved: bool, double, add
    ) -> None:
        """halved: it has an endomorphism, and its scalars are taken in halves."""
        self.name = name
        self.p = p
        self.n = n
        self.a = a
        self.b = b
        self.g = g
        self.halved = halved
        self.double = double
        self.add = add
        self.table: bytes | bytearray = b""  # of the base point's comb, once it is needed

    def digits(self, k: int, bits: int) -> tuple[int, tuple[int, ...]]:
        """(turn, digits of one or two parts) of a scalar in 1..n-1: `turned` by turn, the sum of the parts' multiples is k's.

        A part is the sum of 2^i or -2^i, + where bit i of its digits is set, i < bits; the second is of the secp256k1.
        """
        if self.halved:
            return secp256k1.halves(k, bits)
        even = 1 - (k & 1)
        return even, ((k, self.n - k)[even] >> 1 | 1 << bits - 1,)

    def turned(self, point, turn: int):  # type: ignore[no-untyped-def]
        """What the sum of the parts' multiples, a point of any form, stands for."""
        if self.halved:
            return (point[0] * secp256k1.BETAS[turn] % self.p,) + point[1:]
        y = point[1]
        return (point[0], (y, self.p - y)[turn]) + point[2:]


def _double(x: int, y: int, zz: int, zzz: int) -> tuple[int, int, int, int]:
    p = _Q
    t = y + y
    v = t * t % p
    w = t * v % p
    s = x * v % p
    m = (x - zz) * (x + zz) * 3 % p
    x = (m * m - s - s) % p
    return x, (m * (s - x) - w * y) % p, v * zz % p, w * zzz % p


def _add(x: int, y: int, zz: int, zzz: int, x2: int, y2: int) -> tuple[int, int, int, int]:
    if not zz:
        return x2, y2, 1, 1
    p = _Q
    h = x2 * zz % p - x
    r = y2 * zzz % p - y
    if not h:
        return (1, 1, 0, 0) if r else _double(x, y, zz, zzz)
    hh = h * h % p
    h = h * hh % p
    x = x * hh % p
    t = (r * r - (x + x + h)) % p
    return t, (r * (x - t) - y * h) % p, zz * hh % p, zzz * h % p


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
    True,
    secp256k1.double,
    secp256k1.add,
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
    False,
    _double,
    _add,
)


def finished(steps):  # type: ignore[no-untyped-def]
    """The result of a generator, run to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def affine(curve: Curve, point: tuple[int, int, int, int]) -> tuple[int, int]:
    """(x, y) of a point other than infinity."""
    x, y, zz, zzz = point
    p = curve.p
    i = invert(zzz, p)
    zi = zz * i % p
    return x * (zi * zi % p) % p, y * i % p


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
        yield 2
    if x >= p or y * y % p != square:
        raise OutOfRange("the public key is no point of " + curve.name)
    return x, (y if y & 1 == public[0] & 1 else p - y)
