"""Brings one release into the idle directory, whatever it comes over: a broker or a cable.

1. Only the piece that was wished for is taken: that file, at that offset, no longer than listed. What is sent in all is at
   most four times the listed bytes and 64 KiB; then the release is refused.
2. It goes on where it was after a loss of link or power: the offer is kept in a file, and what is whole on flash is not
   asked for again. A file that the running release has, too, is copied.
3. Every file is read back when it is whole, and all of them again before the switch, when what is not listed is removed.
   A file that is not as listed is fetched again, FETCHES_MAX times in all.
4. The switch is one write of the state; before it the device starts what runs now, after it the trial.
"""

import hashlib

from lightboot import chooser, files
from lightboot import state as states
from lightwire import envelope, update

FETCHES_MAX = 3
_OFFER = "/offer"


class Refused(Exception):
    """The release cannot be installed; `reason` as in lightwire.update."""

    def __init__(self, reason: int) -> None:
        super().__init__(update.REASONS[reason])
        self.reason = reason


def kept_offer(root: str) -> bytes:
    """The announcement whose download had begun; b"" if none had."""
    return files.read(root + _OFFER, chooser.RELEASE_MAX)


def forget(root: str) -> None:
    """No download has begun."""
    files.remove(root + _OFFER)


def begin(root: str, slot: int, state: states.State, announcement: bytes):  # type: ignore[no-untyped-def]
    """Empties a slot for a release that was judged good and keeps the offer; yields between two files."""
    forget(root)
    if any(state.release(slot)):
        state.set_release(slot, bytes(32))
        states.write(root, state)
    files.remove(chooser.release_path(root, slot))
    for name in files.tree(chooser.folder(root, slot)):
        files.remove(chooser.folder(root, slot) + "/" + name)
        yield
    files.make_folders(root + _OFFER)
    files.write(root + _OFFER, announcement)


class Download:
    """The release whose offer is kept. `manifest`; `wish`: (path, offset, length) it waits for, None for nothing;
    `is_complete`: every file was read back and is as listed."""

    def __init__(self, root: str, slot: int, running: int) -> None:
        """slot: where to; running: the slot to copy from, 0 for none."""
        self._root = root
        self._slot = slot
        self._running = running
        self._at = chooser.SEALED_BYTES
        self._failures = self._taken = 0
        self.manifest = envelope.peek(kept_offer(root)[: chooser.SEALED_BYTES])
        self.wish: tuple[str, int, int] | None = None
        self.is_complete = False

    def work(self):  # type: ignore[no-untyped-def]
        """Does what can be done until there is a wish or all is complete; yields between two blocks. Refused; OSError if
        the flash is full."""
        self.wish = None
        while not self.wish and not self.is_complete:
            row = files.line(self._root + _OFFER, self._at)
            if row:
                yield from self._bring(len(row), *update.entry(str(row[:-1], "utf-8")))
            else:
                yield from self._check()

    def offer(self, path: str, offset: int, data: bytes) -> bool:
        """Takes a piece if it is the one wished for; call `work` then. Refused if more is sent than rule 1 says."""
        self._taken += len(data)
        if self._taken > 4 * self.manifest.total_bytes + 65536:
            raise Refused(update.ENDLESS)
        if self.wish is None or self.wish[:2] != (path, offset) or not 0 < len(data) <= self.wish[2]:
            return False
        self.wish = None
        files.append(self._path(path), data)
        return True

    def switch(self, state: states.State, is_offline: bool) -> None:
        """From the next start on the release is on trial (rule 4); only when it is complete.

        is_offline: the broker has not been reached for so long that the trial may do without it.
        """
        release = kept_offer(self._root)
        files.write(chooser.release_path(self._root, self._slot), release)
        chooser.begin_trial(state, self._slot, release, is_offline)
        states.write(self._root, state)
        forget(self._root)

    def _path(self, path: str) -> str:
        return chooser.folder(self._root, self._slot) + "/" + path

    def _bring(self, row_bytes: int, path: str, size: int, digest: bytes):  # type: ignore[no-untyped-def]
        where = self._path(path)
        have = files.size(where)
        if have <= 0:
            files.make_folders(where)
            yield from self._copy(path, size, digest)
            have = files.size(where)
        if have < size:
            self.wish = path, have, min(update.CHUNK_BYTES, size - have)
            return
        yield from self._read_back(where, size, digest)
        if files.size(where) >= 0:
            self._at += row_bytes

    def _copy(self, path: str, size: int, digest: bytes):  # type: ignore[no-untyped-def]
        """What the running release has, or an empty file."""
        files.write(self._path(path), b"")
        source = chooser.folder(self._root, self._running) + "/" + path
        if not self._running or files.size(source) != size:
            return
        if (yield from _digest(source)) == digest:
            yield from files.copy(source, self._path(path))

    def _read_back(self, where: str, size: int, digest: bytes):  # type: ignore[no-untyped-def]
        """A file that is not as listed is gone afterwards."""
        if files.size(where) != size or (yield from _digest(where)) != digest:
            files.remove(where)
            self._failures += 1
            if self._failures >= FETCHES_MAX:
                raise Refused(update.CONTENT)

    def _check(self):  # type: ignore[no-untyped-def]
        """Everything once more, as it now is on flash."""
        listing = kept_offer(self._root)[chooser.SEALED_BYTES :]
        chooser.remove_strangers(chooser.folder(self._root, self._slot), listing, lambda line: None)
        failures, total = self._failures, 0
        at = chooser.SEALED_BYTES
        row = files.line(self._root + _OFFER, at)
        while row:
            path, size, digest = update.entry(str(row[:-1], "utf-8"))
            yield from self._read_back(self._path(path), size, digest)
            total += size
            at += len(row)
            row = files.line(self._root + _OFFER, at)
        if total != self.manifest.total_bytes:
            raise Refused(update.TOTALS)
        self._at = chooser.SEALED_BYTES  # for what has to be fetched again
        self.is_complete = self._failures == failures


def _digest(path: str):  # type: ignore[no-untyped-def]
    """SHA-256 of what is read back; yields between two blocks."""
    made = hashlib.sha256()
    for block in files.blocks(path):
        made.update(block)
        yield
    return made.digest()
