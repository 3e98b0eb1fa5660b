"""lightnode-flash: boards into service. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 an outside party is missing, 4 not yet."""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from lightflash.errors import FlashError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "boards": ("lightflash.commands.boards", "lists the boards that a build can be for"),
    "build": (
        "lightflash.commands.build",
        "from the sources to an image with its release, bill of material and record",
    ),
    "write": ("lightflash.commands.write", "boards on cables get firmware, application and settings, all at once"),
    "enrol": ("lightflash.commands.enrol", "a device on a cable makes its keys and gets settings and certificate"),
    "sync": ("lightflash.commands.sync", "what enrolled devices said goes into the operator's register"),
    "status": ("lightflash.commands.status", "says how a device on a cable is"),
    "console": ("lightflash.commands.console", "the device's console at this terminal"),
    "update": ("lightflash.commands.update", "brings a signed release to a device, over its broker or its cable"),
    "rollback": ("lightflash.commands.rollback", "lets the release before run again"),
    "rotate-key": ("lightflash.commands.rotate_key", "the device makes its next signing key"),
    "factory-reset": ("lightflash.commands.factory_reset", "nothing of the site stays on the device, its keys do"),
    "verify": ("lightflash.commands.verify", "checks a device in service against its limits: meter to set-point"),
    "record": ("lightflash.commands.record", "the signed record of a commissioning, as file, page and PDF; checks one"),
    "label": ("lightflash.commands.label", "the label of a device, with its QR code"),
    "key": ("lightflash.commands.key", "makes a signing key of releases or of a kit"),
    "config": ("lightflash.commands.config", "checks a device's settings file before it is written"),
}


def main(arguments: list[str] | None = None) -> int:
    """Parses, calls, prints. Only the command that is called is loaded."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="lightnode-flash",
        description="From sources to a device in service.",
        epilog="example: lightnode-flash build --board esp32-s3 --out build/esp32-s3",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    chosen: Any = None
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter)
        if words[:1] == [name]:
            chosen = importlib.import_module(module)
            command.epilog = chosen.EXAMPLE
            chosen.add_arguments(command)
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        return int(chosen.run(options))
    except FlashError as error:
        print(f"lightnode-flash: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read has enough: nothing to say about it
        return 141
    except OSError as error:
        print(f"lightnode-flash: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lightnode-flash: stopped; the same command goes on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
