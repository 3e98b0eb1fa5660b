"""Register maps as data, and the way from registers to scaled integers: no I/O, no float leaves this module.

Values behind transformers are secondary: power and energy times CT x VT, voltage times VT.
"""

from .errors import MeterError

# Eastron SDM630-Modbus V2 protocol document: input registers (function 4), float32, high word first, W, var, Hz, kWh.
# quantity -> (request, offset in registers); a request is (first register, count)
MAPS = {
    "sdm630": {
        "requests": ((0x0000, 6), (0x0034, 24)),
        "voltage": (0, 0),
        "power": (1, 0),
        "reactive": (1, 8),
        "frequency": (1, 18),
        "import": (1, 20),
        "export": (1, 22),
    },
}
_FREQUENCY_MAX = 6553


class Quantities:
    """One reading of the meter: W, var, Wh, mV (three phases), mHz; withdrawal positive."""

    def __init__(
        self,
        power_w: int,
        reactive_var: int,
        import_wh: int,
        export_wh: int,
        voltage_mv: tuple[int, int, int],
        frequency_mhz: int,
    ) -> None:
        self.power_w = power_w
        self.reactive_var = reactive_var
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.voltage_mv = voltage_mv
        self.frequency_mhz = frequency_mhz


def exact(register: bytes, factor: int) -> int:
    """A float32 (4 bytes, big endian) times a whole factor, rounded half away from zero, computed in integers.

    MeterError for infinity and for what is no number. The same on boards whose floats are single precision.
    """
    bits = int.from_bytes(register, "big")
    exponent = bits >> 23 & 0xFF
    if exponent == 0xFF:
        raise MeterError("a register holds no number")
    mantissa = (bits & 0x7FFFFF | 0x800000 if exponent else (bits & 0x7FFFFF) << 1) * factor
    shift = exponent - 150
    if shift >= 0:
        value = mantissa << shift
    elif shift < -64:
        value = 0
    else:
        value = (mantissa + (1 << -shift - 1)) >> -shift
    return -value if bits >> 31 else value


def quantities(name: str, blocks: list[bytes], ct_ratio: int, vt_ratio: int) -> Quantities:
    """Quantities from the answers to the map's requests; MeterError for what no meter can mean."""
    layout = MAPS[name]

    def scaled(quantity: str, factor: int, shift: int = 0) -> int:
        request, offset = layout[quantity]
        at = 2 * (offset + shift)  # type: ignore[operator]
        return exact(blocks[request][at : at + 4], factor)  # type: ignore[call-overload]

    ratio = ct_ratio * vt_ratio
    voltages = [scaled("voltage", 10, 2 * phase) * vt_ratio * 100 for phase in range(3)]
    found = Quantities(
        scaled("power", ratio),
        scaled("reactive", ratio),
        scaled("import", 1000 * ratio),
        scaled("export", 1000 * ratio),
        (voltages[0], voltages[1], voltages[2]),
        scaled("frequency", 100) * 10,
    )
    _check(found)
    return found


def _check(found: Quantities) -> None:
    for value in (found.power_w, found.reactive_var):
        if not -0x80000000 <= value < 0x80000000:
            raise MeterError(f"a power of {value}")
    for value in (found.import_wh, found.export_wh):
        if not 0 <= value < 1 << 63:
            raise MeterError(f"an energy register of {value} Wh")
    for value in found.voltage_mv:
        if not 0 <= value < 0x100000000:
            raise MeterError(f"a voltage of {value} mV")
    if not 0 <= found.frequency_mhz <= 10 * _FREQUENCY_MAX:
        raise MeterError(f"a frequency of {found.frequency_mhz} mHz")


async def read(master, name: str, unit: int, ct_ratio: int, vt_ratio: int) -> Quantities:  # type: ignore[no-untyped-def]
    """Asks the meter; MeterError if it did not answer truly: never a made-up value."""
    blocks = await master.read_inputs(unit, MAPS[name]["requests"])
    return quantities(name, blocks, ct_ratio, vt_ratio)
