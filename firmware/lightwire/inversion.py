"""Inversion modulo a prime, in slices, and what runs a computation in slices to its end.

1. It is Lehmer's: Euclid's quotients are found on leading bits, in small integers. Its time tells its operand, so a secret
   one is blinded by the caller.
2. `pow(a, -1, m)` is not used: MicroPython returns 0.
"""


def finished(steps):  # type: ignore[no-untyped-def]
    """The result of a generator, run to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def invert(value: int, modulus: int) -> int:
    """What `inverting` returns."""
    return finished(inverting(value, modulus))  # type: ignore[no-any-return]


def inverting(value: int, modulus: int):  # type: ignore[no-untyped-def]
    """The inverse modulo a prime of at most 256 bits, in slices; value in 1..modulus-1."""
    r = modulus
    s = value
    u = 0
    v = 1
    odd = 0  # r is -u * value and s is v * value after an even number of steps, the other signs after an odd one
    shift = 228
    pause = 128
    while True:
        x = r >> shift
        while x < 0x200000 and shift:
            lower = 14 if x < 0x4000 else 7
            shift = shift - lower if shift > lower else 0
            x = r >> shift
        a, b, c, d, turned = _steps(x, s >> shift, shift)
        if not c:
            q, t = divmod(r, s)
            r = s
            s = t
            t = u + q * v
            u = v
            v = t
            odd ^= 1
            if s:
                continue
            return u if odd else modulus - u
        odd ^= turned
        t = a * u + b * v
        if not shift:
            return t if odd else modulus - t
        v = c * u + d * v
        u = t
        if turned:
            t = b * s - a * r
            s = c * r - d * s
        else:
            t = a * r - b * s
            s = d * s - c * r
        r = t
        if shift < pause:
            pause = 0
            yield


def _steps(x: int, y: int, shift: int) -> tuple[int, int, int, int, int]:
    """Euclid's steps on the leading bits x >= y of two numbers, as many as are sure: (a, b, c, d, 1 if their count is odd).

    They make a r - b s and d s - c r of numbers r and s, the other signs after an odd count. shift: the bits below the
    leading ones; 0 if there are none, then they go on to the end.
    """
    a = d = 1
    b = c = 0
    while y:  # twice the same step, with the names changed over: x and y are not carried about
        q = x // y
        t = x - q * y
        e = a + q * c
        f = b + q * d
        if shift and (t < f or y - t < f + d):
            break  # leading bits no longer say the quotient for sure (Jebelean 1993)
        x = t
        a = e
        b = f
        if not x:
            return c, d, a, b, 1
        q = y // x
        t = y - q * x
        e = c + q * a
        f = d + q * b
        if shift and (t < f or x - t < f + b):
            return c, d, a, b, 1
        y = t
        c = e
        d = f
    return a, b, c, d, 0
