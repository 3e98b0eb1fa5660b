"""lightnode-flash record: the record of a commissioning, signed, as file, page and PDF; and whether one is as it was signed.

Exit codes: 0 done, and the device is commissioned; 1 refused; 4 the record is made or holds, and says not commissioned.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from lightflash import board as boards
from lightflash import build, config, printout, verify
from lightflash.errors import FlashError
from lightflash.key import is_public, open_key
from lightflash.link import Link
from lightflash.record import Facts, Record, parse, record
from lightflash.verified import Verified, read

EXAMPLE = """\
example: ./run flash record make n01.verify.json --config n01.json --build build/esp32-s3 --kit kit.key --pod IT001E12345678 \\
           --place "Via Appia 1" --meter-serial 21070815 --technician "Ada Rossi" --port /dev/ttyACM0 --out n01
         ./run flash record check n01/record.json --json"""
NAMES = ("record.json", "record.html", "record.pdf")
_LARGEST = 65_537


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two commands: make and check."""
    what = parser.add_subparsers(dest="what", required=True)
    make = what.add_parser("make", help="from a result of verify", epilog=EXAMPLE.splitlines()[0])
    make.add_argument("verified", type=Path, metavar="FILE", help="what `verify --out` wrote")
    make.add_argument("--config", type=Path, required=True, help="settings file that is on the device")
    make.add_argument("--build", type=Path, required=True, help="folder of the build that is on the device")
    make.add_argument("--kit", type=Path, required=True, help="key file of the technician's kit, which signs")
    for name, word in (("pod", "POD"), ("place", "where it hangs"), ("meter-serial", "serial number of the meter"),
                       ("technician", "who did it")):  # fmt: skip
        make.add_argument(f"--{name}", required=True, help=word)
    make.add_argument("--port", help="the device's port, if it is on the cable: then it signs, too")
    make.add_argument("--out", type=Path, required=True, help="folder of record.json, record.html and record.pdf")
    make.add_argument("--json", action="store_true", help="print one JSON object")
    check = what.add_parser(
        "check", help="whether a record is as it was signed", epilog=EXAMPLE.splitlines()[-1].strip()
    )
    check.add_argument("file", type=Path, metavar="FILE", help="record.json")
    check.add_argument(
        "--kit", metavar="HEX", help="public key of the kit that must have signed; else the record names it"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """See the module's docstring."""
    return _make(options) if options.what == "make" else _check(options)


def facts(of: Verified, settings_file: Path, made: build.Build, place: tuple[str, str, str, str]) -> Facts:
    """Everything that a record says. place: POD, place, serial number of the meter, technician. FlashError if the settings
    are another device's."""
    settings = config.checked(settings_file)
    meter = settings.value("meter.map"), settings.value("meter.unit")
    if meter != (of.meter_map, of.meter_unit):
        cause = (
            f"{settings_file} names meter {meter[0]} unit {meter[1]}, the device {of.meter_map} unit {of.meter_unit}"
        )
        raise FlashError("record", cause, "name the settings that are on the device")
    if build.IMAGE not in made.outputs:
        raise FlashError("record", "the build has no image", "name a folder that `lightnode-flash build` made")
    board = boards.board(str(made.record["board"]))
    pod, where, serial, technician = place
    return Facts(
        device=bytes.fromhex(of.device), signing_key=bytes.fromhex(of.public_key), generation=of.generation,
        tls_fingerprint=bytes.fromhex(of.certificate_sha256), pod=pod, place=where, meter_model=of.meter_map,
        meter_serial=serial, meter_unit=of.meter_unit, ct_ratio=settings.value("meter.ct_ratio"),
        vt_ratio=settings.value("meter.vt_ratio"), board=board.name, hardware=board.hardware,
        support_end=board.support_end, firmware=of.firmware, micropython=of.micropython,
        image_sha256=hashlib.sha256(made.outputs[build.IMAGE]).digest(),
        settings_sha256=hashlib.sha256(settings_file.read_bytes()).digest(), technician=technician, time_ms=of.time_ms,
        checks=of.checks,
    )  # fmt: skip


def write(made: Record, folder: Path) -> None:
    """The record in its three forms."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(NAMES, (made.encode(), printout.html(made), printout.pdf(made)), strict=True):
        (folder / name).write_bytes(content)


def _make(options: argparse.Namespace) -> int:
    place = options.pod, options.place, options.meter_serial, options.technician
    found = facts(read(options.verified), options.config, build.read(options.build), place)
    kit = open_key(options.kit)
    if options.port:
        with Link(options.port) as link:
            made = record(found, kit, lambda digest: verify.signature_of(link, digest))
    else:
        made = record(found, kit)
    write(made, options.out)
    return _say(options, made, str(options.out / NAMES[2]))


def _check(options: argparse.Namespace) -> int:
    kit = bytes.fromhex(options.kit) if options.kit and set(options.kit) <= set("0123456789abcdefABCDEF") else b""
    if options.kit and not is_public(kit):
        raise FlashError("record", "--kit is no public key", "give the 66 digits that `lightnode-flash key` prints")
    with options.file.open("rb") as file:
        made = parse(file.read(_LARGEST), kit or None)
    by = "the kit that you named" if options.kit else f"kit {made.kit_key.hex()}, named by the record"
    return _say(
        options,
        made,
        f"as it was signed by {by}" + (" and by the device" if made.device_signature else ", not by the device"),
    )


def _say(options: argparse.Namespace, made: Record, what: str) -> int:
    of = made.facts
    result = printout.result(of)[0]
    if options.json:
        document: dict[str, Any] = {
            "device": of.device.hex(), "pod": of.pod, "commissioned": of.is_commissioned, "result": result,
            "digest": made.digest.hex(), "kit_key": made.kit_key.hex(), "signed_by_device": bool(made.device_signature),
        }  # fmt: skip
        print(json.dumps(document))
    else:
        print(f"device {of.device.hex()} at {of.pod}: {result}; {what}")
    return 0 if of.is_commissioned else 4
