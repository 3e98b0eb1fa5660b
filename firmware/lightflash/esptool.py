"""An ESP32 on a serial port: firmware through esptool, everything else through MicroPython.

1. esptool is a program of its own, run as a process and never imported; without it the message says how to install it.
2. What is written is read back and compared by its hash in flash before the step counts as done.
3. A run of 16 KiB or more of 0xFF in a firmware file is not written: there a board keeps what is its own (keys in NVS).
4. Another chip than the board's is refused before anything is written.
5. The boot loader's header says how large the flash is, and a file says it of the smallest board: esptool puts in what the
   flash itself says, with the checksum over it, and what is read back is compared with that. Nothing else differs.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightflash.errors import FlashError, PartMissing
from lightflash.firmware_file import FirmwareFile
from lightflash.micropython import MicroPython
from lightflash.transport import Identity, NoAnswer, Progress, cut_off

_SECTOR = 4096
_GAP = 4 * _SECTOR
_CONNECTS_S = 120.0
_ATTEMPTS = "15"  # to connect, a second each: time to hold BOOT and press RESET
_BYTES_PER_S = 4000  # slowest line that is waited for
_BAUD = "460800"
_PERCENT = re.compile(rb"(\d{1,3})\.\d% ")
_CHIP = re.compile(r"^Connected to (ESP32\S*) on ", re.MULTILINE)
_MAC = re.compile(r"^MAC:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", re.MULTILINE)
_FLASH = re.compile(r"^Detected flash size: (\d{1,5})([KM]B)", re.MULTILINE)
_OTHER_CHIP = re.compile(r"This chip is (\S+?),? not (\S+?)\.")
_FATAL = re.compile(r"A fatal error occurred: (.*)")


def segments(content: bytes) -> list[tuple[int, bytes]]:
    """Offset and bytes of what is written of a firmware file, by rule 3."""
    found: list[tuple[int, int]] = []
    for at in range(0, len(content), _SECTOR):
        piece = content[at : at + _SECTOR]
        if piece.count(0xFF) == len(piece):
            continue
        end = at + len(piece)
        if found and at - found[-1][1] < _GAP:
            found[-1] = (found[-1][0], end)
        else:
            found.append((at, end))
    return [(at, content[at:end]) for at, end in found]


class Esptool:
    """The program, at one port."""

    def __init__(self, port: str) -> None:
        self._port = port

    def identify(self) -> Identity:
        """Chip, MAC and size of the flash. NoAnswer if no boot loader answers."""
        said = self._run(["flash-id"], "identify", _CONNECTS_S)
        chip, mac, flash = _CHIP.search(said), _MAC.search(said), _FLASH.search(said)
        if chip is None or mac is None:
            raise NoAnswer(
                "identify", "esptool did not name chip and MAC", "esptool 5 or later is needed", port=self._port
            )
        size = int(flash[1]) << (20 if flash[2] == "MB" else 10) if flash else 0
        return Identity(mac[1].replace(":", ""), chip=chip[1], flash_bytes=size)

    def write(self, chip: str, pieces: Sequence[tuple[int, Path]], total: int, progress: Progress) -> None:
        """Writes pieces, address and file, and compares them with what is in flash."""
        words = [word for at, path in pieces for word in (hex(at), str(path))]
        header = ["--flash-mode", "keep", "--flash-freq", "keep", "--flash-size", "detect"]
        patience_s = _CONNECTS_S + total / _BYTES_PER_S
        before = ["--chip", chip, "--baud", _BAUD]
        self._run([*before, "write-flash", *header, *words], "firmware", patience_s, progress, total)
        self._run([*before, "verify-flash", *header, *words], "firmware read-back", patience_s)

    def _run(
        self, words: Sequence[str], step: str, timeout_s: float, progress: Progress | None = None, total: int = 0
    ) -> str:
        """What it printed. FlashError for a wrong chip, NoAnswer, Pending if it was cut off."""
        command = [*_program(), "--port", self._port, "--connect-attempts", _ATTEMPTS, *words]
        quiet = {**os.environ, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=quiet
        )
        watch = threading.Timer(timeout_s, process.kill)
        watch.start()
        try:
            said = _heard(process, progress, total)
            code = process.wait()
        finally:
            watch.cancel()
            process.kill()
            process.communicate()
        if code:
            raise self._failure(step, said)
        return said

    def _failure(self, step: str, said: str) -> FlashError:
        other = _OTHER_CHIP.search(said)
        if other is not None:
            return FlashError(
                "identify",
                f"the chip is {other[1]}, the list says {other[2]}",
                "name the right board in the list",
                port=self._port,
            )
        fatal = _FATAL.search(said)
        lines = said.strip().splitlines() or ["esptool said nothing and was stopped"]
        cause = (fatal[1] if fatal else lines[-1]).strip()[:160]
        if "Failed to connect" in said or "No serial data" in said:
            return NoAnswer(
                step,
                f"no boot loader answers ({cause})",
                "hold BOOT while you press RESET, then again",
                port=self._port,
            )
        return cut_off(step, self._port, f"esptool: {cause}")


def _program() -> list[str]:
    if importlib.util.find_spec("esptool") is not None:
        return [sys.executable, "-m", "esptool"]
    found = shutil.which("esptool")
    if found is None:
        raise PartMissing("firmware", "esptool is not installed", "install it with: pip install 'esptool>=5'")
    return [found]


def _heard(process: subprocess.Popen[bytes], progress: Progress | None, total: int) -> str:
    said = bytearray()
    if process.stdout is not None:
        while piece := os.read(process.stdout.fileno(), 65536):
            said += piece
            found = _PERCENT.findall(bytes(piece))
            if found and progress is not None:
                progress(total * min(100, int(found[-1])) // 100, total)
    return said.decode(errors="replace")


class EspBoard:
    """An ESP32. chip: as esptool names it, "esp32s3"; offset: where its firmware file belongs in flash."""

    def __init__(self, port: str, chip: str, offset: int) -> None:
        self._port = port
        self._chip = chip
        self._offset = offset
        self._repl = MicroPython(lambda: port, wait_s=4.0)
        self._esptool = Esptool(port)

    def identify(self) -> Identity:
        """MicroPython says it, else the boot loader."""
        try:
            return self._repl.identify()
        except NoAnswer:
            self._repl.close()
            return self._esptool.identify()

    def write_firmware(self, firmware: FirmwareFile, progress: Progress) -> None:
        """Rules 2, 3 and 4."""
        self._repl.close()
        with tempfile.TemporaryDirectory(prefix="lightnode-flash-") as folder:
            pieces, total = [], 0
            for number, (at, content) in enumerate(segments(firmware.content)):
                path = Path(folder) / f"{number}.bin"
                path.write_bytes(content)
                pieces.append((self._offset + at, path))
                total += len(content)
            self._esptool.write(self._chip, pieces, total, progress)
        self._repl.wait()

    def hashes(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Through MicroPython."""
        return self._repl.hashes(paths)

    def free_bytes(self) -> int:
        """Through MicroPython."""
        return self._repl.free_bytes()

    def write_file(self, path: str, content: bytes, progress: Progress) -> None:
        """Through MicroPython."""
        self._repl.write_file(path, content, progress)

    def run(self, script: str, timeout_s: float) -> str:
        """Through MicroPython."""
        return self._repl.run(script, timeout_s)

    def reset(self) -> None:
        """Through MicroPython."""
        self._repl.reset()

    def close(self) -> None:
        """Gives the port back."""
        self._repl.close()
