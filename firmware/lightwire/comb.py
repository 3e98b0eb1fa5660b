"""Multiplication by combs: of the base point in constant steps, and of a few known points for verification.

1. A signed all-bits-set comb (Hedabou, Pinel, Beneteau 2005; Hamburg 2012): an odd k is a sum of +-2^i, so that every column
   adds one table entry per block, whatever k is. The base point has 8 teeth and 2 blocks, 256 points in 16 KiB: 15
   doublings and 31 additions, no branch on secret bits.
2. A public key has TEETH teeth and BLOCKS blocks, 64 points in 4 KiB, made when it is first met. Both combs of a
   verification share their doublings.
3. Everything here is a generator: it yields where others may work, about every half a million instructions of a
   Cortex-M3, and returns its result.
"""

from .curve import Curve, inverting

_COLUMNS = 16  # of the base point's comb: 8 teeth x 2 blocks x 16
TEETH, BLOCKS, COLUMNS = 6, 2, 22
POINT_BYTES = 64


def base_multiple(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """k*G for odd k in 1..n-1, Jacobian; z0 randomises the representation (1 for none)."""
    table = curve.comb()
    add = curve.add
    double = curve.double
    p = curve.p
    number = int.from_bytes
    bits = ((k >> 1) | (1 << 255)).to_bytes(32, "little")
    x = y = z = 0
    for column in range(_COLUMNS - 1, -1, -1):
        if z:
            x, y, z = double(x, y, z)
        for at in (column, column + 16):
            entry, sign = _base_entry(bits, at)
            px = number(table[entry : entry + 32], "big")
            py = number(table[entry + 32 : entry + 64], "big")
            py = (p - py, py)[sign]
            if z:
                x, y, z = add(x, y, z, px, py)
            else:
                t = z0 * z0 % p
                x, y, z = px * t % p, py * (t * z0 % p) % p, z0
        yield
    return x, y, z


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
    """The comb table of a public point (4,096 bytes), as x || y of each entry: first block 0, then block 1."""
    table = bytearray(BLOCKS * POINT_BYTES << TEETH - 1)  # first: what comes later leaves no piece so large
    chain = []  # of each bit that a tooth starts at: the point times 2^bit, and twice that
    point = x, y, 1
    for position in range(TEETH * BLOCKS):
        for k in range(COLUMNS if position else 0):
            point = curve.double(*point)
            if k & 3 == 3:
                yield
        chain.append(_packed(point))
        chain.append(_packed(curve.double(*point)))
        yield
    ends = yield from _all_affine(curve, chain)
    at = 0
    for block in range(BLOCKS):
        ones = [ends[2 * (tooth * BLOCKS + block)] for tooth in range(TEETH)]
        twos = [ends[2 * (tooth * BLOCKS + block) + 1] for tooth in range(TEETH)]
        least = ones[-1][0], ones[-1][1], 1
        for px, py in ones[:-1]:
            least = curve.add(*least, px, curve.p - py)
            yield
        entries = [_packed(least)]
        for px, py in twos[:-1]:
            for entry in list(entries):
                entries.append(_packed(curve.add(*_unpacked(entry), px, py)))
                if len(entries) & 1:
                    yield
        found = yield from _all_affine(curve, entries)
        for px, py in found:
            table[at : at + POINT_BYTES] = px.to_bytes(32, "big") + py.to_bytes(32, "big")
            at += POINT_BYTES
        yield
    return table


def _packed(point: tuple[int, int, int]) -> bytes:
    """x || y || z: what waits long takes a third of the room so."""
    return b"".join([part.to_bytes(32, "big") for part in point])


def _unpacked(point: bytes) -> tuple[int, int, int]:
    number = int.from_bytes
    return number(point[:32], "big"), number(point[32:64], "big"), number(point[64:], "big")


def _all_affine(curve: Curve, points):  # type: ignore[no-untyped-def]
    """The affine points of packed ones, by one inversion for all (Montgomery's trick)."""
    p = curve.p
    product = 1
    before = []
    for point in points:
        before.append(product.to_bytes(32, "big"))
        product = product * int.from_bytes(point[64:], "big") % p
    yield
    rest = yield from inverting(product, p)
    yield
    found = []
    for k in range(len(points) - 1, -1, -1):
        x, y, z = _unpacked(points[k])
        zi = rest * int.from_bytes(before[k], "big") % p
        rest = rest * z % p
        z2 = zi * zi % p
        found.append((x * z2 % p, y * (z2 * zi % p) % p))
        if k & 3 == 0:
            yield
    found.reverse()
    return found


def sum_of_multiples(curve: Curve, k: int, table: bytearray, u: int):  # type: ignore[no-untyped-def]
    """k*Q + u*G, Jacobian; Q by its table, k in 1..n-1, u in 0..n-1. Public values only: it branches."""
    x = y = z = 0
    p = curve.p
    add = curve.add
    number = int.from_bytes
    base = curve.comb()
    k_sign, k = (1, k) if k & 1 else (0, curve.n - k)
    u_sign, u_odd = (1, u) if u & 1 else (0, curve.n - u)
    bits = ((u_odd >> 1) | (1 << 255)).to_bytes(32, "little")
    k = k >> 1 | 1 << TEETH * BLOCKS * COLUMNS - 1
    for column in range(COLUMNS - 1, -1, -1):
        x, y, z = curve.double(x, y, z)
        for block in range(BLOCKS):
            entry, sign = _point_entry(k, block, column)
            py = number(table[entry + 32 : entry + 64], "big")
            x, y, z = add(x, y, z, number(table[entry : entry + 32], "big"), py if sign == k_sign else p - py)
        yield
        if u and column < _COLUMNS:
            for at in (column, column + 16):
                entry, sign = _base_entry(bits, at)
                py = number(base[entry + 32 : entry + 64], "big")
                x, y, z = add(x, y, z, number(base[entry : entry + 32], "big"), py if sign == u_sign else p - py)
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
