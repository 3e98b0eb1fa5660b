"""lightnode-flash boards: the boards that a build can be for."""

import argparse
import json
from dataclasses import asdict

from lightflash import board as boards

EXAMPLE = "example: ./run flash boards --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A choice of boards, and how to answer."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="a board or a .toml file, all if none is named")
    parser.add_argument("--json", action="store_true", help="everything that is known of them, as JSON")


def run(options: argparse.Namespace) -> int:
    """0 when every board's file is right."""
    found = [boards.board(name) for name in options.names or boards.names()]
    if options.json:
        print(json.dumps({board.name: asdict(board) for board in found}, indent=1, default=str))
        return 0
    for board in found:
        journal = board.region("journal")
        room = f"files {board.files.bytes >> 10} KiB, journal {journal.bytes >> 10 if journal else 0} KiB"
        print(f"{board.name:10} {board.title:48} {room:36} support until {board.support_end}")
    return 0
