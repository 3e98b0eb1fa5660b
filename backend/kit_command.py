"""lightnode kit: the options of its commands; what they do is loaded when one runs."""

import argparse
import re
from pathlib import Path
from typing import Any

from backend.argument import hexadecimal, number


def add_arguments(groups: Any) -> None:
    """The options of the four."""
    kit = groups.add_parser("kit", help="what technicians enrol devices with, also without a network").add_subparsers(
        dest="command", required=True
    )
    make = kit.add_parser(
        "make",
        help="makes a kit: a secret file for one technician",
        epilog="example: lightnode kit make --folder backend --deployment 00112233445566778899aabbccddeeff --pods pods.txt "
        "--broker broker.example:8884 --ca broker-ca.pem --devices devices.pem --out kit.json",
    )
    make.add_argument("--folder", type=Path, required=True, help="the back end's: scd.sqlite and keys/")
    make.add_argument("--deployment", type=hexadecimal(16), required=True, help="32 hexadecimal digits")
    make.add_argument("--pods", type=Path, required=True, help="the PODs that may be enrolled, one a line")
    make.add_argument("--broker", type=_address, required=True, help="HOST:PORT where devices connect")
    make.add_argument("--ca", type=Path, required=True, help="the authority (PEM) that vouches for the broker")
    make.add_argument(
        "--devices", type=Path, required=True, help="the broker's file of authorities (PEM); the kit's is added"
    )
    make.add_argument("--days", type=number(1, 90), default=14, help="how long it enrols (default 14)")
    make.add_argument(
        "--nonces", type=number(1, 9), default=2, help="tries with another device for each POD (default 2)"
    )
    make.add_argument("--update-key", type=hexadecimal(33), help="public key of the releases that devices take")
    make.add_argument("--out", type=Path, required=True, help="the kit's file, readable by its owner only")
    every = kit.add_parser(
        "list", help="the kits and how much of them is used", epilog="example: lightnode kit list --folder backend"
    )
    close = kit.add_parser(
        "close",
        help="takes nothing from a kit any more",
        epilog="example: lightnode kit close --folder backend 0011223344556677",
    )
    revoke = kit.add_parser(
        "revoke",
        help="for a kit that was lost: takes nothing from it, and the broker no certificate of it any more",
        epilog="example: lightnode kit revoke --folder backend --devices devices.pem 0011223344556677",
    )
    revoke.add_argument(
        "--devices", type=Path, required=True, help="the broker's file of authorities (PEM); the kit's is removed"
    )
    for parser in (close, revoke):
        parser.add_argument("kit", type=hexadecimal(8), help="16 hexadecimal digits")
    for parser in (every, close, revoke):
        parser.add_argument("--folder", type=Path, required=True, help="the back end's: scd.sqlite")
    for parser in (make, every, close, revoke):
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> dict[str, object]:
    """What there is to say. Rejected, Unavailable."""
    from backend import kit_making

    return kit_making.run(options)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if host and re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65_536:
        return host, int(port)
    raise argparse.ArgumentTypeError(f"{text[:80]}: HOST:PORT belongs here")
