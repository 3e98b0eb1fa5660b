"""Forms of values in registers, and the answers of a block of registers to read requests; no I/O.

1. A value takes whole registers of two bytes, the high byte first; the order of registers is a property of the meter.
2. A request gets the data or an exception response (Modbus Application Protocol V1.1b3, 7), never nothing.
"""

import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3


class Form(StrEnum):
    """How a value is written."""

    FLOAT32 = "float32"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"


_PACKING = {
    Form.FLOAT32: struct.Struct(">f"),
    Form.INT16: struct.Struct(">h"),
    Form.UINT16: struct.Struct(">H"),
    Form.INT32: struct.Struct(">i"),
    Form.UINT32: struct.Struct(">I"),
    Form.INT64: struct.Struct(">q"),
    Form.UINT64: struct.Struct(">Q"),
}
_FLOAT_MAX = 3.4e38


def register_count(form: Form) -> int:
    """Registers that a value of this form takes."""
    return _PACKING[form].size // 2


def span(form: Form) -> tuple[float, float]:
    """Lowest and highest value of a form."""
    if form is Form.FLOAT32:
        return -_FLOAT_MAX, _FLOAT_MAX
    bits = 8 * _PACKING[form].size
    return (0, 2**bits - 1) if form.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def encode(form: Form, value: float, low_first: bool) -> bytes:
    """The registers of a value within its form's span; `low_first`: the low register comes first."""
    return encoder(form, low_first)(value)


def encoder(form: Form, low_first: bool) -> Callable[[float], bytes]:
    """`encode` for one form and order, for those who write often."""
    pack = _PACKING[form].pack
    return (lambda value: turned(pack(value))) if low_first else pack


def decode(form: Form, data: bytes, low_first: bool) -> float:
    """What `encode` was given, as far as the form can hold it."""
    (value,) = _PACKING[form].unpack(turned(data) if low_first else data)
    return value  # type: ignore[no-any-return]


def turned(data: bytes) -> bytes:
    """The same registers in reversed order."""
    if len(data) == 4:
        return data[2:] + data[:2]
    return b"".join(data[k : k + 2] for k in range(len(data) - 2, -1, -2))


class Readable(Protocol):
    """What a meter lets be read: functions 3 and 4, areas [first, end), registers in one request, whole pairs only."""

    @property
    def functions(self) -> tuple[int, ...]: ...
    @property
    def areas(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def request_max(self) -> int: ...
    @property
    def pairs_only(self) -> bool: ...


def answer(readable: Readable, content: bytes | bytearray, first: int, request: bytes) -> bytes:
    """The response PDU to a request PDU of at least one byte; `content` begins with register `first`. About 1 us."""
    function = request[0]
    if function not in readable.functions or len(request) != 5:
        return bytes((function | 0x80, ILLEGAL_FUNCTION))
    start, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
    if not 1 <= count <= readable.request_max:
        return bytes((function | 0x80, ILLEGAL_VALUE))
    if readable.pairs_only and (start | count) & 1:
        return bytes((function | 0x80, ILLEGAL_ADDRESS))
    for low, end in readable.areas:
        if low <= start and start + count <= end:
            at = 2 * (start - first)
            return bytes((function, 2 * count)) + content[at : at + 2 * count]
    return bytes((function | 0x80, ILLEGAL_ADDRESS))
