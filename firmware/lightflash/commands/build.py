"""lightnode-flash build: from the sources to an image, its bill of material, its release and its record."""

import argparse
import hashlib
import json
import re
from pathlib import Path

from lightflash import board as boards
from lightflash import build
from lightflash.compiled import FIRMWARE
from lightflash.errors import FlashError
from lightflash.instant import utc_ms
from lightflash.key import Key, open_key
from lightflash.release import Terms

EXAMPLE = """example: ./run flash build --board esp32-s3 --out build/esp32-s3
signed:  ./run flash build --board esp32-s3 --out build/esp32-s3 --sign update.key --deployment HEX \\
           --sequence 12 --created 2026-12-01 --expires 2027-06-01"""
_OF_A_SIGNED_ONE = ("sequence", "created", "expires", "deployment")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Board, folder, and what a signed release says."""
    parser.add_argument("--board", required=True, metavar="NAME", help="a board (`boards` lists them) or a .toml file")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the build")
    parser.add_argument(
        "--sources", type=Path, default=FIRMWARE, metavar="DIR", help="the firmware folder of a checkout"
    )
    parser.add_argument("--sign", type=Path, metavar="FILE", help="the update key's file; without it nothing is signed")
    parser.add_argument(
        "--deployment", type=_octets(16), metavar="HEX", help="32 digits, as in the settings of the devices"
    )
    parser.add_argument("--sequence", type=_count, metavar="N", help="number of the release, above the one before")
    parser.add_argument("--created", type=utc_ms, metavar="DAY", help="from when it may be taken, UTC")
    parser.add_argument("--expires", type=utc_ms, metavar="DAY", help="until when, UTC")
    parser.add_argument("--floor", type=_count, default=0, metavar="N", help="no release below it is taken any more")
    parser.add_argument("--key-generation", type=_count, default=1, metavar="N", help="which update key it is")
    parser.add_argument(
        "--next-key", type=_octets(33), default=bytes(33), metavar="HEX", help="the next update key, public"
    )
    parser.add_argument("--json", action="store_true", help="the build's record as JSON")


def run(options: argparse.Namespace) -> int:
    """0 when the build is in the folder."""
    terms, key = _terms(options), _key(options)
    made = build.build(options.sources, boards.board(options.board), terms, key)
    build.write(made, options.out)
    if options.json:
        print(json.dumps({**made.record, "folder": str(options.out)}, indent=1, sort_keys=True))
        return 0
    signed = f"release {made.record['sequence']}, signed" if made.record["signed"] else "not signed: by cable only"
    print(f"{options.out}: lightnode {made.record['version']} for {made.record['board']}, {signed}")
    for name in sorted(name for name in made.outputs if not name.startswith(build.FILES + "/")):
        data = made.outputs[name]
        print(f"  {name:16} {len(data):>8} bytes  SHA-256 {hashlib.sha256(data).hexdigest()}")
    return 0


def _key(options: argparse.Namespace) -> Key | None:
    return open_key(options.sign) if options.sign else None


def _terms(options: argparse.Namespace) -> Terms | None:
    given = [name for name in _OF_A_SIGNED_ONE if getattr(options, name) is not None]
    if not options.sign:
        if given:
            raise FlashError("build", f"--{given[0]} is of a signed release", "give --sign with the update key's file")
        return None
    missing = [name for name in _OF_A_SIGNED_ONE if name not in given]
    if missing:
        raise FlashError("build", f"a signed release needs --{missing[0]}", "give it")
    return Terms(
        options.sequence,
        options.created,
        options.expires,
        options.deployment,
        options.floor,
        options.key_generation,
        options.next_key,
    )


class _octets:
    """A parser of so many bytes in hexadecimal, for argparse's `type`."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __call__(self, text: str) -> bytes:
        if not re.fullmatch(f"[0-9a-fA-F]{{{2 * self._length}}}", text):
            raise argparse.ArgumentTypeError(f"{2 * self._length} hexadecimal digits belong here")
        return bytes.fromhex(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text[:20]}: a whole number from 0 to {(1 << 32) - 1}")
    return int(text)
