"""A build: sources and a board in, a folder with the image and everything that goes with it out.

1. The same sources, tools, board and terms give the same bytes in every file; nothing of the computer, its time, its language
   or its folders enters.
2. A folder that holds other things than an earlier build is not touched; a build that fails leaves the earlier one.
3. A build that is read back is whole or refused: `build.json` has size and SHA-256 of every other file, no file is extra.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightflash import release as releases
from lightflash.board import Board
from lightflash.compiled import Compiled, compiled, tool_versions
from lightflash.errors import FlashError
from lightflash.image import image
from lightflash.key import Key
from lightflash.nesting import shallow
from lightflash.partition import partition_table
from lightflash.release import Release, Terms, release
from lightflash.sbom import sbom

RECORD = "build.json"
FORMAT = "lightnode-build/1"
FILES = "files"
IMAGE, RELEASE, LISTING, MANIFEST, SBOM, PARTITIONS = (
    "image.bin",
    "release.bin",
    "listing.txt",
    "manifest.json",
    "sbom.cdx.json",
    "partitions.bin",
)
_RECORD_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Build:
    """What was built, by path in the folder. files: what the image holds, by path on the device. record: build.json."""

    outputs: Mapping[str, bytes]
    record: Mapping[str, Any]

    @property
    def files(self) -> dict[str, bytes]:
        """What goes on the device, by path there."""
        start = FILES + "/"
        return {path.removeprefix(start): data for path, data in self.outputs.items() if path.startswith(start)}


def build(firmware: Path, board: Board, terms: Terms | None = None, key: Key | None = None) -> Build:
    """The whole build in memory; signed if both terms and key are given. FlashError names what is wrong."""
    made = compiled(firmware, board)
    released = release(made.application, board.hardware, made.version, terms, key)
    files = {
        **made.start,
        **{f"{releases.ROOT}/{path}": data for path, data in releases.on_device(released).items()},
    }
    data = image(files, board)
    tools = tool_versions()
    version = ".".join(map(str, made.version))
    outputs = {
        IMAGE: data,
        RELEASE: released.announcement,
        LISTING: released.listing,
        MANIFEST: _json(_manifest(released, terms, key)),
        SBOM: sbom(files, data, board, version, tools),
        **{f"{FILES}/{path}": content for path, content in files.items()},
    }
    table = partition_table(board)
    if table:
        outputs[PARTITIONS] = table
    return Build(outputs, _record(board, made, released, tools, version, outputs))


def write(made: Build, out: Path) -> None:
    """The build is in the folder, as a whole (rule 2). FlashError if the folder is not ours or cannot be written."""
    _check_own(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            whole = Path(folder) / "build"
            for path, data in {**made.outputs, RECORD: _json(made.record)}.items():
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_bytes(data)
            _take_place(whole, out, Path(folder) / "before")
    except OSError as error:
        raise FlashError(
            "build", f"{out} cannot be written ({error.strerror})", "name another folder with --out"
        ) from error


def _take_place(whole: Path, out: Path, before: Path) -> None:
    """The new folder is where the old one was; if it cannot be, the old one is there again."""
    if not out.exists():
        whole.rename(out)
        return
    out.rename(before)
    try:
        whole.rename(out)
    except OSError:
        before.rename(out)
        raise


def read(folder: Path) -> Build:
    """The build in a folder. FlashError if it is none, or not whole (rule 3)."""
    record = _read_record(folder)
    found = {}
    for path, told in record["outputs"].items():
        try:
            data = (folder / path).read_bytes()
        except OSError as error:
            raise FlashError("build", f"{folder / path} cannot be read ({error.strerror})", "build it again") from error
        if [len(data), hashlib.sha256(data).hexdigest()] != [told["bytes"], told["sha256"]]:
            raise FlashError("build", f"{folder / path} is not what was built", "build it again")
        found[path] = data
    extra = _extra(folder, record)
    if extra:
        raise FlashError("build", f"{folder / extra} was not built", "remove it, or build again into another folder")
    return Build(found, record)


def _extra(folder: Path, record: Mapping[str, Any]) -> str:
    """The first file of a folder that the build did not make, "" if there is none."""
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()}
    return min(present - set(record["outputs"]) - {RECORD}, default="")


def _read_record(folder: Path) -> Mapping[str, Any]:
    path = folder / RECORD
    wrong = FlashError("build", f"{path} is no record of a build", "name a folder that `lightnode-flash build` made")
    try:
        with path.open("rb") as file:
            data = file.read(_RECORD_MOST + 1)
        record = json.loads(shallow(data)) if len(data) <= _RECORD_MOST else None
    except (OSError, ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(record, dict) or record.get("format") != FORMAT or not _are_outputs(record.get("outputs")):
        raise wrong
    return record


def _are_outputs(listed: object) -> bool:
    """Paths that stay in the folder, each with bytes and sha256."""
    if not isinstance(listed, dict) or len(listed) > 1024:
        return False
    for path, told in listed.items():
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")) or "\\" in path:
            return False
        if not isinstance(told, dict) or set(told) != {"bytes", "sha256"}:
            return False
    return True


def _check_own(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FlashError("build", f"{out} is no folder", "name another one with --out")
    if out.is_dir() and any(out.iterdir()):
        try:
            extra = _extra(out, _read_record(out))
        except FlashError:
            extra = min(p.name for p in out.iterdir())
        if extra:
            raise FlashError(
                "build", f"{out} holds {extra}, which no earlier build made", "name another folder with --out"
            )


def _manifest(made: Release, terms: Terms | None, key: Key | None) -> dict[str, Any]:
    """The signed manifest in words, for people; release.bin is what counts."""
    of = made.manifest
    return {
        "hardware": of.hardware.rstrip(b"\0").decode(),
        "sequence": of.sequence,
        "floor": of.floor,
        "version": f"{of.version >> 16}.{of.version >> 8 & 255}.{of.version & 255}",
        "created_ms": of.created_ms,
        "expires_ms": of.expires_ms,
        "files": of.files,
        "total_bytes": of.total_bytes,
        "listing_sha256": of.listing.hex(),
        "key_generation": of.key_generation,
        "next_key": of.next_key.hex() if any(of.next_key) else None,
        "signed": made.is_signed,
        "update_key": key.public.hex() if key and made.is_signed else None,
        "deployment": terms.deployment.hex() if terms and made.is_signed else None,
        "sealed": made.sealed.hex(),
    }


def _record(
    board: Board, made: Compiled, of: Release, tools: Mapping[str, str], version: str, outputs: Mapping[str, bytes]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "board": board.name,
        "hardware": board.hardware,
        "march": board.march,
        "version": version,
        "sequence": of.manifest.sequence,
        "signed": of.is_signed,
        "support_end": board.support_end.isoformat(),
        "regions": {r.name: {"offset": r.offset, "bytes": r.bytes, "label": r.label} for r in board.regions},
        "tools": dict(tools),
        "sources": {path: digest.hex() for path, digest in made.sources.items()},
        "outputs": {
            path: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in outputs.items()
        },
    }


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
