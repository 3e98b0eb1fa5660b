"""Options that are read in one way by every command: what belongs there is said in the error."""

import argparse
import re
from typing import Any


def hexadecimal(length: int) -> Any:
    """Reads an option of so many bytes."""

    def parse(text: str) -> bytes:
        if re.fullmatch(f"[0-9a-fA-F]{{{2 * length}}}", text):
            return bytes.fromhex(text)
        raise argparse.ArgumentTypeError(f"{text[:80]}: {2 * length} hexadecimal digits belong here")

    return parse


def number(least: int, most: int) -> Any:
    """Reads an option from least to most."""

    def parse(text: str) -> int:
        if re.fullmatch("[0-9]{1,4}", text) and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text[:20]}: a whole number from {least} to {most} belongs here")

    return parse


def named(text: str) -> str:
    """Reads an option that names somebody: 1 to 64 characters that any terminal can print, not all of them blank."""
    if text.strip() and len(text) <= 64 and text.isprintable():
        return text
    raise argparse.ArgumentTypeError(f"{text[:64]!r}: a name of 1 to 64 characters belongs here")
