"""Many boards at once: what each shall be is checked before any is touched, then all are written side by side.

1. A row whose firmware file, settings or port is wrong is refused by name; the others go on.
2. A port, drive or serial number is looked for among what is plugged in now.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lightflash import config
from lightflash.batch import Row
from lightflash.board import Board, board
from lightflash.device_log import REFUSED, UNTOUCHED, DeviceLog, Entry
from lightflash.errors import FlashError, PartMissing
from lightflash.esptool import EspBoard
from lightflash.firmware_file import FirmwareFile, Pin, with_table
from lightflash.micropython import MicroPython
from lightflash.ports import Drive, Port, at_place
from lightflash.transport import Transport
from lightflash.uf2_drive import Uf2Board
from lightflash.writing import Job, write

_AT_ONCE = 32
CONFIG = "/config.json"
_TABLE_AT = 0x8000  # in the flash of every ESP32
NOTHING_BUILT = "nothing was built for {}"
Tell = Callable[[str, str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the devices of a list shall have. application: by board name; tables: the partition table of a board."""

    pins: Mapping[str, Pin]
    application: Mapping[str, Mapping[str, bytes]]
    may_rename: bool = False
    tables: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is plugged in: `ports` and `drives` look at it now."""

    ports: Callable[[], Sequence[Port]]
    drives: Callable[[], Sequence[Drive]]


def jobs(rows: Sequence[Row], wanted: Wanted, ports: Sequence[Port]) -> tuple[list[tuple[Row, Job]], list[Entry]]:
    """What can be written, and the entries of what is refused by rule 1."""
    made: list[tuple[Row, Job]] = []
    refused: list[Entry] = []
    opened: dict[Pin, FirmwareFile | FlashError] = {}
    for row in rows:
        try:
            made.append((row, _job(row, wanted, ports, opened)))
        except FlashError as error:
            refused.append(_not_begun(row, error))
    return made, refused


def _not_begun(row: Row, error: FlashError) -> Entry:
    state = UNTOUCHED if isinstance(error, PartMissing) else REFUSED
    return Entry("", row.name, row.board, row.where, row.pod, state, error.step, "", error.cause, error.cure)


def write_all(
    made: Sequence[tuple[Row, Job]], refused: Sequence[Entry], bench: Bench, log: DeviceLog, tell: Tell
) -> list[Entry]:
    """The entries of all devices: the refused, which the log lists too, then the others in the order of the list."""
    for entry in refused:
        log.note(entry)

    def one(pair: tuple[Row, Job]) -> Entry:
        row, job = pair
        try:
            driver = transport(row, job.board, bench)
        except FlashError as error:  # it was there when the list was checked
            entry = _not_begun(row, error)
            log.note(entry)
            return entry
        return write(job, driver, log, lambda step, at, of: tell(job.name, step, at, of))

    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, max(1, len(made)))) as pool:
        return [*refused, *pool.map(one, made)]


def transport(row: Row, kind: Board, bench: Bench) -> Transport:
    """The driver of a device's board."""
    port = port_of(row, bench.ports())
    firmware = kind.firmware
    if firmware.kind == "esptool":
        return EspBoard(port, firmware.chip, firmware.offset)
    if firmware.kind == "uf2":
        found = [drive for drive in bench.drives() if row.drive in ("", drive.folder)]
        place = next((p.place for p in bench.ports() if p.path == port), "") or (
            found[0].place if row.drive and found else ""
        )
        drive = row.drive or next((d.folder for d in bench.drives() if place and d.place == place), "")
        return Uf2Board(lambda: port or at_place(place, bench.ports()), drive, firmware.drive, firmware.family)
    return MicroPython(lambda: port)


def _job(row: Row, wanted: Wanted, ports: Sequence[Port], opened: dict[Pin, FirmwareFile | FlashError]) -> Job:
    kind = board(row.board)
    port_of(row, ports)
    pin = wanted.pins.get(row.firmware or kind.name)
    if row.firmware and pin is None:
        raise FlashError(
            "firmware file",
            f"no table [{row.firmware}] in the firmware list",
            "correct the list of devices or of firmware",
        )
    if kind.name not in wanted.application:
        raise FlashError("application", NOTHING_BUILT.format(kind.name), "build it, or name it with --build")
    settings = {}
    if row.config is not None:
        config.checked(row.config, kind)
        settings[CONFIG] = row.config.read_bytes()
    firmware = _opened(pin, opened) if pin is not None else None
    table = wanted.tables.get(kind.name, b"")
    if firmware is not None and table:
        firmware = with_table(firmware, table, _TABLE_AT - kind.firmware.offset)
    files = wanted.application[kind.name]
    return Job(
        row.name, row.pod, row.where, kind, firmware, files, settings, wanted.may_rename, has_own_table=bool(table)
    )


def _opened(pin: Pin, opened: dict[Pin, FirmwareFile | FlashError]) -> FirmwareFile:
    if pin not in opened:
        try:
            opened[pin] = pin.opened()
        except FlashError as error:
            opened[pin] = error
    found = opened[pin]
    if isinstance(found, FlashError):
        raise found
    return found


def port_of(row: Row, ports: Sequence[Port]) -> str:
    """The path of the row's port; "" if only its drive is named. PartMissing if it is not there."""
    if row.serial:
        found = [port.path for port in ports if port.serial_number == row.serial]
        if not found:
            raise PartMissing(
                "find",
                f"no port has the serial number {row.serial}",
                "plug the board in and run the same command",
                device=row.name,
            )
        return found[0]
    if row.port and not row.drive and not Path(row.port).exists():
        raise PartMissing(
            "find",
            "there is no such port",
            "plug the board in and run the same command, or correct the list",
            port=row.port,
            device=row.name,
        )
    return row.port
