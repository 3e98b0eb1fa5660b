"""What the flasher asks of a board on a cable, whoever carries it out.

1. Whatever ends a step early - a pulled cable, a lost power - is a Pending: the same command goes on from there.
2. A board that does not answer as MicroPython is a NoAnswer; a driver that has another way tries that.
3. Every wait has an end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lightflash.errors import FlashError, Pending
from lightflash.firmware_file import FirmwareFile

Progress = Callable[[int, int], None]
AGAIN = "plug the cable in again and run the same command, it goes on from this step"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers. unique_id: hexadecimal, "" if not known yet; chip, flash_bytes: "" and 0 unless a boot loader said it.

    platform, machine, version: what MicroPython says; "" and None if it does not answer.
    """

    unique_id: str
    platform: str = ""
    machine: str = ""
    version: tuple[int, int, int] | None = None
    chip: str = ""
    flash_bytes: int = 0

    @property
    def what(self) -> str:
        """For a reader: the board as it calls itself."""
        return self.machine or self.chip


class NoAnswer(FlashError):
    """The port is there; no MicroPython answers on it."""

    exit_code = 3


class Transport(Protocol):
    """A board on a cable."""

    def identify(self) -> Identity:
        """Who it is; nothing on it changes. NoAnswer; PartMissing without port or tool."""
        ...

    def write_firmware(self, firmware: FirmwareFile, progress: Progress) -> None:
        """The firmware's bytes are in flash, read back and equal, and the board starts them. Pending if it was cut off."""
        ...

    def hashes(self, paths: Sequence[str]) -> Mapping[str, str]:
        """SHA-256 in hexadecimal of what is read back from each file that is there."""
        ...

    def free_bytes(self) -> int:
        """Room in the board's file system."""
        ...

    def write_file(self, path: str, content: bytes, progress: Progress) -> None:
        """The file is there with this content and no other; a cut leaves the old one. Its folders are made."""
        ...

    def run(self, script: str, timeout_s: float) -> str:
        """What a script printed. FlashError with the last line of its traceback."""
        ...

    def reset(self) -> None:
        """The board starts anew."""
        ...

    def close(self) -> None:
        """Gives the port back."""
        ...


def cut_off(step: str, port: str, cause: str) -> Pending:
    """The error of rule 1."""
    return Pending(step, f"the board went away ({cause})", AGAIN, port=port)
