"""An emulated Eastron SDM630: what a meter at a customer's terminals measures and how its registers say it.

Source of the map: Eastron SDM630-Modbus V2 protocol document, input registers, IEEE 754 float32, high word first.
The meter sits behind current and voltage transformers: its registers are secondary values, primary / (CT x VT).
"""

import struct
from dataclasses import dataclass, field

from hil.modbus import Device

VOLTAGE_L1 = 0x0000
POWER_TOTAL = 0x0034
REACTIVE_TOTAL = 0x003C
FREQUENCY = 0x0046
IMPORT_KWH = 0x0048
EXPORT_KWH = 0x004A
_SPANS = (range(0x0000, 0x0006), range(0x0034, 0x004C))


@dataclass(frozen=True, slots=True)
class Offered:
    """What the meter offered at one instant, primary side: the truth a test compares with."""

    utc_ms: int
    power_w: int
    reactive_var: int
    import_wh: int
    export_wh: int


@dataclass(slots=True)
class Meter:
    """Integrates the power at its terminals and keeps its registers."""

    unit: int
    ct_ratio: int = 1
    vt_ratio: int = 1
    import_ws: int = 0
    export_ws: int = 0
    device: Device = field(init=False)

    def __post_init__(self) -> None:
        self.device = Device(self.unit, inputs={a: 0 for span in _SPANS for a in span})

    def offer(self, utc_ms: int, power_w: int, reactive_var: int, phase_mv: int, since_ms: int) -> Offered:
        """Power at the terminals now [W, withdrawal positive], constant over the last since_ms; phase voltage [mV]."""
        energy_ws = abs(power_w) * since_ms // 1000
        if power_w >= 0:
            self.import_ws += energy_ws
        else:
            self.export_ws += energy_ws
        ratio = self.ct_ratio * self.vt_ratio
        for phase in range(3):
            self._set(VOLTAGE_L1 + 2 * phase, phase_mv / self.vt_ratio / 1000)
        self._set(POWER_TOTAL, power_w / ratio)
        self._set(REACTIVE_TOTAL, reactive_var / ratio)
        self._set(FREQUENCY, 50.0)
        import_wh, export_wh = self.import_ws // 3600, self.export_ws // 3600
        self._set(IMPORT_KWH, import_wh / ratio / 1000)
        self._set(EXPORT_KWH, export_wh / ratio / 1000)
        return Offered(utc_ms, power_w, reactive_var, import_wh, export_wh)

    def _set(self, address: int, value: float) -> None:
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        self.device.inputs[address] = high
        self.device.inputs[address + 1] = low
