"""A board that runs MicroPython, over its raw REPL: mpremote's serial transport, with an end to every wait.

1. A file is written beside its name, hashed there and renamed: a cut leaves the old file.
2. What is read back is hashed on the board, from its flash.
3. A watchdog that the application armed goes on at the prompt: everything that runs there feeds it, long work while it works.
   Whoever has no /main.py or no settings is not in service: it has armed none, and gets none from here.
4. Firmware is not written this way: a board that only has this takes its firmware by hand, or has it already.
5. A slow board is waited for: a wait ends when nothing more comes, when the port has gone, or with too much that is no
   answer (a new ESP32 says without end that its flash is empty).
"""

import ast
import base64
import hashlib
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from lightflash.errors import FlashError, PartMissing, Pending
from lightflash.firmware_file import FirmwareFile
from lightflash.transport import Identity, NoAnswer, Progress, cut_off

try:
    from termios import error as TerminalError
except ImportError:  # not on Windows, where the port's errors are OSError
    TerminalError = OSError  # type: ignore[assignment, misc]

_GONE = (TransportError, OSError, TerminalError, struct.error, SyntaxError, ValueError)
_RAW = b"raw REPL; CTRL-B to exit\r\n>"
_CHUNK = 2048
_PART = ".part"
_ANSWER_S = 30.0
_WAKING_S = 0.7
_ATTEMPT_S = 2.0
_WORK_S = 60.0
_STARTS_S = 60.0
_GONE_S = 15.0  # a port that a start takes away is back by then
_MOST_BYTES = 1 << 20
_WATCHDOG = """
def _feed():
    pass
try:
    import os
    os.stat('/main.py'), os.stat('/config.json')
    import machine
    _feed = machine.WDT(timeout=8000).feed
except (ImportError, AttributeError, ValueError, OSError):
    pass
"""
_IDENTIFY = """
import sys
i = sys.implementation
try:
    import machine
    u = machine.unique_id().hex()
except (ImportError, AttributeError):
    u = ''
print(repr((sys.platform, getattr(i, '_machine', ''), tuple(i.version[:3]), u)))
"""
_HASHES = """
import hashlib
def _hash(path):
    h = hashlib.sha256()
    b = bytearray(1024)
    m = memoryview(b)
    try:
        with open(path, 'rb') as f:
            n = f.readinto(b)
            while n:
                _feed()
                h.update(m[:n])
                n = f.readinto(b)
    except OSError:
        return ''
    return h.digest().hex()
"""
_OPEN = """
import binascii, os
_at = {path!r}.find('/', 1)
while _at > 0:
    try:
        os.mkdir({path!r}[:_at])
    except OSError:
        pass
    _at = {path!r}.find('/', _at + 1)
_f = open({part!r}, 'wb')
"""
_RENAME = """
_f.close()
_found = _hash({part!r})
if _found == {digest!r}:
    try:
        os.rename({part!r}, {path!r})
    except OSError:
        os.remove({path!r})
        os.rename({part!r}, {path!r})
print(_found)
"""


class MicroPython:
    """The board behind a port, which is opened when it is first needed. find: says where it is now, "" for nowhere."""

    def __init__(self, find: Callable[[], str], wait_s: float = 10.0) -> None:
        self._find = find
        self._port = find()
        self._wait_s = wait_s
        self._serial: _Serial | None = None

    def identify(self) -> Identity:
        """Who it is."""
        said = self.run(_IDENTIFY, _ANSWER_S)
        try:
            platform, machine, version, unique_id = ast.literal_eval(said.strip())
            return Identity(unique_id, platform, machine, (version[0], version[1], version[2]))
        except (SyntaxError, ValueError, TypeError, IndexError) as error:
            raise NoAnswer(
                "identify", f"it answers {said[:80]!r}", "is this the board's port?", port=self._port
            ) from error

    def wait(self) -> Identity:
        """Who it is, once it has started. Pending if it does not within a minute, or its port stays away."""
        began = seen = time.monotonic()
        while True:
            try:
                return self.identify()
            except (NoAnswer, PartMissing, Pending) as error:
                self.close()
                now = time.monotonic()
                seen = seen if isinstance(error, PartMissing) else now
                if now > min(began + _STARTS_S, seen + _GONE_S):
                    raise cut_off("start", self._port, f"no MicroPython for {now - began:.0f} s") from error
            time.sleep(0.1)

    def write_firmware(self, firmware: FirmwareFile, progress: Progress) -> None:
        """Rule 4."""
        raise FlashError(
            "firmware", f"this board does not take {firmware.path.name} over its serial port", port=self._port
        )

    def hashes(self, paths: Sequence[str]) -> Mapping[str, str]:
        """SHA-256 of each file that is there, read back from flash."""
        found: dict[str, str] = {}
        self.run(_HASHES, _ANSWER_S)
        for path in paths:
            digest = self.run(f"print(_hash({path!r}))", _WORK_S).strip()
            if digest:
                found[path] = digest
        return found

    def free_bytes(self) -> int:
        """Room in the file system."""
        script = "import os\ns = os.statvfs('/')\nprint(s[0] * s[3])"
        return int(self.run(script, _ANSWER_S))

    def write_file(self, path: str, content: bytes, progress: Progress) -> None:
        """Rule 1."""
        part, digest = path + _PART, hashlib.sha256(content).hexdigest()
        self.run(_HASHES + _OPEN.format(path=path, part=part), _ANSWER_S)
        for at in range(0, len(content), _CHUNK):
            packed = base64.b64encode(content[at : at + _CHUNK])
            self.run(f"_f.write(binascii.a2b_base64({packed!r})) and None", _ANSWER_S)
            progress(min(at + _CHUNK, len(content)), len(content))
        found = self.run(_RENAME.format(path=path, part=part, digest=digest), _WORK_S).strip()
        if found != digest:
            raise FlashError(
                "application",
                f"{path} reads back as {found[:16]}, written was {digest[:16]}",
                "the board's flash is worn or its file system damaged: try again, then take another board",
                port=self._port,
            )

    def run(self, script: str, timeout_s: float) -> str:
        """What the script printed."""
        serial = self._opened()
        try:
            printed, error = serial.exec_raw("_feed()\n" + script, timeout=timeout_s)
        except _GONE as gone:
            self.close()
            raise cut_off("talking to MicroPython", self._port, _short(gone)) from gone
        if error:
            last = error.decode(errors="replace").strip().splitlines()[-1]
            raise FlashError("running on the board", last[:200], "see the board's console", port=self._port)
        return str(printed.decode(errors="replace").replace("\r\n", "\n"))

    def reset(self) -> None:
        """The board starts anew; its port may go away for a moment."""
        self.leave("reset")

    def leave(self, how: str) -> None:
        """Calls machine.HOW, which does not come back. how: "reset", "bootloader"."""
        serial = self._opened()
        try:
            serial.exec_raw_no_follow(f"import machine, time\ntime.sleep_ms(100)\nmachine.{how}()")
        except _GONE as gone:
            raise cut_off(how, self._port, _short(gone)) from gone
        finally:
            self.close()

    def close(self) -> None:
        """Gives the port back."""
        serial, self._serial = self._serial, None
        if serial is not None:
            try:
                serial.close()
            except _GONE:  # the other end is gone; ours is still to be given back
                with suppress(*_GONE):
                    serial.serial.close()

    def _opened(self) -> "_Serial":
        if self._serial is not None:
            return self._serial
        self._port = self._find() or self._port
        try:
            serial = _Serial(self._port, timeout=_ANSWER_S)
        except _GONE as error:
            raise PartMissing(
                "open", _short(error), "is the cable plugged in, is another program using it?", port=self._port
            ) from error
        self._serial = serial
        try:
            _enter(serial, self._wait_s)
            serial.exec_raw(_WATCHDOG, timeout=_ANSWER_S)
        except _GONE as error:
            self.close()
            raise cut_off("waking the board", self._port, _short(error)) from error
        except NoAnswer as silent:
            self.close()
            raise silent.at(port=self._port) from None
        return serial


class _Serial(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """mpremote's transport by rule 5; it prints nothing."""

    def read_until(
        self,
        min_num_bytes: int,
        ending: bytes,
        timeout: float = _ANSWER_S,
        data_consumer: None = None,
        timeout_overall: float = float("inf"),
    ) -> bytes:
        """What comes up to the ending. TransportError after so many seconds of silence, or so many in all, without it."""
        found = bytearray()
        began = last = time.monotonic()
        while not found.endswith(ending):
            now = time.monotonic()
            if self.serial.in_waiting:
                found += self.serial.read(1)
                last = now
            elif now < last + timeout:
                time.sleep(0.01)
            if now > min(last + timeout, began + timeout_overall) or len(found) > _MOST_BYTES:
                raise TransportError(f"it does not answer, it said {bytes(found[-40:])!r}")
        return bytes(found)

    def hears(self, ending: bytes, timeout: float = _ANSWER_S, timeout_overall: float = 2 * _ANSWER_S) -> bool:
        """Whether the ending comes."""
        try:
            self.read_until(1, ending, timeout, None, timeout_overall)
        except TransportError:
            return False
        return True


def _enter(serial: _Serial, wait_s: float) -> None:
    """The raw REPL of a board that was stopped and started without its application; NoAnswer after wait_s."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        serial.serial.write(b"\r\x03\x03")
        serial.serial.reset_input_buffer()
        serial.serial.write(b"\r\x01")
        if not serial.hears(_RAW, _WAKING_S, _ATTEMPT_S):
            continue
        serial.serial.write(b"\x04")
        if serial.hears(b"soft reboot\r\n") and serial.hears(_RAW[:-1]):
            serial.in_raw_repl = True
            return
    raise NoAnswer("identify", "no MicroPython answers", "press the board's reset, or give the firmware to write")


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
