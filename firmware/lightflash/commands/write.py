"""lightnode-flash write: boards on cables get firmware, application and settings, all at once, each verified.

Exit codes beyond the common ones: 1 a device was refused; 3 a device or a tool is not there; 4 a device is half-done and the
same command goes on.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightflash import build, firmware_file, many, ports
from lightflash.batch import Row, checked, rows
from lightflash.board import board
from lightflash.device_log import DONE, HALF, REFUSED, DeviceLog, Entry
from lightflash.errors import FlashError
from lightflash.progress import Progress
from lightflash.writing import Job

EXAMPLE = """\
example: ./run flash write --board esp32-s3 --port /dev/ttyACM0 --name N01 --config n01.json --build build/esp32-s3
         ./run flash write --batch list.csv --build build/esp32-s3 --build build/rp2040-w --firmware firmware.toml
         ./run flash write --status"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--batch", type=Path, help="list of devices (CSV): name, board, port or serial or drive, pod, config"
    )
    parser.add_argument("--board", help="board of the devices at --port, --drive or all ports with its USB ids")
    parser.add_argument("--port", action="append", default=[], help="serial port of a device, as often as wanted")
    parser.add_argument("--drive", default="", help="folder of the UF2 drive of a device")
    parser.add_argument("--name", default="", help="name of the device, if there is one; else its port's")
    parser.add_argument("--pod", default="", help="POD of the device, if there is one")
    parser.add_argument("--config", type=Path, help="settings file of the device, if there is one")
    parser.add_argument(
        "--build", type=Path, action="append", default=[], help="what `build` made, one per kind of board"
    )
    parser.add_argument("--firmware", type=Path, help="list of firmware files (TOML): [BOARD] file, sha256, version")
    parser.add_argument(
        "--log", type=Path, default=Path("flash-log"), help="folder of what was done (default flash-log)"
    )
    parser.add_argument(
        "--rename", action="store_true", help="a device that the log knows by another name gets this one"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done and touch nothing, no port either"
    )
    parser.add_argument("--status", action="store_true", help="print the devices of the log, with step and cure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Prints an entry per device."""
    log = DeviceLog(options.log)
    if options.status:
        return _print(log.entries(), options.json)
    bench = many.Bench(ports.serial_ports, ports.drives)
    listed = rows(options.batch) if options.batch else _named(options, bench.ports())
    builds = {str(made.record["board"]): made for made in map(build.read, options.build)}
    wanted = many.Wanted(
        firmware_file.pins(options.firmware) if options.firmware else {},
        {name: {"/" + path: content for path, content in made.files.items()} for name, made in builds.items()},
        options.rename,
        {name: made.outputs[build.PARTITIONS] for name, made in builds.items() if build.PARTITIONS in made.outputs},
    )
    found, refused = many.jobs(listed, wanted, bench.ports())
    if options.dry_run:
        return _print_plan(found, refused, log, options.json)
    progress = Progress(sys.stderr, [job.name for _, job in found], sys.stderr.isatty())
    entries = many.write_all(found, refused, bench, log, progress.tell)
    return _print(entries, options.json)


def exit_code(entries: Sequence[Entry]) -> int:
    """1 before 4 before 3 before 0."""
    states = {entry.state for entry in entries}
    if REFUSED in states:
        return 1
    if HALF in states:
        return 4
    return 0 if states <= {DONE} else 3


def _named(options: argparse.Namespace, among: Sequence[ports.Port]) -> list[Row]:
    """The rows of the options. FlashError if they do not say which devices."""
    if not options.board:
        raise FlashError("list", "it is not said which boards", "give --board with --port, or --batch")
    found = options.port or ([] if options.drive else [p.path for p in ports.ports_of(board(options.board).usb, among)])
    if not found and not options.drive:
        raise FlashError("find", f"no port has the USB ids of {options.board}", "plug a board in, or name its --port")
    places = [(port, options.drive) for port in found] or [("", options.drive)]
    if len(places) > 1 and (options.name or options.pod or options.config or options.drive):
        raise FlashError(
            "list", f"name, pod, config and drive are for one device, here are {len(places)}", "give --batch"
        )
    made = [
        Row(options.name or Path(port or drive).name, options.board, port, "", drive, options.pod, options.config)
        for port, drive in places
    ]
    if findings := checked(made):
        raise FlashError("list", ", ".join(findings), "correct the options")
    return made


def _print(entries: Sequence[Entry], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"devices": [asdict(entry) for entry in entries]}))
    else:
        for entry in entries:
            print(entry.line)
    return exit_code(entries)


def _print_plan(made: Sequence[tuple[Row, Job]], refused: Sequence[Entry], log: DeviceLog, as_json: bool) -> int:
    plans = [_plan(job, log) for _, job in made]
    if as_json:
        print(json.dumps({"devices": [*plans, *(asdict(entry) for entry in refused)]}))
    else:
        for plan in plans:
            print(f"{plan['name']} ({plan['port']}), {plan['board']}, {plan['state']}: " + "; ".join(plan["steps"]))
        for entry in refused:
            print(entry.line)
    return exit_code(refused)


def _plan(job: Job, log: DeviceLog) -> Mapping[str, Any]:
    """What would be done to a device, as far as that can be said without asking it."""
    known = next((entry for entry in log.entries() if entry.name == job.name), None)
    steps = [f"ask who it is, refuse it if it is no {job.board.name}"]
    if job.firmware is not None:
        version = ".".join(map(str, job.firmware.version))
        again = (
            ", begun and not verified"
            if known and known.begun == "firmware"
            else f", unless it runs MicroPython {version}"
        )
        steps.append(f"write {job.firmware.path.name} ({len(job.firmware.content)} bytes){again}")
    for what, files in (("application", job.application), ("settings", job.settings)):
        size = sum(len(content) for content in files.values())
        steps.append(f"write of {len(files)} files ({size} bytes) of the {what} those that differ, read all back")
    return {
        "name": job.name, "port": job.where, "board": job.board.name,
        "state": known.state if known else "unknown to the log", "steps": [*steps, "start it"],
    }  # fmt: skip
