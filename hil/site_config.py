"""What a site is made of, read from JSON and checked once. A wrong value is one line: file, key, value, what belongs there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.der import Fault, Kind, Plate, Storage
from hil.meters.catalogue import models
from hil.meters.faults import Fault as MeterFault
from hil.meters.faults import FaultError
from hil.meters.faults import fault as meter_fault

Span = tuple[int, int]
_SPANS = ("ems_down", "local_switch", "emergency_stop")
_CUSTOMER = {"pod", "tty", "unit", "ct_ratio", "vt_ratio", "import_wh", "export_wh", "first_frame", "load_w", "der_w",
             "reactive_per_mille", "phase_mv", "der", "spans_ms", "meter", "faults"}  # fmt: skip
_DER = {
    "kind",
    "lowest_w",
    "highest_w",
    "capacity_ws",
    "energy_ws",
    "efficiency_ppm",
    "delivers_ppm",
    "fails_from_ms",
    "port",
}


class SiteError(ValueError):
    """A wrong setting, in one line."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One POD: its meter, its load, its DER; lists by quarter-hour from epoch `first_frame` on, the ends hold beyond.

    meter: its model. faults: of the meter, by the time of the ticks. tty: the link to make to the meter's pseudo terminal,
    None for none. load_w: means [W] of the load without the DER; der_w: the DER's own schedule [W]; phase_mv: phase to
    neutral. der_port: 0 takes a free one.
    spans: [from, to) in UTC ms by kind of disturbance: ems_down, local_switch, emergency_stop.
    """

    pod: str
    meter: str
    faults: tuple[MeterFault, ...]
    tty: Path | None
    unit: int
    ct_ratio: int
    vt_ratio: int
    import_wh: int
    export_wh: int
    first_frame: int
    load_w: tuple[int, ...]
    der_w: tuple[int, ...]
    reactive_per_mille: int
    phase_mv: tuple[int, ...]
    plate: Plate
    der_port: int
    spans: Mapping[str, tuple[Span, ...]]

    def quarter(self, epoch: int) -> int:
        """The place of an epoch in the lists; before and after them the nearest."""
        return min(max(epoch - self.first_frame, 0), len(self.load_w) - 1)

    def is_in(self, kind: str, utc_ms: int) -> bool:
        """Whether a disturbance of this kind holds at the instant."""
        return any(start <= utc_ms < end for start, end in self.spans.get(kind, ()))


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """All customers, where the ticks come from (None: the wall clock), where the truth goes, the seed of the variation."""

    seed: str
    conductor: str | None
    truth: Path | None
    customers: tuple[Customer, ...]


def load(path: Path) -> SiteConfig:
    """The checked configuration; SiteError otherwise."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SiteError(f"{path}: {error}") from error
    reader = _Reader(path, document if isinstance(document, dict) else {}, "")
    reader.knows({"seed", "conductor", "truth", "customers"})
    customers = tuple(
        _customer(_Reader(path, row, f"customers[{n}].")) for n, row in enumerate(reader.rows("customers"))
    )
    truth = reader.text("truth", "")
    return SiteConfig(
        reader.text("seed", "site"),
        reader.text("conductor", "") or None,
        Path(truth) if truth else None,
        customers,
    )


class _Reader:
    """Fields of one JSON object, each checked; `prefix` names it in errors."""

    def __init__(self, path: Path, row: object, prefix: str) -> None:
        self.path = path
        self.prefix = prefix
        if not isinstance(row, dict):
            raise SiteError(f"{path}: {prefix.rstrip('.') or 'the document'} is not an object")
        self.row: dict[str, Any] = row

    def wrong(self, key: str, wanted: str) -> SiteError:
        """The error for a key."""
        found = json.dumps(self.row.get(key))[:60]
        return SiteError(f"{self.path}: {self.prefix}{key} is {found}, {wanted} belongs here")

    def knows(self, keys: set[str]) -> None:
        """Refuses keys that nobody reads."""
        if unknown := sorted(set(self.row) - keys):
            raise SiteError(f"{self.path}: {self.prefix}{unknown[0]} is not a setting")

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from low to high."""
        value = self.row.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text; null counts as missing."""
        value = self.row.get(key)
        value = default if value is None else value
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def choice(self, key: str, choices: list[str], default: str) -> str:
        """One of the choices."""
        value = self.row.get(key, default)
        if value not in choices:
            raise self.wrong(key, "one of " + ", ".join(choices))
        return str(value)

    def rows(self, key: str) -> list[Any]:
        """A list that is not empty."""
        value = self.row.get(key)
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "a list of objects")
        return value

    def numbers(self, key: str, low: int, high: int, count: int = 0, default: int | None = None) -> tuple[int, ...]:
        """Whole numbers, one for each quarter-hour; with a count, so many, and one number stands for all."""
        value = self.row.get(key, default)
        values: list[Any] = (
            [value] * count if count and type(value) is int else value if isinstance(value, list) else []
        )
        good = values and all(type(v) is int and low <= v <= high for v in values)
        if not good or (count and len(values) != count):
            raise self.wrong(key, f"a list of {count or 'some'} whole numbers from {low} to {high}")
        return tuple(values)

    def spans(self, key: str) -> tuple[Span, ...]:
        """[from, to] pairs in UTC ms."""
        value = self.row.get(key, [])
        good = isinstance(value, list) and all(
            isinstance(v, list) and len(v) == 2 and all(type(x) is int for x in v) and v[0] < v[1] for v in value
        )
        if not good:
            raise self.wrong(key, "a list of [from, to] in UTC ms")
        return tuple((v[0], v[1]) for v in value)


_WATT = 2**31 - 1


def _customer(reader: _Reader) -> Customer:
    reader.knows(_CUSTOMER)
    der = _Reader(reader.path, reader.row.get("der"), reader.prefix + "der.")
    der.knows(_DER)
    spans = _Reader(reader.path, reader.row.get("spans_ms", {}), reader.prefix + "spans_ms.")
    spans.knows(set(_SPANS))
    load_w = reader.numbers("load_w", -_WATT, _WATT)
    tty = reader.text("tty", "")
    return Customer(
        pod=reader.text("pod"),
        meter=reader.choice("meter", models(), "sdm630"),
        faults=_faults(_Reader(reader.path, reader.row.get("faults", {}), reader.prefix + "faults.")),
        tty=Path(tty) if tty else None,
        unit=reader.number("unit", 1, 247, 1),
        ct_ratio=reader.number("ct_ratio", 1, 10_000, 1),
        vt_ratio=reader.number("vt_ratio", 1, 10_000, 1),
        import_wh=reader.number("import_wh", 0, 10**12, 0),
        export_wh=reader.number("export_wh", 0, 10**12, 0),
        first_frame=reader.number("first_frame", 0, 10**9),
        load_w=load_w,
        der_w=reader.numbers("der_w", -_WATT, _WATT, len(load_w), 0),
        reactive_per_mille=reader.number("reactive_per_mille", -1000, 1000, 200),
        phase_mv=reader.numbers("phase_mv", 1, _WATT, len(load_w), 230_000),
        plate=_plate(der),
        der_port=der.number("port", 0, 65_535, 0),
        spans={kind: spans.spans(kind) for kind in _SPANS},
    )


def _faults(reader: _Reader) -> tuple[MeterFault, ...]:
    """Fault to spans in UTC ms; no spans: all the time."""
    found: list[MeterFault] = []
    for name in reader.row:
        spans = reader.spans(name) or ((0, None),)
        try:
            found += [meter_fault(name, start, end) for start, end in spans]
        except FaultError as error:
            raise SiteError(f"{reader.path}: {reader.prefix}{error}") from error
    return tuple(found)


def _plate(der: _Reader) -> Plate:
    kinds = [k.value for k in Kind]
    if der.row.setdefault("kind", Kind.BATTERY.value) not in kinds:
        raise der.wrong("kind", "one of " + ", ".join(kinds))
    storage = fault = None
    if "capacity_ws" in der.row:
        capacity_ws = der.number("capacity_ws", 1, 2**53)
        energy_ws = der.number("energy_ws", 0, capacity_ws, capacity_ws // 2)
        storage = Storage(capacity_ws, energy_ws, der.number("efficiency_ppm", 1, 1_000_000, 950_000))
    if "delivers_ppm" in der.row:
        fault = Fault(der.number("fails_from_ms", 0, 2**53, 0), der.number("delivers_ppm", 0, 1_000_000))
    lowest_w, highest_w = der.number("lowest_w", -_WATT, 0), der.number("highest_w", 0, _WATT)
    return Plate(Kind(der.row["kind"]), lowest_w, highest_w, storage, fault)
