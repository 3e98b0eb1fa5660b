"""The commands of `lightnode evidence` that work on the operator's own database, and the tables of a bundle: their words.

What they do stands in proving.py, which is imported when it is needed: a verifier starts without a database.
"""

import argparse
from pathlib import Path
from typing import Any


def add_commands(commands: Any, octets: Any) -> None:
    """Adds them to the group `evidence`; octets(n): the type of an argument of n bytes."""
    audit = commands.add_parser(
        "audit",
        help="compute every root again from the database and compare with the chain",
        epilog="example: lightnode evidence audit --db scd.sqlite --anchors anchors.json",
    )
    audit.add_argument("--db", type=Path, required=True, help="the database file; it is only read")
    source = audit.add_mutually_exclusive_group()
    source.add_argument("--anchors", type=Path, help="commitments exported from the chain by somebody you trust")
    source.add_argument("--rpc", help="URL of a node of the chain; --contract says where to look")
    audit.add_argument("--contract", type=octets(20), help="the contract you trust")
    audit.add_argument("--operator", type=octets(8), help="the operator you trust (else the database names it)")
    audit.add_argument("--json", action="store_true", help="print one JSON object")
    audit.set_defaults(run="audit")
    _add_receipt(commands, octets)


def _add_receipt(commands: Any, octets: Any) -> None:
    made = commands.add_parser(
        "receipt",
        help="one record with its receipt in one file; made again later, a pending one is final",
        epilog="example: lightnode evidence receipt reading 0123456789abcdef 4711 --db scd.sqlite --log-key log.key",
    )
    made.add_argument(
        "kind", choices=("reading", "batch", "setpoint", "decision", "execution", "document", "key", "consistency"),
        help="of what",
    )  # fmt: skip
    made.add_argument(
        "names", nargs="+",
        help="reading, batch: DEVICE SEQ; setpoint and its answers: ID; document: KIND ID [VERSION]; key: ID GENERATION; "
        "consistency: TREE EPOCH EPOCH",
    )  # fmt: skip
    made.add_argument("--db", type=Path, required=True, help="the database file")
    made.add_argument("--log-key", type=Path, required=True, help="the file of the log key")
    made.add_argument("--rpc", help="URL of a node of the chain: adds a state proof")
    made.add_argument("--block", help="of which block the state proof is: a number (else the last final one)")
    made.add_argument("--out", type=Path, help="where the file goes (else it is printed)")
    made.set_defaults(run="receipt")
    _add_erase(commands)
    _add_revoke(commands, octets)
    state = commands.add_parser(
        "prove",
        help="add the state proof of a block to a receipt, or write that of a bundle: for --block-hash",
        epilog="example: lightnode evidence prove receipt.json --rpc http://127.0.0.1:8545 --out proven.json",
    )
    state.add_argument("bundle", type=Path, metavar="FILE", help="a receipt, a proof of consistency or a bundle")
    state.add_argument("--rpc", required=True, help="URL of a node of the chain that keeps the state of the block")
    state.add_argument("--block", help="its number (else the last final one)")
    state.add_argument("--out", type=Path, required=True, help="where the file goes")
    state.add_argument("--json", action="store_true", help="print one JSON object")
    state.set_defaults(run="prove")
    tables = commands.add_parser(
        "export",
        help="a bundle as tables: readings, quarter-hours, set-points, settlement lines",
        epilog="example: lightnode evidence export bundle.json --out tables --format parquet",
    )
    tables.add_argument("bundle", type=Path, help="the bundle; it must hold")
    tables.add_argument("--out", type=Path, required=True, help="the folder that the tables are written into")
    tables.add_argument("--format", choices=("csv", "parquet"), default="csv")
    tables.add_argument("--json", action="store_true", help="print one JSON object")
    tables.set_defaults(run="export")


def _add_erase(commands: Any) -> None:
    gone = commands.add_parser(
        "erase",
        help="remove a customer: every row and salt; anchored tombstones stay",
        epilog="example: lightnode evidence erase IT001E00000001 --db scd.sqlite --log-key log.key",
    )
    gone.add_argument("pod", help="the point of delivery")
    gone.add_argument("--db", type=Path, required=True, help="the database file; a back end may run on it")
    gone.add_argument("--log-key", type=Path, required=True, help="the file of the log key")
    gone.add_argument("--json", action="store_true", help="print one JSON object")
    gone.set_defaults(run="erase")


def _add_revoke(commands: Any, octets: Any) -> None:
    end = commands.add_parser(
        "revoke",
        help="end a key now: nothing that it signs is taken any more; the revocation is anchored",
        epilog="example: lightnode evidence revoke 0123456789abcdef 1 --db scd.sqlite --log-key log.key",
    )
    end.add_argument("id", type=octets(8), help="of the key: 16 hexadecimal digits")
    end.add_argument("generation", type=int, help="1 for the first key of an id")
    end.add_argument("--db", type=Path, required=True, help="the database file; a back end may run on it")
    end.add_argument("--log-key", type=Path, required=True, help="the file of the log key")
    end.add_argument("--json", action="store_true", help="print one JSON object")
    end.set_defaults(run="revoke")


def run(options: argparse.Namespace) -> int:
    """Runs the command that was asked for; its exit code."""
    from backend import proving

    return proving.run(options)
