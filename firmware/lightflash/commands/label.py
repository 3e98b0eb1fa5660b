"""lightnode-flash label: the label of a device as PDF, PNG and SVG; what is on it, is in its QR code."""

import argparse
import json
from pathlib import Path

from lightflash import board as boards
from lightflash import label
from lightflash.errors import FlashError
from lightflash.label import Label
from lightflash.record import parse
from lightflash.verified import FORMAT, read

EXAMPLE = """\
example: ./run flash label n01/record.json --out n01
         ./run flash label n01.verify.json --board esp32-s3 --out n01 --form png"""
FORMS = {"pdf": label.pdf, "png": label.png, "svg": label.svg}
_LARGEST = 65_537


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose label, and in which form."""
    parser.add_argument("file", type=Path, metavar="FILE", help="record.json, or what `verify --out` wrote")
    parser.add_argument("--board", help="board of the device, with what `verify --out` wrote; a record names it")
    parser.add_argument("--out", type=Path, required=True, help="folder of label.pdf, label.png and label.svg")
    parser.add_argument("--form", action="append", choices=list(FORMS), help="only this form, as often as wanted")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the files are written."""
    made = _label(options.file, options.board)
    options.out.mkdir(parents=True, exist_ok=True)
    paths = {form: options.out / f"label.{form}" for form in options.form or FORMS}
    for form, path in paths.items():
        path.write_bytes(FORMS[form](made))
    if options.json:
        print(json.dumps({"code": made.code, "files": {form: str(path) for form, path in paths.items()}}))
    else:
        print(f"device {made.device.hex()}, {made.model}: " + ", ".join(map(str, paths.values())))
    return 0


def _label(path: Path, board: str | None) -> Label:
    with path.open("rb") as file:
        data = file.read(_LARGEST)
    if FORMAT.encode() not in data[:100]:
        facts = parse(data).facts
        return Label(facts.device, facts.key_fingerprint, facts.hardware, facts.support_end)
    if not board:
        raise FlashError("label", f"{path} does not name the board", "give --board, or name record.json")
    found, of = read(path), boards.board(board)
    return label.label(bytes.fromhex(found.public_key), bytes.fromhex(found.device), of.hardware, of.support_end)
