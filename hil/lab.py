"""The lab file (TOML): which boards, meters and switches are on this table, checked once.

    [boards.red]
    port = "/dev/serial/by-id/usb-Espressif_1"     # where its console is
    kind = "esp32-s3"
    power = "plug"                                  # optional: a switch
    meter = "left"                                  # optional: an emulated meter on a serial adapter

    [switches.plug]
    driver = "tasmota"                              # or uhubctl: location, port; relay: device, channel
    url = "http://127.0.0.1:8080"

    [meters.left]
    port = "/dev/ttyUSB1"
    model = "sdm630"
    unit = 1

A wrong key or value is one line that names file, key, value and what belongs there. What the file names and the machine
lacks is found by `missing`.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.lease import lease
from hil.power import PowerSwitch, Relay, Tasmota, Uhubctl

KINDS = ("esp32", "esp32-s3", "esp32-c3", "rp2040-w", "rp2350-w", "unix")
_DRIVERS: Mapping[str, tuple[type, Mapping[str, type]]] = {
    "uhubctl": (Uhubctl, {"location": str, "port": int, "command": str}),
    "tasmota": (Tasmota, {"url": str, "channel": int}),
    "relay": (Relay, {"device": str, "channel": int, "baud": int, "normally_closed": bool}),
}
_NEEDED = {"uhubctl": {"location", "port"}, "tasmota": {"url"}, "relay": {"device"}}
_BOARD: Mapping[str, type] = {"port": str, "kind": str, "baud": int, "power": str, "meter": str}
_METER: Mapping[str, type] = {"port": str, "model": str, "unit": int, "baud": int, "ct_ratio": int, "vt_ratio": int}
_WORDS = {str: "a text", int: "a whole number above zero", bool: "true or false"}


class LabError(ValueError):
    """The lab file is wrong; the message names file, key, value and what belongs there."""


@dataclass(frozen=True, slots=True)
class LabMeter:
    """An emulated meter on a serial adapter."""

    port: str
    model: str = "sdm630"
    unit: int = 1
    baud: int = 9600
    ct_ratio: int = 1
    vt_ratio: int = 1


@dataclass(frozen=True, slots=True)
class Board:
    """A board on a serial port; power and meter by name, "" for none."""

    port: str
    kind: str
    baud: int = 115_200
    power: str = ""
    meter: str = ""


@dataclass(frozen=True, slots=True)
class Lab:
    """What is on the table, by name."""

    boards: Mapping[str, Board] = field(default_factory=dict)
    switches: Mapping[str, PowerSwitch] = field(default_factory=dict)
    meters: Mapping[str, LabMeter] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """One line for each port that the file names and the machine lacks."""
        ports = {f"boards.{k}": b.port for k, b in self.boards.items()}
        ports |= {f"meters.{k}": m.port for k, m in self.meters.items()}
        ports |= {f"switches.{k}": s.device for k, s in self.switches.items() if isinstance(s, Relay)}
        return [
            f"{name}: {port} is not there: is its cable in?" for name, port in ports.items() if not Path(port).exists()
        ]

    @contextmanager
    def leased(self, board: str, folder: Path | None = None) -> Iterator[Board]:
        """The board with its meter and its switch, for this process alone; LeaseTaken if another has one of them."""
        found = self.boards[board]
        with ExitStack() as stack:
            stack.enter_context(lease(found.port, folder))
            if found.meter:
                stack.enter_context(lease(self.meters[found.meter].port, folder))
            if found.power:
                stack.enter_context(lease(f"switch {found.power}", folder))
            yield found


def load(path: Path) -> Lab:
    """The checked lab; LabError for anything else."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: not TOML: {error}") from error
    if unknown := sorted(document.keys() - {"boards", "switches", "meters"}):
        raise LabError(f"{path}: unknown table [{unknown[0]}], boards, switches and meters belong here")
    switches = {k: _switch(path, f"switches.{k}", t) for k, t in _tables(path, document, "switches")}
    meters = {
        k: LabMeter(**_checked(path, f"meters.{k}", t, _METER, {"port"})) for k, t in _tables(path, document, "meters")
    }
    boards = {k: _board(path, f"boards.{k}", t, switches, meters) for k, t in _tables(path, document, "boards")}
    return Lab(boards, switches, meters)


def _tables(path: Path, document: Mapping[str, Any], group: str) -> list[tuple[str, Any]]:
    found = document.get(group, {})
    if not isinstance(found, dict):
        raise LabError(f"{path}: {group} is {found!r}, tables [{group}.NAME] belong here")
    return list(found.items())


def _switch(path: Path, where: str, table: Any) -> PowerSwitch:
    driver = table.get("driver") if isinstance(table, dict) else None
    if not isinstance(driver, str) or driver not in _DRIVERS:
        raise LabError(f"{path}: {where}.driver is {driver!r}, one of {', '.join(_DRIVERS)} belongs here")
    kind, forms = _DRIVERS[driver]
    rest = {k: v for k, v in table.items() if k != "driver"}
    made: PowerSwitch = kind(**_checked(path, where, rest, forms, _NEEDED[driver]))
    return made


def _board(path: Path, where: str, table: Any, switches: Mapping[str, object], meters: Mapping[str, object]) -> Board:
    board = Board(**_checked(path, where, table, _BOARD, {"port", "kind"}))
    if board.kind not in KINDS:
        raise LabError(f"{path}: {where}.kind is {board.kind!r}, one of {', '.join(KINDS)} belongs here")
    for key, name, known in (("power", board.power, switches), ("meter", board.meter, meters)):
        if name and name not in known:
            raise LabError(f"{path}: {where}.{key} is {name!r}, which the file does not describe")
    return board


def _checked(path: Path, where: str, table: Any, forms: Mapping[str, type], needed: set[str]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise LabError(f"{path}: {where} is {table!r}, a table belongs here")
    for key, value in table.items():
        if key not in forms:
            raise LabError(f"{path}: unknown key {where}.{key}, known are {', '.join(forms)}")
        wanted = forms[key]
        if not _is(value, wanted):
            raise LabError(f"{path}: {where}.{key} is {value!r}, {_WORDS[wanted]} belongs here")
    for key in sorted(needed - table.keys()):
        raise LabError(f"{path}: {where} lacks {key}, {_WORDS[forms[key]]}")
    return dict(table)


def _is(value: Any, wanted: type) -> bool:
    if type(value) is not wanted or value == "":
        return False
    return not isinstance(value, int) or isinstance(value, bool) or value > 0
