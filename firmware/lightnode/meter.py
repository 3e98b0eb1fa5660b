"""Register maps as data, and the way from registers to scaled integers: no I/O, no float leaves this module.

sdm630: Eastron SDM630-Modbus V2 protocol document, input registers, float32, high word first; power W, energy kWh.
Values behind transformers are secondary: power and energy times CT x VT, voltage times VT.
"""

import struct

# quantity -> (request, offset in registers); a request is (first register, count): two requests a cycle
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


class Quantities:
    """One reading of the meter: W, var, Wh, mV (three phases), mHz; withdrawal positive."""

    def __init__(
        self, power_w: int, reactive_var: int, import_wh: int, export_wh: int, voltage_mv, frequency_mhz: int
    ) -> None:  # type: ignore[no-untyped-def]
        self.power_w = power_w
        self.reactive_var = reactive_var
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.voltage_mv = voltage_mv
        self.frequency_mhz = frequency_mhz


def _scaled(block: bytes, offset: int, factor: int) -> int:
    """A float32 times factor, rounded half away from zero; ValueError for what is no number."""
    value = struct.unpack_from(">f", block, 2 * offset)[0] * factor
    if not -1e15 < value < 1e15:
        raise ValueError("no number in a register")
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)


def quantities(name: str, blocks: list[bytes], ct_ratio: int, vt_ratio: int) -> Quantities:
    """Quantities from the answers to the map's requests; ValueError when a register holds no number."""
    layout = MAPS[name]

    def scaled(quantity: str, factor: int, shift: int = 0) -> int:
        request, offset = layout[quantity]
        return _scaled(blocks[request], offset + shift, factor)

    ratio = ct_ratio * vt_ratio
    voltage = [scaled("voltage", 10, 2 * phase) * vt_ratio * 100 for phase in range(3)]
    return Quantities(
        scaled("power", ratio),
        scaled("reactive", ratio),
        scaled("import", 1000 * ratio),
        scaled("export", 1000 * ratio),
        (voltage[0], voltage[1], voltage[2]),
        scaled("frequency", 100) * 10,
    )


async def read(master, name: str, unit: int, ct_ratio: int, vt_ratio: int) -> Quantities:  # type: ignore[no-untyped-def]
    """Asks the meter; MeterError from the master, ValueError for nonsense: never a made-up value."""
    blocks = []
    for first, count in MAPS[name]["requests"]:
        blocks.append(await master.read_input(unit, first, count))
    return quantities(name, blocks, ct_ratio, vt_ratio)
