"""Picks the directory of the application at each start, so that a whole one runs whatever happened before.

1. Under the root lie the directories a and b, for each the release it holds (a.release: sealed manifest || listing), and
   the state. The release's signature was checked when it was installed; the state holds the hash of what was checked.
2. At each start every file of the chosen directory is read back: size and hash as listed, every listed file there. A file
   that is not listed is removed and named: it could stand in for another when the application imports.
3. A trial's start is counted before it is made; after ATTEMPTS starts, or with a file that is not as listed, it is rolled
   back and what ran before is chosen.
4. When the active directory is damaged, the other one is chosen if it was committed and is not below the floor. When none
   is whole, nothing is: the caller starts what is frozen in, or says so.
5. When both copies of the state are lost, the manifests say what is there: of two whole directories the one with the lower
   sequence counts as committed, the other is on trial again.
"""

import hashlib

from . import files
from . import state as states

SEALED_BYTES = 211  # a sealed Manifest, then the listing; FORMAT.md, kind 17
RELEASE_MAX = SEALED_BYTES + 8192
_PAYLOAD_AT, _PAYLOAD_END = 10, 145
_SEQUENCE_AT, _FLOOR_AT, _VERSION_AT, _LISTING_AT, _GENERATION_AT, _NEXT_AT = 33, 38, 43, 75, 108, 112


def choose(root: str, say=print) -> str:  # type: ignore[no-untyped-def]
    """The directory to import the application from, "" if none is whole. say(line) names what was done about damage."""
    state, is_kept_twice = states.read(root)
    if state is None:
        state = _recovered(root, say)
    elif not is_kept_twice:
        states.repair(root, state)
    if state.trial and _may_try(root, state, say):
        return folder(root, state.trial)
    for slot in (state.active, 3 - state.active):
        if slot in (1, 2) and any(state.release(slot)) and is_whole(root, slot, state.release(slot), say):
            if slot != state.active:
                _fall_back(root, state, slot)
            return folder(root, slot)
    if state.active:
        _fall_back(root, state, 0)
    return ""


def folder(root: str, slot: int) -> str:
    """The directory of a slot."""
    return root + "/" + states.SLOTS[slot]


def release_path(root: str, slot: int) -> str:
    """The release file of a slot."""
    return folder(root, slot) + ".release"


def is_whole(root: str, slot: int, digest: bytes, say) -> bool:  # type: ignore[no-untyped-def]
    """Whether a slot holds exactly the release with this SHA-256 (rule 2); b"" for whatever its release file says."""
    release = files.read(release_path(root, slot), RELEASE_MAX)
    listing = release[SEALED_BYTES:]
    if not listing or (digest and hashlib.sha256(release).digest() != digest):
        say("boot: " + release_path(root, slot) + " is damaged")
        return False
    if hashlib.sha256(listing).digest() != release[_LISTING_AT : _LISTING_AT + 32]:
        say("boot: " + release_path(root, slot) + " lists other files than its manifest")
        return False
    remove_strangers(folder(root, slot), listing, say)
    for row in listing.split(b"\n")[:-1]:
        size, wanted, name = str(row, "utf-8").split(" ")
        path = folder(root, slot) + "/" + name
        if files.size(path) != int(size) or files.digest(path) != bytes.fromhex(wanted):
            say("boot: " + path + " is not as it was released")
            return False
    return True


def remove_strangers(directory: str, listing: bytes, say) -> None:  # type: ignore[no-untyped-def]
    """Removes what is not listed, and folders that are empty then."""
    for name in files.tree(directory):
        end = "" if name.endswith("/") else "\n"
        if (" " + name + end).encode() not in listing:
            files.remove(directory + "/" + name)
            say("boot: removed " + directory + "/" + name + ", no release lists it")


def _may_try(root: str, state: states.State, say) -> bool:  # type: ignore[no-untyped-def]
    """Rule 3."""
    if state.attempts < states.ATTEMPTS:
        state.attempts += 1
        states.write(root, state)
        if is_whole(root, state.trial, state.release(state.trial), say):
            return True
        reason = states.INTEGRITY
    else:
        reason = states.STARTS
    say("boot: the update in " + folder(root, state.trial) + " is rolled back")
    states.roll_back(state, reason)
    states.write(root, state)
    return False


def _fall_back(root: str, state: states.State, slot: int) -> None:
    """Rule 4: the active release is damaged; it may be installed again."""
    damaged = files.read(release_path(root, state.active), RELEASE_MAX)
    state.outcome, state.reason = states.ROLLED_BACK, states.INTEGRITY
    state.report_sequence, state.report_version = state.sequence, state.version
    state.report_digest = hashlib.sha256(damaged[_PAYLOAD_AT:_PAYLOAD_END]).digest()
    state.set_release(state.active, bytes(32))
    state.active = slot
    state.flags |= states.REPAIR
    states.write(root, state)


def _recovered(root: str, say) -> states.State:  # type: ignore[no-untyped-def]
    """Rule 5."""
    state = states.blank()
    found = []
    for slot in (1, 2):
        if files.size(release_path(root, slot)) > 0 and is_whole(root, slot, b"", say):
            release = files.read(release_path(root, slot), RELEASE_MAX)
            state.set_release(slot, hashlib.sha256(release).digest())
            found.append((_number(release, _SEQUENCE_AT, 4), slot, release))
    found.sort()
    if not found:
        return state
    state.sequence, state.active, release = found[0]
    state.version, state.floor = _number(release, _VERSION_AT, 4), _number(release, _FLOOR_AT, 4)
    state.generation, state.key = _number(release, _GENERATION_AT, 2), release[_NEXT_AT : _NEXT_AT + 33]
    if any(state.key):
        state.generation += 1
    if len(found) == 2:
        begin_trial(state, found[1][1], found[1][2], True)
    say("boot: the state was lost; " + folder(root, state.active) + " counts as committed")
    states.write(root, state)
    return state


def begin_trial(state: states.State, slot: int, release: bytes, is_offline: bool) -> None:
    """From the next start on this release is tried. release: content of its file; to be written by the caller."""
    state.trial, state.attempts = slot, 0
    state.flags = state.flags & ~states.OFFLINE | (states.OFFLINE if is_offline else 0)
    state.set_release(slot, hashlib.sha256(release).digest())
    state.report_sequence, state.report_version = _number(release, _SEQUENCE_AT, 4), _number(release, _VERSION_AT, 4)
    state.report_digest = hashlib.sha256(release[_PAYLOAD_AT:_PAYLOAD_END]).digest()


def _number(release: bytes, at: int, length: int) -> int:
    return int.from_bytes(release[at : at + length], "big")
