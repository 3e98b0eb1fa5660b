"""Readings by the hundred thousand: the one form of kind 1 taken apart in one step.

1. A reading signed with ES256K has 162 bytes with fixed heads (FORMAT.md of the wire); they are compared, the numbers taken.
2. What differs in the least goes the long way (message.py), which names it.
3. Its own signature is not looked at here: who calls this has the device's signature over the root above its bytes.
"""

import struct

from backend.evidence.verifier.message import Message

_FORM = struct.Struct(">16x8sxHxIxIxQxHBIBIxQxQ2xIxIxIxH66x")
_FIXED = bytes.fromhex(
    "d28444a101382ea05856" "8e1801180148" + "00" * 8 + "190000" "1a00000000" "1a00000000" "1b" + "00" * 8 + "190000"
    "0000000000" "0000000000" "1b" + "00" * 8 + "1b" + "00" * 8 + "83" "1a00000000" "1a00000000" "1a00000000" "190000" "5840"
)  # fmt: skip
_HEADS = 98
_SIGN = {0x1A: False, 0x3A: True}
_HALF = 1 << 31


def _mask() -> int:
    """One bits where a byte is fixed: heads, and not the two that hold a sign."""
    ones = bytearray(b"\xff" * 16 + b"\0" * 8)
    for width in (2, 4, 4, 8, 2):
        ones += b"\xff" + b"\0" * width
    ones += b"\0" * 10
    for width in (8, 8):
        ones += b"\xff" + b"\0" * width
    ones += b"\xff"
    for width in (4, 4, 4, 2):
        ones += b"\xff" + b"\0" * width
    return int.from_bytes(ones + b"\xff\xff", "big")


_MASK, _PATTERN = _mask(), int.from_bytes(_FIXED, "big")


def reading_of(raw: bytes) -> Message | None:
    """The reading in a sealed message, its signature not checked; None for whatever is not in the one form."""
    if len(raw) != _FORM.size or int.from_bytes(raw[:_HEADS], "big") & _MASK != _PATTERN:
        return None
    (
        device, generation, boot, seq, time_ms, flags, f, power, g, reactive, imported, exported, l1, l2, l3, frequency,
    ) = _FORM.unpack(raw)  # fmt: skip
    if f not in _SIGN or g not in _SIGN or power >= _HALF or reactive >= _HALF:
        return None
    fields = {
        "device": device, "generation": generation, "boot": boot, "seq": seq, "time_ms": time_ms, "flags": flags,
        "power_w": -1 - power if _SIGN[f] else power, "reactive_var": -1 - reactive if _SIGN[g] else reactive,
        "import_wh": imported, "export_wh": exported, "voltage_mv": (l1, l2, l3), "frequency_mhz": frequency,
    }  # fmt: skip
    return Message(raw, 1, raw[10:96], fields)
