"""Inversion modulo a prime.

1. It is Lehmer's: Euclid's quotients are found on the leading 30 bits, in small integers, twice on the leading 60 before
   the whole numbers are moved. Its time tells its operand, so a secret one is blinded by the caller.
2. A remainder and its cofactor travel in one integer, remainder * 2^257 + cofactor, with cofactor * value = remainder
   modulo the prime: every step is linear, so one product moves both. So does a row of small cofactors, a + b * 2^15.
3. On x = floor(r / 2^k) a remainder is wrong by less than its cofactors: by 22,000 at most where the divisor is SURE or
   more, by 37,000 where x itself came from steps. A quotient that is one too small is made good by the next step.
4. `pow(a, -1, m)` is not used: MicroPython returns 0.
"""

INVERSION_KIB = 15  # of garbage, with what its callers compute beside it
_PACKED = 257
_HALF = 1 << _PACKED - 1
_SURE = 0xC000  # a remainder on leading bits that is not below it is more than its error: the true one is not negative


def invert(value: int, modulus: int) -> int:
    """The inverse modulo a prime of 256 bits; value in 1..modulus-1. Cost: 0.45 million instructions of a Cortex-M3."""
    r = modulus << _PACKED
    s = (value << _PACKED) + 1
    bits = 256  # of the remainder in r, or fewer
    while bits > 30:
        below = max(0, bits - 60)
        if below:
            x = r >> _PACKED + below
            y = s >> _PACKED + below
        else:
            x = r + _HALF >> _PACKED
            y = s + _HALF >> _PACKED
        a, b, c, d, left = _steps(x, y, min(30, bits - 30))
        if left:
            r, s = a * r + b * s, c * r + d * s
            bits = below + left
        else:  # a quotient of 14 bits or more
            r, s = s, r - (r + _HALF >> _PACKED) // (s + _HALF >> _PACKED) * s
            bits = below
            while y >> 15:
                y >>= 15
                bits += 15
            while y:
                y >>= 1
                bits += 1
            if not s + _HALF >> _PACKED:
                break
    return _last(r, s) % modulus


def _steps(x: int, y: int, below: int) -> tuple[int, int, int, int, int]:
    """Steps on the leading 60 bits x, y of two numbers r > s: a, b, c, d and how many bits of x are left in a x + b y, which
    is greater than c x + d y; 0 if no step is sure. below: the bits of x below its leading 30."""
    a, b, c, d, size = _rows(x >> below, y >> below)
    if not size:
        return a, b, c, d, 0
    x, y = a * x + b * y, c * x + d * y
    below -= 13
    most = 0x20000
    while size >= most:
        most <<= 1
        below += 1
    if below > 0:
        e, f, g, h, size = _rows(x >> below, y >> below)
        if size:
            a, b, c, d = e * a + f * c, e * b + f * d, g * a + h * c, g * b + h * d
            below -= 13
            most = 0x20000
            while size >= most:
                most <<= 1
                below += 1
    return a, b, c, d, below + 30


def _rows(x: int, y: int) -> tuple[int, int, int, int, int]:
    """Euclid's steps on leading 30 bits, as many as are sure: a, b, c, d and what the true a x + b y is below, the greater
    one of the two that they make; 0 instead if no step is sure."""
    sure = _SURE
    a = 1
    c = 0x8000
    if y < sure:
        return 1, 0, 0, 1, 0
    while True:
        t = x % y
        if t < sure:
            return a & 0x7FFF, -(a >> 15), -(c & 0x7FFF), c >> 15, (x + sure if a != 1 else 0)
        a += x // y * c
        x = t
        t = y % x
        if t < sure:
            return -(c & 0x7FFF), c >> 15, a & 0x7FFF, -(a >> 15), y + sure
        c += y // x * a
        y = t


def _last(r: int, s: int) -> int:
    """The cofactor of the remainder 1; both remainders are below 2^30."""
    first = x = r + _HALF >> _PACKED
    second = y = s + _HALF >> _PACKED
    a = 1
    c = 0
    while y:
        q = x // y
        x, y = y, x - q * y
        a, c = c, a - q * c
    b = (1 - a * first) // second if second else 0
    return a * (r - (first << _PACKED)) + b * (s - (second << _PACKED))
