"""The content of a meter's registers as exact integers: no I/O, and no float, so that every board says the same.

1. A value takes whole registers, the high byte first; which register comes first is a property of the meter.
2. What the meter writes for a value that it does not have, infinity and what is no number are a MeterError.
3. A value times its factors is rounded once, half away from zero.
"""

from .errors import MeterError

SIZES = {"float32": 4, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}  # bytes
_SCALE_MAX = 10


def exact(data: bytes, form: str, factor: int, ten: int = 0) -> int:
    """A value (high register first) times factor times 10 to the power of ten; MeterError by rule 2 for a float."""
    if form == "float32":
        negative, numerator, shift = _float32(int.from_bytes(data, "big"))
    else:
        negative, numerator, shift = _whole(data, form)
    numerator *= factor
    divisor = 1
    if ten > 0:
        numerator *= 10**ten
    elif ten:
        divisor = 10**-ten
    if shift > 0:
        numerator <<= shift
        shift = 0
    value = ((numerator << 1) + (divisor << -shift)) >> 1 - shift
    if divisor > 1:
        value //= divisor
    return -value if negative else value


def turned(data: bytes) -> bytes:
    """The same registers in reversed order."""
    return b"".join([data[k : k + 2] for k in range(len(data) - 2, -1, -2)])


def scale(data: bytes) -> int:
    """A SunSpec scale factor (sunssf): the power of ten of one count; MeterError if it is none."""
    value = int.from_bytes(data, "big")
    value -= (value & 0x8000) << 1
    if not -_SCALE_MAX <= value <= _SCALE_MAX:
        raise MeterError(f"a scale factor of {value}")
    return value


def _float32(bits: int):  # type: ignore[no-untyped-def]
    """(is negative, mantissa, power of two) of an IEEE 754 single."""
    exponent = bits >> 23 & 0xFF
    if exponent == 0xFF:
        raise MeterError("a register holds no number")
    mantissa = bits & 0x7FFFFF | 0x800000 if exponent else (bits & 0x7FFFFF) << 1
    return bits >> 31, mantissa, exponent - 150


def _whole(data: bytes, form: str):  # type: ignore[no-untyped-def]
    value = int.from_bytes(data, "big")
    if form[0] == "i" and data[0] & 0x80:
        return 1, (1 << 8 * len(data)) - value, 0
    return 0, value, 0
