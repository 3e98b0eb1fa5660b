"""Which directory holds the application, and what may replace it: a small record, kept twice.

1. Both copies are written, one after the other; each has a serial and a checksum. Whatever a cut leaves, one copy is whole:
   the state is the old one or the new one.
2. A trial is started at most ATTEMPTS times without being committed; each start is counted before it is made.
3. Sequence and floor only rise. What was rolled back is remembered: it is not tried again.
"""

import hashlib
import struct

from . import files

ATTEMPTS = 3
ROLLED_BACK = 2  # this and the reasons as in lightwire, of which nothing is used here: it is in the directories
STARTS, INTEGRITY = 19, 20
OFFLINE, REPAIR = 1, 2  # flags: the broker was away before the update too; what runs is not the installed sequence
SLOTS = "-ab"  # slot 0 is none
_NAMES = (
    "magic", "serial", "active", "trial", "attempts", "flags", "sequence", "version", "floor", "failed", "generation", "key",
    "release_a", "release_b", "outcome", "reason", "report_sequence", "report_version", "report_digest",
)  # fmt: skip
_FORM = ">4sIBBBBIIIIH33s32s32sBBII32s"
_MAGIC = b"LNU1"
_SIZE = struct.calcsize(_FORM)
_CHECK = 8


class State:
    """active, trial: slots (0 none, 1 a, 2 b); attempts: starts of the trial; flags: bits.

    sequence, version: of the release that was committed last; floor: no release below it; failed: the highest sequence
    that was rolled back. generation, key: the update key after a rotation, 0 and zeros before. release_a, release_b:
    SHA-256 of the slot's release file, zeros if the slot holds nothing that may be started. outcome, reason, report_...:
    what is still to be reported, outcome 0 for nothing.
    """

    serial: int
    active: int
    trial: int
    attempts: int
    flags: int
    sequence: int
    version: int
    floor: int
    failed: int
    generation: int
    key: bytes
    release_a: bytes
    release_b: bytes
    outcome: int
    reason: int
    report_sequence: int
    report_version: int
    report_digest: bytes

    def __init__(self, values) -> None:  # type: ignore[no-untyped-def]
        for name, value in zip(_NAMES, values):
            setattr(self, name, value)

    def release(self, slot: int) -> bytes:
        """SHA-256 of a slot's release file, zeros if it may not be started."""
        return (bytes(32), self.release_a, self.release_b)[slot]

    def set_release(self, slot: int, digest: bytes) -> None:
        """What a slot holds from now on."""
        setattr(self, ("", "release_a", "release_b")[slot], digest)

    def encode(self) -> bytes:
        """With the checksum."""
        body = struct.pack(_FORM, *[getattr(self, name) for name in _NAMES])
        return body + hashlib.sha256(body).digest()[:_CHECK]


def blank() -> State:
    """Of a device that has nothing."""
    return State(struct.unpack(_FORM, _MAGIC + bytes(_SIZE - 4)))


def read(root: str) -> tuple[State | None, bool]:
    """(the state, whether both copies hold it); None if no copy is whole."""
    newest, copies = _newest(root)
    return newest, copies[0] == copies[1]


def write(root: str, state: State) -> None:
    """The state is this one from now on (rule 1)."""
    state.serial += 1
    repair(root, state)


def repair(root: str, state: State) -> None:
    """Both copies hold this state; the copy that counts now is the last to be written."""
    newest, copies = _newest(root)
    paths = _paths(root)
    if newest is not None and copies[0] == newest.encode():
        paths = paths[::-1]
    files.make_folders(paths[0])
    for path in paths:
        files.write(path, state.encode())


def _newest(root: str) -> tuple[State | None, list[bytes]]:
    copies = [files.read(path, _SIZE + _CHECK) for path in _paths(root)]
    newest = None
    for data in copies:
        if len(data) == _SIZE + _CHECK and data[:4] == _MAGIC:
            found = State(struct.unpack(_FORM, data[:_SIZE]))
            if found.encode() == data and (newest is None or found.serial > newest.serial):
                newest = found
    return newest, copies


def roll_back(state: State, reason: int) -> None:
    """The trial is over and is not tried again; what ran before runs. To be written by the caller."""
    slot = state.trial
    state.failed = max(state.failed, state.report_sequence)
    state.trial = state.attempts = 0
    state.flags &= ~OFFLINE
    state.outcome, state.reason = ROLLED_BACK, reason
    state.set_release(slot, bytes(32))


def _paths(root: str) -> list[str]:
    return [root + "/state.0", root + "/state.1"]
