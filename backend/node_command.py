"""lightnode nodes: the options of its commands; what they do is loaded when one runs."""

import argparse
from pathlib import Path
from typing import Any

from backend.argument import hexadecimal, number


def add_arguments(groups: Any) -> None:
    """The options of the three."""
    nodes = groups.add_parser("nodes", help="the light nodes of the register and their keys").add_subparsers(
        dest="command", required=True
    )
    every = nodes.add_parser(
        "list",
        help="every light node with its keys and from when to when they are valid",
        epilog="example: lightnode nodes list --folder backend",
    )
    nonce = nodes.add_parser(
        "nonce",
        help="draws a nonce for a light node's next key",
        epilog="example: lightnode nodes nonce --folder backend 0123456789abcdef",
    )
    nonce.add_argument("device", type=hexadecimal(8), help="16 hexadecimal digits")
    rotate = nodes.add_parser(
        "rotate",
        help="brings the statement of a next key into the register of the back end that runs",
        epilog="example: lightnode nodes rotate --folder backend rotation.json",
    )
    rotate.add_argument("statement", type=Path, metavar="FILE", help="as `lightnode-flash rotate-key` made it")
    rotate.add_argument(
        "--wait", type=number(0, 3600), default=10, metavar="S", help="how long the back end may take (default 10)"
    )
    for parser in (every, nonce, rotate):
        parser.add_argument("--folder", type=Path, required=True, help="the back end's: scd.sqlite")
        parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> dict[str, object]:
    """What there is to say. Rejected, Unavailable."""
    from backend import node_keys

    return node_keys.run(options)
