"""lightnode-hil commission: a virtual device is put into service on this computer, with its record, its label and its readings."""

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from hil.first_device import commission
from hil.runtime import micropython_command, mosquitto_command

EXAMPLE = "example: ./run hil commission --out commissioned"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--out", type=Path, default=Path("commissioned"), help="a new folder (default commissioned)")
    parser.add_argument("--technician", default="A stranger", help="whose name stands on the record")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the device is commissioned, registered and its readings are stored."""
    micropython_command(), mosquitto_command()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # the energy manager waits for a device that starts
    stream = sys.stderr if options.json else sys.stdout
    made = commission(options.out, options.technician, lambda line: print(line, file=stream, flush=True))
    if options.json:
        print(json.dumps(asdict(made)))
        return 0
    print(f"device {made.device} is commissioned for POD {made.pod}: {made.readings} readings stored, each verified")
    print(f"registered together: signing key SHA-256 {made.key_sha256}, TLS key SHA-256 {made.tls_key_sha256}")
    print(f"record: {made.files['record.pdf']}")
    print(f"label: {made.files['label.pdf']}")
    print(f"readings: ./run lightnode readings export --db {options.out / 'operator' / 'scd.sqlite'}")
    return 0
