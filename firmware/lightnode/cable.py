"""What a technician does over the cable while the application is stopped, from MicroPython's prompt: `lightnode-flash` calls it.

1. `Bringing` takes a release by the same rules and code as one that comes over the air (update.py, download.py): the device
   decides, names its reason, goes on after a cut, and tries the release when it starts again.
2. Nobody gives the prompt trusted time: what counts is the technician's clock, but never before the installed release was
   made. Sequence, floor and signature do not depend on it.
3. `forget` gives the device up for another site: settings, network password, the site's certificates and every reading go.
   Keys and their generations, the device's certificate, the application with its floor, the numbers of the journal, its
   head and the command number stay. Readings that the back end has not signed for are only lost if that is said.
4. What is to be forgotten is named by the settings, so they go last; a cut leaves what can be forgotten again.
"""

import asyncio

from lightboot import chooser, files
from lightwire import update

from . import board as boards
from . import download, keys, settings
from .compat import sleep_ms
from .errors import NodeError
from .journal import Journal
from .service import releases
from .update import Updates, running_slot

_KEY = "/device.key"
_FED_MS = 500


class _Stopped:
    """What updates ask of a device that works, for one that does not: the time of the technician, no reading, no session."""

    trusted = True
    produced = sessions = 0

    def __init__(self, utc_ms: int) -> None:
        self._utc_ms = utc_ms

    def utc_ms(self) -> int:
        """Rule 2."""
        return self._utc_ms

    def monotonic_ms(self) -> int:
        """It stands: the first quarter-hour."""
        return 0

    def wake(self) -> None:
        """There is no uplink."""

    async def keep(self, make) -> None:  # type: ignore[no-untyped-def]
        """No journal either: the technician reads what would be reported."""


class Bringing:
    """A release over the cable: `offer`, then `piece` as long as something is wished for. Each answers with `state()`.

    feed(): the watchdog's, called twice a second.
    """

    def __init__(self, config: str, first_path: str, utc_ms: int, is_offline: bool, feed) -> None:  # type: ignore[no-untyped-def]
        """first_path: of sys.path, where this code comes from; is_offline: the broker is not reached from here."""
        checked = settings.load(config)
        root = checked.value("update.root")
        stopped = _Stopped(utc_ms)
        running = running_slot(root, first_path)
        self._updates = Updates(checked, stopped, stopped, None, stopped, stopped, running)
        self._updates.is_offline = is_offline
        self._feed = feed
        if checked.value("update.key") is None:
            raise NodeError("no update.key in the settings: no release is ever taken")
        installed = releases(self._updates)["running"]
        if installed:
            release = files.read(chooser.release_path(root, running), chooser.RELEASE_MAX)
            stopped._utc_ms = max(utc_ms, update.manifest_of(release[: update.SEALED_BYTES]).created_ms)

    def offer(self, path: str) -> dict[str, object]:
        """Judges the announcement in a file, and begins or goes on."""
        if self._updates.state.trial:
            raise NodeError("a release is on trial: wait for its outcome, or roll it back")
        self._updates.receive("update", files.read(path, chooser.RELEASE_MAX))
        return self._step()

    def piece(self, sequence: int, path: str, offset: int, data: bytes) -> dict[str, object]:
        """Takes what was wished for."""
        self._updates.receive("chunk", update.encode_piece(sequence, path, offset, data))
        return self._step()

    def _step(self) -> dict[str, object]:
        asyncio.run(self._fed())
        return self.state()

    async def _fed(self) -> None:
        async def feed() -> None:
            while True:
                self._feed()
                await sleep_ms(_FED_MS)

        feeding = asyncio.create_task(feed())
        try:
            await self._updates.step()
        finally:
            feeding.cancel()

    def state(self) -> dict[str, object]:
        """`wish`: [path, offset, bytes] or None; `switched`: it is on trial from the next start on; `refused`: the reason;
        `trial`: the sequence that is on trial, 0 for none."""
        wish = self._updates.wanted
        refused = self._updates.last if self._updates.refused else ""
        state = self._updates.state
        return {
            "wish": list(wish) if wish else None,
            "switched": self._updates.restart,
            "refused": refused,
            "trial": state.report_sequence if state.trial else 0,
        }


def forget(config: str, device: str, to_lose: bool, feed) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Rule 3. device: its id, which must be right; to_lose: readings that nobody has signed for may go. What went."""
    value = settings.load(config).value
    board = boards.load()
    folder = value("state_dir")
    if files.size(folder + _KEY) < 0:
        raise NodeError("it has no key in " + folder)
    key = keys.open_key(folder, board.random)
    if key.device.hex() != device:
        raise NodeError("this is device " + key.device.hex())
    flash = board.open_flash(value("journal.path"), value("journal.bytes"))
    journal = Journal(flash, key.device, key.generation, value("meter.vt_ratio"))
    lost = journal.seq - journal.acked
    if lost and not to_lose:
        raise NodeError(f"{lost} records are not acknowledged by the back end")
    for _ in journal.forget():
        feed()
    download.forget(value("update.root"))
    board.keep_reason(folder, b"")
    gone = []
    for name in ("network.password_file", "broker.ca", "ems.ca"):
        if value(name) and files.size(value(name)) >= 0:
            files.remove(value(name))
            gone.append(value(name))
    files.remove(config)
    return {"device": device, "lost": lost, "removed": gone + [config]}
