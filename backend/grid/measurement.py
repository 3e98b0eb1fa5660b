"""What was measured of the grid at one moment: 4 s readings, quarter-hours and field sensors in one form.

1. A measurement names its sensor, its place and one standard deviation; numbers are whole and finite by their type.
2. Loads, storages and PODs: withdrawal positive. Generators: injection positive. Ends of branches: into the branch.
3. A quarter-hour is a pseudo-measurement: what a customer did on average says little about this moment, so its deviation is
   a third of it, at least 500 W. A 4 s reading is good to 1 %, at least 20 W.
4. A current alone says nothing of its direction: its angle to the voltage is taken for that of a power factor of 0.95, known to
   30 degrees, and its deviation is 5 % at least, since that is what the unknown angle makes of it. Where power is measured
   at the same end, the current adds nothing and is left out.
5. Voltages are phase to phase.
6. A sensor says a quantity of a place once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.errors import Rejected
from backend.grid.network import Network

PSEUDO_PPM, PSEUDO_LEAST_W = 333_333, 500
READING_PPM, READING_LEAST_W = 10_000, 20
ANGLE_MDEG, ANGLE_SIGMA_MDEG, CURRENT_PPM = 18_195, 30_000, 50_000
_PPM = 1_000_000
_SIDES = {"line": ("from", "to"), "transformer": ("from", "to"), "link": ("from", "to")}
_PLACES = {
    "voltage": ("node",),
    "power": ("load", "storage", "pod", "generator", "source", "line", "transformer", "link"),
    "current": ("line", "transformer", "link"),
}


class Quantity(StrEnum):
    """What is measured: mV; W and var; mA and 1e-3 degrees by which the current lags the voltage."""

    VOLTAGE = "voltage"
    POWER = "power"
    CURRENT = "current"


class Origin(StrEnum):
    """Where a measurement comes from; only what was really measured now can be bad data."""

    FIELD = "field sensor"
    READING = "4 s reading"
    QUARTER = "quarter-hour"
    ASSUMED = "assumed"

    @property
    def is_telemetry(self) -> bool:
        """Whether a sensor said it."""
        return self in (Origin.FIELD, Origin.READING)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One sensor at one place. value: mV, W or mA; second: var or 1e-3 degrees; sigma of each in the same unit.

    kind and element: "node", "load", "storage", "generator", "source", "line", "transformer" or "link" and its id, or "pod" and
    its place in the grid's connections; side: the end of a branch, "from" or "to".
    """

    sensor: str
    quantity: Quantity
    kind: str
    element: int
    value: int
    sigma: int
    second: int = 0
    second_sigma: int = 0
    side: str = ""
    origin: Origin = Origin.FIELD

    def __post_init__(self) -> None:
        if self.kind not in _PLACES[self.quantity]:
            raise Rejected(
                f"sensor {self.sensor}: {self.quantity} at a {self.kind}, expected {', '.join(_PLACES[self.quantity])}"
            )
        if self.side not in _SIDES.get(self.kind, ("",)):
            raise Rejected(
                f"sensor {self.sensor}: side {self.side!r} of a {self.kind}, expected {_SIDES.get(self.kind, ('',))}"
            )
        if self.sigma < 1 or (self.quantity is not Quantity.VOLTAGE and self.second_sigma < 1):
            raise Rejected(f"sensor {self.sensor}: sigma {self.sigma}, {self.second_sigma}, expected 1 or more")
        if self.quantity is not Quantity.POWER and self.value < 0:
            raise Rejected(f"sensor {self.sensor}: {self.quantity} {self.value} is negative")

    @property
    def place(self) -> str:
        """Where, in words of the network document."""
        return f"{self.kind}:{self.element}" + (f":{self.side}" if self.side else "")


def power(
    sensor: str, kind: str, element: int, watts_var: tuple[int, int], origin: Origin, side: str = ""
) -> Measurement:
    """W and var of a reading or a quarter-hour, with the deviation of rule 3."""
    ppm, least = (READING_PPM, READING_LEAST_W) if origin.is_telemetry else (PSEUDO_PPM, PSEUDO_LEAST_W)
    of_w, of_var = (max(least, abs(value) * ppm // _PPM) for value in watts_var)
    return Measurement(sensor, Quantity.POWER, kind, element, watts_var[0], of_w, watts_var[1], of_var, side, origin)


def current(sensor: str, kind: str, element: int, current_ma: int, sigma_ma: int, side: str) -> Measurement:
    """A current without a direction (rule 4)."""
    sigma = max(sigma_ma, current_ma * CURRENT_PPM // _PPM)
    return Measurement(sensor, Quantity.CURRENT, kind, element, current_ma, sigma, ANGLE_MDEG, ANGLE_SIGMA_MDEG, side)


def fitting(network: Network, measured: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Those to estimate from, in order of place and sensor: rule 4. Raises Rejected for a place that the grid has not, or
    a sensor given twice (rule 6)."""
    found = sorted(measured, key=lambda m: (m.kind, m.element, m.side, m.quantity.value, m.sensor, m.value, m.second))
    known = {
        kind: {e.id for e in getattr(network, f"{kind}s")}
        for kind in ("node", "load", "storage", "generator", "source", "line", "transformer", "link")
    }
    known["pod"] = set(range(len(network.connections)))
    for one in found:
        if one.element not in known[one.kind]:
            raise Rejected(f"sensor {one.sensor}: {one.place} is not in grid {network.name!r}")
    once: set[tuple[str, str, str, str]] = set()
    for one in found:
        said = (one.sensor, one.quantity.value, one.place, one.origin.value)
        if said in once:
            raise Rejected(f"sensor {one.sensor}: {one.quantity} at {one.place} is given twice, expected once")
        once.add(said)
    powered = {one.place for one in found if one.quantity is Quantity.POWER}
    return tuple(one for one in found if one.quantity is not Quantity.CURRENT or one.place not in powered)
