"""lightnode-flash config: checks a device's settings file before it is written."""

import argparse
import hashlib
import json
from pathlib import Path

from lightflash import board as boards
from lightflash import config

EXAMPLE = "example: ./run flash config --board esp32-s3 firmware/device/config.example.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and how to answer."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="settings of a device, JSON")
    parser.add_argument("--board", metavar="NAME", help="also whether they fit this board")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the device would take every file; FlashError for the first it would not."""
    board = boards.board(options.board) if options.board else None
    hashes = {}
    for path in options.files:
        config.checked(path, board)
        hashes[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    if options.json:
        print(json.dumps({"checked": hashes}, indent=1))
    else:
        for name, digest in hashes.items():
            print(f"{name}: a device takes it, SHA-256 {digest}")
    return 0
