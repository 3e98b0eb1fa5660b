"""The register maps of hil/registers, loaded and checked.

1. A meter is one data file; its name is the model's name. A file with "quantities" describes a meter.
2. A wrong file is one error: file, field, value, what belongs there.
3. Quantities and the whole units they are counted in here, primary side, withdrawal positive: voltage mV, current mA,
   power W, reactive var, frequency mHz, import and export Wh.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from hil.meters.fields import CatalogueError, Fields
from hil.meters.registers import Form, register_count
from hil.meters.sunspec import SunSpecBlock, sunspec_block

REGISTERS = Path(__file__).parents[1] / "registers"
UNITS = {
    "V": ("voltage", 1000), "A": ("current", 1000), "mA": ("current", 1), "W": ("power", 1), "kW": ("power", 1000),
    "var": ("reactive", 1), "kvar": ("reactive", 1000), "Hz": ("frequency", 1000), "Wh": ("energy", 1),
    "kWh": ("energy", 1000),
}  # fmt: skip
_PHASED = ("voltage", "current", "power", "reactive")
_PHASES = ("l1", "l2", "l3")
NAMES = {
    **{f"{kind}_{phase}": kind for kind in _PHASED for phase in _PHASES},
    **{"voltage_mean": "voltage", "current_total": "current", "power_total": "power", "reactive_total": "reactive"},
    **{"frequency": "frequency", "import": "energy", "export": "energy"},
}
_NEEDED = ("voltage_l1", "power_total", "import", "export", "frequency")
_FIELDS = {"title", "source", "unverified", "phases", "functions", "word_order", "request_max", "pairs_only", "areas",
           "serial", "not_available", "quantities", "sunspec"}  # fmt: skip
_QUANTITY = {"name", "address", "form", "unit", "resolution", "sign", "point", "scale_factor"}
_ORDERS = {"high register first": False, "low register first": True}


@dataclass(frozen=True, slots=True)
class Quantity:
    """Where a quantity lies and how it is written.

    factor: whole units of rule 3 in one `unit`. resolution: what one count is worth [unit]; 0: what float32 can say.
    """

    name: str
    kind: str
    address: int
    form: Form
    unit: str
    factor: int
    resolution: Fraction
    sign: int

    @property
    def end(self) -> int:
        """The register after the last."""
        return self.address + register_count(self.form)


@dataclass(frozen=True, slots=True)
class Serial:
    """How the meter leaves the factory: 8 data bits, parity N, E or O."""

    baud: int
    parity: str
    stop_bits: int


@dataclass(frozen=True, slots=True)
class MeterMap:
    """One model. areas: readable registers, [first, end). blank: content from register `first` on before any value."""

    name: str
    title: str
    source: str
    unverified: tuple[str, ...]
    phases: int
    functions: tuple[int, ...]
    low_first: bool
    request_max: int
    pairs_only: bool
    areas: tuple[tuple[int, int], ...]
    first: int
    blank: bytes
    serial: Serial
    not_available: Mapping[Form, bytes]
    quantities: tuple[Quantity, ...]

    def quantity(self, name: str) -> Quantity:
        """The quantity of this name; KeyError if the meter does not have it."""
        return {q.name: q for q in self.quantities}[name]


def models(folder: Path = REGISTERS) -> list[str]:
    """The names of all models, in order."""
    return sorted(path.stem for path in folder.glob("*.json") if "quantities" in json.loads(path.read_text()))


@cache
def meter_map(name: str, base: int | None = None, folder: Path = REGISTERS) -> MeterMap:
    """The map of a model; CatalogueError for an unknown model or a wrong file. base: of SunSpec's marker, else its first."""
    path = folder / f"{name}.json"
    if "/" in name or not path.is_file():
        raise CatalogueError(f"{name} is not a model; these are: {', '.join(models(folder))}")
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise CatalogueError(f"{path.name}: {error}") from error
    fields = Fields(path.name, document, "")
    fields.knows(_FIELDS)
    block = sunspec_block(fields.inner("sunspec"), base) if "sunspec" in fields.row else None
    if block is None and base is not None:
        raise CatalogueError(f"{name} is no SunSpec meter and has no base to choose; leave the base out")
    return _map(name, fields, block)


def _map(name: str, fields: Fields, block: SunSpecBlock | None) -> MeterMap:
    quantities = tuple(_quantity(row, block) for row in fields.inners("quantities"))
    areas = block.areas if block else fields.pairs("areas")
    first, end = min(a for a, _ in areas), max(b for _, b in areas)
    found = MeterMap(
        name=name,
        title=fields.text("title"),
        source=fields.text("source"),
        unverified=tuple(str(note) for note in fields.values("unverified")),
        phases=fields.choice("phases", {1: 1, 3: 3}),
        functions=fields.choice("functions", {"holding": (3,), "input": (4,), "holding and input": (3, 4)}),
        low_first=fields.choice("word_order", _ORDERS),
        request_max=fields.number("request_max", 1, 125),
        pairs_only=fields.choice("pairs_only", {True: True, False: False}),
        areas=areas,
        first=first,
        blank=block.content if block else bytes(2 * (end - first)),
        serial=_serial(fields.inner("serial")),
        not_available=_not_available(fields),
        quantities=quantities,
    )
    _check(found, fields)
    return found


def _serial(fields: Fields) -> Serial:
    fields.knows({"baud", "parity", "stop_bits"})
    parities = {p: p for p in "NEO"}
    return Serial(
        fields.number("baud", 300, 921_600), fields.choice("parity", parities), fields.number("stop_bits", 1, 2)
    )


def _not_available(fields: Fields) -> dict[Form, bytes]:
    inner = fields.inner("not_available")
    inner.knows(set(Form))
    return {Form(form): inner.hexadecimal(form, 2 * register_count(Form(form))) for form in inner.row}


def _quantity(fields: Fields, block: SunSpecBlock | None) -> Quantity:
    fields.knows(_QUANTITY)
    name = fields.choice("name", {n: n for n in NAMES})
    form = fields.choice("form", {f.value: f for f in Form})
    units = {unit: unit for unit, (kind, _) in UNITS.items() if kind == NAMES[name]}
    unit = fields.choice("unit", units)
    address = fields.number("address", 0, 65_535)
    if block is not None:
        address += block.start
    if block is not None and "scale_factor" in fields.row:
        resolution = Fraction(10) ** fields.choice("scale_factor", block.exponents)
    else:
        resolution = fields.decimal("resolution")
    factor = UNITS[unit][1]
    if form is not Form.FLOAT32 and not resolution:
        raise fields.wrong("resolution", "what one count of a whole number is worth")
    if NAMES[name] == "energy" and (not resolution or (resolution * factor).denominator != 1):
        raise fields.wrong("resolution", "a step of whole watt-hours")
    sign = fields.choice("sign", {1: 1, -1: -1}) if "sign" in fields.row else 1
    return Quantity(name, NAMES[name], address, form, unit, factor, resolution, sign)


def _check(found: MeterMap, fields: Fields) -> None:
    """What belongs together."""
    names = [q.name for q in found.quantities]
    if missing := [n for n in _NEEDED if n not in names]:
        raise CatalogueError(f"{fields.file}: quantities lacks {missing[0]}")
    taken: dict[int, str] = {}
    for n, quantity in enumerate(found.quantities):
        where = f"{fields.file}: quantities[{n}] ({quantity.name})"
        if names.count(quantity.name) > 1:
            raise CatalogueError(f"{where} is there twice")
        if not any(low <= quantity.address and quantity.end <= end for low, end in found.areas):
            raise CatalogueError(f"{where}.address is {quantity.address}, a register inside the areas belongs here")
        for register in range(quantity.address, quantity.end):
            if register in taken:
                raise CatalogueError(f"{where}.address overlaps {taken[register]} at register {register}")
            taken[register] = quantity.name
        if quantity.form not in found.not_available:
            raise CatalogueError(f"{fields.file}: not_available lacks {quantity.form}")


def described(name: str, folder: Path = REGISTERS) -> dict[str, Any]:
    """A model for a list: name, title, source, phases, unverified."""
    found = meter_map(name, folder=folder)
    return {
        "model": name,
        "title": found.title,
        "source": found.source,
        "phases": found.phases,
        "quantities": [q.name for q in found.quantities],
        "unverified": list(found.unverified),
    }
