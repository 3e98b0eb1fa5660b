"""lightnode nodes: lists light nodes and their keys, draws nonces for next keys, hands their statements in."""

import argparse
import time

from backend.adapters.rotations import REFUSED, WAITING, RotationStore
from backend.adapters.sqlite import SqliteStore
from backend.errors import Rejected
from backend.flows.rotations import drawn, handed_in

_LOOK_S = 0.1
_LARGEST = (1 << 16) + 1


def run(options: argparse.Namespace) -> dict[str, object]:
    """What there is to say. Rejected, Unavailable."""
    if not (options.folder / "scd.sqlite").exists():
        raise Rejected(f"{options.folder} has no scd.sqlite: name the back end's folder")
    store = SqliteStore(options.folder / "scd.sqlite")
    try:
        if options.command == "list":
            return {"nodes": _listed(store)}
        store.keep_notes_as_before()
        rotations = RotationStore(store)
        if options.command == "nonce":
            found = drawn(store, rotations, options.device, time.time_ns() // 1_000_000)
            return {"device": found.device.hex(), "nonce": found.nonce.hex(), "drawn_ms": found.drawn_ms}
        return _rotated(options, store, rotations)
    finally:
        store.close()


def _listed(store: SqliteStore) -> list[dict[str, object]]:
    ended = store.revocations()
    return [
        {
            "device": party.id.hex(), "pod": party.pod, "generation": party.generation, "public_key": party.public.hex(),
            "from_ms": party.valid_from_ms, "to_ms": party.valid_to_ms, "revoked": (party.id, party.generation) in ended,
        }
        for party in store.parties() if party.role == "node"
    ]  # fmt: skip


def _rotated(options: argparse.Namespace, store: SqliteStore, rotations: RotationStore) -> dict[str, object]:
    try:
        with options.statement.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise Rejected(
            f"{options.statement} cannot be read ({error.strerror}): name the file of `rotate-key`"
        ) from error
    found = handed_in(rotations, content)
    end = time.monotonic() + options.wait
    while found.state == WAITING and time.monotonic() < end:
        time.sleep(_LOOK_S)
        found = rotations.rotation(found.nonce) or found
    if found.state == REFUSED:
        raise Rejected(found.reason)
    said: dict[str, object] = {"device": found.device.hex(), "state": found.state}
    keys = [row for row in _listed(store) if row["device"] == found.device.hex()]
    return said if found.state == WAITING else {**said, **keys[-1]}
