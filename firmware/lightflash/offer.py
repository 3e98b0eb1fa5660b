"""A signed release as it lies in a build, and the pieces of it that a device wishes for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightwire import envelope, records, update
from lightwire.errors import WireError
from lightwire.upkeep import Manifest

from lightflash import build
from lightflash.errors import FlashError

_SLOT = "app/a/"  # where a build has the application's files


@dataclass(frozen=True, slots=True)
class Offer:
    """manifest: of the release; announcement: sealed manifest and listing; files: by path in the listing."""

    manifest: Manifest
    announcement: bytes
    files: Mapping[str, bytes]

    @property
    def digest(self) -> bytes:
        """What reports name it by."""
        return envelope.payload_digest(records.encode(self.manifest))

    @property
    def text(self) -> str:
        """For a reader."""
        version = self.manifest.version
        return f"sequence {self.manifest.sequence}, version {version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"

    def piece(self, path: str, offset: int, length: int) -> bytes:
        """What a device wishes for; FlashError if the release has no such piece."""
        data = self.files.get(path, b"")[offset : offset + length]
        if not data or len(data) != length or offset < 0:
            raise FlashError(
                "update", f"the device wishes for {length} bytes of {path[:64]!r} at {offset}", "build it again"
            )
        return data


def offer(folder: Path) -> Offer:
    """The release of a build. FlashError if it is not signed."""
    made = build.read(folder)
    announcement = made.outputs.get(build.RELEASE, b"")
    try:
        sealed, listing = update.split(announcement)
        manifest = update.manifest_of(sealed)
        paths = [path for path, _, _ in update.decode_listing(listing)]
        files = {path: made.files[_SLOT + path] for path in paths}
    except (WireError, KeyError) as error:
        raise FlashError("update", f"{folder} holds no release", "build it again") from error
    if not manifest.sequence:
        cure = "build it with --sign: no device takes an unsigned one as an update"
        raise FlashError("update", f"the release in {folder} is not signed", cure)
    return Offer(manifest, announcement, files)
