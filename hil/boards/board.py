"""A board on a cable: it boots what lies in its flash, and the cable can be pulled after any transfer.

1. An ESP32 boots from its flash, an RP2 from what its drive was given; only complete firmware boots. What boots is the
   real MicroPython VM with LittleFS in a file. Without firmware an ESP32 says so over and over, an RP2 shows its drive.
2. A pseudo terminal has no modem lines: the first request to synchronise stands for the reset into the boot loader, the
   first interrupt outside of a frame for the reset out of it.
3. A transfer is one piece read from the tool or written to it; after the last one that the cable allows both ends are dead,
   and the board has lost its power: what is in flash stays, all else is gone.
4. The port's path is the same each time it is plugged in. Nothing outlives `unplug`.
5. With `starts_main` it is a device in service: /main.py runs at each start, its console is the port, a reset starts it again,
   an interrupt stops it for MicroPython's prompt. A board of the model "unix" runs the whole application so.
6. With `watchdog_ms` its application has armed a watchdog, which goes on at the prompt in the board's own time: `read_ms`
   an access to flash. `bites` counts.
7. With a `pace` it is a slow one, in real time.
"""

import json
import os
import select
import shutil
import subprocess
import threading
import tty
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hil.boards import uf2_drive
from hil.boards.rom import CHIPS, Loader
from hil.process import die_with_parent
from hil.runtime import micropython_command

_SCRIPT = Path(__file__).with_name("repl_on_vm.py")
_FILES_BYTES = 512 * 1024
_FLASH_BYTES = 2 << 20
_MAGIC = b"SIMULATED "
_SYNCHRONISE = b"\xc0\x00\x08\x24\x00"
_INTERRUPT = b"\x03"
_TO_LOADER, _BITTEN = 4, 5
_EMPTY = b"invalid header: 0xffffffff\r\n"  # as the ROM of an ESP32 says it; what nobody reads is lost
_EMPTY_S = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a board is. starts_s: until its prompt answers; thinks_s: about the first script after a start; leaves_s: from the
    last block of a file until its drive goes away."""

    starts_s: int = 0
    thinks_s: int = 0
    leaves_s: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """What a board is. chip: key of CHIPS, "" for an RP2; family: of its UF2 drive; offset: of firmware in flash;
    flash_bytes: what its flash says of its size."""

    platform: str
    machine: str
    chip: str = ""
    offset: int = 0
    drive: str = ""
    family: int = 0
    flash_bytes: int = 4 << 20
    files_bytes: int = _FILES_BYTES


MODELS = {
    "esp32-s3": Model("esp32", "Generic ESP32S3 module with ESP32S3", "esp32-s3", flash_bytes=8 << 20),
    "esp32-c3": Model("esp32", "ESP32C3 module with ESP32C3", "esp32-c3"),
    "esp32": Model("esp32", "Generic ESP32 module with ESP32", "esp32", 0x1000),
    "rp2040-w": Model("rp2", "Raspberry Pi Pico W with RP2040", drive="RPI-RP2", family=0xE48BFF56),
    "rp2350-w": Model("rp2", "Raspberry Pi Pico 2 W with RP2350", drive="RP2350", family=0xE48BFF59),
    "unix": Model("linux", "a computer with MicroPython", files_bytes=4 << 20),
}


def firmware(model: str, version: tuple[int, int, int], size: int, seed: int) -> bytes:
    """Content of a firmware image that a simulated board of the model boots: what it says it is, noise, checksum."""
    said = {"platform": MODELS[model].platform, "machine": MODELS[model].machine, "version": version}
    head = _MAGIC + json.dumps(said).encode() + b"\n"
    noise = bytes((seed * 31 + i * i * 7 + (i >> 8)) & 0xFF for i in range(size - len(head) - 8))
    body = head + size.to_bytes(4, "little") + noise
    return body + zlib.crc32(body).to_bytes(4, "little")


def _bootable(flash: bytes | bytearray) -> dict[str, object] | None:
    """What the firmware says it is; None if it is not complete."""
    head, found, rest = bytes(flash).partition(b"\n")
    if not head.startswith(_MAGIC) or not found:
        return None
    size = int.from_bytes(rest[:4], "little")
    if zlib.crc32(flash[: size - 4]).to_bytes(4, "little") != flash[size - 4 : size]:
        return None
    said: dict[str, object] = json.loads(head[len(_MAGIC) :])
    return said


@dataclass
class Board:
    """A board. folder: its own; unique_id: 6 bytes (an ESP32's MAC) or 8. transfers and, of them, received from the tool
    are counted since it was plugged in."""

    folder: Path
    model: str
    unique_id: bytes
    starts_main: bool = False
    watchdog_ms: int = 0
    read_ms: int = 0
    pace: Pace = Pace()
    bites: int = field(default=0, init=False)
    transfers: int = field(default=0, init=False)
    received: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.folder / "port"
        self.drive = self.folder / "drive"
        self.flash = bytearray(b"\xff" * _FLASH_BYTES)
        self.files = self.folder / "files"
        if not self.files.exists():
            self.files.write_bytes(b"\xff" * self.kind.files_bytes)
        self._running: _Running | None = None

    @property
    def kind(self) -> Model:
        """Its model."""
        return MODELS[self.model]

    def install(self, content: bytes) -> None:
        """Firmware as it came from the factory; content as `firmware` makes it."""
        self.flash[self.kind.offset : self.kind.offset + len(content)] = content

    def plug(self, transfers: int | None = None) -> None:
        """Connects it; the cable is pulled after so many transfers, None for never."""
        self.unplug()
        self.transfers = self.received = 0
        self._running = _Running(self, transfers)

    def unplug(self) -> None:
        """Pulls the cable."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def is_plugged(self) -> bool:
        """False after the cable was pulled."""
        return self._running is not None and not self._running.is_pulled

    def __enter__(self) -> "Board":
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()


class _Running(threading.Thread):
    """A board under power."""

    def __init__(self, board: Board, transfers: int | None) -> None:
        super().__init__(daemon=True)
        self._board = board
        self._left = transfers
        self._vm: subprocess.Popen[bytes] | None = None
        self._loader: Loader | None = None
        self._in_main = False
        self._drive: uf2_drive.Drive | None = None
        self._master = self._slave = -1
        self._wake, self._halt = os.pipe()
        self._is_on = threading.Event()
        self.start()
        self._is_on.wait()

    def stop(self) -> None:
        """Returns when nothing of it is left."""
        os.close(self._halt)
        self.join()

    def run(self) -> None:
        """Until the cable is pulled."""
        try:
            self._power_on()
            self._is_on.set()
            while not self.is_pulled:
                if not self._turn():
                    return
        finally:
            self._is_on.set()
            self._power_off()
            os.close(self._wake)

    def _turn(self) -> bool:
        """One piece of work. False: stop."""
        output = self._vm.stdout if self._vm is not None else None
        from_vm = output.fileno() if output is not None else -1
        watched = [end for end in (self._wake, self._master, from_vm) if end >= 0]
        says_empty = bool(self._board.kind.chip) and self._vm is None and self._loader is None
        ready = select.select(watched, [], [], 0.02 if self._drive else _EMPTY_S if says_empty else None)[0]
        if self._wake in ready:
            return False
        if self._master in ready:
            self._from_tool(os.read(self._master, 4096))
        elif from_vm in ready:
            self._from_vm(os.read(from_vm, 4096))
        elif says_empty:
            self._say_empty()
        if self._drive is not None:
            self._look_at_drive(self._drive)
        return True

    @property
    def is_pulled(self) -> bool:
        """True after the last transfer that the cable allows."""
        return self._left is not None and self._left <= 0

    def _count(self) -> None:
        self._board.transfers += 1
        if self._left is not None:
            self._left -= 1

    def _from_tool(self, piece: bytes) -> None:
        self._board.received += 1
        self._count()
        if self.is_pulled:
            return
        if self._board.kind.chip and _SYNCHRONISE in piece and self._loader is None:
            self._end_vm()
            chip = CHIPS[self._board.kind.chip]
            self._loader = Loader(chip, self._board.unique_id, self._board.flash, self._board.kind.flash_bytes)
        if self._in_main and _INTERRUPT in piece:
            self._end_vm()
            self._boot(False)
        if self._loader is not None:
            if piece.startswith((b"\r" + _INTERRUPT, _INTERRUPT)):
                self._loader = None
                self._boot()
            else:
                self._to_tool(self._loader.feed(piece))
        if self._vm is not None and self._vm.stdin is not None:
            with suppress(BrokenPipeError):  # to a board that is just starting anew: nobody hears it
                self._vm.stdin.write(piece)
                self._vm.stdin.flush()

    def _to_tool(self, piece: bytes) -> None:
        if piece:
            self._count()
        if self.is_pulled:
            return
        while piece:
            piece = piece[os.write(self._master, piece) :]

    def _say_empty(self) -> None:
        os.set_blocking(self._master, False)
        with suppress(BlockingIOError):
            os.write(self._master, _EMPTY)
        os.set_blocking(self._master, True)

    def _from_vm(self, piece: bytes) -> None:
        if piece:
            self._to_tool(piece)
            return
        code = self._vm.wait() if self._vm is not None else 0
        self._end_vm()
        self._board.bites += code == _BITTEN
        if code == _TO_LOADER and self._board.kind.drive:
            self._close_port()
            self._drive = uf2_drive.Drive(self._board.drive, self._board.kind.drive, self._board.kind.family)
        else:
            self._boot()

    def _look_at_drive(self, drive: uf2_drive.Drive) -> None:
        before = drive.blocks
        complete = drive.look(self._board.flash, self._left)
        for _ in range(drive.blocks - before):
            self._board.received += 1
            self._count()
        if self.is_pulled:
            return
        if complete:
            select.select([self._wake], [], [], self._board.pace.leaves_s)
            drive.close()
            self._drive = None
            self._open_port()
            self._boot()

    def _power_on(self) -> None:
        if self._board.kind.drive and _bootable(self._board.flash) is None:
            self._drive = uf2_drive.Drive(self._board.drive, self._board.kind.drive, self._board.kind.family)
            return
        self._open_port()
        self._boot()

    def _boot(self, main: bool = True) -> None:
        start = self._board.kind.offset
        said = _bootable(bytes(self._board.flash[start:]))
        if said is None:
            return
        memory = self._board.folder / "memory"
        memory.write_bytes(self._board.flash)
        identity = json.dumps({**said, "unique_id": self._board.unique_id.hex()})
        self._in_main = main and self._board.starts_main
        heap, mode = ("heapsize=4M", "main") if self._in_main else ("heapsize=1M", "prompt")
        watchdog_ms = 0 if main else self._board.watchdog_ms
        command = [*micropython_command(), "-X", heap, str(_SCRIPT), str(self._board.files)]
        self._vm = subprocess.Popen(
            [
                *command,
                str(self._board.files.stat().st_size),
                str(memory),
                identity,
                mode,
                str(watchdog_ms),
                str(self._board.read_ms),
                str(self._board.pace.starts_s),
                str(self._board.pace.thinks_s),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )

    def _open_port(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        fresh = self._board.port.with_suffix(".new")
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.rename(self._board.port)

    def _close_port(self) -> None:
        self._board.port.unlink(missing_ok=True)
        for end in (self._master, self._slave):
            if end >= 0:
                os.close(end)
        self._master = self._slave = -1

    def _end_vm(self) -> None:
        if self._vm is not None:
            self._vm.kill()
            self._vm.communicate()
            self._vm = None

    def _power_off(self) -> None:
        self._close_port()
        self._end_vm()
        if self._drive is not None:
            self._drive.close()
        shutil.rmtree(self._board.drive, ignore_errors=True)
