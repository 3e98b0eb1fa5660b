"""What only secp256k1 has: a prime close to 2^256, and an endomorphism.

1. Products are reduced by `%`: to fold them first, 2^256 = 2^32 + 977 mod p, is a fifth quicker, for three times the garbage,
   which costs a signature a third collection.
2. LAMBDA * (x, y) = (BETA * x, y) (Gallant, Lambert, Vanstone 2001). Every k in 1..n-1 is LAMBDA^turn * (first + second *
   LAMBDA) mod n with both halves odd and below 2^128 in magnitude. Of the three pairs that k has over 1, LAMBDA and LAMBDA^2
   one is odd in both, or becomes so by a step along the lattice's shortest vector. In whole vectors the rest is at most 0.5,
   with the step 1: neither half exceeds 0.987 * 2^128.
3. The steps to the halves are the same for every k: everything is computed and then taken by its place, no factor is short.
"""

_P = 2**256 - 2**32 - 977
_A = 0x3086D221A7D46BCDE86C90E49284EB15  # the vectors (A, -B) and (A + B, A): A - B * LAMBDA = 0 mod n
_B = 0xE4437ED6010E88286F547FA90ABFE4C3
_A_SHARE = 0x3086D221A7D46BCDE86C90E49284EB153DAA8A1471E8CA7FE893209A45DBB031  # A * 2^384 / n
_B_SHARE = 0xE4437ED6010E88286F547FA90ABFE4C4221208AC9DF506C61571B4AE8AC47F71
_FAR = 1 << 130
_STEPS_A = (_FAR, _FAR - _A, _FAR + _A)
_STEPS_B = (_FAR, _FAR + _B, _FAR - _B)
_BETA = 0x7AE96A2B657C07106E64479EAC3434E99CF0497512F58995C1396C28719501EE
BETAS = (_P + 1, _BETA, _P - 1 - _BETA)  # 1 in full length, so that no product tells by its time which it was


def halves(k: int, bits: int) -> tuple[int, tuple[int, int]]:
    """(turn, the digits of both halves): a half is the sum of 2^i or -2^i, + where bit i of its digits is set, i < bits.

    k in 1..n-1; bits: 128 or more.
    """
    twice = k * _A_SHARE >> 383
    a = twice + 1 >> 1
    b = (k * _B_SHARE >> 383) + 1 >> 1
    odd = (k ^ a) & 1 | ((a ^ b) & 1) << 1  # of the halves over 1 and LAMBDA
    step = (1 + (twice & 1), 0, 0, 0)[odd]
    first = k + _STEPS_A[step] - (a * _A + b * (_A + _B))
    second = a * _B + _STEPS_B[step] - b * _A
    turn = (0, 1, 2, 0)[odd]
    most = (1 << bits) - 1
    far = most + _FAR
    return turn, (
        (first + most - _FAR, second + most - first, far - second)[turn] >> 1,
        (second + most - _FAR, far - first, first + most - second)[turn] >> 1,
    )


def double(x: int, y: int, zz: int, zzz: int) -> tuple[int, int, int, int]:
    """Twice a point."""
    p = _P
    t = y << 1
    v = t * t % p
    w = t * v % p
    s = x * v % p
    m = x * x * 3 % p
    x = (m * m - (s << 1)) % p
    return x, (m * (s - x) - w * y) % p, zz * v % p, zzz * w % p


def add(x: int, y: int, zz: int, zzz: int, x2: int, y2: int) -> tuple[int, int, int, int]:
    """A point and the affine (x2, y2)."""
    if not zz:
        return x2, y2, 1, 1
    p = _P
    h = x2 * zz % p - x
    r = y2 * zzz % p - y
    if not h:
        return (1, 1, 0, 0) if r else double(x, y, zz, zzz)
    t = h * h % p
    h = h * t % p
    x = x * t % p
    x2 = (r * r - (x + x + h)) % p
    return x2, (r * (x - x2) - y * h) % p, zz * t % p, zzz * h % p
