"""lightnode-flash enrol: a device on a cable makes its keys, gets its settings and its certificate, and starts.

It needs the operator's kit and no network; `sync` brings what the device said to the back end's register. The settings as
they are on the device are kept in the outbox, settings/NAME.json, for `verify` and `record`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from lightflash.board import board
from lightflash.device_log import DeviceLog
from lightflash.enrolling import Order, enrol
from lightflash.errors import FlashError
from lightflash.kit import open_kit
from lightflash.micropython import MicroPython
from lightflash.outbox import Outbox, Statement
from lightflash.site_settings import site_settings

EXAMPLE = "example: ./run flash enrol /dev/ttyACM0 --board esp32-s3 --name N01 --pod IT001E00000001 --kit kit.json --config site.json"
LEVELS = {1: "keys in files", 2: "keys in encrypted flash behind a verified start", 3: "keys in a secure element"}
_PASSWORD_MOST = 63


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("port", metavar="PORT", help="serial port of the device")
    parser.add_argument("--board", required=True, help="its board, as `boards` lists them")
    parser.add_argument("--name", required=True, help="its name, as `write` gave it")
    parser.add_argument("--pod", required=True, help="the POD it is for; the kit has to allow it")
    parser.add_argument("--kit", type=Path, required=True, help="the operator's kit")
    parser.add_argument("--config", type=Path, required=True, help="the site's settings: meter, limits, network")
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
    """0 when the device starts with its certificate and is in the outbox."""
    kit = open_kit(options.kit, options.operator)
    kit.check(options.pod, time.time_ns() // 1_000_000)
    of_board = board(options.board)
    content, checked = site_settings(options.config, options.set, kit, of_board)
    password = _password(options.wifi_password, checked.value("network.password_file"))
    order = Order(options.name, options.pod, options.port, of_board, kit, content, checked, password)
    outbox, log = Outbox(options.outbox), DeviceLog(options.log)
    settings = outbox.folder / "settings" / f"{options.name}.json"
    statement = enrol(order, MicroPython(lambda: options.port), log, outbox, _say(options.name))
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_bytes(content)
    print(json.dumps(told(statement), indent=1) if options.json else _text(statement))
    return 0


def told(statement: Statement) -> dict[str, Any]:
    """What everybody may know."""
    names = ("name", "device", "pod", "board", "kit", "generation", "level", "public_key", "tls_key_sha256", "state")
    return {name: getattr(statement, name) for name in names}


def _text(statement: Statement) -> str:
    return (
        f"{statement.name}: device {statement.device} for POD {statement.pod}, security level {statement.level} "
        f"({LEVELS[statement.level]}); it is {statement.state} for the register: ./run flash sync"
    )


def _say(name: str) -> Any:
    return lambda step: print(f"{name}: {step}", file=sys.stderr)


def _password(path: Path | None, where: str | None) -> bytes:
    """The content of the file without its line end; FlashError if it is needed and not given, or open to others."""
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
    if not 8 <= len(found) <= _PASSWORD_MOST:
        raise FlashError("config", f"{path} has not 8 to {_PASSWORD_MOST} bytes", "a WPA password has")
    return found
