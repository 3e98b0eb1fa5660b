"""What the readings of a new meter say about its wiring: the checks of the meter, with the likely cause and its cure.

1. What is measured is compared with what the installer says is switched on, W at the POD, withdrawal positive: a range, or
   only the direction. Without it active power and power factor are not done: no meter knows which way round it is.
2. A cause is named only if it explains the figures: the measured power, turned or multiplied as the fault would, lies in the
   range. Exchanged phases before reversed transformers before a wrong ratio; else it is said that none explains it.
3. The readings are judged by their median; voltages by their lowest and highest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from lightflash.errors import FlashError
from lightflash.limits import limits
from lightflash.link import line_of
from lightflash.record import Check

READS = 5
LEAST_W = 20
"""A direction counts from here: below it is the meter's own consumption and noise."""
_MOST_W = 1 << 31
_LARGEST = 1 << 48
_RATIOS = (10, 100, 1000)
_NEEDED = ("power_w", "reactive_var", "frequency_mhz", "voltage_l1_mv", "voltage_l2_mv", "voltage_l3_mv")
_LOAD = "switch a known load on and give it as --expect-w FROM..TO"


@dataclass(frozen=True, slots=True)
class Expected:
    """What flows at the POD during the check: W, both included, withdrawal positive; None: no bound."""

    low_w: int | None
    high_w: int | None

    def holds(self, power_w: float) -> bool:
        """Whether a power lies in the range."""
        return (self.low_w is None or self.low_w <= power_w) and (self.high_w is None or power_w <= self.high_w)


IMPORT, EXPORT = Expected(LEAST_W, None), Expected(None, -LEAST_W)


@dataclass(frozen=True, slots=True)
class Flow:
    """What the meter says flows: W and var, withdrawal positive; apparent_va: of its currents, the root of both without them."""

    power_w: int
    reactive_var: int
    apparent_va: int

    @property
    def factor_permille(self) -> int:
        """Power factor: 1000 and no load are the ends."""
        return min(1000, 1000 * abs(self.power_w) // self.apparent_va) if self.apparent_va else 0


def expected(text: str) -> Expected:
    """`import`, `export` or `FROM..TO` in W. FlashError for another text or an empty range."""
    words = {"import": IMPORT, "export": EXPORT}
    if text in words:
        return words[text]
    low, dots, high = text.partition("..")
    try:
        found = Expected(int(low), int(high))
    except ValueError:
        found = Expected(1, 0)
    if not dots or not -_MOST_W <= (found.low_w or 0) <= (found.high_w or 0) < _MOST_W:
        cure = "give import, export or FROM..TO, withdrawal positive: 1800..2200, -5000..-3000"
        raise FlashError("meter", f"{text[:40]!r} is no power to be expected", cure)
    return found


def checks(answers: Sequence[Mapping[str, Any]], phases: int, wanted: Expected | None) -> list[Check]:
    """The checks of the group meter. answers: of the console's `meter`, with `error` where a read failed; phases: the meter's."""
    limit = limits()
    good = [
        answer for answer in answers if "error" not in answer and all(_is_number(answer.get(name)) for name in _NEEDED)
    ]
    errors = [
        line_of(answer.get("error", "an answer without its values"))[:80] for answer in answers if answer not in good
    ]
    cure = "check the meter's address, speed, parity, the wires A and B and the termination"
    made = [limit["meter answers"].measured(len(good), errors[-1] if errors else "", cure)]
    names = ("voltage, lowest phase", "voltage, highest phase", "frequency", "active power", "power factor")
    if not good:
        return made + [limit[name].not_done("the meter did not answer", cure) for name in names]
    return [*made, *_voltages(good, phases), *_power(_flow(good, phases), wanted)]


def _is_number(said: object) -> bool:
    return isinstance(said, int) and not isinstance(said, bool) and abs(said) < _LARGEST


def _voltages(good: Sequence[Mapping[str, Any]], phases: int) -> list[Check]:
    limit = limits()
    by_phase = [[int(answer[f"voltage_l{k}_mv"]) for answer in good] for k in range(1, phases + 1)]
    lows, highs = [min(values) for values in by_phase], [max(values) for values in by_phase]
    low, high = min(lows), max(highs)
    cure = "check the fuse and the terminal of that phase, and the voltage transformers' ratio in the settings"
    frequency = median_low(int(answer["frequency_mhz"]) for answer in good)
    return [
        limit["voltage, lowest phase"].measured(low, f"L{lows.index(low) + 1}", cure),
        limit["voltage, highest phase"].measured(high, f"L{highs.index(high) + 1}", cure),
        limit["frequency"].measured(frequency, "", "check that meter.map names this meter"),
    ]


def _flow(good: Sequence[Mapping[str, Any]], phases: int) -> Flow:
    power_w, reactive_var = (median_low(int(answer[name]) for answer in good) for name in ("power_w", "reactive_var"))
    apparent_va = round((power_w**2 + reactive_var**2) ** 0.5)
    if all(_is_number(answer.get("current_ma")) for answer in good):
        volts = sum(int(good[-1][f"voltage_l{k}_mv"]) for k in range(1, phases + 1)) // phases
        apparent_va = volts * median_low(int(answer["current_ma"]) for answer in good) // 1_000_000
    return Flow(power_w, reactive_var, apparent_va)


def _power(flow: Flow, wanted: Expected | None) -> list[Check]:
    power, factor = limits()["active power"], limits()["power factor"]
    if wanted is None:
        said = f"the meter says {flow.power_w} W; what is switched on was not said"
        return [power.not_done(said, _LOAD), factor.not_done("what is switched on was not said", _LOAD)]
    cause, cure = explained(flow, wanted)
    made = Check(power.name, flow.power_w, power.unit, wanted.low_w, wanted.high_w, f"{flow.reactive_var} var")
    if not made.passed:
        made = Check(made.name, made.value, made.unit, made.low, made.high, cause, cure)
    if flow.apparent_va < LEAST_W:
        return [made, factor.not_done(f"only {flow.apparent_va} VA flow", _LOAD)]
    return [made, factor.measured(flow.factor_permille, cause if flow.factor_permille < _least() else "", cure)]


def explained(flow: Flow, wanted: Expected) -> tuple[str, str]:
    """(the fault that explains the figures, its cure); the figures alone if none does (rule 2)."""
    if flow.apparent_va < LEAST_W:
        return "no current flows", "is the load on, are the current transformers closed around their conductors?"
    if (found := _by_phase(flow, wanted)) is not None:
        return found
    if wanted.holds(flow.power_w):
        return "the current belongs to another phase's voltage, or the load is a motor without load", (
            "check that each transformer is on the conductor of its phase; switch a heater on instead"
        )
    if wanted.holds(-flow.power_w):
        return "the power has the wrong sign: current transformers reversed", "turn all of them, or exchange S1 and S2"
    for turn, also in ((1, ""), (-1, ", and the current transformers are reversed")):
        for ratio in _RATIOS:
            if wanted.holds(turn * flow.power_w * ratio):
                return f"{ratio} times too small: a ratio is wrong{also}", _ratio_cure(f"{ratio} times larger")
            if wanted.holds(turn * flow.power_w / ratio):
                return f"{ratio} times too large: a ratio is wrong{also}", _ratio_cure(f"{ratio} times smaller")
    return "it is not what was said to be switched on, and no usual fault explains it", (
        "check the load, then meter.ct_ratio, meter.vt_ratio and meter.map"
    )


def _by_phase(flow: Flow, wanted: Expected) -> tuple[str, str] | None:
    """Faults of single phases, by what the currents would carry; three equal loads are supposed."""
    if flow.factor_permille >= _least():
        return None
    full_w = flow.apparent_va if wanted.holds(flow.apparent_va) else -flow.apparent_va
    if not wanted.holds(full_w):
        return None
    if abs(flow.reactive_var) * 10 > 7 * flow.apparent_va:
        return "the currents belong to other phases' voltages, all exchanged in turn", (
            "put each current transformer on the conductor of its phase: L1, L2, L3"
        )
    if abs(abs(full_w) - 3 * abs(flow.power_w)) * 5 < abs(full_w):
        return "one current transformer is reversed: a third of the power", "turn the one of the phase that counts back"
    if abs(flow.power_w) * 5 < abs(full_w):
        return "two current transformers are exchanged: no power, although current flows", (
            "exchange two of them so that each is on the conductor of its phase"
        )
    return None


def _least() -> int:
    return limits()["power factor"].low or 0


def _ratio_cure(how: str) -> str:
    return f"make meter.ct_ratio x meter.vt_ratio {how}, as the plates of the transformers say, or set the meter's own ratio to 1"
