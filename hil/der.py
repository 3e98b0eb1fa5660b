"""An emulated DER behind SunSpec over Modbus TCP: model 1, 701 (measures), 702 (capacity), 704 (controls), then our own block.

Source: SunSpec DER Information Model Specification V1.2, models 701, 702 and 704. The registers used are at the offsets
of that specification; points a client of the demo does not need are present and read "not implemented". SunSpec powers
are positive for injection, ours for withdrawal: `_injection` is the only place where the sign turns.
Model 64900 (vendor): POD net power [W, withdrawal positive, int32], as the energy manager's own meter would know it.
"""

from dataclasses import dataclass, field

from hil.modbus import Device

BASE = 40000
_NOT_IMPLEMENTED = 0xFFFF
MODEL_1, MODEL_701, MODEL_702, MODEL_704, MODEL_POD = 1, 701, 702, 704, 64900
LENGTHS = {MODEL_1: 66, MODEL_701: 153, MODEL_702: 50, MODEL_704: 65, MODEL_POD: 2}
# offsets from the first register after the model's header (id, length)
W_701 = 8
W_MAX_RTG_702, W_SF_702 = 0, 45
WSET_ENA_704, WSET_MOD_704, WSET_704, WSET_RVRT_704, WSET_RVRT_TMS_704 = 17, 18, 19, 21, 27
MOD_WATTS = 1


def _addresses() -> dict[int, int]:
    """Model -> address of its first point."""
    at, found = BASE + 2, {}
    for model, length in LENGTHS.items():
        found[model] = at + 2
        at += 2 + length
    return found


POINTS = _addresses()


def _words(value: int) -> tuple[int, int]:
    raw = value & 0xFFFFFFFF
    return raw >> 16, raw & 0xFFFF


def _signed(high: int, low: int) -> int:
    raw = high << 16 | low
    return raw - (1 << 32) if raw & 0x80000000 else raw


def _injection(withdrawal_w: int) -> int:
    return -withdrawal_w


@dataclass(slots=True)
class Der:
    """One flexible plant: batteries, chargers, PV. Powers in W, withdrawal positive, at the DER's terminals.

    lowest_w..highest_w: what it can do; energy_ws: usable energy above empty, capacity_ws: None for no storage;
    delivers_ppm: the part of a commanded change it really makes (1,000,000 is all), from `fails_from_ms` on.
    """

    lowest_w: int
    highest_w: int
    capacity_ws: int | None = None
    energy_ws: int = 0
    delivers_ppm: int = 1_000_000
    fails_from_ms: int = 0
    power_w: int = 0
    device: Device = field(init=False)

    def __post_init__(self) -> None:
        holdings = {BASE: 0x5375, BASE + 1: 0x6E53}
        for model, first in POINTS.items():
            holdings |= {first - 2: model, first - 1: LENGTHS[model]}
            holdings |= {first + k: _NOT_IMPLEMENTED for k in range(LENGTHS[model])}
        end = POINTS[MODEL_POD] + LENGTHS[MODEL_POD]
        holdings |= {end: 0xFFFF, end + 1: 0}
        self.device = Device(1, holdings=holdings)
        for k in range(WSET_ENA_704, WSET_RVRT_TMS_704 + 2):
            holdings[POINTS[MODEL_704] + k] = 0
        holdings[POINTS[MODEL_702] + W_MAX_RTG_702] = min(0xFFFE, max(abs(self.lowest_w), self.highest_w) // 10)
        holdings[POINTS[MODEL_702] + W_SF_702] = 1
        self._show(0, 0)

    @property
    def commanded_w(self) -> int | None:
        """The set-point in model 704, withdrawal positive; None while it is not enabled in watts."""
        at = POINTS[MODEL_704]
        r = self.device.holdings
        if r[at + WSET_ENA_704] != 1 or r[at + WSET_MOD_704] != MOD_WATTS:
            return None
        return _injection(_signed(r[at + WSET_704], r[at + WSET_704 + 1]))

    def step(self, utc_ms: int, own_w: int, base_w: int, since_ms: int) -> int:
        """Power at the DER's terminals for the next since_ms.

        own_w: what it does by itself (its schedule); base_w: the other load of the customer, for the energy manager's meter.
        """
        commanded = self.commanded_w
        wanted = own_w if commanded is None else commanded
        if commanded is not None and utc_ms >= self.fails_from_ms:
            wanted = own_w + (commanded - own_w) * self.delivers_ppm // 1_000_000
        self.power_w = self._within_energy(max(self.lowest_w, min(self.highest_w, wanted)), since_ms)
        self._show(self.power_w, base_w + self.power_w)
        return self.power_w

    def _within_energy(self, power_w: int, since_ms: int) -> int:
        if self.capacity_ws is None:
            return power_w
        stored = self.energy_ws + power_w * since_ms // 1000
        if not 0 <= stored <= self.capacity_ws:
            return 0
        self.energy_ws = stored
        return power_w

    def _show(self, power_w: int, pod_w: int) -> None:
        r = self.device.holdings
        at = POINTS[MODEL_701] + W_701
        r[at] = max(-32767, min(32767, _injection(power_w) // 10)) & 0xFFFF
        high, low = _words(pod_w)
        r[POINTS[MODEL_POD]], r[POINTS[MODEL_POD] + 1] = high, low
