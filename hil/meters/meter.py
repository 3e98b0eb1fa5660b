"""A meter: integrates the power at its terminals and keeps the registers of its model.

1. The map is data: hil/registers/<model>.json.
2. The meter sits behind current and voltage transformers: it knows secondary values only. Currents are primary values
   divided by CT, voltages by VT, power and energy by CT x VT.
3. A power offered at an instant holds until the next one; the energy registers contain what passed before the instant.
   So the sum over the slots of an interval, W x 4 s, is the difference of the registers at its ends.
4. Energy counts inside the meter in watt-seconds; a register shows whole steps of its resolution, secondary side; a
   float32 register above 65,536 kWh in steps of 7.8 Wh.
5. A value that its register cannot hold reads as not available and is not in the truth.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hil.meters.catalogue import NAMES, MeterMap, Quantity
from hil.meters.registers import Form, answer, encoder, span, turned
from hil.meters.truth import Offered

_WS_PER_WH = 3600
_PHASES = ("l1", "l2", "l3")


@dataclass(frozen=True, slots=True)
class Terminals:
    """What is true at the customer's terminals at an instant, primary side, one value for each phase.

    Withdrawal positive; voltages phase to neutral.
    """

    power_w: tuple[int, ...]
    reactive_var: tuple[int, ...]
    phase_mv: tuple[int, ...]
    frequency_mhz: int = 50_000

    @classmethod
    def spread(cls, phases: int, power_w: int, reactive_var: int, phase_mv: int) -> "Terminals":
        """The totals over so many phases, as evenly as whole numbers allow."""
        return cls(_share(power_w, phases), _share(reactive_var, phases), (phase_mv,) * phases)


def _share(total: int, phases: int) -> tuple[int, ...]:
    part, rest = divmod(total, phases)
    return tuple(part + (k < rest) for k in range(phases))


@dataclass(frozen=True, slots=True)
class _Register:
    """counts = value x numerator / denominator; what is written is counts x weight; is_smooth: counts have fractions."""

    quantity: Quantity
    at: int
    numerator: int
    denominator: int
    weight: float | int
    low: float
    high: float
    absent: bytes
    encode: Callable[[float], bytes]
    is_smooth: bool

    def written(self, value: int) -> float:
        """The register's value, rounded half away from zero; energies are cut."""
        if self.is_smooth:
            return value * self.numerator / self.denominator
        if self.quantity.kind == "energy":
            return value * self.numerator // self.denominator * self.weight
        counts = (2 * abs(value) * abs(self.numerator) + self.denominator) // (2 * self.denominator)
        return (-counts if (value < 0) != (self.numerator < 0) else counts) * self.weight


class Meter:
    """One meter. import_ws and export_ws: what its counters start with, primary side."""

    def __init__(
        self, pod: str, model: MeterMap, ct_ratio: int = 1, vt_ratio: int = 1, import_ws: int = 0, export_ws: int = 0
    ) -> None:
        self.pod = pod
        self.model = model
        self.import_ws, self.export_ws = import_ws, export_ws
        self.content = bytearray(model.blank)
        ratios = {"voltage": vt_ratio, "current": ct_ratio, "frequency": 1}
        self._registers = [_register(model, q, ratios.get(q.kind, ct_ratio * vt_ratio)) for q in model.quantities]
        self._steps_wh = {
            r.quantity.name: int(r.quantity.resolution * r.quantity.factor) * ct_ratio * vt_ratio
            for r in self._registers
            if r.quantity.kind == "energy"
        }
        self._power_w = 0
        self._since_ms: int | None = None

    def offer(self, utc_ms: int, now: Terminals, starting: bool = False) -> Offered:
        """The registers hold `now` from utc_ms on. Instants rise. starting: all but the counters read 0. About 30 us."""
        self._integrate(utc_ms)
        values = _measured(now, self.model.phases)
        self._power_w, self._since_ms = values["power_total"], utc_ms
        return self._show(utc_ms, dict.fromkeys(values, 0) if starting else values)

    def restart(self, utc_ms: int) -> Offered:
        """All but the counters read 0 until the next offer."""
        self._integrate(utc_ms)
        self._since_ms = utc_ms
        return self._show(utc_ms, dict.fromkeys(NAMES, 0))

    def reset(self) -> None:
        """The counters are at 0, from the next offer on in the registers too."""
        self.import_ws = self.export_ws = 0

    def answer(self, request: bytes) -> bytes:
        """The response PDU to a request PDU of at least one byte."""
        return answer(self.model, self.content, self.model.first, request)

    def _integrate(self, utc_ms: int) -> None:
        if self._since_ms is None:
            return
        energy_ws = self._power_w * (utc_ms - self._since_ms) // 1000
        if energy_ws >= 0:
            self.import_ws += energy_ws
        else:
            self.export_ws -= energy_ws

    def _show(self, utc_ms: int, measured: Mapping[str, int]) -> Offered:
        values = {**measured, "import": self.import_ws // _WS_PER_WH, "export": self.export_ws // _WS_PER_WH}
        for name, step_wh in self._steps_wh.items():
            values[name] = values[name] // step_wh * step_wh
        offered = {}
        for register in self._registers:
            quantity = register.quantity
            value = values[quantity.name]
            written = register.written(value)
            data = register.absent
            if register.low <= written <= register.high:
                data = register.encode(written)
                offered[quantity.name] = value
            self.content[register.at : register.at + len(data)] = data
        return Offered(self.pod, utc_ms, offered)


def _register(model: MeterMap, quantity: Quantity, ratio: int) -> _Register:
    float_steps = quantity.form is Form.FLOAT32 and quantity.resolution != 0
    resolution = quantity.resolution or 1
    low, high = span(quantity.form)
    absent = model.not_available[quantity.form]
    return _Register(
        quantity,
        2 * (quantity.address - model.first),
        quantity.sign * resolution.denominator,
        quantity.factor * ratio * resolution.numerator,
        float(resolution) if float_steps else 1,
        low,
        high,
        turned(absent) if model.low_first else absent,
        encoder(quantity.form, model.low_first),
        quantity.form is Form.FLOAT32 and not quantity.resolution,
    )


def _measured(now: Terminals, phases: int) -> dict[str, int]:
    """All that a meter of so many phases measures; further phases are not connected to it."""
    values = {"frequency": now.frequency_mhz}
    currents = []
    for k in range(phases):
        phase, power_w, reactive_var, phase_mv = _PHASES[k], now.power_w[k], now.reactive_var[k], now.phase_mv[k]
        currents.append(round(math.hypot(power_w, reactive_var) * 1_000_000 / phase_mv) if phase_mv else 0)
        values[f"power_{phase}"], values[f"reactive_{phase}"] = power_w, reactive_var
        values[f"voltage_{phase}"], values[f"current_{phase}"] = phase_mv, currents[k]
    values["power_total"], values["reactive_total"] = sum(now.power_w[:phases]), sum(now.reactive_var[:phases])
    values["voltage_mean"], values["current_total"] = sum(now.phase_mv[:phases]) // phases, sum(currents)
    return values
