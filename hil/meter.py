"""An emulated Eastron SDM630: what a meter at a customer's terminals measures and how its registers say it.

1. The map is data: registers/sdm630.json. IEEE 754 float32, high word first.
2. The meter sits behind current and voltage transformers: it knows secondary values only. Power and energy are primary
   values divided by CT x VT, voltages divided by VT.
3. A power offered at an instant holds until the next one; the energy registers contain what passed before the instant.
   So the sum over the slots of an interval, W x 4 s, is the difference of the registers at its ends.
4. Energy counts inside the meter in watt-seconds; a register shows whole steps of the map's resolution, secondary side,
   as float32 does: above 65,536 kWh in steps of 7.8 Wh.
"""

import json
import struct
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from hil.modbus import InputRegisters

FREQUENCY_MHZ = 50_000
_WS_PER_WH = 3600
_REGISTERS = Path(__file__).parent / "registers"


@dataclass(frozen=True, slots=True)
class Terminals:
    """What is true at the customer's terminals at an instant, primary side; withdrawal positive, phase to neutral."""

    power_w: int
    reactive_var: int
    phase_mv: int


@dataclass(frozen=True, slots=True)
class Offered:
    """What a meter offered from an instant on, primary side: the truth that readings are compared with. W, var, Wh, mV."""

    pod: str
    utc_ms: int
    power_w: int
    reactive_var: int
    import_wh: int
    export_wh: int
    phase_mv: int


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """Addresses by quantity, and the sizes of registers/<name>.json."""

    addresses: dict[str, int]
    registers: int
    per_request: int
    energy_resolution_wh: int


@cache
def register_map(name: str = "sdm630") -> RegisterMap:
    """The map of a meter; KeyError or OSError if there is none of that name."""
    document: dict[str, Any] = json.loads((_REGISTERS / f"{name}.json").read_text())
    return RegisterMap(
        {q["name"]: q["address"] for q in document["quantities"]},
        document["registers"],
        document["registers_per_request"],
        document["energy_resolution_wh"],
    )


@dataclass(slots=True)
class Meter:
    """Integrates the power at its terminals and keeps its registers. import_ws and export_ws: what it starts with."""

    pod: str
    unit: int
    ct_ratio: int = 1
    vt_ratio: int = 1
    import_ws: int = 0
    export_ws: int = 0
    registers: InputRegisters = field(init=False)
    _map: RegisterMap = field(init=False)
    _power_w: int = field(init=False, default=0)
    _since_ms: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._map = register_map()
        self.registers = InputRegisters(self.unit, self._map.registers, self._map.per_request)
        self._show("frequency", FREQUENCY_MHZ / 1000)

    def offer(self, utc_ms: int, now: Terminals) -> Offered:
        """The registers hold `now` from utc_ms on. Instants rise."""
        self._integrate(utc_ms)
        self._power_w, self._since_ms = now.power_w, utc_ms
        ratio = self.ct_ratio * self.vt_ratio
        voltage_v = now.phase_mv / self.vt_ratio / 1000
        for phase in ("l1", "l2", "l3"):
            self._show(f"voltage_{phase}", voltage_v)
            self._show(f"power_{phase}", now.power_w / ratio / 3)
        self._show("voltage_mean", voltage_v)
        self._show("power_total", now.power_w / ratio)
        self._show("reactive_total", now.reactive_var / ratio)
        import_wh, export_wh = self._energy_wh(self.import_ws, ratio), self._energy_wh(self.export_ws, ratio)
        self._show("import", import_wh / ratio / 1000)
        self._show("export", export_wh / ratio / 1000)
        return Offered(self.pod, utc_ms, now.power_w, now.reactive_var, import_wh, export_wh, now.phase_mv)

    def _integrate(self, utc_ms: int) -> None:
        if self._since_ms is None:
            return
        energy_ws = self._power_w * (utc_ms - self._since_ms) // 1000
        if energy_ws >= 0:
            self.import_ws += energy_ws
        else:
            self.export_ws -= energy_ws

    def _energy_wh(self, energy_ws: int, ratio: int) -> int:
        """Primary Wh that the register's steps can say."""
        step_wh = ratio * self._map.energy_resolution_wh
        return energy_ws // (_WS_PER_WH * step_wh) * step_wh

    def _show(self, quantity: str, value: float) -> None:
        struct.pack_into(">f", self.registers.content, 2 * self._map.addresses[quantity], value)


def write_truth(offered: Offered, out: TextIO) -> None:
    """One JSON line."""
    out.write(json.dumps(asdict(offered)) + "\n")


def read_truth(path: Path) -> list[Offered]:
    """What `write_truth` wrote."""
    return [Offered(**json.loads(line)) for line in path.read_text().splitlines()]
