"""A reading in 21 bytes: differences to the base of its sector, and back to the identical record.

seq - base, 10 bits, slot - base, 12, import - base and export - base in Wh, 21 each (8) | flags (1) | P (3) | Q (3) |
three voltages and the frequency, 12 bits each (6): voltages in 100 mV x VT ratio, frequency in 10 mHz around 50 Hz.
Every other record of the device is squeezed: kind (1) | seq - base (2) | its fields after seq, without CBOR's heads.
What would not come back identical is not packed: `pack` and `squeeze` give b"" and the journal keeps the record whole.
"""

import struct

from lightwire.records import Reading, fields, record_of

SLOT_MS = 4000
_NOMINAL = 5000
_HALF = 2048
_BASE = ">IHIIQQH"
_IDENTITY = ("device", "generation", "boot", "seq")
_WIDTHS = {"B": 1, "H": 2, "I": 4, "i": 4, "Q": 8, "V": 12}
BASE_BYTES = struct.calcsize(_BASE)


class Base:
    """What a sector's readings are differences to; boot and generation of the entries that follow."""

    def __init__(
        self, boot: int, generation: int, seq: int, slot: int, import_wh: int, export_wh: int, vt_ratio: int
    ) -> None:
        self.boot = boot
        self.generation = generation
        self.seq = seq
        self.slot = slot
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.vt_ratio = vt_ratio

    def encode(self) -> bytes:
        """In the opening of a sector."""
        return struct.pack(
            _BASE, self.boot, self.generation, self.seq, self.slot, self.import_wh, self.export_wh, self.vt_ratio
        )

    def reborn(self, boot: int, generation: int) -> "Base":
        """The same base for entries of another boot."""
        return Base(boot, generation, self.seq, self.slot, self.import_wh, self.export_wh, self.vt_ratio)

    def moved(self, reading: Reading) -> "Base":
        """The base of a sector that this reading opens, or follows."""
        slot = reading.time_ms // SLOT_MS & 0xFFFFFFFF
        return Base(self.boot, self.generation, reading.seq, slot, reading.import_wh, reading.export_wh, self.vt_ratio)


def decode_base(data: bytes) -> Base:
    """What `encode` gave."""
    return Base(*struct.unpack(_BASE, data[:BASE_BYTES]))


def pack(base: Base, device: bytes, reading: Reading) -> bytes:
    """21 bytes, or b"" if this reading of this device would not come back identical from them."""
    values: tuple = tuple(reading)  # type: ignore[type-arg]
    whose, generation, boot, seq, time_ms, flags, power_w, reactive_var = values[:8]
    imported, exported, voltages, millihertz = values[8:]
    seq -= base.seq
    slot, late_ms = divmod(time_ms, SLOT_MS)
    slot -= base.slot
    imported -= base.import_wh
    exported -= base.export_wh
    frequency, rest_mhz = divmod(millihertz, 10)
    frequency += _HALF - _NOMINAL
    if (
        seq >> 10
        or slot >> 12
        or imported >> 21
        or exported >> 21
        or power_w + 0x800000 >> 24
        or reactive_var + 0x800000 >> 24
        or frequency >> 12
        or flags >> 8
        or late_ms
        or rest_mhz
        or boot != base.boot
        or generation != base.generation
        or whose != device
    ):
        return b""
    step = 100 * base.vt_ratio
    bits = 0
    for value in voltages:
        volts, rest_mv = divmod(value, step)
        if rest_mv or volts >> 12:
            return b""
        bits = bits << 12 | volts
    return b"".join(
        (
            ((seq << 12 | slot) << 42 | imported << 21 | exported).to_bytes(8, "big"),
            bytes((flags,)),
            (power_w & 0xFFFFFF).to_bytes(3, "big"),
            (reactive_var & 0xFFFFFF).to_bytes(3, "big"),
            (bits << 12 | frequency).to_bytes(6, "big"),
        )
    )


def unpack(base: Base, device: bytes, packed: bytes) -> Reading:
    """The reading that was packed with this base."""
    registers = int.from_bytes(packed[2:8], "big")
    bits = int.from_bytes(packed[15:], "big")
    step = 100 * base.vt_ratio
    return Reading(
        device,
        base.generation,
        base.boot,
        seq_of(base, packed),
        time_of(base, packed),
        packed[8],
        _from_signed24(packed[9:12]),
        _from_signed24(packed[12:15]),
        base.import_wh + (registers >> 21 & 0x1FFFFF),
        base.export_wh + (registers & 0x1FFFFF),
        ((bits >> 36) * step, (bits >> 24 & 0xFFF) * step, (bits >> 12 & 0xFFF) * step),
        ((bits & 0xFFF) - _HALF + _NOMINAL) * 10,
    )


def seq_of(base: Base, packed: bytes) -> int:
    """Only the seq of a packed reading."""
    return base.seq + (packed[0] << 2 | packed[1] >> 6)


def time_of(base: Base, packed: bytes) -> int:
    """Only its time_ms."""
    return (base.slot + ((packed[1] & 0x3F) << 6 | packed[2] >> 2)) * SLOT_MS


def flags_of(packed: bytes) -> int:
    """Only its flags."""
    return packed[8]


def _from_signed24(raw: bytes) -> int:
    value = int.from_bytes(raw, "big")
    return value - 0x1000000 if value & 0x800000 else value


def squeeze(base: Base, device: bytes, record) -> bytes:  # type: ignore[no-untyped-def]
    """The record in one length for its kind, or b"" if it would not come back identical."""
    forms = fields(record.KIND)
    seq = record.seq - base.seq
    if (
        tuple([name for name, _ in forms[:4]]) != _IDENTITY
        or not 0 <= seq < 0x10000
        or record.boot != base.boot
        or record.generation != base.generation
        or record.device != device
    ):
        return b""
    return bytes((record.KIND,)) + seq.to_bytes(2, "big") + bare(forms[4:], tuple(record)[4:])


def expand(base: Base, device: bytes, squeezed: bytes):  # type: ignore[no-untyped-def]
    """The record that was squeezed with this base."""
    identity: list[object] = [device, base.generation, base.boot, squeezed_seq(base, squeezed)]
    return record_of(squeezed[0], identity + values_of(fields(squeezed[0])[4:], squeezed[3:]))


def squeezed_seq(base: Base, squeezed: bytes) -> int:
    """Only the seq of a squeezed record."""
    return base.seq + (squeezed[1] << 8 | squeezed[2])


def bare(forms, values) -> bytes:  # type: ignore[no-untyped-def]
    """The values of these fields, (name, form) each, without CBOR's heads."""
    parts = []
    for (_, form), value in zip(forms, values):
        if form == "V":
            parts.extend([volts.to_bytes(4, "big") for volts in value])
        elif isinstance(form, int):
            parts.append(value)
        else:
            parts.append((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")[-_WIDTHS[str(form)] :])
    return b"".join(parts)


def values_of(forms, data: bytes) -> list:  # type: ignore[no-untyped-def,type-arg]
    """The values that `bare` joined."""
    values: list[object] = []
    at = 0
    for _, form in forms:
        width = form if isinstance(form, int) else _WIDTHS[str(form)]
        values.append(_value(form, data[at : at + width]))
        at += width
    return values


def _value(form: object, raw: bytes) -> object:
    if isinstance(form, int):
        return raw
    if form == "V":
        return tuple([int.from_bytes(raw[k : k + 4], "big") for k in (0, 4, 8)])
    value = int.from_bytes(raw, "big")
    return value - 0x100000000 if form == "i" and value & 0x80000000 else value
