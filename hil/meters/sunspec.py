"""The registers of a SunSpec meter: marker, common model, meter model with its scale factors, end model.

SunSpec Device Information Model Specification: the marker 'SunS' at 40000, 50000 or 0, then models one after the other,
each with ID and length; the end model has ID 0xFFFF and length 0. What a device does not have reads as not implemented.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hil.meters.fields import CatalogueError, Fields

_NOT_IMPLEMENTED = {
    "int16": "8000", "uint16": "ffff", "sunssf": "8000", "acc32": "00000000", "float32": "7fc00000", "zero": "0000",
}  # fmt: skip
# Model 1 with its pad: text by offset from the model's ID and length in registers.
_COMMON_LENGTH = 66
_COMMON = {"Mn": (2, 16), "Md": (18, 16), "Opt": (34, 8), "Vr": (42, 8), "SN": (50, 16)}
_MARKER_SIZE, _HEADER_SIZE = 2, 2


@dataclass(frozen=True, slots=True)
class SunSpecBlock:
    """content: all registers from the marker on. start: the register of the meter model's ID. exponents: by factor."""

    areas: tuple[tuple[int, int], ...]
    content: bytes
    start: int
    exponents: Mapping[str, int]


def sunspec_block(fields: Fields, base: int | None) -> SunSpecBlock:
    """The block that a file's "sunspec" describes, its marker at `base` or at the first of its bases."""
    fields.knows({"bases", "model", "length", "common", "scale_factors", "not_implemented"})
    bases = fields.values("bases")
    if not bases or any(b not in (0, 40_000, 50_000) for b in bases):
        raise fields.wrong("bases", "a list of 40000, 50000 or 0")
    if base is not None and base not in bases:
        raise CatalogueError(f"{fields.file}: {base} is not a base; bases: {', '.join(map(str, bases))}")
    base = bases[0] if base is None else base
    common = _common(fields.inner("common"))
    model, exponents = _model(fields)
    content = b"SunS" + common + model + b"\xff\xff\x00\x00"
    start = base + _MARKER_SIZE + _HEADER_SIZE + _COMMON_LENGTH
    return SunSpecBlock(((base, base + len(content) // 2),), content, start, exponents)


def _common(fields: Fields) -> bytes:
    fields.knows(set(_COMMON))
    content = bytearray(2 * (_HEADER_SIZE + _COMMON_LENGTH))
    content[:4] = bytes((0, 1, 0, _COMMON_LENGTH))
    for name, (offset, words) in _COMMON.items():
        text = fields.text(name).encode("ascii", "replace")
        if len(text) > 2 * words:
            raise fields.wrong(name, f"a text of at most {2 * words} letters")
        content[2 * offset : 2 * offset + len(text)] = text
    content[2 * 66 :] = b"\xff\xff\x80\x00"
    return bytes(content)


def _model(fields: Fields) -> tuple[bytes, dict[str, int]]:
    length = fields.number("length", 1, 1000)
    content = bytearray(2 * (_HEADER_SIZE + length))
    content[:4] = fields.number("model", 1, 65_534).to_bytes(2, "big") + length.to_bytes(2, "big")
    for row in fields.inners("not_implemented"):
        row.knows({"first", "end", "form"})
        blank = bytes.fromhex(row.choice("form", _NOT_IMPLEMENTED))
        first, end = row.number("first", 2, length + 1), row.number("end", 3, length + 2)
        if (end - first) * 2 % len(blank) or end <= first:
            raise row.wrong("end", "the register after a whole number of points")
        content[2 * first : 2 * end] = blank * (2 * (end - first) // len(blank))
    exponents: dict[str, int] = {}
    factors = fields.inner("scale_factors")
    for name in factors.row:
        factor = factors.inner(name)
        factor.knows({"offset", "exponent"})
        offset, exponents[name] = factor.number("offset", 2, length + 1), factor.number("exponent", -10, 10)
        content[2 * offset : 2 * offset + 2] = exponents[name].to_bytes(2, "big", signed=True)
    return bytes(content), exponents
