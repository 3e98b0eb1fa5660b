"""Whether what a meter said can be true: no I/O, integers only.

The answer cannot be a measurement (MeterError, so a gap):
1. A frequency outside 40 to 70 Hz, or no phase with a voltage of 30 to 500 V before its transformer: the meter is starting,
   is dead, or its registers are in another order.
2. The meter's own mean voltage is not within 10 % of its phases: the registers that came with it are not to be believed.

The answer is kept as SUSPECT:
3. Apparent power: P^2 + Q^2 is at most (U x I)^2, with 25 % and 500 VA (before the transformers) to spare, where the map has
   a current; P is the sum of its phases within 1 % and 25 W, where it has those; and neither P nor Q is over four times what
   the connection may draw.
4. An energy register rose by more than the connection could move in the time.
5. An energy register fell: REGISTER_RESET. The next answer is held against the registers before and those after; only what
   counts on from one of them is believed.
6. Power and registers disagree: the registers' net change is not the integral of power over the same slots, within two steps
   of the register, a quarter of it, two seconds of power, and three times what the swings between slots can hide (root of
   the sum of squares). Over two steps a register that stands still, or one that counts the other way, is found so.
7. P and Q both turned their sign since the last reading, or P turned to its opposite within 10 % where there is no Q to tell:
   a sign was lost, not a load changed.
8. What 4 to 7 found, and the start of a meter without history, is a doubt: all readings are SUSPECT until the registers have
   counted as the power says in a direction that tells its sign. History is the last reading of the boot before.

Its limit: only the energy registers know the sign of power. The sign of P alone that turns while the load also changes is seen
when the register has moved by two of its steps, not before; a reactive power that is wrong and small against P is not seen.
"""

from .errors import MeterError

_WS_PER_WH = 3600
_SLOTS_MS = 8000  # two slots; after a longer time without a reading nothing is known of the power in between
_FREQUENCY_MHZ = (40_000, 70_000)
_VOLTAGE_MV = (30_000, 500_000)
_SPARE_VA = 500
_SPARE_W = 25
_WINDOW_MS = 3_600_000
_TURNED_LEAST_W = 50
_LAG_S = 2


def check(found, vt_ratio: int) -> None:  # type: ignore[no-untyped-def]
    """MeterError by rules 1 and 2."""
    highest = max(found.voltage_mv)
    if not _FREQUENCY_MHZ[0] <= found.frequency_mhz <= _FREQUENCY_MHZ[1]:
        raise MeterError(f"a frequency of {found.frequency_mhz} mHz")
    if not _VOLTAGE_MV[0] * vt_ratio <= highest <= _VOLTAGE_MV[1] * vt_ratio:
        raise MeterError(f"a voltage of {highest} mV")
    if found.mean_mv >= 0 and not 9 * min(found.voltage_mv) <= 10 * found.mean_mv <= 11 * highest:
        raise MeterError(f"a mean voltage of {found.mean_mv} mV")


def is_over(found, ratio: int, most_w: int) -> bool:  # type: ignore[no-untyped-def]
    """Rule 3. ratio: CT x VT; most_w: what the connection may draw or feed."""
    power, reactive, spare = found.power_w, found.reactive_var, _SPARE_VA * ratio
    if max(abs(power), abs(reactive)) > 4 * most_w + spare:
        return True
    if found.current_ma >= 0:
        apparent = max(found.voltage_mv) * found.current_ma // 1_000_000
        if power * power + reactive * reactive > (apparent + apparent // 4 + spare) ** 2:
            return True
    return found.phase_sum_w is not None and abs(power - found.phase_sum_w) > abs(power) // 100 + _SPARE_W * ratio


class Point:
    """Registers and power at an instant in monotonic ms."""

    def __init__(self, at_ms: int, import_wh: int, export_wh: int, power_w: int = 0, reactive_var: int = 0) -> None:
        self.at_ms = at_ms
        self.import_wh = import_wh
        self.export_wh = export_wh
        self.power_w = power_w
        self.reactive_var = reactive_var

    def fell_to(self, now: "Point") -> bool:
        """Whether a register is lower now."""
        return now.import_wh < self.import_wh or now.export_wh < self.export_wh

    def turned_to(self, now: "Point", least_w: int) -> bool:
        """Rule 7, for powers of at least so much."""
        power, reactive = self.power_w, self.reactive_var
        if min(abs(reactive), abs(now.reactive_var)) >= least_w:
            return (
                min(abs(power), abs(now.power_w)) >= least_w
                and (power < 0) != (now.power_w < 0)
                and (reactive < 0) != (now.reactive_var < 0)
            )
        return (
            abs(power) >= least_w
            and 10 * abs(power + now.power_w) <= abs(power)
            and 10 * abs(reactive + now.reactive_var) <= abs(reactive) + least_w
        )


class Window:
    """Registers beside the integral of power since a reading (rule 6), in watt-seconds."""

    def __init__(self, start: Point) -> None:
        self.start = start
        self._last = start
        self._twice_ws = 0  # of the integral, by trapezoids
        self._swings = 0  # sum of the squares of what a change of power within a slot may hide
        self._highest_w = abs(start.power_w)

    def add(self, now: Point) -> None:
        """The next reading."""
        elapsed_ms = now.at_ms - self._last.at_ms
        self._twice_ws += (self._last.power_w + now.power_w) * elapsed_ms // 1000
        swing_ws = (now.power_w - self._last.power_w) * elapsed_ms // 2000
        self._swings += swing_ws * swing_ws
        self._highest_w = max(self._highest_w, abs(now.power_w))
        self._last = now

    def verdict(self, step_wh: int) -> int:
        """-1: registers and power disagree; 1: they agree, and would not with the other sign; 0: not known yet."""
        start, now = self.start, self._last
        net_ws = ((now.import_wh - start.import_wh) - (now.export_wh - start.export_wh)) * _WS_PER_WH
        expected_ws = self._twice_ws // 2
        spare_ws = 2 * step_wh * _WS_PER_WH + abs(expected_ws) // 4 + _LAG_S * self._highest_w
        if not self._hides(abs(net_ws - expected_ws) - spare_ws):
            return -1
        return 1 if net_ws and not self._hides(abs(net_ws + expected_ws) - spare_ws) else 0

    def _hides(self, over_ws: int) -> bool:
        """Whether swings between the slots can hide so much."""
        return over_ws <= 0 or over_ws * over_ws <= 9 * self._swings


class Watch:
    """Follows one meter. in_doubt: rule 8. was_reset: whether a register fell with the last answer."""

    def __init__(self, ratio: int, most_w: int) -> None:
        """ratio: CT x VT; most_w: what the connection may draw or feed."""
        self._ratio = ratio
        self._most_w = most_w
        self._last: Point | None = None
        self._other: Point | None = None  # registers that do not follow from the last ones
        self._window: Window | None = None
        self.in_doubt = True
        self.was_reset = False

    def remember(self, point: Point) -> None:
        """The last reading of the boot before, if it was beyond doubt."""
        self._last = point
        self.in_doubt = False

    def is_suspect(self, at_ms: int, found) -> bool:  # type: ignore[no-untyped-def]
        """Rules 3 to 8 for an answer at an instant; instants rise."""
        now = Point(at_ms, found.import_wh, found.export_wh, found.power_w, found.reactive_var)
        step_wh = found.energy_step_wh
        over = is_over(found, self._ratio, self._most_w)
        self.was_reset = False
        if self._last is not None and not self._follows(self._last, now, step_wh):
            if self._other is None or not self._follows(self._other, now, step_wh):
                self.was_reset = self._last.fell_to(now)
                self._other = now
                return True
            self._doubt()
        self._other = None
        self._move(now, step_wh, over)
        return over or self.in_doubt

    def _move(self, now: Point, step_wh: int, over: bool) -> None:
        last, self._last = self._last, now
        if over:
            self._window = None
            if last is not None:  # what the next signs are held against was believed
                now.power_w, now.reactive_var = last.power_w, last.reactive_var
        elif last is not None and last.turned_to(now, _TURNED_LEAST_W * self._ratio):
            self._doubt()
            self._window = Window(now)
        elif self._window is None or last is None or now.at_ms - last.at_ms > _SLOTS_MS:
            self._window = Window(now)
        else:
            self._window.add(now)
            verdict = self._window.verdict(step_wh)
            if verdict:
                self.in_doubt = verdict < 0
            if verdict or now.at_ms - self._window.start.at_ms > _WINDOW_MS:
                self._window = Window(now)

    def _follows(self, before: Point, now: Point, step_wh: int) -> bool:
        """Rules 4 and 5: both registers count on from there, no faster than the connection."""
        most_wh = 4 * self._most_w * (now.at_ms - before.at_ms + _SLOTS_MS) // 3_600_000 + 2 * step_wh
        return 0 <= now.import_wh - before.import_wh <= most_wh and 0 <= now.export_wh - before.export_wh <= most_wh

    def _doubt(self) -> None:
        self.in_doubt = True
        self._window = None
