"""One board from whatever state it is in to a verified one: firmware, application, settings, each looked at before it is done.

1. Who it is comes first. A board that is not the list's, or that the log knows under another name, is refused unchanged.
2. A step that finds the board as it should be changes nothing. What is there is asked of the board, not believed of the log;
   only a firmware that was begun and not verified is written again on the log's word.
3. MicroPython of the pinned version is left alone, unless the build has a partition table that the log does not know there.
   One of another version is replaced if a firmware is given, and refused if
   none is and the application does not run on it.
4. A file counts when its hash was read back from the board's flash. What decides which application starts comes last:
   the chooser's state, `boot.py`, `main.py`. That state is the board's own once its application is whole, and then left.
5. Files that are not of the application are not touched.
6. At the end the board starts anew.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lightflash.board import Board
from lightflash.device_log import DONE, HALF, REFUSED, UNTOUCHED, DeviceLog, Entry
from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.firmware_file import FirmwareFile
from lightflash.transport import Identity, Transport

IDENTIFY, FIRMWARE, APPLICATION, SETTINGS, START = "identify", "firmware", "application", "settings", "start"
_STATE = ("/app/state.0", "/app/state.1")
_LAST = (*_STATE, "/boot.py", "/main.py")
_SPARE_BYTES = 16_384
_HOSTS = {"chip": ("mps2",), "unix": ("linux", "darwin")}
Say = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What a device shall be. where: port or drive; files: path on the board to content, has_own_table: the firmware
    carries the build's partition table."""

    name: str
    pod: str
    where: str
    board: Board
    firmware: FirmwareFile | None
    application: Mapping[str, bytes]
    settings: Mapping[str, bytes]
    may_rename: bool = False
    has_own_table: bool = False


def write(job: Job, transport: Transport, log: DeviceLog, say: Say) -> Entry:
    """The device's entry in the log: done, half-done, refused or untouched with cause and cure. Never raises a FlashError."""
    writing = _Writing(job, transport, log, say)
    try:
        writing.run()
    except FlashError as error:
        return writing.stopped(error)
    finally:
        transport.close()
    return writing.entry


class _Writing:
    def __init__(self, job: Job, transport: Transport, log: DeviceLog, say: Say) -> None:
        self._job = job
        self._transport = transport
        self._log = log
        self._say = say
        self._step = IDENTIFY
        self._before = ""  # the place that the device was kept under
        self.entry = Entry("", job.name, job.board.name, job.where, job.pod)

    def run(self) -> None:
        """Every step in its order."""
        self._say(IDENTIFY, 0, 1)
        identity = self._identified(self._transport.identify())
        identity = self._firmware(identity)
        self._files(APPLICATION, self._job.application)
        self._files(SETTINGS, self._job.settings)
        self._step = START
        self._say(START, 0, 1)
        self._transport.reset()
        self._save(replace(self.entry, state=DONE, step=START, begun="", cause="", cure=""))
        self._say(DONE, 1, 1)

    def stopped(self, error: FlashError) -> Entry:
        """The entry of a device that a step did not finish."""
        found = error.at(device=self._job.name)
        cure = found.cure or "run the same command again"
        if self.entry.state == HALF or self.entry.begun:
            self._save(replace(self.entry, state=HALF, step=self._step, cause=found.cause, cure=cure))
            return self.entry
        state = UNTOUCHED if isinstance(error, PartMissing | Pending) or error.exit_code == 3 else REFUSED
        self.entry = replace(self.entry, state=state, step=found.step, cause=found.cause, cure=cure)
        self._log.note(self.entry)
        return self.entry

    def _save(self, entry: Entry) -> None:
        self.entry = entry
        self._log.save(entry, self._before)

    def _identified(self, identity: Identity) -> Identity:
        job = self._job
        if not is_board(job.board, identity):
            raise FlashError(
                IDENTIFY,
                f"this is {identity.what or 'no known board'}, the list says {job.board.name}",
                "name the right board in the list",
            )
        if 0 < identity.flash_bytes < job.board.flash_bytes:
            raise FlashError(
                IDENTIFY,
                f"its flash has {identity.flash_bytes >> 10} KiB, {job.board.name} needs {job.board.flash_bytes >> 10}",
                "name the right board in the list",
            )
        place = f"at-{job.where}"
        device = identity.unique_id or place
        known = self._log.entry(device)
        at_place = self._log.entry(place)
        if known is None and at_place is not None and at_place.name == job.name:
            known, self._before = at_place, place
        if known is not None and known.name != job.name and not job.may_rename:
            raise FlashError(
                IDENTIFY, f"device {device} is {known.name} in the log", "are two cables exchanged? else give --rename"
            )
        entry = known or Entry(device, job.name, job.board.name)
        self.entry = replace(entry, device=device, name=job.name, board=job.board.name, port=job.where, pod=job.pod)
        return identity

    def _firmware(self, identity: Identity) -> Identity:
        self._step = FIRMWARE
        job = self._job
        self._say(FIRMWARE, 0, 1)
        if not self._needs_firmware(identity):
            if job.firmware is not None:
                self.entry = self.entry.with_done(FIRMWARE, job.firmware.sha256)
            return identity
        firmware = job.firmware
        if firmware is None:
            runs = "runs MicroPython " + _dotted(identity.version) if identity.version else "has no MicroPython"
            raise FlashError(
                FIRMWARE,
                f"the board {runs}, the application needs {', '.join(job.board.firmware.micropython)}",
                "give --firmware",
            )
        if job.board.firmware.kind == "none":
            raise FlashError(
                FIRMWARE,
                f"the board runs MicroPython {_dotted(identity.version)}, pinned is {_dotted(firmware.version)}",
                "it takes no firmware by cable: replace it by hand",
            )
        self._save(self.entry.with_begun(FIRMWARE))
        self._transport.write_firmware(firmware, lambda at, of: self._say(FIRMWARE, at, of))
        found = self._transport.identify()
        if not is_board(job.board, found) or found.version != firmware.version:
            raise FlashError(
                FIRMWARE,
                f"after {firmware.path.name} the board says {found.what} {_dotted(found.version)}",
                "is it the firmware for this board, and the pinned version?",
            )
        self._before = self._before or self.entry.device
        device = found.unique_id or self.entry.device
        self._save(replace(self.entry.with_done(FIRMWARE, firmware.sha256), device=device))
        return found

    def _needs_firmware(self, identity: Identity) -> bool:
        if identity.version is None or self.entry.begun == FIRMWARE:
            return True
        firmware = self._job.firmware
        if firmware is not None and self._job.has_own_table and self.entry.digest(FIRMWARE) != firmware.sha256:
            return True
        if firmware is not None:
            return identity.version != firmware.version
        return "{}.{}".format(*identity.version) not in self._job.board.firmware.micropython

    def _files(self, step: str, files: Mapping[str, bytes]) -> None:
        self._step = step
        wanted = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        total = sum(len(content) for content in files.values())
        self._say(step, 0, total)
        found = self._transport.hashes(list(wanted))
        other = _other(wanted, found)
        if other:
            self._check_room(sum(len(files[path]) for path in other))
            self._save(self.entry.with_begun(step))
            at = total - sum(len(files[path]) for path in other)
            for path in other:
                self._transport.write_file(path, files[path], lambda n, _of, at=at: self._say(step, at + n, total))  # type: ignore[misc]
                at += len(files[path])
            self._check_all(wanted)
        self._say(step, total, total)
        digest = hashlib.sha256("".join(f"{path}\0{wanted[path]}\n" for path in sorted(wanted)).encode()).hexdigest()
        self.entry = self.entry.with_done(step, digest)
        if other:
            self._save(self.entry)

    def _check_room(self, needed: int) -> None:
        free = self._transport.free_bytes()
        if free < needed + _SPARE_BYTES:
            raise FlashError(
                self._step,
                f"{needed} bytes to write, the board has room for {free}",
                "remove files from the board that are not of the application",
            )

    def _check_all(self, wanted: Mapping[str, str]) -> None:
        found = self._transport.hashes(list(wanted))
        wrong = [path for path in wanted if found.get(path) != wanted[path]]
        if wrong:
            raise FlashError(
                self._step,
                f"read back otherwise than written: {', '.join(sorted(wrong)[:4])}",
                "run the same command again, then take another board",
            )


def is_board(board: Board, identity: Identity) -> bool:
    """Whether who answers is of this kind: by the chip behind MicroPython's last "with", or by what its boot loader says."""
    word = identity.machine.rsplit(" ", 1)[-1].lower()
    kind = board.firmware.kind
    if kind == "esptool":
        said = word if identity.platform == "esp32" else identity.chip.lower().replace("-", "")
        return said == board.firmware.chip
    if kind == "uf2":
        is_micropython = identity.platform == "rp2" and word == board.hardware.split("-")[0]
        return is_micropython or (not identity.platform and identity.chip == board.firmware.drive)
    return identity.platform in _HOSTS.get(board.hardware, (board.hardware,))


def _other(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """The paths that are to be written, in their order (rule 4)."""
    other = [path for path in wanted if found.get(path) != wanted[path]]
    if all(path in _STATE and path in found for path in other):
        return []
    return sorted(other, key=lambda path: (_LAST.index(path) + 1 if path in _LAST else 0, path))


def _dotted(version: tuple[int, int, int] | None) -> str:
    return ".".join(str(part) for part in version) if version else "nothing"
