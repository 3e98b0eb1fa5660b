"""Multiplication by combs: of the base point in constant steps, and of a few known points for verification.

1. A signed all-bits-set comb (Hedabou, Pinel, Beneteau 2005; Hamburg 2012): an odd k is a sum of +-2^i, so that every column
   adds one table entry per block, whatever k is; no branch on secret bits. secp256k1's scalars come as two halves
   (secp256k1.py), which share a table of their length: the point is turned back before it takes the second half's entries,
   and forth before the first one's again.
2. The base point of secp256k1 has 8 teeth, 2 blocks and 8 columns, 256 points in 16 KiB: 7 doublings and 31 additions. That
   of P-256 has the shape of a public key's.
3. A public key has TEETH teeth and BLOCKS blocks, 64 points in 4 KiB, and 11 columns, P-256's 22. All combs of a
   verification share their doublings.
4. Everything here is a generator: it yields where others may work, at least every 0.7 million instructions of a Cortex-M3,
   and returns its result. It yields the garbage made since, in KiB; None is 8 or less.
"""

from .curve import Curve

TEETH, BLOCKS = 6, 2
POINT_BYTES = 64
_COLUMN_KIB = 13  # of garbage: a doubling and four additions
_PAIR_KIB = 9  # a doubling and two additions of points that were turned


def columns(curve: Curve) -> int:
    """Of a public key's comb."""
    return 11 if curve.halved else 22


def base_multiple(curve: Curve, k: int, z0: int):  # type: ignore[no-untyped-def]
    """k*G for k in 1..n-1; z0 randomises the representation (1 for none)."""
    p = curve.p
    shape, bits, found = _base(curve)
    turn, parts = curve.digits(k, bits)
    rows = [part.to_bytes(33, "little") for part in parts]
    table = curve.comb()
    point = None
    side = 0
    for column in range(shape - 1, -1, -1):
        if point:
            point = curve.double(*point)
        for k in range(len(rows)):
            if k:
                side ^= 1
                point = curve.turned(point, 1 + side)
            for block in (0, 1):
                x, y = found(table, p, rows[side], shape, block, column)
                if point:
                    point = curve.add(*point, x, y)
                else:
                    zz = z0 * z0 % p
                    zzz = zz * z0 % p
                    point = x * zz % p, y * zzz % p, zz, zzz
        yield _COLUMN_KIB
    return curve.turned(point, turn)


def _base(curve: Curve):  # type: ignore[no-untyped-def]
    """(columns, bits, what finds a point) of the base point's comb."""
    return (8, 128, _wide_point) if curve.halved else (22, TEETH * BLOCKS * 22, _point)


def _point(table, p: int, row: bytes, span: int, block: int, column: int) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """(x, y) of the entry for a column and block of a comb of six teeth, its sign applied."""
    at = block * span + column
    teeth = 0
    for tooth in range(TEETH):
        teeth |= (row[at >> 3] >> (at & 7) & 1) << tooth
        at += 2 * span
    sign = teeth >> 5
    at = (block << 5 | teeth & 31 ^ (sign - 1 & 31)) << 6
    y = int.from_bytes(table[at + 32 : at + 64], "big")
    return int.from_bytes(table[at : at + 32], "big"), (p - y, y)[sign]


def _wide_point(table, p: int, row: bytes, span: int, block: int, column: int) -> tuple[int, int]:  # type: ignore[no-untyped-def]
    """The same of a comb of eight teeth and eight columns, where each byte of the row is a tooth's in a block."""
    sign = row[block + 14] >> column & 1
    teeth = (
        (row[block + 12] >> column & 1) << 6
        | (row[block + 10] >> column & 1) << 5
        | (row[block + 8] >> column & 1) << 4
        | (row[block + 6] >> column & 1) << 3
        | (row[block + 4] >> column & 1) << 2
        | (row[block + 2] >> column & 1) << 1
        | (row[block] >> column & 1)
    )
    at = (block << 7 | teeth ^ (sign - 1 & 127)) << 6
    y = int.from_bytes(table[at + 32 : at + 64], "big")
    return int.from_bytes(table[at : at + 32], "big"), (p - y, y)[sign]


def sum_of_multiples(curve: Curve, k: int, table: bytearray, u: int):  # type: ignore[no-untyped-def]
    """k*Q + u*G; Q by its table, k in 1..n-1, u in 0..n-1. Public values only: it branches."""
    p = curve.p
    span = columns(curve)
    shape, bits, found = _base(curve)
    combs: list[tuple] = [(span, table, _point, _terms(curve, k, TEETH * BLOCKS * span))]  # type: ignore[type-arg]
    if u:
        combs.append((shape, curve.comb(), found, _terms(curve, u, bits)))
    point = 1, 1, 0, 0
    for column in range(span - 1, -1, -1):
        point = curve.double(*point)
        for width, entries, find, terms in combs:
            if column < width:
                for row, turn in terms:
                    for block in (0, 1):
                        x, y = find(entries, p, row, width, block, column)
                        point = curve.add(*point, *curve.turned((x, y), turn))
                    yield _PAIR_KIB
    return point


def _terms(curve: Curve, k: int, bits: int):  # type: ignore[no-untyped-def]
    """[(digits, turn)] of the parts of k."""
    turn, parts = curve.digits(k, bits)
    return [(part.to_bytes(33, "little"), (turn + at) % 3 if curve.halved else turn) for at, part in enumerate(parts)]
