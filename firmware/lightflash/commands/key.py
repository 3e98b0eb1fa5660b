"""lightnode-flash key: makes a signing key of releases or of a kit, or shows the public part of one."""

import argparse
import hashlib
import json
from pathlib import Path

from lightflash.key import make_key, open_key

EXAMPLE = "example: ./run flash key --make update.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and whether it is new."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the key's file, readable by its owner only")
    parser.add_argument("--make", action="store_true", help="make it; never over an existing file")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the key is there; only its public part is printed."""
    key = make_key(options.file) if options.make else open_key(options.file)
    fingerprint = hashlib.sha256(key.public).hexdigest()
    if options.json:
        print(json.dumps({"file": str(options.file), "public": key.public.hex(), "sha256": fingerprint}, indent=1))
    else:
        print(f"{options.file}: public key {key.public.hex()}, SHA-256 {fingerprint}")
    return 0
