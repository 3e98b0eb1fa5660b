"""The commands of `lightnode market`: a session from its announcement to its outcome. Their words.

What they do stands in work.py, which is imported when one runs.
"""

import argparse
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Any

from backend.argument import hexadecimal, named, number
from backend.market.rules import MOST_ROUNDS, Rules
from backend.market.session import EMERGENCY_UEUR_PER_MWH
from backend.market_commands import campaign
from backend.market_commands.baseline_words import add_words
from backend.market_commands.settle_words import EXAMPLES as _SETTLEMENT
from backend.market_commands.settle_words import add_settlement

_EXAMPLES = {
    "announce": "da-27 --day 2026-11-27 --gate 11:00 --deployment 00112233445566778899aabbccddeeff",
    "open": "da-27",
    "cancel": "da-27",
    "submit": "da-27 offers.csv --party A --resources resources.json",
    "withdraw": "da-27 A-1 --party A",
    "close": "da-27",
    "clear": "da-27 --constraints constraints.json --engine guarded",
    "awards": "da-27 > awards.json",
    "validate": "da-27 --verdicts verdicts.json",
    "publish": "da-27",
    "propose": 'da-27 outcome.json --party ann --reason "a meter was swapped"',
    "approve": "da-27 SHA256 --party bob",
    "order": "da-27 orders.json --party TSO",
    "orders": "da-27 --to-judge > awards.json",
    "withdraw-order": "da-27 T-o-1 --party TSO",
    "emergency": "da-27 emergency.json --party DSO --resources resources.json",
    "activation": "da-27 --verdicts verdicts.json",
    "status": "da-27",
    **_SETTLEMENT,
    "bundle": "da-27 --out da-27.json",
}


def add_commands(groups: Any) -> None:
    """Adds the group `market`."""
    market = groups.add_parser("market", help="sessions: bids, gate, clearing, validation, outcome").add_subparsers(
        dest="command", required=True
    )
    add = _Adder(market)
    _add_announce(add("announce", "makes a session: what it is about, when its gate closes, its rules"))
    add("open", "takes bids from now on, until the gate")
    add("cancel", "ends a session that is not published")
    submit = add("submit", "hands in offers or requests; every row is answered")
    submit.add_argument("file", type=Path, help="a book of bids, JSON or CSV (backend/market/README.md)")
    submit.add_argument(
        "--resources", type=Path, required=True, action="append", help="whose each POD is (I-02); again for more lists"
    )
    withdraw = add("withdraw", "takes a bid out of the book")
    withdraw.add_argument("bid", help="its id")
    add("close", "freezes the book once the gate has closed, and prints it")
    _add_clear(add("clear", "decides what is bought, and why not the rest"))
    add("awards", "prints what was cleared as the list that `lightnode grid validate --awards` judges")
    validate = add(
        "validate", "takes over the operator's verdicts; exit code 4 where what they cut is cleared again, to be judged"
    )
    validate.add_argument(
        "--verdicts", type=Path, required=True, help="as `lightnode grid validate --json` prints them"
    )
    add("publish", "makes the validated outcome public, with its evidence; prints it")
    propose = add("propose", "proposes a correction of a published outcome; prints its digest")
    propose.add_argument("outcome", type=Path, help="the whole corrected outcome")
    propose.add_argument("--reason", required=True, help="why")
    approve = add("approve", "publishes a proposed correction as the next version; by another person")
    approve.add_argument("digest", type=hexadecimal(32), help="of the proposed outcome, 64 hexadecimal digits")
    for parser in (propose, approve):
        parser.add_argument(
            "--resources", type=Path, default=[], action="append",
            help="whose each POD is and what it has (I-02), if it has changed since it was offered; again for more lists",
        )  # fmt: skip
    for parser in (submit, withdraw, propose, approve, *_add_orders(add)):
        parser.add_argument("--party", type=named, required=True, help="who does it")
    add_settlement(add, add.group, add.common)
    add_words(
        add.group(
            "baselines",
            "error and bias of each method of a baseline on given profiles",
            "profiles.csv --from 17:00 --to 20:00",
        )
    )
    add("status", "where a session stands")
    campaign.add_command(market)
    bundle = add("bundle", "writes a session with all it was decided by into one file")
    bundle.add_argument("--out", type=Path, required=True, help="the file")
    recompute = market.add_parser(
        "recompute", help="decides a session again from its bundle alone, and says what is different",
        description="Decides a session again from its bundle alone, on any machine: exit code 1 names the first difference.",
        epilog="example: lightnode market recompute da-27.json",
    )  # fmt: skip
    recompute.add_argument("file", type=Path, help="as `lightnode market bundle` writes it")
    recompute.add_argument("--json", action="store_true", help="print one JSON object")


def _add_orders(add: "_Adder") -> list[argparse.ArgumentParser]:
    """The commands of the activation; those among them that somebody does."""
    order = add("order", "orders awarded volume, whole or in part; every row is answered")
    emergency = add("emergency", "orders outside the market, marked and compensated by rule; every row is answered")
    for parser in (order, emergency):
        parser.add_argument("file", type=Path, help="orders, JSON (backend/market/README.md)")
    emergency.add_argument(
        "--resources", type=Path, required=True, action="append", help="whose each POD is (I-02); again for more lists"
    )
    withdraw = add("withdraw-order", "takes an order back, until its offer's lead time")
    withdraw.add_argument("order", help="the id that its buyer gave it")
    orders = add("orders", "what is ordered")
    orders.add_argument(
        "--to-judge",
        action="store_true",
        help="as the list that `lightnode grid validate --awards` judges, over all sessions",
    )
    activation = add(
        "activation", "prints the activation list, or takes over the verdicts on what is ordered and makes it"
    )
    activation.add_argument("--verdicts", type=Path, help="as `lightnode grid validate --json` prints them")
    activation.add_argument("--party", help='what one party is told: "aggregator/A", "SCD", "DSO TP", "DSO", "TSO"')
    return [order, emergency, withdraw]


class _Adder:
    """Makes a command with what all of them have."""

    def __init__(self, market: Any) -> None:
        self._market = market

    def __call__(self, name: str, help: str) -> argparse.ArgumentParser:
        made = self.group(name, help, f"--folder market {_EXAMPLES[name]}")
        self.common(made)
        return made

    def group(self, name: str, help: str, words: str) -> argparse.ArgumentParser:
        """One that has others in it; words: of its example."""
        example = f"example: lightnode market {name} {words}"
        made: argparse.ArgumentParser = self._market.add_parser(name, help=help, description=help, epilog=example)
        return made

    @staticmethod
    def common(made: argparse.ArgumentParser) -> None:
        """What every command has."""
        made.add_argument("session", help="its id")
        made.add_argument("--folder", type=Path, required=True, help="the back end's: scd.sqlite and keys/")
        made.add_argument("--json", action="store_true", help="print one JSON object")


def _add_announce(made: argparse.ArgumentParser) -> None:
    about = made.add_mutually_exclusive_group(required=True)
    about.add_argument("--day", type=date.fromisoformat, help="day-ahead: a day of the market")
    about.add_argument("--next", action="store_true", help="near real time: the next quarter-hours")
    made.add_argument("--gate", type=time.fromisoformat, default=time(11), help="on the day before, local time (11:00)")
    made.add_argument("--lead-min", type=number(0, 1440), default=15, help="from gate to the first quarter-hour (15)")
    made.add_argument("--zone", default="Europe/Rome", help="the market's clock (Europe/Rome)")
    made.add_argument("--lot-w", type=int, default=1, help="volumes are multiples of it (1)")
    made.add_argument("--most-w", type=int, help="most of one offer in a quarter-hour")
    made.add_argument("--most-price", type=int, metavar="UEUR_PER_MWH", help="highest price, micro-EUR per MWh")
    made.add_argument("--product", action="append", choices=("active", "reactive"), help="what is traded (active)")
    made.add_argument(
        "--emergency-price", type=int, default=EMERGENCY_UEUR_PER_MWH, metavar="UEUR_PER_MWH",
        help="what an emergency order earns at a POD without an award (300 EUR per MWh)",
    )  # fmt: skip
    made.add_argument(
        "--emergency-ppm", type=int, default=1_000_000, help="with an award: part of its price, 1e-6 (1000000)"
    )
    made.add_argument(
        "--baselines-min",
        type=number(0, 1440),
        default=0,
        help="the BRPs' baselines freeze so long before the gate (0)",
    )
    made.add_argument("--deployment", type=hexadecimal(16), help="32 hexadecimal digits, for a folder that is new")


def _add_clear(made: argparse.ArgumentParser) -> None:
    made.add_argument("--constraints", type=Path, help="as `lightnode grid constraints --json` prints them")
    made.add_argument("--engine", choices=("guarded", "optimal", "literal"), default="guarded", help="(guarded)")
    made.add_argument("--pricing", choices=("as bid", "as cleared"), default="as bid", help="(as bid)")
    made.add_argument("--reserve-ppm", type=int, default=0, help="taken beyond each need, 1e-6 of it (0)")
    made.add_argument(
        "--rounds", type=number(1, MOST_ROUNDS), default=Rules().rounds,
        help=f"of clearing and validation, at most ({Rules().rounds})",
    )  # fmt: skip


def run(options: argparse.Namespace, now_ms: Callable[[], int] | None = None) -> int:
    """Calls the command; its exit code. now_ms: UTC ms, None for the machine's clock."""
    if options.command == "campaign":
        return campaign.run(options)
    if options.command == "baselines":
        from backend.market_commands import baseline_work

        return baseline_work.run(options)
    from backend.market_commands import work

    return work.run(options, now_ms or work.system_ms)
