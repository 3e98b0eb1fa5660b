"""The words of the commands of `lightnode market` about settlement."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.argument import hexadecimal, number

EXAMPLES = {
    "settlement-input": "da-27 --settings settings.json --baselines baselines.json > input.json",
    "settle": "da-27 --input input.json",
    "resettle": 'da-27 --input input.json --reason "readings of POD b came in" --party ann',
    "approve-settlement": "da-27 SHA256 --party bob",
    "settlement": "da-27 --version 1",
    "statement": "da-27 aggregator/A",
    "disputes": "da-27",
}
_DISPUTE = {
    "open": 'da-27 energy/ORDER/POD --party owner/ann --reason "my meter was swapped"',
    "answer": 'da-27 d1 --state upheld --party "market operator" --reason "the new meter was read"',
}


def add_settlement(
    add: Callable[[str, str], Any], group: Callable[[str, str, str], Any], common: Callable[[Any], None]
) -> None:
    """Adds them. add: makes a command about a session; group: makes one that has others in it; common: what all have."""
    made = add("settlement-input", "prints what a session is settled from: awards, orders, baselines, measurements")
    made.add_argument("--settings", type=Path, required=True, help="terms, and owner, BRP and baseline of each POD")
    made.add_argument(
        "--baselines", type=Path, default=[], action="append",
        help="the BRPs' frozen profiles (I-03), lightnode-baselines/1; again for those of sessions in whose quarter-hours"
        " something rebounds, or from which it does",
    )  # fmt: skip
    made.add_argument(
        "--quarters", type=Path, help="CSV of quarter-hours (I-01), a column of W per POD, for the registers"
    )
    made.add_argument(
        "--unavailable", type=Path, help="what owners said cannot deliver (I-13), lightnode-unavailable/1"
    )
    for name, help in (
        ("settle", "settles a session; the same input again gives the same settlement"),
        (
            "resettle",
            "settles it again with what came late; prints what that changes, by line and party, and proposes it",
        ),
    ):
        made = add(name, help)
        made.add_argument("--input", type=Path, required=True, help="as `lightnode market settlement-input` prints it")
        if name == "resettle":
            made.add_argument("--reason", required=True, help="why")
            made.add_argument("--party", required=True, help="who proposes it")
    approve = add("approve-settlement", "makes a proposed settlement the next version; by another person")
    approve.add_argument("digest", type=hexadecimal(32), help="of the proposed settlement, 64 hexadecimal digits")
    approve.add_argument("--party", required=True, help="who does it")
    statement = add("statement", "prints what one party gets of a settlement, with a reason for each line")
    statement.add_argument("party", help="DSO, TSO, aggregator/NAME, owner/NAME or BRP/NAME")
    for made in (add("settlement", "prints a settlement"), statement):
        made.add_argument("--version", type=number(1, 9999), help="(the latest)")
    add("disputes", "prints all disputes of a session")
    steps = group("dispute", "opens or answers a dispute about a line", f"open {_DISPUTE['open']}").add_subparsers(
        dest="step", required=True
    )
    for step, help, what in (
        ("open", "disputes a line of one's own statement", "line"),
        ("answer", "answers a dispute, once, for somebody else", "dispute"),
    ):
        example = f"example: lightnode market dispute {step} {_DISPUTE[step]} --folder market"
        made = steps.add_parser(step, help=help, description=help, epilog=example)
        common(made)
        made.add_argument(what, help={"line": "as the statement names it", "dispute": "its id"}[what])
        made.add_argument("--party", required=True, help="who does it")
        made.add_argument("--reason", required=True, help="why")
        if step == "answer":
            made.add_argument("--state", choices=("upheld", "refused"), required=True, help="what is said to it")
