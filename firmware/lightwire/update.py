"""What an update is and when a device may take it: listing, rules of acceptance, wishes and pieces. Pure; see FORMAT.md.

A listing has one line for each file, `<size> <SHA-256, hex> <path>` and a line feed, in ascending order of the paths.

1. A path has at most 64 characters, at most 4 parts of a-z, 0-9, `_`, `-` and `.`, none of which begins with a dot: no path
   leads out of the directory. No path comes twice or is a folder of another. At most 96 files, 8192 bytes of listing,
   524,288 bytes in all files.
2. The manifest is signed by the update key of its key generation, for this deployment and this class of hardware.
3. Its sequence is above the installed one (one that was damaged may come again) and not below the floor. What was rolled
   back here, and what is older than that, is not tried again.
4. Its sequence is at most JUMP_MAX above the installed one and its floor not above its sequence. A stolen key can so spend
   only a small part of the 2**32 numbers at a time, and each part only by a release that passes the self-test; a floor
   above all releases would end updates for ever.
5. It is not expired by trusted time, was not created in the future, and is valid for at most WINDOW_MAX_MS: whoever holds
   back newer releases has so long. Without trusted time nothing is decided.
6. The listing is the one whose hash is signed, and number and bytes of its files are as signed.
7. The next key is a point of the curve. It counts when the update is committed, and then the key before no more.
"""

import hashlib

from .errors import OutOfRange, Truncated
from .upkeep import Manifest

REASONS = (
    "none", "malformed", "signature", "key generation", "next key", "hardware class", "replayed", "rollback", "failed before",
    "fast-forward", "expired", "created in the future", "valid for too long", "listing", "totals", "superseded", "no space",
    "content", "endless data", "starts", "integrity", "meter", "own signature", "broker",
)  # fmt: skip
NONE, MALFORMED, SIGNATURE, KEY_GENERATION, NEXT_KEY, HARDWARE, REPLAYED, ROLLBACK, FAILED_BEFORE = range(9)
FAST_FORWARD, EXPIRED, FUTURE, WINDOW, LISTING, TOTALS, SUPERSEDED, SPACE, CONTENT, ENDLESS = range(9, 19)
STARTS, INTEGRITY, METER, OWN_SIGNATURE, BROKER = range(19, 24)

SEALED_BYTES = 211
LISTING_MAX = 8192
FILES_MAX = 96
TOTAL_MAX = 524_288
PATH_MAX = 64
PARTS_MAX = 4
CHUNK_BYTES = 1024
JUMP_MAX = 1000
AHEAD_MAX_MS = 600_000
WINDOW_MAX_MS = 400 * 86_400_000
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_-."


class Trust:
    """What a device holds against a manifest.

    hardware: its class, 16 bytes; generation: of its update key; sequence: installed; may_repeat: that release is damaged
    and may come again; floor; failed: the highest sequence that was rolled back here, 0 for none.
    """

    def __init__(
        self, hardware: bytes, generation: int, sequence: int, may_repeat: bool, floor: int, failed: int
    ) -> None:
        self.hardware = hardware
        self.generation = generation
        self.sequence = sequence
        self.may_repeat = may_repeat
        self.floor = floor
        self.failed = failed


def encode_listing(entries: list[tuple[str, int, bytes]]) -> bytes:
    """The listing of (path, size, SHA-256) in any order; OutOfRange if it would not be one."""
    rows = ["{} {} {}\n".format(size, "".join([f"{b:02x}" for b in digest]), path) for path, size, digest in entries]
    rows.sort(key=lambda row: row.split(" ")[2][:-1])
    listing = "".join(rows).encode()
    decode_listing(listing)
    return listing


def decode_listing(listing: bytes) -> list[tuple[str, int, bytes]]:
    """(path, size, SHA-256) in order of the paths; WireError for any bytes that are not a canonical listing (rule 1)."""
    if not 0 < len(listing) <= LISTING_MAX or listing[-1:] != b"\n":
        raise Truncated("a listing has 1 to {} bytes and ends with a line feed".format(LISTING_MAX))
    try:
        rows = str(listing[:-1], "utf-8").split("\n")
    except UnicodeError:
        raise OutOfRange("the listing is not UTF-8")
    if len(rows) > FILES_MAX:
        raise OutOfRange("{} files, {} allowed".format(len(rows), FILES_MAX))
    entries: list[tuple[str, int, bytes]] = []
    paths: set[str] = set()
    before = ""
    for row in rows:
        entries.append(entry(row))
        path = entries[-1][0]
        if path <= before or any([path[:k] in paths for k, letter in enumerate(path) if letter == "/"]):
            raise OutOfRange("path {} after {}".format(path, before))
        before = path
        paths.add(path)
    total = sum([size for _, size, _ in entries])
    if total > TOTAL_MAX:
        raise OutOfRange("{} bytes, {} allowed".format(total, TOTAL_MAX))
    return entries


def entry(row: str) -> tuple[str, int, bytes]:
    """(path, size, SHA-256) of a line without its line feed; OutOfRange if it is none."""
    words = row.split(" ")
    if len(words) != 3:
        raise OutOfRange("a line of a listing is a size, a hash and a path")
    size, digest, path = words
    if not 0 < len(size) < 8 or not _only("0123456789", size) or str(int(size)) != size:
        raise OutOfRange("a size in a listing")
    if len(digest) != 64 or not _only("0123456789abcdef", digest):
        raise OutOfRange("a hash in a listing")
    if not is_path(path):
        raise OutOfRange("a path in a listing")
    return path, int(size), bytes.fromhex(digest)


def is_path(path: str) -> bool:
    """Whether it is a path of rule 1."""
    parts = path.split("/")
    if not 0 < len(path) <= PATH_MAX or len(parts) > PARTS_MAX:
        return False
    return all([part and part[0] != "." and _only(_NAME, part) for part in parts])


def split(announcement: bytes) -> tuple[bytes, bytes]:
    """(sealed manifest, listing) of an announcement; Truncated if it is too short or too long to be one."""
    if not SEALED_BYTES < len(announcement) <= SEALED_BYTES + LISTING_MAX:
        raise Truncated("{} bytes are no manifest with a listing".format(len(announcement)))
    return announcement[:SEALED_BYTES], announcement[SEALED_BYTES:]


def judge(manifest: Manifest, listing: bytes, trust: Trust, now_ms: int) -> int:
    """The reason to refuse a manifest whose signature holds, NONE if it may be taken; now_ms: trusted UTC. Rules 1, 3 to 6."""
    if manifest.hardware != trust.hardware:
        return HARDWARE
    reason = _sequence(manifest, trust) or time_reason(manifest, now_ms)
    if reason:
        return reason
    if hashlib.sha256(listing).digest() != manifest.listing:
        return LISTING
    entries = decode_listing(listing)
    total = sum([size for _, size, _ in entries])
    return NONE if (len(entries), total) == (manifest.files, manifest.total_bytes) else TOTALS


def time_reason(manifest: Manifest, now_ms: int) -> int:
    """Rule 5."""
    if now_ms >= manifest.expires_ms:
        return EXPIRED
    if manifest.created_ms > now_ms + AHEAD_MAX_MS:
        return FUTURE
    return WINDOW if manifest.expires_ms - manifest.created_ms > WINDOW_MAX_MS else NONE


def _sequence(manifest: Manifest, trust: Trust) -> int:
    sequence = manifest.sequence
    if sequence < trust.sequence or sequence < trust.floor:
        return ROLLBACK
    if sequence == trust.sequence:
        return NONE if trust.may_repeat and manifest.floor <= sequence else REPLAYED
    if sequence <= trust.failed:
        return FAILED_BEFORE
    if sequence - trust.sequence > JUMP_MAX or manifest.floor > sequence:
        return FAST_FORWARD
    return NONE


def encode_wish(sequence: int, path: str, offset: int, length: int) -> bytes:
    """What a device asks for on `fetch`: bytes of a file of a release."""
    return sequence.to_bytes(4, "big") + offset.to_bytes(4, "big") + length.to_bytes(2, "big") + path.encode()


def decode_wish(payload: bytes) -> tuple[int, str, int, int]:
    """(sequence, path, offset, length); WireError for any other bytes."""
    path = _path(payload[10:])
    length = int.from_bytes(payload[8:10], "big")
    if not 0 < length <= CHUNK_BYTES:
        raise OutOfRange("a wish for {} bytes".format(length))
    return int.from_bytes(payload[:4], "big"), path, int.from_bytes(payload[4:8], "big"), length


def encode_piece(sequence: int, path: str, offset: int, data: bytes) -> bytes:
    """The answer on `chunk`."""
    name = path.encode()
    return sequence.to_bytes(4, "big") + offset.to_bytes(4, "big") + bytes((len(name),)) + name + data


def decode_piece(payload: bytes) -> tuple[int, str, int, bytes]:
    """(sequence, path, offset, data); WireError for any other bytes."""
    if len(payload) < 9:
        raise Truncated("{} bytes are no piece".format(len(payload)))
    end = 9 + payload[8]
    if not 0 < len(payload) - end <= CHUNK_BYTES:
        raise OutOfRange("a piece of {} bytes".format(len(payload) - end))
    return int.from_bytes(payload[:4], "big"), _path(payload[9:end]), int.from_bytes(payload[4:8], "big"), payload[end:]


def _path(raw: bytes) -> str:
    try:
        path = str(raw, "utf-8")
    except UnicodeError:
        raise OutOfRange("a path that is not UTF-8")
    if not is_path(path):
        raise OutOfRange("a path that no listing has")
    return path


def _only(allowed: str, text: str) -> bool:
    return not text.strip(allowed)
