"""The host's fast way from a payload to its record: readings in one step, everything else as lightwire does it.

1. A reading in its one canonical form has 86 bytes with fixed heads; they are compared, the numbers taken. Every value that
   fits its form is in range, so nothing else is to be checked (FORMAT.md, Payload).
2. Whatever differs in the least goes to lightwire.records.decode, which gives the record or names what is wrong.
"""

import struct
from typing import Any

from lightwire import records

_FORM = struct.Struct(">6s8s" + "BHBIBIBQBH" + "BIBI" + "BQBQ" + "2sIBIBI" + "BH")
_HEAD = records.encode(records.Reading(bytes(8), 1, 1, 1, 0, 0, 0, 0, 0, 0, (0, 0, 0), 0))[:6]
_NEGATIVE = {0x1A: False, 0x3A: True}


def decode(payload: bytes) -> Any:
    """The record in a payload; the WireError of lightwire.records.decode for anything else."""
    if len(payload) == _FORM.size:
        (
            head, device, a, generation, b, boot, c, seq, d, time_ms, e, flags, f, power, g, reactive, h, imported,
            i, exported, j, l1, k, l2, m, l3, n, frequency,
        ) = _FORM.unpack(payload)  # fmt: skip
        heads = a == e == n == 0x19 and b == c == k == m == 0x1A and d == h == i == 0x1B and j == b"\x83\x1a"
        if heads and head == _HEAD and f in _NEGATIVE and g in _NEGATIVE and power < 1 << 31 and reactive < 1 << 31:
            return records.Reading._make(
                (
                    device, generation, boot, seq, time_ms, flags, -1 - power if _NEGATIVE[f] else power,
                    -1 - reactive if _NEGATIVE[g] else reactive, imported, exported, (l1, l2, l3), frequency,
                )
            )  # fmt: skip
    return records.decode(payload)
