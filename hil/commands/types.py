"""lightnode-hil types: the firmware's types against MicroPython's stubs of the boards that are sold."""

import argparse
import sys

from hil.board_types import BOARDS, findings

EXAMPLE = "example: ./run hil types"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(options: argparse.Namespace) -> int:
    """1 with a line for each error of mypy and pyright."""
    found = findings()
    for line in found:
        print(line)
    print(f"{len(found)} errors against the stubs of {' and '.join(BOARDS)}", file=sys.stderr)
    return 1 if found else 0
