"""What readings say of quarter-hours: added up while they are read, so that a month takes no more memory than a day.

1. A quarter-hour is measured by its 4 s readings if of 225 there are as many as the terms ask for: mean power x 900 s, half to
   even.
2. Else by the registers at its two ends, import less export, if neither fell; else it is missing.
3. A reading on monotonic time stands where the clock link of its boot puts it, to the nearest slot; without one nowhere.
"""

from fractions import Fraction

from backend.evidence.verifier.message import Message
from backend.evidence.verifier.run import SLOT_MS, Run

FRAME_MS, FRAME_S, SLOTS = 900_000, 900, 225
_UNTRUSTED_CLOCK = 1
_PPM = 1_000_000


class Metered:
    """Sums of the readings of one device."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, int]] = {}
        self._registers_wh: dict[int, tuple[int, int]] = {}
        self._shifts: dict[int, int] = {}
        self._early: list[tuple[int, int, int, tuple[int, int]]] = []

    def link(self, message: Message) -> None:
        """A clock link."""
        self._shifts[message.number("boot")] = message.number("utc_ms") - message.number("monotonic_ms")

    def add(self, reading: Message) -> None:
        """A reading."""
        number = reading.number
        registers_wh = number("import_wh"), number("export_wh")
        if number("flags") & _UNTRUSTED_CLOCK:
            self._early.append((number("boot"), number("time_ms"), number("power_w"), registers_wh))
        else:
            self._take(number("time_ms"), number("power_w"), registers_wh)

    def add_run(self, run: Run) -> None:
        """A run of readings."""
        power, imported, exported = (run.columns[name] for name in ("power_w", "import_wh", "export_wh"))
        if not run.is_trusted:
            for k, watts in enumerate(power):
                self._early.append((run.boot, run.time_ms + k * SLOT_MS, watts, (imported[k], exported[k])))
            return
        k = 0
        while k < len(power):
            time_ms = run.time_ms + k * SLOT_MS
            until = k + -(-(FRAME_MS - time_ms % FRAME_MS) // SLOT_MS)
            mine = power[k:until]
            count, watts = self._sums.get(time_ms // FRAME_MS, (0, 0))
            self._sums[time_ms // FRAME_MS] = count + len(mine), watts + sum(mine)
            if time_ms % FRAME_MS == 0:
                self._registers_wh[time_ms] = imported[k], exported[k]
            k = until

    def measured(self, frame: int, completeness_ppm: int) -> tuple[str, int]:
        """(source, energy in Ws) of a quarter-hour; when everything has been added. completeness_ppm: how many of its readings
        are needed, in 1e-6."""
        while self._early:
            boot, time_ms, power_w, registers_wh = self._early.pop()
            if boot in self._shifts:
                self._take((time_ms + self._shifts[boot] + SLOT_MS // 2) // SLOT_MS * SLOT_MS, power_w, registers_wh)
        count, watts = self._sums.get(frame, (0, 0))
        if count * _PPM >= SLOTS * completeness_ppm:
            return "4 s readings", round(Fraction(watts * FRAME_S, count))
        begin, end = (self._registers_wh.get((frame + k) * FRAME_MS) for k in (0, 1))
        if begin is not None and end is not None and end[0] >= begin[0] and end[1] >= begin[1]:
            return "registers of the quarter-hour", (end[0] - begin[0] - end[1] + begin[1]) * 3600
        return "missing", 0

    def _take(self, time_ms: int, power_w: int, registers_wh: tuple[int, int]) -> None:
        count, watts = self._sums.get(time_ms // FRAME_MS, (0, 0))
        self._sums[time_ms // FRAME_MS] = count + 1, watts + power_w
        if time_ms % FRAME_MS == 0:
            self._registers_wh[time_ms] = registers_wh
