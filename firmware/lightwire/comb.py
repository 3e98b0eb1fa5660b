"""Multiplication by combs: of the base point in constant steps, and of a few known points for verification.

1. A signed all-bits-set comb (Hedabou, Pinel, Beneteau 2005; Hamburg 2012): an odd k is a sum of +-2^i, so that every column
   adds one table entry per block, whatever k is; no branch on secret bits. The base point of secp256k1 has 8 teeth, 2 blocks
   and 16 columns, 256 points in 16 KiB: 15 doublings and 31 additions. That of P-256 has the shape of rule 2.
2. A public key has TEETH teeth and BLOCKS blocks, 64 points in 4 KiB, made when it is first met, in little more memory than
   it takes. Both combs of a verification share their doublings.
3. Everything here is a generator: it yields where others may work, at least every half a million instructions of a
   Cortex-M3, and returns its result.
"""

from .curve import Curve
from .inversion import inverting

TEETH, BLOCKS, COLUMNS = 6, 2, 22
POINT_BYTES = 64
_ENTRIES = BLOCKS << TEETH - 1


def base_multiple(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """k*G for odd k in 1..n-1, Jacobian; z0 randomises the representation (1 for none)."""
    p = curve.p
    add = curve.add
    double = curve.double
    digits = _digits(curve, k)
    x = y = z = 0
    for column in range(curve.columns - 1, -1, -1):
        if z:
            x, y, z = double(x, y, z)
        for block in (0, 1):
            px, py = _base_point(curve, digits, block, column)
            if z:
                x, y, z = add(x, y, z, px, py)
            else:
                t = z0 * z0 % p
                x, y, z = px * t % p, py * (t * z0 % p) % p, z0
        yield
    return x, y, z


def _digits(curve: Curve, k: int):  # type: ignore[no-untyped-def]
    """The signs of odd k's digits, as the comb of the base point wants them."""
    if curve.columns == COLUMNS:
        return k >> 1 | 1 << TEETH * BLOCKS * COLUMNS - 1
    return (k >> 1 | 1 << 255).to_bytes(32, "little")


def _base_point(curve: Curve, digits, block: int, column: int) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """(x, y) of the entry for a column and block, its sign applied."""
    if curve.columns == COLUMNS:
        entry, sign = _point_entry(digits, block, column)
    else:
        entry, sign = _base_entry(digits, block << 4 | column)
    table = curve.comb()
    y = int.from_bytes(table[entry + 32 : entry + 64], "big")
    return int.from_bytes(table[entry : entry + 32], "big"), (curve.p - y, y)[sign]


def _base_entry(bits: bytes, at: int) -> tuple[int, int]:
    """(where the entry stands in the table, 1 for plus or 0 for minus) for the column and block of bit `at`."""
    byte = at >> 3
    bit = at & 7
    sign = bits[28 + byte] >> bit & 1
    teeth = (
        (bits[24 + byte] >> bit & 1) << 6
        | (bits[20 + byte] >> bit & 1) << 5
        | (bits[16 + byte] >> bit & 1) << 4
        | (bits[12 + byte] >> bit & 1) << 3
        | (bits[8 + byte] >> bit & 1) << 2
        | (bits[4 + byte] >> bit & 1) << 1
        | (bits[byte] >> bit & 1)
    )
    return ((at & 16) << 3 | teeth ^ (sign - 1 & 127)) << 6, sign


def make_table(curve: Curve, x: int, y: int):  # type: ignore[no-untyped-def]
    """The comb table of a public point (4,096 bytes), as x || y of each entry: first block 0, then block 1.

    Memory: 5 KB besides, given back at the end.
    """
    table = bytearray(_ENTRIES * POINT_BYTES)  # first: what comes later leaves no piece so large
    depths = bytearray(_ENTRIES * 32)
    ends = yield from _ends(curve, x, y)
    for block in range(BLOCKS):
        first = block << TEETH - 1
        x, y = _affine_at(ends, 2 * ((TEETH - 1) * BLOCKS + block))
        z = 1
        for tooth in range(TEETH - 1):
            px, py = _affine_at(ends, 2 * (tooth * BLOCKS + block))
            x, y, z = curve.add(x, y, z, px, curve.p - py)
            yield
        _put(table, depths, first, x, y, z)
        for tooth in range(TEETH - 1):
            px, py = _affine_at(ends, 2 * (tooth * BLOCKS + block) + 1)
            for at in range(first, first + (1 << tooth)):
                x, y = _affine_at(table, at)
                x, y, z = curve.add(x, y, int.from_bytes(depths[32 * at : 32 * at + 32], "big"), px, py)
                _put(table, depths, at + (1 << tooth), x, y, z)
                if at & 1:
                    yield
    yield from _flatten(curve, table, depths)
    return table


def _ends(curve: Curve, x: int, y: int):  # type: ignore[no-untyped-def]
    """Affine points: of each bit that a tooth starts at, the point times 2^bit, and twice that."""
    count = TEETH * BLOCKS
    ends = bytearray(2 * count * POINT_BYTES)
    depths = bytearray(2 * count * 32)
    z = 1
    for position in range(count):
        for k in range(COLUMNS if position else 0):
            x, y, z = curve.double(x, y, z)
            if k & 3 == 3:
                yield
        _put(ends, depths, 2 * position, x, y, z)
        _put(ends, depths, 2 * position + 1, *curve.double(x, y, z))
        yield
    yield from _flatten(curve, ends, depths)
    return ends


def _put(points: bytearray, depths: bytearray, at: int, x: int, y: int, z: int) -> None:
    points[64 * at : 64 * at + 32] = x.to_bytes(32, "big")
    points[64 * at + 32 : 64 * at + 64] = y.to_bytes(32, "big")
    depths[32 * at : 32 * at + 32] = z.to_bytes(32, "big")


def _affine_at(points: bytearray, at: int) -> tuple[int, int]:
    at *= 64
    return int.from_bytes(points[at : at + 32], "big"), int.from_bytes(points[at + 32 : at + 64], "big")


def _flatten(curve: Curve, points: bytearray, depths: bytearray):  # type: ignore[no-untyped-def]
    """Jacobian points (x || y, and z apart) become affine in their place, by one inversion for all (Montgomery's trick)."""
    p = curve.p
    product = 1
    before = bytearray(len(depths))
    for at in range(0, len(depths), 32):
        before[at : at + 32] = product.to_bytes(32, "big")
        product = product * int.from_bytes(depths[at : at + 32], "big") % p
        if at & 0x1E0 == 0x1E0:
            yield
    rest = yield from inverting(product, p)
    yield
    for at in range(len(depths) - 32, -1, -32):
        zi = rest * int.from_bytes(before[at : at + 32], "big") % p
        rest = rest * int.from_bytes(depths[at : at + 32], "big") % p
        z2 = zi * zi % p
        x, y = _affine_at(points, at >> 5)
        points[2 * at : 2 * at + 32] = (x * z2 % p).to_bytes(32, "big")
        points[2 * at + 32 : 2 * at + 64] = (y * (z2 * zi % p) % p).to_bytes(32, "big")
        if at & 0x60 == 0:
            yield


def sum_of_multiples(curve: Curve, k: int, table: bytearray, u: int):  # type: ignore[no-untyped-def]
    """k*Q + u*G, Jacobian; Q by its table, k in 1..n-1, u in 0..n-1. Public values only: it branches."""
    x = y = z = 0
    p = curve.p
    k_sign, k = (1, k) if k & 1 else (0, curve.n - k)
    u_sign, u_odd = (1, u) if u & 1 else (0, curve.n - u)
    digits = _digits(curve, u_odd)
    k = k >> 1 | 1 << TEETH * BLOCKS * COLUMNS - 1
    for column in range(COLUMNS - 1, -1, -1):
        x, y, z = curve.double(x, y, z)
        for block in range(BLOCKS):
            entry, sign = _point_entry(k, block, column)
            px, py = _affine_at(table, entry >> 6)
            x, y, z = curve.add(x, y, z, px, py if sign == k_sign else p - py)
            yield
        if u and column < curve.columns:
            for block in range(BLOCKS):
                px, py = _base_point(curve, digits, block, column)
                x, y, z = curve.add(x, y, z, px, py if u_sign else p - py)
            yield
    return x, y, z


def _point_entry(bits: int, block: int, column: int) -> tuple[int, int]:
    at = block * COLUMNS + column
    teeth = 0
    for tooth in range(TEETH - 1, -1, -1):
        teeth = teeth << 1 | (bits >> tooth * BLOCKS * COLUMNS + at & 1)
    low = (1 << TEETH - 1) - 1
    sign = teeth >> TEETH - 1
    return (block * (low + 1) + (teeth & low ^ (sign - 1 & low))) * POINT_BYTES, sign
