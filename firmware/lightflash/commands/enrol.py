"""lightnode-flash enrol: devices on cables make their keys, get their settings and their certificates, and start.

It needs the operator's kit and no network; `sync` brings what the devices said to the back end's register. The settings as
they are on a device are kept in the outbox, settings/NAME.json, for `verify` and `record`. Exit codes: 0 all are enrolled,
1 one was refused, else 4 one is half-done, else 3 one is not there.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lightflash import ports
from lightflash.batch import Row, checked, rows
from lightflash.board import board
from lightflash.device_log import DeviceLog
from lightflash.enrolling import Order, enrol
from lightflash.errors import FlashError
from lightflash.kit import Kit, open_kit
from lightflash.many import port_of
from lightflash.micropython import MicroPython
from lightflash.outbox import Outbox, Statement
from lightflash.progress import Progress
from lightflash.site_settings import site_settings

EXAMPLE = """\
example: ./run flash enrol /dev/ttyACM0 --board esp32-s3 --name N01 --pod IT001E00000001 --kit kit.json --config site.json
         ./run flash enrol --batch list.csv --kit kit.json --config site.json"""
LEVELS = {1: "keys in files", 2: "keys in encrypted flash behind a verified start", 3: "keys in a secure element"}
_PASSWORD_LEAST, _PASSWORD_MOST = 8, 63
_AT_ONCE = 32
_WORST = (1, 4, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("port", nargs="?", default="", metavar="PORT", help="serial port of the device")
    parser.add_argument("--board", default="", help="its board, as `boards` lists them")
    parser.add_argument("--name", default="", help="its name, as `write` gave it")
    parser.add_argument("--pod", default="", help="the POD it is for; the kit has to allow it")
    parser.add_argument(
        "--batch", type=Path, help="instead: a list as of `write` (CSV), with pod; config: its site's file"
    )
    parser.add_argument("--kit", type=Path, required=True, help="the operator's kit")
    parser.add_argument(
        "--config", type=Path, help="the site's settings: meter, limits, network; of all without one in the list"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as meter.ct_ratio=40")
    parser.add_argument(
        "--wifi-password", type=Path, metavar="FILE", help="file with the password of the wireless network"
    )
    parser.add_argument("--operator", default="", help="whose kit it has to be, 16 hexadecimal digits")
    parser.add_argument(
        "--outbox", type=Path, default=Path("outbox"), help="folder of what devices said (default outbox)"
    )
    parser.add_argument(
        "--log", type=Path, default=Path("flash-log"), help="folder of what was done (default flash-log)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when every device starts with its certificate and is in the outbox."""
    kit = open_kit(options.kit, options.operator)
    listed = rows(options.batch) if options.batch else _named(options)
    outbox, log = Outbox(options.outbox), DeviceLog(options.log)
    progress = Progress(sys.stderr, [row.name for row in listed], sys.stderr.isatty())

    def one(row: Row) -> Statement | FlashError:
        try:
            order = _order(row, options, kit)
            say = lambda step: progress.tell(row.name, step, 0, 1)  # noqa: E731
            statement = enrol(order, MicroPython(lambda: order.where), log, outbox, say)
            _keep(outbox.folder / "settings" / f"{row.name}.json", order.content)
            return statement
        except FlashError as error:
            return error.at(port=row.where, device=row.name)

    with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(listed))) as pool:
        found = list(pool.map(one, listed))
    return _print(found, options.json)


def told(statement: Statement) -> dict[str, Any]:
    """What everybody may know."""
    names = ("name", "device", "pod", "board", "kit", "generation", "level", "public_key", "tls_key_sha256", "state")
    return {name: getattr(statement, name) for name in names}


def _print(found: Sequence[Statement | FlashError], as_json: bool) -> int:
    errors = [one for one in found if isinstance(one, FlashError)]
    made = [one for one in found if isinstance(one, Statement)]
    if as_json:
        print(
            json.dumps({"devices": [told(one) for one in made], "refused": [str(error) for error in errors]}, indent=1)
        )
    else:
        for one in made:
            print(_text(one))
    for error in errors:
        print(f"lightnode-flash: {error}", file=sys.stderr)
    codes = {error.exit_code for error in errors}
    return next((code for code in _WORST if code in codes), 0)


def _text(statement: Statement) -> str:
    return (
        f"{statement.name}: device {statement.device} for POD {statement.pod}, security level {statement.level} "
        f"({LEVELS[statement.level]}); {statement.state} for the register"
        + (": ./run flash sync" if statement.state == "waiting" else "")
    )


def _named(options: argparse.Namespace) -> list[Row]:
    """The device of the options. FlashError if they do not say it whole."""
    if not (options.port and options.board and options.name and options.pod):
        raise FlashError("list", "it is not said which device", "give PORT, --board, --name and --pod, or --batch")
    row = Row(options.name, options.board, options.port, pod=options.pod, config=options.config)
    if findings := checked([row]):
        raise FlashError("list", ", ".join(findings), "correct the options")
    return [row]


def _order(row: Row, options: argparse.Namespace, kit: Kit) -> Order:
    """What is to be done with a device; FlashError before anything is touched."""
    site = row.config or options.config
    if site is None:
        raise FlashError("config", "the site's settings are missing", "give --config, or the column config")
    kit.check(row.pod, time.time_ns() // 1_000_000)
    of_board = board(row.board)
    content, settings = site_settings(site, options.set, kit, of_board)
    password = _password(options.wifi_password, settings.value("network.password_file"))
    where = port_of(row, ports.serial_ports())
    if not where:
        raise FlashError("find", "its serial port is not said", "give it in the list")
    return Order(row.name, row.pod, where, of_board, kit, content, settings, password)


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _password(path: Path | None, where: str | None) -> bytes:
    """The content of the file without its line end; FlashError if it is of no use or open to others."""
    if path is None:
        return b""
    if where is None:
        raise FlashError("config", "network.password_file is missing", "say in the settings where the password belongs")
    try:
        if path.stat().st_mode & 0o077:
            raise FlashError("config", f"{path} can be read by others", f"chmod 600 {path}")
        found = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise FlashError("config", f"{path} cannot be read ({error.strerror})", "name the password's file") from error
    if not _PASSWORD_LEAST <= len(found) <= _PASSWORD_MOST:
        cause = f"{path} has not {_PASSWORD_LEAST} to {_PASSWORD_MOST} bytes"
        raise FlashError("config", cause, "a WPA password has")
    return found
