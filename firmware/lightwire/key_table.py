"""The comb table of a public key, 64 points in 4 KiB, made when the key is first met.

1. The ends of the teeth come from one chain of doublings, in Jacobian coordinates, which double cheapest.
2. From tooth to tooth every entry gives another one by an affine addition, and one inversion serves them all (Montgomery's
   trick). An entry and what is added are never the same point or opposite ones: they are different small multiples.
3. Memory: 3 KB beside the table, given back at the end.
"""

from .curve import Curve
from .inversion import INVERSION_KIB, invert

TEETH, BLOCKS = 6, 2
POINT_BYTES = 64
_ENTRIES = BLOCKS << TEETH - 1


def columns(curve: Curve) -> int:
    """Of a public key's comb."""
    return 11 if curve.halved else 22


def make_table(curve: Curve, x: int, y: int):  # type: ignore[no-untyped-def]
    """The comb table of a public point (4,096 bytes), as x || y of each entry: first block 0, then block 1."""
    table = bytearray(_ENTRIES * POINT_BYTES)  # first: what comes later leaves no piece so large
    ends = yield from _ends(curve, x, y)
    for block in (0, 1):
        _put(table, block << TEETH - 1, *_at(ends, 2 * ((TEETH - 1) * BLOCKS + block)))
    for tooth in range(TEETH - 1):  # the entry without a plus: the last tooth less all others
        steps = []
        for block in (0, 1):
            x, y = _at(ends, 2 * (tooth * BLOCKS + block))
            steps.append((block << TEETH - 1, block << TEETH - 1, x, curve.p - y))
        yield from _add_all(curve, table, steps)
    for tooth in range(TEETH - 1):
        steps = []
        for block in (0, 1):
            x, y = _at(ends, 2 * (tooth * BLOCKS + block) + 1)
            first = block << TEETH - 1
            steps += [(at, at + (1 << tooth), x, y) for at in range(first, first + (1 << tooth))]
        yield from _add_all(curve, table, steps)
    return table


def _add_all(curve: Curve, table: bytearray, steps):  # type: ignore[no-untyped-def]
    """For each (from, to, x, y): entry `to` becomes entry `from` and (x, y)."""
    p = curve.p
    product = 1
    before = bytearray(len(steps) * 32)
    for k, (source, _, x, _) in enumerate(steps):
        before[32 * k : 32 * k + 32] = product.to_bytes(32, "big")
        product = product * (x - _at(table, source)[0]) % p
        if k & 7 == 7:
            yield
    yield
    rest = invert(product, p)
    yield INVERSION_KIB
    for k in range(len(steps) - 1, -1, -1):
        source, to, x2, y2 = steps[k]
        x, y = _at(table, source)
        slope = (y2 - y) * (rest * int.from_bytes(before[32 * k : 32 * k + 32], "big") % p) % p
        rest = rest * (x2 - x) % p
        x2 = (slope * slope - x - x2) % p
        _put(table, to, x2, (slope * (x - x2) - y) % p)
        if k & 1 == 0:
            yield


def _ends(curve: Curve, x: int, y: int):  # type: ignore[no-untyped-def]
    """Affine points: of each bit that a tooth starts at, the point times 2^bit, and twice that."""
    count = TEETH * BLOCKS
    ends = bytearray(2 * count * POINT_BYTES)
    depths = bytearray(2 * count * 32)
    z = 1
    for position in range(count):
        for k in range(columns(curve) if position else 0):
            x, y, z = _double(curve, x, y, z)
            if k & 3 == 3:
                yield
        for at, (px, py, pz) in ((2 * position, (x, y, z)), (2 * position + 1, _double(curve, x, y, z))):
            _put(ends, at, px, py)
            depths[32 * at : 32 * at + 32] = pz.to_bytes(32, "big")
        yield
    yield from _flatten(curve, ends, depths)
    return ends


def _double(curve: Curve, x: int, y: int, z: int) -> tuple[int, int, int]:
    """Twice a Jacobian point (x / z^2, y / z^3)."""
    p = curve.p
    yy = y * y % p
    s = (x * yy << 2) % p
    if curve.a:
        zz = z * z % p
        m = (x - zz) * (x + zz) * 3 % p
    else:
        m = x * x * 3 % p
    x = (m * m - s - s) % p
    return x, (m * (s - x) - (yy * yy << 3)) % p, (y * z << 1) % p


def _put(points: bytearray, at: int, x: int, y: int) -> None:
    points[64 * at : 64 * at + 32] = x.to_bytes(32, "big")
    points[64 * at + 32 : 64 * at + 64] = y.to_bytes(32, "big")


def _at(points: bytearray, at: int) -> tuple[int, int]:
    at *= 64
    return int.from_bytes(points[at : at + 32], "big"), int.from_bytes(points[at + 32 : at + 64], "big")


def _flatten(curve: Curve, points: bytearray, depths: bytearray):  # type: ignore[no-untyped-def]
    """Jacobian points (x || y, and z apart) become affine in their place, by one inversion for all."""
    p = curve.p
    product = 1
    before = bytearray(len(depths))
    for at in range(0, len(depths), 32):
        before[at : at + 32] = product.to_bytes(32, "big")
        product = product * int.from_bytes(depths[at : at + 32], "big") % p
        if at & 0x1E0 == 0x1E0:
            yield
    yield
    rest = invert(product, p)
    yield INVERSION_KIB
    for at in range(len(depths) - 32, -1, -32):
        zi = rest * int.from_bytes(before[at : at + 32], "big") % p
        rest = rest * int.from_bytes(depths[at : at + 32], "big") % p
        z2 = zi * zi % p
        x, y = _at(points, at >> 5)
        _put(points, at >> 5, x * z2 % p, y * (z2 * zi % p) % p)
        if at & 0x60 == 0:
            yield
