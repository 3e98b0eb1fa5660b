"""An emulated DER with its energy manager: physics in integers, SunSpec towards the edge agent.

1. SunSpec powers are positive for injection, ours for withdrawal: `_turned` is the only place where the sign turns.
2. Without an enabled command it follows its own schedule. A command is model 704's WSet (watts or percent of WMax), after
   it WMaxLimPct, which limits injection only. The local switch outranks the command, the emergency stop everything.
3. The reversion timer of WSet starts at the first step after a write and counts the steps' time.
4. A battery loses at charging and at discharging: of w watts withdrawn w x efficiency is stored. At empty and full it does
   only what still fits. A flexible load has no storage; a plant of PV never injects more than its schedule says is there.
5. Fault: from an instant on it makes only a part of the commanded change; its registers still say what was commanded.

Source: SunSpec DER Information Model Specification V1.2, models 701, 702, 704.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from hil.sunspec import SunSpecBlock

_PPM = 1_000_000
_PERCENT_SF = -2
_INT16_MAX = 32_767


class Kind(StrEnum):
    """What stands behind the energy manager."""

    BATTERY = "battery"
    CHARGING = "charging"
    HEAT_PUMP = "heat_pump"
    PV = "pv"


@dataclass(frozen=True, slots=True)
class Storage:
    """A battery's cells: usable energy [watt-seconds], what is in it at the start, efficiency of each direction."""

    capacity_ws: int
    stored_ws: int
    efficiency_ppm: int = 950_000


@dataclass(frozen=True, slots=True)
class Fault:
    """From `from_ms` on only `delivers_ppm` of a commanded change is made (1,000,000: all)."""

    from_ms: int
    delivers_ppm: int


@dataclass(frozen=True, slots=True)
class Plate:
    """What the device is. lowest_w and highest_w: W at its terminals, withdrawal positive; lowest_w is negative or zero."""

    kind: Kind
    lowest_w: int
    highest_w: int
    storage: Storage | None = None
    fault: Fault | None = None

    @property
    def nameplate_w(self) -> int:
        """The larger of both magnitudes [W]."""
        return max(-self.lowest_w, self.highest_w, 1)


@dataclass(slots=True)
class Der:
    """One device; `power_w` is what it does since the last step."""

    plate: Plate
    serial: str = "1"
    power_w: int = 0
    emergency_stop: bool = False
    local_switch: bool = False
    stored_ws: int = field(init=False, default=0)
    block: SunSpecBlock = field(init=False)
    _scale: int = field(init=False)
    _rewritten: bool = field(init=False, default=False)
    _reverts_ms: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.block = SunSpecBlock(self._note_write)
        self._scale = _scale_for(self.plate.nameplate_w)
        if self.plate.storage is not None:
            self.stored_ws = self.plate.storage.stored_ws
        self._fill_static()
        self._show(0, 0)

    @property
    def commanded_w(self) -> int | None:
        """What model 704 commands [W, withdrawal positive]; None while WSet is not enabled."""
        block = self.block
        if block.get(704, "WSetEna") != 1:
            return None
        if block.get(704, "WSetMod") == 1:
            return _turned(block.get(704, "WSet"))
        return _turned(block.get(704, "WSetPct") * self.plate.nameplate_w // 10_000)

    def step(self, utc_ms: int, own_w: int, other_w: int, span_ms: int) -> int:
        """The power at its terminals for the next span_ms, W, withdrawal positive.

        own_w: its own schedule; other_w: the customer's other load, for the energy manager's own meter.
        """
        self._revert(utc_ms)
        wanted = self._wanted(utc_ms, own_w)
        lowest_w = max(self.plate.lowest_w, own_w) if self.plate.kind is Kind.PV else self.plate.lowest_w
        self.power_w = self._stored(max(lowest_w, min(self.plate.highest_w, wanted)), span_ms)
        self._show(self.power_w, other_w + self.power_w)
        return self.power_w

    def _wanted(self, utc_ms: int, own_w: int) -> int:
        if self.emergency_stop:
            return 0
        commanded = None if self.local_switch else self.commanded_w
        wanted = own_w if commanded is None else commanded
        if not self.local_switch and self.block.get(704, "WMaxLimPctEna") == 1:
            wanted = max(wanted, _turned(self.block.get(704, "WMaxLimPct") * self.plate.nameplate_w // 10_000))
        fault = self.plate.fault
        if fault is not None and utc_ms >= fault.from_ms:
            wanted = own_w + (wanted - own_w) * fault.delivers_ppm // _PPM
        return wanted

    def _stored(self, power_w: int, span_ms: int) -> int:
        """power_w as far as the cells allow; moves the energy."""
        storage = self.plate.storage
        if storage is None:
            return power_w
        room_ws, left_ws = storage.capacity_ws - self.stored_ws, self.stored_ws
        if power_w >= 0:
            fits_w = room_ws * _PPM * 1000 // (storage.efficiency_ppm * span_ms)
            power_w = min(power_w, fits_w)
            self.stored_ws += power_w * span_ms * storage.efficiency_ppm // (_PPM * 1000)
        else:
            gives_w = left_ws * storage.efficiency_ppm * 1000 // (_PPM * span_ms)
            power_w = max(power_w, -gives_w)
            self.stored_ws -= -power_w * span_ms * _PPM // (storage.efficiency_ppm * 1000)
        return power_w

    def _note_write(self) -> None:
        self._rewritten = True

    def _revert(self, utc_ms: int) -> None:
        block = self.block
        if self._rewritten:
            after_s = block.get(704, "WSetRvrtTms")
            self._reverts_ms = utc_ms + after_s * 1000 if after_s and block.get(704, "WSetEna") == 1 else None
            self._rewritten = False
        if self._reverts_ms is None:
            return
        if utc_ms >= self._reverts_ms:
            for point in ("WSet", "WSetPct", "WSetEna"):
                reversion = {"WSet": "WSetRvrt", "WSetPct": "WSetPctRvrt", "WSetEna": "WSetEnaRvrt"}[point]
                block.set(704, point, block.get(704, reversion))
            self._reverts_ms = None
        block.set(704, "WSetRvrtRem", 0 if self._reverts_ms is None else (self._reverts_ms - utc_ms) // 1000)

    def _show(self, power_w: int, pod_w: int) -> None:
        unit_w = _unit(self._scale)
        scaled = (_turned(power_w) + unit_w // 2) // unit_w
        self.block.set(701, "W", max(-_INT16_MAX, min(_INT16_MAX, scaled)))
        self.block.set(64900, "PodW", pod_w)
        self.block.set(64900, "LocalSwitch", int(self.local_switch))
        self.block.set(64900, "EmergencyStop", int(self.emergency_stop))

    def _fill_static(self) -> None:
        block, sf = self.block, self._scale
        texts = {"Mn": "Lightnode rig", "Md": self.plate.kind.value, "Opt": "", "Vr": "1", "SN": self.serial}
        for name, text in texts.items():
            block.set(1, name, text)
        block.set(1, "DA", 1)
        for name, value_w in (
            ("WMaxRtg", self.plate.nameplate_w),
            ("WMax", self.plate.nameplate_w),
            ("WChaRteMaxRtg", self.plate.highest_w),
            ("WChaRteMax", self.plate.highest_w),
            ("WDisChaRteMaxRtg", -self.plate.lowest_w),
            ("WDisChaRteMax", -self.plate.lowest_w),
        ):
            block.set(702, name, value_w // _unit(sf))
        block.set(702, "W_SF", sf)
        block.set(701, "W_SF", sf)
        for name, value in (("ACType", 2), ("St", 1), ("InvSt", 3), ("ConnSt", 1)):
            block.set(701, name, value)
        controls = ("WMaxLimPctEna", "WMaxLimPctRvrt", "WMaxLimPctEnaRvrt", "WMaxLimPctRvrtTms", "WMaxLimPctRvrtRem",
                    "WSetEna", "WSet", "WSetRvrt", "WSetPct", "WSetPctRvrt", "WSetEnaRvrt", "WSetRvrtTms", "WSetRvrtRem",
                    "WSet_SF")  # fmt: skip
        for name in controls:
            block.set(704, name, 0)
        block.set(704, "WSetMod", 1)
        block.set(704, "WMaxLimPct", 10_000)
        block.set(704, "WMaxLimPct_SF", _PERCENT_SF)
        block.set(704, "WSetPct_SF", _PERCENT_SF)


def _turned(power: int) -> int:
    """Injection positive to withdrawal positive, and back."""
    return -power


def _scale_for(nameplate_w: int) -> int:
    """The scale factor with which twice the nameplate fits an int16."""
    scale = 0
    while nameplate_w * 2 // _unit(scale) > _INT16_MAX:
        scale += 1
    return scale


def _unit(scale: int) -> int:
    """W of one step at a scale factor."""
    return int(10**scale)
