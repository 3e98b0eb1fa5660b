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
    number = int.from_bytes(data, "big")
    negative = shift = 0
    if form == "float32":  # IEEE 754: a sign, an exponent, a mantissa
        negative, shift = number >> 31, (number >> 23 & 0xFF) - 150
        if shift == 105:
            raise MeterError("a register holds no number")
        number = number & 0x7FFFFF | 0x800000 if shift != -150 else (number & 0x7FFFFF) << 1
    elif form[0] == "i" and data[0] & 0x80:
        negative, number = 1, (1 << 8 * len(data)) - number
    number *= factor
    divisor = 1
    if ten > 0:
        number *= 10**ten
    elif ten:
        divisor = 10**-ten
    if shift > 0:
        number <<= shift
        shift = 0
    number = (number << 1) + (divisor << -shift) >> 1 - shift
    if divisor > 1:
        number //= divisor
    return -number if negative else number


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
