"""A meter by its map: what is asked for, and the way from registers to scaled integers.

1. A map is a module of `meters/` that holds literals only; it is imported when its meter is used.
2. Withdrawal is positive; the map's SIGN turns power and reactive power, nothing else does.
3. Values behind transformers are secondary: power and energy times CT x VT, voltage times VT, current times CT.
4. A value that the meter does not have, or that no meter can mean, is a MeterError for the whole reading. Phases that the
   meter does not have are 0 V.
"""

from . import registers
from .errors import MeterError, Refused

_FREQUENCY_MAX = 6553
_PHASES = ("voltage_l1", "voltage_l2", "voltage_l3")


class Quantities:
    """One reading of the meter: W, var, Wh, mV (three phases), mHz; withdrawal positive.

    energy_step_wh: what the energy registers count in. current_ma: sum over the phases, phase_sum_w: sum of the powers by
    phase, mean_mv: the meter's own mean; each -1 if the map does not have it (phase_sum_w: None).
    """

    def __init__(
        self,
        power_w: int,
        reactive_var: int,
        import_wh: int,
        export_wh: int,
        voltage_mv: tuple[int, int, int],
        frequency_mhz: int,
        energy_step_wh: int = 1,
        current_ma: int = -1,
        phase_sum_w: int | None = None,
        mean_mv: int = -1,
    ) -> None:
        self.power_w = power_w
        self.reactive_var = reactive_var
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.voltage_mv = voltage_mv
        self.frequency_mhz = frequency_mhz
        self.energy_step_wh = energy_step_wh
        self.current_ma = current_ma
        self.phase_sum_w = phase_sum_w
        self.mean_mv = mean_mv


def places(found, ct_ratio: int, vt_ratio: int) -> list[tuple]:  # type: ignore[no-untyped-def,type-arg]
    """Where the quantities of a map are: (name, block of the answers, from and to which byte, form, factor of the meter's unit,
    power of ten, what says that the meter does not have it); MeterError if no request of the map reads one."""
    factors = {
        "voltage": 10,  # steps of 100 mV before the transformer
        "mean": 1000 * vt_ratio,
        "current": 1000 * ct_ratio,
        "frequency": 100,
    }
    made = []
    for name, (register, form, ten) in found.QUANTITIES.items():
        factor = factors.get(name[8:] if name == "voltage_mean" else name.split("_")[0], ct_ratio * vt_ratio)
        if form == "float32" and name in ("import", "export"):
            factor = 1
        if ten > 0:
            factor *= 10**ten
            ten = 0
        made.append(
            (name,) + _span(found, register, registers.SIZES[form]) + (form, factor, ten, found.ABSENT.get(form))
        )
    return made


def _span(found, register: int, size: int) -> tuple[int, int, int]:  # type: ignore[no-untyped-def]
    for block, request in enumerate(found.REQUESTS):
        at = 2 * (register - request[0])
        if 0 <= at and at + size <= 2 * request[1]:
            return block, at, at + size
    raise MeterError(f"register {register} is in no request of the map")


def quantities(found, blocks: list[bytes], where, ct_ratio: int, vt_ratio: int) -> Quantities:  # type: ignore[no-untyped-def]
    """Quantities from the answers to the requests of a map, whose `places` are where; MeterError by rule 4."""
    got = {}
    for name, block, at, end, form, factor, ten, absent in where:
        data = blocks[block][at:end]
        if found.LOW_FIRST:
            data = registers.turned(data)
        if data == absent:
            raise MeterError(f"the meter has no {name}")
        got[name] = registers.exact(data, form, factor, ten + _scale(found, blocks, name))
    ratio = ct_ratio * vt_ratio
    imported, exported = got["import"], got["export"]
    if found.QUANTITIES["import"][1] == "float32":  # taken at its whole steps: its own rounding is not multiplied
        step = found.ENERGY_STEP_WH
        imported = (imported + step // 2) // step * step * ratio
        exported = (exported + step // 2) // step * step * ratio
        step = max(step, max(imported, exported) // ratio >> 23)  # it has 24 bits for the whole value
    else:
        step = found.ENERGY_STEP_WH * 10 ** max(0, _scale(found, blocks, "import"))
    unit = 100 * vt_ratio
    current_ma = got["current"] if "current" in got else _sum(got, "current")
    phase_sum_w = _sum(got, "power")
    made = Quantities(
        found.SIGN * got["power"],
        found.SIGN * got["reactive"],
        imported,
        exported,
        (got.get(_PHASES[0], 0) * unit, got.get(_PHASES[1], 0) * unit, got.get(_PHASES[2], 0) * unit),
        got["frequency"] * 10,
        step * ratio,
        -1 if current_ma is None else abs(current_ma),
        None if phase_sum_w is None else found.SIGN * phase_sum_w,
        got.get("voltage_mean", -1),
    )
    _check(made)
    return made


def _scale(found, blocks: list[bytes], name: str) -> int:  # type: ignore[no-untyped-def]
    """The power of ten that a scale factor of the meter adds."""
    at = found.SCALES.get(name.split("_")[0]) if hasattr(found, "SCALES") else None
    if at is None:
        return 0
    block, at, end = _span(found, at, 2)
    return registers.scale(blocks[block][at:end])


def _sum(got: dict[str, int], name: str) -> int | None:
    """Of the phases of a quantity; None if there are none."""
    phases = [got[one] for one in (name + "_l1", name + "_l2", name + "_l3") if one in got]
    return sum(phases) if phases else None


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


class Meter:
    """A meter at a master: its map, unit and transformers."""

    def __init__(self, master, found, unit: int, ct_ratio: int, vt_ratio: int) -> None:  # type: ignore[no-untyped-def]
        self._master = master
        self._map = found
        self._unit = unit
        self._ratios = ct_ratio, vt_ratio
        self._places = places(found, ct_ratio, vt_ratio)
        self._place = None
        if hasattr(found, "SUNSPEC"):
            from .sunspec import Place

            self._place = Place(*found.SUNSPEC)

    async def read(self) -> Quantities:
        """One cycle; MeterError if the meter did not answer truly: never a made-up value."""
        self._master.begin()
        unit, function, requests = self._unit, self._map.FUNCTION, self._map.REQUESTS
        if self._place is None:
            blocks = await self._master.read(unit, function, requests)
        else:
            at = await self._place.find(self._master, unit, function)
            try:
                blocks = await self._master.read(unit, function, [(at + r[0], r[1], r[2], r[3]) for r in requests])
            except Refused:
                self._place.missed()
                raise
            self._place.confirm(blocks[0])
        return quantities(self._map, blocks, self._places, *self._ratios)
