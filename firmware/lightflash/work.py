"""One command on one device in service, in the log before it changes anything.

1. A device is named by its id, as it says it. Before a step changes it, it is on disk as begun, with what is wanted; when
   that is verified, as done. So what was wanted is known again after a pulled cable or a killed program.
2. An error has port, device and step; the log has it too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lightflash.device_log import DONE, HALF, REFUSED, UNTOUCHED, DeviceLog, Entry
from lightflash.errors import FlashError

LOG = Path("service-log")
_AGAIN = "run the same command again"


class Work:
    """What one command does to one device. `device`: its id, "" as long as nobody has said it."""

    def __init__(self, log: DeviceLog, step: str, port: str) -> None:
        self._log = log
        self._step = step
        self._port = port
        self._entry: Entry | None = None
        self._before = ""

    @property
    def device(self) -> str:
        """Whose it is."""
        return self._entry.device if self._entry else ""

    @property
    def wanted(self) -> str:
        """What this command wanted of the device when it was begun and did not end; "" if it did, or was never begun."""
        return self._entry.digest(self._key) if self._entry and self._entry.begun == self._step else ""

    @property
    def before(self) -> str:
        """What this command had brought the device to before it was given now; "" for nothing."""
        return self._before

    def meets(self, device: str) -> None:
        """The device has said who it is."""
        known = self._log.entry(device) or Entry(device, device, "")
        self._entry = replace(known, port=self._port)
        self._before = known.digest(self._step)

    def begin(self, wanted: str) -> None:
        """It may change the device from now on."""
        if self._entry is not None:
            begun = self._entry.with_begun(self._step)
            self._save(replace(begun, done={**(begun.done or {}), self._key: wanted}))

    def end(self, found: str) -> None:
        """It is verified that the device is as wanted."""
        if self._entry is not None:
            ended = self._entry.with_done(self._step, found)
            kept = {name: value for name, value in (ended.done or {}).items() if name != self._key}
            self._save(replace(ended, state=DONE, cause="", cure="", done=kept))

    def stop(self, error: FlashError) -> FlashError:
        """Rule 2."""
        found = error.at(port=self._port, device=self.device)
        if self._entry is not None and self._entry.begun == self._step:
            cure = found.cure or _AGAIN
            self._save(replace(self._entry, state=HALF, step=self._step, cause=found.cause, cure=cure))
        elif self._entry is not None and self._entry.state in (UNTOUCHED, REFUSED):
            state = REFUSED if found.exit_code == 1 else UNTOUCHED
            self._log.note(replace(self._entry, state=state, step=self._step, cause=found.cause, cure=found.cure))
        return found

    def give_up(self) -> None:
        """The device has refused: nothing of it is begun any more, it is as before."""
        if self._entry is not None and self._entry.begun == self._step:
            kept = {name: value for name, value in (self._entry.done or {}).items() if name != self._key}
            self._save(replace(self._entry, state=REFUSED, begun="", done=kept))

    @property
    def _key(self) -> str:
        return self._step + " wanted"

    def _save(self, entry: Entry) -> None:
        self._entry = entry
        self._log.save(entry)


@contextmanager
def work(folder: Path, step: str, port: str) -> Iterator[Work]:
    """The work; a FlashError that ends it is in the log, and names port and device."""
    made = Work(DeviceLog(folder), step, port)
    try:
        yield made
    except FlashError as error:
        raise made.stop(error) from error
