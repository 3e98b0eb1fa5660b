"""Multiplication by combs: of the base point in constant steps, and of a few known points for verification.

1. A signed all-bits-set comb (Hedabou, Pinel, Beneteau 2005; Hamburg 2012): an odd k is a sum of +-2^i, so that every column
   adds one table entry per block, whatever k is; no branch on secret bits. secp256k1's scalars come as two halves
   (secp256k1.py), which share a table of their length: what the second half adds in a column is turned.
2. The base point of secp256k1 has 8 teeth, 2 blocks and 8 columns, 256 points in 16 KiB: 7 doublings and, after
   16 sums of two entries (rule 3), 15 additions. That of P-256 is a public key's, made when it is first needed: a device
   needs it for its TLS key, once.
3. The two entries of a column are added in affine coordinates, with one inversion for all of them: six products each
   instead of ten. They are never the same point or opposite ones: one is an odd multiple of a lower power of two.
4. A public key has TEETH teeth and BLOCKS blocks, 64 points in 4 KiB, and 11 columns, P-256's 22. All combs of a
   verification share their doublings.
5. Everything here is a generator: it yields where others may work, at least every 0.7 million instructions of a Cortex-M3
   and hardly more often, since a yield costs 11,000 or more; it returns its result. It yields the garbage made since, in
   KiB; None is 8 or less.
"""

from .curve import Curve
from .inversion import INVERSION_KIB, invert
from .key_table import BLOCKS, TEETH, columns, make_table
from .secp256k1 import BETAS

_ENTRIES_KIB = 16  # of garbage: the points of all columns
_SUMS_KIB = 10  # eight sums
_ADDITIONS_KIB = 11  # two doublings and three additions
_PAIR_KIB = 9  # a doubling and two additions of points that were turned


def base_multiple(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """k*G for k in 1..n-1; z0 randomises the representation and blinds the inversion (1 for none)."""
    turn, point, last = yield from _all_but_last(curve, k, z0)
    return curve.turned(curve.add(*point, *last), turn)


def base_multiple_x(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """(x, zz) of k*G, for a signature: its last addition needs three products less. Arguments as of `base_multiple`."""
    turn, point, (x2, y2) = yield from _all_but_last(curve, k, z0)
    p = curve.p
    x, y, zz, zzz = point
    h = x2 * zz % p - x
    if h and zz:
        r = y2 * zzz % p - y
        t = h * h % p
        x = (r * r - x * t * 2 - h * t) % p
        zz = zz * t % p
    else:
        x, _, zz, _ = curve.add(*point, x2, y2)
    return curve.turned((x, 1), turn)[0], zz


def _all_but_last(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """(turn, point, (x, y)): k*G is the sum of the two points, turned."""
    p = curve.p
    shape, bits, _ = _base(curve)
    turn, parts = curve.digits(k, bits)
    sums = yield from _column_sums(curve, parts, z0)
    left = len(sums)
    point: tuple = ()  # type: ignore[type-arg]
    x = y = 0
    for column in range(shape - 1, -1, -1):
        if point:
            point = curve.double(*point)
        for part in range(len(parts)):
            x, y = sums[part * shape + column]
            if part:
                x = x * BETAS[part] % p
            left -= 1
            if not point:
                zz = z0 * z0 % p
                zzz = zz * z0 % p
                point = x * zz % p, y * zzz % p, zz, zzz
            elif left:
                point = curve.add(*point, x, y)
            if left % (len(parts) + 1) == 0:
                yield _ADDITIONS_KIB
    return turn, point, (x, y)


def _column_sums(curve: Curve, parts: tuple[int, ...], z0: int):  # type: ignore[no-untyped-def]
    """(x, y) of what each part adds in each column, its two blocks' entries, part by part (rule 3)."""
    p = curve.p
    span, _, teeth = _base(curve)
    table = yield from base_table(curve)
    sums: list[tuple] = []  # type: ignore[type-arg]
    product = z0
    for part in parts:
        places = _places(part, span, teeth)
        firsts = _points(table, p, places[:span], 0, teeth)
        for (x, y), (x2, y2) in zip(firsts, _points(table, p, places[span:], 1, teeth)):
            sums.append((x, y, x2, y2, product))
            product = product * (x2 - x) % p
    yield _ENTRIES_KIB
    rest = invert(product, p)
    yield INVERSION_KIB
    for at in range(len(sums) - 1, -1, -1):
        x, y, x2, y2, before = sums[at]
        slope = (y2 - y) * (rest * before % p) % p
        rest = rest * (x2 - x) % p
        x2 = (slope * slope - x - x2) % p
        sums[at] = x2, (slope * (x - x2) - y) % p
        if at & 7 == 0:
            yield _SUMS_KIB
    return sums


def base_table(curve: Curve):  # type: ignore[no-untyped-def]
    """The base point's comb table (16,384 bytes, of P-256 4,096), kept from the first time on."""
    if not curve.table and curve.halved:
        from .comb_secp256k1 import TABLE

        curve.table = TABLE
    elif not curve.table:
        curve.table = yield from make_table(curve, *curve.g)
    return curve.table


def _base(curve: Curve) -> tuple[int, int, int]:
    """(columns, bits, teeth) of the base point's comb."""
    return (8, 128, 8) if curve.halved else (22, TEETH * BLOCKS * 22, TEETH)


def _places(digits: int, span: int, teeth: int) -> bytearray:
    """Of each column, first of block 0, then of block 1, the digits of its teeth: bit k is tooth k's."""
    row = digits.to_bytes(33, "little")
    places = bytearray(2 * span)
    if teeth == 8:  # each byte of the row is a tooth's in a block: seven times four bits lie in one small integer
        for block in (0, 1):
            low = high = 0
            for tooth in range(7):
                byte = row[2 * tooth + block]
                low |= ((byte & 15) * 0x41041 & 0x204081) << tooth
                high |= ((byte >> 4) * 0x41041 & 0x204081) << tooth
            byte = row[14 + block]
            for at in range(8 * block, 8 * block + 4):
                places[at] = low & 127 | byte << 7 & 128
                places[at + 4] = high & 127 | byte << 3 & 128
                low >>= 7
                high >>= 7
                byte >>= 1
        return places
    for at in range(2 * span):
        for bit in range(at, at + 2 * span * teeth, 2 * span):
            places[at] = places[at] >> 1 | (row[bit >> 3] >> (bit & 7) & 1) << teeth - 1
    return places


def _points(table, p: int, places, block: int, teeth: int) -> list[tuple[int, int]]:  # type: ignore[no-untyped-def]
    """(x, y) of the block's entry for the digits of each column's teeth, its sign applied."""
    number = int.from_bytes
    teeth -= 1
    most = (1 << teeth) - 1
    points = []
    for place in places:
        sign = place >> teeth
        at = (block << teeth | place & most ^ (sign - 1 & most)) << 6
        y = number(table[at + 32 : at + 64], "big")
        points.append((number(table[at : at + 32], "big"), (p - y, y)[sign]))
    return points


def sum_of_multiples(curve: Curve, k: int, table: bytearray, u: int):  # type: ignore[no-untyped-def]
    """k*Q + u*G; Q by its table, k in 1..n-1, u in 0..n-1. Public values only: it branches."""
    p = curve.p
    span = columns(curve)
    shape, bits, teeth = _base(curve)
    combs: list[tuple] = [(span, table, TEETH, _terms(curve, k, TEETH * BLOCKS * span, span, TEETH))]  # type: ignore[type-arg]
    yield _PAIR_KIB
    if u:
        base = yield from base_table(curve)
        combs.append((shape, base, teeth, _terms(curve, u, bits, shape, teeth)))
    point = 1, 1, 0, 0
    for column in range(span - 1, -1, -1):
        point = curve.double(*point)
        for width, entries, high, terms in combs:
            if column < width:
                for places, turn in terms:
                    for block in (0, 1):
                        at = block * width + column
                        (entry,) = _points(entries, p, places[at : at + 1], block, high)
                        point = curve.add(*point, *curve.turned(entry, turn))
                    yield _PAIR_KIB
    return point


def _terms(curve: Curve, k: int, bits: int, span: int, teeth: int):  # type: ignore[no-untyped-def]
    """[(places, turn)] of the parts of k."""
    turn, parts = curve.digits(k, bits)
    turns = (turn, (turn + 1) % 3) if curve.halved else (turn,)
    return [(_places(part, span, teeth), part_turn) for part, part_turn in zip(parts, turns)]
