"""A release: the application's files, their listing and the manifest over it, signed by the update key; see FORMAT.md, kind 17.

1. The listing is canonical, so that the same files give the same listing; the signature is deterministic.
2. Without a key the manifest has sequence 0, is over in 1970 and has a signature of zeros: the boot chooser starts what it lists, and
   no device ever takes it as an update.
3. What lies in a device beside the application is the release file and the state of the chooser, twice: slot a, committed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from lightboot import state as states
from lightwire import envelope, records, update
from lightwire.errors import WireError
from lightwire.upkeep import Manifest

from lightflash.errors import FlashError
from lightflash.key import Key, is_public

ROOT = "app"  # the chooser's folder on a board
_SLOT = 1
_UNSIGNED = bytes(64)
_ZERO_KEY = bytes(33)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a signed manifest says beside its files. created_ms, expires_ms: UTC; deployment: 16 bytes."""

    sequence: int
    created_ms: int
    expires_ms: int
    deployment: bytes
    floor: int = 0
    key_generation: int = 1
    next_key: bytes = _ZERO_KEY


_NO_TERMS = Terms(0, 0, 1, bytes(16))


@dataclass(frozen=True, slots=True)
class Release:
    """A sealed manifest, its listing, and the files by path."""

    manifest: Manifest
    sealed: bytes
    listing: bytes
    files: Mapping[str, bytes]
    is_signed: bool

    @property
    def digest(self) -> bytes:
        """What reports name it by."""
        return envelope.payload_digest(records.encode(self.manifest))

    @property
    def announcement(self) -> bytes:
        """What goes on the topic `update`, and what a device keeps as its release file."""
        return self.sealed + self.listing


def release(
    files: Mapping[str, bytes], hardware: str, version: tuple[int, int, int], terms: Terms | None, key: Key | None
) -> Release:
    """A release of these files; unsigned without terms and key (rule 2). FlashError if a rule of updates forbids it."""
    if terms is not None:
        _check(terms)
    try:
        return assembled(files, hardware, version, terms or _NO_TERMS, key if terms else None)
    except WireError as error:
        raise FlashError("release", str(error), "change what is released, or its terms") from error


def assembled(
    files: Mapping[str, bytes], hardware: str, version: tuple[int, int, int], terms: Terms, key: Key | None
) -> Release:
    """The same whatever the terms are, unsigned without a key: the rig makes what devices must refuse, too. WireError."""
    listing = update.encode_listing([(p, len(data), hashlib.sha256(data).digest()) for p, data in files.items()])
    major, minor, patch = version
    manifest = Manifest(
        hardware=hardware.encode().ljust(16, b"\0"),
        sequence=terms.sequence,
        floor=terms.floor,
        version=major << 16 | minor << 8 | patch,
        created_ms=terms.created_ms,
        expires_ms=terms.expires_ms,
        files=len(files),
        total_bytes=sum(map(len, files.values())),
        listing=hashlib.sha256(listing).digest(),
        key_generation=terms.key_generation,
        next_key=terms.next_key,
    )
    sealed = envelope.seal(manifest, terms.deployment, key.sign if key else lambda _digest: _UNSIGNED)
    return Release(manifest, sealed, listing, dict(files), key is not None)


def on_device(made: Release) -> dict[str, bytes]:
    """Every file below the chooser's folder of a device that this release was put into (rule 3)."""
    state = states.blank()
    state.active, state.sequence, state.version = _SLOT, made.manifest.sequence, made.manifest.version
    state.floor = made.manifest.floor
    state.set_release(_SLOT, hashlib.sha256(made.announcement).digest())
    state.serial = 1
    slot = states.SLOTS[_SLOT]
    return {
        **{f"{slot}/{path}": data for path, data in made.files.items()},
        f"{slot}.release": made.announcement,
        "state.0": state.encode(),
        "state.1": state.encode(),
    }


def _check(terms: Terms) -> None:
    """What every device would refuse is not signed."""
    if terms.sequence < 1:
        raise FlashError(
            "release", "sequence is 0, 1 or more belongs there", "count each release up from the one before"
        )
    if terms.next_key != _ZERO_KEY and not is_public(terms.next_key):
        raise FlashError("release", "next_key is no point of the curve", "give what `lightnode-flash key` prints")
    if terms.floor > terms.sequence:
        raise FlashError("release", f"floor {terms.floor} is above sequence {terms.sequence}", "give a lower floor")
    if not terms.created_ms < terms.expires_ms:
        raise FlashError("release", "it expires before it is created", "give a later day with --expires")
    if terms.expires_ms - terms.created_ms > update.WINDOW_MAX_MS:
        days = update.WINDOW_MAX_MS // 86_400_000
        raise FlashError("release", f"it is valid for more than {days} days", "give an earlier day with --expires")
