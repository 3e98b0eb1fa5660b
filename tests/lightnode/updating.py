"""A device with two directories on this computer: chooser, updates, journal; a release is served as a publisher would."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightboot import chooser
from lightboot import state as states
from lightflash.key import Key
from lightflash.release import Release
from lightnode import update as updates
from lightwire import records, update

from hil.updates import Terms, install, release
from tests.lightnode.parts import DEPLOYMENT, KEY, T0, Node, Settings

DAY_MS = 86_400_000
UPDATE_KEY, NEXT_KEY, STRANGER = (Key(bytes([n]) * 32) for n in (1, 2, 3))
OLD = {"lightnode/__init__.py": b"", "lightnode/app.py": b"old = 1\n" * 40, "lightwire/cbor.py": b"same = 1\n" * 300}
NEW = {
    "lightnode/app.py": b"new = 2\n" * 40,
    "lightnode/data/meter.json": b"{}" * 700,
    "lightwire/__init__.py": b"",
    "lightwire/cbor.py": b"same = 1\n" * 300,
}


def made(files: dict[str, bytes] = NEW, key: Key = UPDATE_KEY, **terms: Any) -> Release:
    """A release that a device which runs sequence 10 takes."""
    said = {"sequence": 11, "floor": 5, "created_ms": T0 - DAY_MS, "deployment": DEPLOYMENT}
    return release(files, Terms(**(said | terms)), key)


class Uplink:
    """The sessions a device has had."""

    sessions = 0


class Device:
    """`start` is power on; `serve` gives what is wished for. `running`: "a", "b" or "" of the code that the chooser picked."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        said = {"update__root": str(root), "update__key": UPDATE_KEY.public, "update__key_generation": 1}
        self.settings = Settings(**(said | {"hardware": "unix", "deployment": DEPLOYMENT} | settings))
        self.said: list[str] = []
        self.node = Node()
        install(root, made(OLD, sequence=10))
        self.start()

    def start(self, trusted: bool = True) -> "Device":
        """Power on, with a meter that answers and a broker, unless a test takes them away."""
        folder = chooser.choose(str(self.root), self.said.append)
        self.running = folder[-1:] if folder else ""
        self.node.restart()
        self.uplink = Uplink()
        self.updates = updates.Updates(
            self.settings, self.node.recorder, self.node.clock, KEY, self.node.sampler, self.uplink,
            updates.running_slot(str(self.root), folder),
        )  # fmt: skip
        if trusted:
            self.node.trust(max(T0, self.node.journal.floor_ms))
        return self

    def step(self) -> None:
        """Lets it do all it may."""
        asyncio.run(self.updates.step())

    def live(self, slots: int = 1) -> None:
        """So many slots with the broker there."""
        self.uplink.sessions += 1
        for _ in range(slots):
            asyncio.run(self.node.slots(1))
            self.updates.tick()
            self.step()

    def announce(self, announcement: bytes) -> None:
        """Something comes on `update`."""
        self.updates.receive("update", announcement)
        self.step()

    def serve(self, found: Release, alter: Callable[[str, int, bytes], bytes] = lambda _p, _o, data: data) -> int:
        """Answers wishes until there is none: how many."""
        served = 0
        while wish := self.updates.wish():
            sequence, path, offset, length = update.decode_wish(wish)
            assert sequence == found.manifest.sequence
            data = alter(path, offset, found.files[path][offset : offset + length])
            self.updates.receive("chunk", update.encode_piece(sequence, path, offset, data))
            self.step()
            served += 1
            assert served < 1000
        return served

    def take(self, found: Release) -> None:
        """Announced and served; the device wants to be started again."""
        self.announce(found.announcement)
        self.serve(found)
        assert self.updates.restart

    def reports(self) -> list[records.UpdateReport]:
        """Every update report in the journal."""
        return self.node.kept(records.UPDATE_REPORT)

    def outcomes(self) -> list[tuple[int, str]]:
        """(outcome, reason) of every report."""
        return [(r.outcome, update.REASONS[r.reason]) for r in self.reports()]

    @property
    def state(self) -> states.State:
        """As it is on flash."""
        state, _ = states.read(str(self.root))
        assert state is not None
        return state

    def holds(self, slot: str, files: dict[str, bytes]) -> bool:
        """Whether a directory has exactly these files."""
        there = {
            str(p.relative_to(self.root / slot)): p.read_bytes() for p in (self.root / slot).rglob("*") if p.is_file()
        }
        return there == files
