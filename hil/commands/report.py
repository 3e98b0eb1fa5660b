"""lightnode-hil report: makes report.html of a run's or a soak's record again."""

import argparse
import json
from pathlib import Path

from hil.errors import RigError
from hil.rig.page import write_page
from hil.rig.record import FORMAT

EXAMPLE = "example: ./run hil report rig-output/rig.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("record", type=Path, help="rig.json of a run or a soak")
    parser.add_argument("--out", type=Path, help="the page (default report.html beside the record)")


def run(options: argparse.Namespace) -> int:
    """0 when the page is written."""
    try:
        record = json.loads(options.record.read_text())
        if record["format"] != FORMAT:
            raise RigError(f"{options.record}: format {record['format']}, {FORMAT} belongs here")
        out = options.out or options.record.with_name("report.html")
        write_page(record, out)
    except (ValueError, KeyError, TypeError) as error:
        raise RigError(f"{options.record} is no record of the rig: {type(error).__name__} {error}") from error
    print(f"report: {out}")
    return 0
