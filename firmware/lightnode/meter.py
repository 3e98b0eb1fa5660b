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


class _Blocks:
    """The registers of one cycle, read by the map. places: where the quantities were found in the cycles before."""

    def __init__(self, found, blocks: list[bytes], places) -> None:  # type: ignore[no-untyped-def]
        self._map = found
        self._blocks = blocks
        self._places = places
        self._scales = getattr(found, "SCALES", {})

    def has(self, name: str) -> bool:
        """Whether the map has the quantity."""
        return name in self._map.QUANTITIES

    def value(self, name: str, factor: int) -> int:
        """A quantity in its unit (V, A, W, var, Hz, Wh) times factor, rounded; MeterError if it is not there."""
        if name not in self._places:
            self._places[name] = self._place(name)
        block, at, end, form, ten = self._places[name]
        data = self._blocks[block][at:end]
        if self._map.LOW_FIRST:
            data = registers.turned(data)
        if data == self._map.ABSENT.get(form):
            raise MeterError(f"the meter has no {name}")
        return registers.exact(data, form, factor, ten + self.ten(name) if self._scales else ten)

    def total(self, name: str, factor: int) -> int | None:
        """The quantity, or the sum of name_l1, name_l2, ..., or None."""
        if self.has(name):
            return self.value(name, factor)
        phases = [n for n in (name + "_l1", name + "_l2", name + "_l3") if self.has(n)]
        return sum([self.value(n, factor) for n in phases]) if phases else None

    def ten(self, name: str) -> int:
        """The power of ten that a scale factor of the meter adds."""
        at = self._scales.get(name.split("_")[0])
        if at is None:
            return 0
        block, at, end = self._span(at, 2)
        return registers.scale(self._blocks[block][at:end])

    def _place(self, name: str) -> tuple[int, int, int, str, int]:
        """Which block, from and to which byte, in which form, times ten to the power of what."""
        register, form, ten = self._map.QUANTITIES[name]
        return self._span(register, registers.SIZES[form]) + (form, ten)

    def _span(self, register: int, size: int) -> tuple[int, int, int]:
        for block, request in enumerate(self._map.REQUESTS):
            at = 2 * (register - request[0])
            if 0 <= at and at + size <= 2 * request[1]:
                return block, at, at + size
        raise MeterError(f"register {register} is in no request of the map")


def quantities(found, blocks: list[bytes], ct_ratio: int, vt_ratio: int, places=None) -> Quantities:  # type: ignore[no-untyped-def]
    """Quantities from the answers to the requests of a map; MeterError by rule 4. places: a dictionary kept for the map."""
    source = _Blocks(found, blocks, {} if places is None else places)
    ratio = ct_ratio * vt_ratio
    voltages = [source.value(name, 10) * vt_ratio * 100 if source.has(name) else 0 for name in _PHASES]
    current = source.total("current", 1000 * ct_ratio)
    made = Quantities(
        found.SIGN * source.value("power", ratio),
        found.SIGN * source.value("reactive", ratio),
        _energy_wh(source, found, "import", ratio),
        _energy_wh(source, found, "export", ratio),
        (voltages[0], voltages[1], voltages[2]),
        source.value("frequency", 100) * 10,
        1,
        -1 if current is None else abs(current),
        None,
        source.value("voltage_mean", 1000 * vt_ratio) if source.has("voltage_mean") else -1,
    )
    if source.has("power_l1"):
        made.phase_sum_w = found.SIGN * sum([source.value(f"power_l{k}", ratio) for k in range(1, found.PHASES + 1)])
    made.energy_step_wh = _step_wh(source, found, max(made.import_wh, made.export_wh) // ratio) * ratio
    _check(made)
    return made


def _energy_wh(source: _Blocks, found, name: str, ratio: int) -> int:  # type: ignore[no-untyped-def]
    """An energy register; a float32 is taken at its whole steps, so that its own rounding is not multiplied."""
    if found.QUANTITIES[name][1] != "float32":
        return source.value(name, ratio)
    step = int(found.ENERGY_STEP_WH)
    return (source.value(name, 1) + step // 2) // step * step * ratio


def _step_wh(source: _Blocks, found, highest_wh: int) -> int:  # type: ignore[no-untyped-def]
    """What the coarser energy register counts in, secondary Wh; a float32 has 24 bits for the whole value."""
    step = int(found.ENERGY_STEP_WH)
    if found.QUANTITIES["import"][1] == "float32":
        return max(step, highest_wh >> 23)
    return step * 10 ** max(0, source.ten("import"))


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
        self._places = {}  # type: ignore[var-annotated]
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
        return quantities(self._map, blocks, *self._ratios, self._places)
