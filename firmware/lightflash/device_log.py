"""What was done to which device: a file per device, by its unique id, and one that shows them all.

1. Before a step changes a device it is on disk as begun; when it is verified, as done. So a device that is neither untouched
   nor finished is named, with its step and the cure, whatever ended the program.
2. A file is replaced whole; one that cannot be read is an error by name, never taken for an empty one.
3. A device that has no id yet - only its boot loader's drive is there - is kept under the place where it hangs, and moves to
   its id when that is known.
4. status.json lists the devices of the log and the last reason of each that is not done.
"""

import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lightflash.errors import FlashError
from lightflash.nesting import shallow

_STEP = "log"
_LARGEST = 1 << 16
_STATUS = "status.json"
UNTOUCHED, HALF, REFUSED, DONE = "untouched", "half-done", "refused", "done"


@dataclass(frozen=True, slots=True)
class Entry:
    """A device. state: of the four above; step: where it stands; done: digest of each step that is verified.

    begun: the step that may have changed the device without being verified, "" for none.
    """

    device: str
    name: str
    board: str
    port: str = ""
    pod: str = ""
    state: str = UNTOUCHED
    step: str = ""
    begun: str = ""
    cause: str = ""
    cure: str = ""
    done: Mapping[str, str] | None = None

    def digest(self, step: str) -> str:
        """What the step wrote when it was last verified, "" for never."""
        return (self.done or {}).get(step, "")

    def with_begun(self, step: str) -> "Entry":
        """The step may change the device from now on."""
        done = {key: value for key, value in (self.done or {}).items() if key != step}
        return replace(self, state=HALF, step=step, begun=step, cause="", cure="", done=done)

    def with_done(self, step: str, digest: str) -> "Entry":
        """The step is verified."""
        begun = "" if self.begun == step else self.begun
        return replace(self, step=step, begun=begun, done={**(self.done or {}), step: digest})

    @property
    def line(self) -> str:
        """For a reader."""
        where = f" ({self.port})" if self.port else ""
        head = f"{self.name}{where} {self.device}: {self.state}"
        if self.state == DONE:
            return head
        return (
            head
            + f" at {self.step or 'start'}: {self.cause or 'the program was stopped'}; "
            + (self.cure or "run the same command again")
        )


class DeviceLog:
    """The log in a folder; made when it is first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._not_begun: dict[str, Entry] = {}

    def entry(self, device: str) -> Entry | None:
        """What is known of a device; FlashError if its file is damaged."""
        path = self._path(device)
        return _read(path) if path.exists() else None

    def entries(self) -> list[Entry]:
        """Every device of the log, by name."""
        found = [_read(path) for path in sorted(self._folder.glob("*.json")) if path.name != _STATUS]
        return sorted(found, key=lambda entry: entry.name)

    def save(self, entry: Entry, before: str = "") -> None:
        """The entry is on disk; before: the id it was kept under (rule 3)."""
        with self._lock:
            _replace(self._path(entry.device), asdict(entry))
            if before and before != entry.device:
                self._path(before).unlink(missing_ok=True)
            self._not_begun.pop(entry.name, None)
            self._show()

    def note(self, entry: Entry) -> None:
        """A device that was not touched this time; it is listed, its own file stays as it is."""
        with self._lock:
            self._not_begun[entry.name] = entry
            self._show()

    def listed(self) -> list[Entry]:
        """What status.json lists."""
        known = self.entries()
        names = {entry.name for entry in known}
        return [*known, *(entry for name, entry in sorted(self._not_begun.items()) if name not in names)]

    def _show(self) -> None:
        _replace(self._folder / _STATUS, {"devices": [asdict(entry) for entry in self.listed()]})

    def _path(self, device: str) -> Path:
        return self._folder / (re.sub(r"[^A-Za-z0-9-]", "_", device)[:80] + ".json")


def _read(path: Path) -> Entry:
    try:
        with path.open("rb") as file:
            document = json.loads(shallow(file.read(_LARGEST)))
        entry = Entry(**document)
        texts = [value for key, value in asdict(entry).items() if key != "done"]
        if not all(isinstance(text, str) for text in texts) or not isinstance(entry.done or {}, dict):
            raise ValueError("a value of it is no text")
        return entry
    except (ValueError, TypeError, RecursionError) as error:
        raise FlashError(
            _STEP, f"{path} is damaged ({error})", "move it away; the device is then checked anew"
        ) from error


def _replace(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
