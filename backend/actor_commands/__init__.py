"""The commands of the actors around the market: owner, aggregator, BRP, TSO, DSO. Their words.

What they do stands in the module of the actor, which is imported when one runs: only the operators need a power flow.
"""

import argparse
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

ACTORS = ("owner", "aggregator", "brp", "tso", "dso")
GROUPS = (*ACTORS, "cast")
_STATES = ("ready", "active", "fault", "off")  # backend.market.availability.DerState
_HELP = {
    "owner": "a customer: what its PODs can do, how they are, what is reserved of them",
    "aggregator": "gathers PODs: resources, portfolio, offers, reservations",
    "brp": "balances PODs: their day-ahead profiles, which are the market's baselines",
    "tso": "the transmission operator, simulated: its grid, its problems, its requests and orders",
    "dso": "the distribution operator as a buyer: its requests and orders",
}


def add_commands(groups: Any) -> None:
    """Adds a group for each actor."""
    for actor, add in zip(ACTORS, (_add_owner, _add_aggregator, _add_brp, _add_tso, _add_dso), strict=True):
        parser = groups.add_parser(actor, help=_HELP[actor])
        add(_Adder(actor, parser.add_subparsers(dest="command", required=True)))
    cast = groups.add_parser(
        "cast", help="writes what the simulated actors of the example day start with, each into its own folder",
        epilog="example: lightnode cast actors --day 2026-11-27",
    )  # fmt: skip
    cast.add_argument("folder", type=Path, help="a new one")
    cast.add_argument("--day", type=date.fromisoformat, required=True, help="the date the example day stands on")
    cast.add_argument("--json", action="store_true", help="print one JSON object")
    cast.set_defaults(actor="cast")


class _Adder:
    """Makes a command of an actor with what all of them have."""

    def __init__(self, actor: str, commands: Any) -> None:
        self._actor, self._commands = actor, commands

    def __call__(self, name: str, help: str, example: str) -> argparse.ArgumentParser:
        epilog = f"example: lightnode {self._actor} {name} {example}"
        made: argparse.ArgumentParser = self._commands.add_parser(name, help=help, description=help, epilog=epilog)
        made.add_argument("--json", action="store_true", help="print the document for the next actor")
        made.set_defaults(actor=self._actor)
        return made


def _add_owner(add: _Adder) -> None:
    made = add(
        "availability",
        "declares what PODs can do, by quarter-hour (I-13)",
        "pods.csv --owner Dairy --aggregator A --json",
    )
    made.add_argument("file", type=Path, help="CSV, or a document to check (backend/actor_commands/README.md)")
    made.add_argument("--owner", help="whose PODs they are (with a CSV)")
    made.add_argument("--aggregator", help="to whom they are declared (with a CSV)")
    made = add("status", "reports how a POD's DER is (I-13)", "IT001E00000001 --owner Dairy --state off --json")
    made.add_argument("pod", help="the POD")
    made.add_argument("--owner", required=True, help="whose it is")
    made.add_argument("--state", choices=_STATES, required=True, help="fault and off take the POD out")
    made.add_argument(
        "--until", metavar="FRAME", help="the first quarter-hour in which it is back; else until reported"
    )
    made.add_argument("--reason", default="", help="why, in one line")
    made = add(
        "plan", "checks and prints a reservation with its planning (I-14)", "Dairy.json --availability dairy.json"
    )
    made.add_argument("reservation", type=Path, help="what the aggregator handed over")
    made.add_argument("--owner", help="refuse what is for another owner")
    made.add_argument(
        "--availability", type=Path, action="append", default=[], help="exit code 1 beyond what it declares"
    )


def _add_aggregator(add: _Adder) -> None:
    made = add(
        "resources", "the list of its resources for the register (I-02)", "dairy.json farm.json --aggregator A --json"
    )
    _declared(made)
    made = add(
        "baseline",
        "sum of its PODs' baselines",
        "dairy.json farm.json --aggregator A --baselines baselines.json --json",
    )
    _declared(made)
    _with_baselines(made)
    made = add(
        "offers", "offers (I-05) from what is available and has a baseline",
        "dairy.json farm.json --aggregator A --baselines baselines.json --offering offering.json --json",
    )  # fmt: skip
    _declared(made)
    _with_baselines(made)
    _with_settings(made)
    made = add(
        "reserve", "a file for each owner: what an outcome reserves of its PODs, and their planning (I-14)",
        "outcome.json dairy.json farm.json --offers offers.json --baselines baselines.json --offering offering.json --out owners",
    )  # fmt: skip
    made.add_argument("outcome", type=Path, help="as `lightnode market publish` prints it")
    made.add_argument("availability", type=Path, nargs="+", help="what its owners declared")
    made.add_argument("--offers", type=Path, required=True, help="its own book of bids")
    made.add_argument("--out", type=Path, required=True, help="folder for the files")
    _with_baselines(made)
    _with_settings(made)
    made = add(
        "unavailable", "what its owners reported as out in a session, as settlement reads it",
        "winery-status.json --baselines baselines.json --json",
    )  # fmt: skip
    made.add_argument("status", type=Path, nargs="+", help="what owners reported of their PODs")
    _with_baselines(made)
    _add_statement(add)


def _add_statement(add: _Adder) -> None:
    made = add(
        "statement", "an account for each owner: what it gets of a settlement, and the fee (I-18)",
        "settlement.json --aggregator A --out accounts",
    )  # fmt: skip
    made.add_argument("settlement", type=Path, help="the settlement, or the aggregator's statement of it")
    made.add_argument("--aggregator", required=True, help="who does it")
    made.add_argument("--out", type=Path, required=True, help="folder for the files")


def _declared(made: argparse.ArgumentParser) -> None:
    made.add_argument("availability", type=Path, nargs="+", help="what owners declared")
    made.add_argument("--aggregator", required=True, help="who does it")


def _with_baselines(made: argparse.ArgumentParser) -> None:
    made.add_argument("--baselines", type=Path, required=True, help="as `lightnode brp standing --json` prints them")


def _with_settings(made: argparse.ArgumentParser) -> None:
    made.add_argument("--offering", type=Path, required=True, help="prices, steps, groups, fee (lightnode-offering/1)")
    made.add_argument("--status", type=Path, action="append", default=[], help="what an owner reported of a POD")
    made.add_argument(
        "--reserved", type=Path, action="append", default=[], help="what earlier sessions reserved, in their order"
    )


def _add_brp(add: _Adder) -> None:
    made = add(
        "baseline", "hands in profiles (I-03) until the baselines freeze; every POD is answered",
        "da-27 profiles.csv --brp BRP-1 --folder market",
    )  # fmt: skip
    made.add_argument("session", help="the market session")
    made.add_argument("file", type=Path, help="profiles, CSV or JSON (backend/actor_commands/README.md)")
    made.add_argument("--brp", required=True, help="who does it")
    made.add_argument("--resources", type=Path, action="append", default=[], help="whose each POD is (I-02)")
    stands = add("standing", "the baselines that stand in a session, frozen or not yet", "da-27 --folder market --json")
    stands.add_argument("session", help="the market session")
    for parser in (made, stands):
        parser.add_argument("--folder", type=Path, required=True, help="the market's: scd.sqlite and keys/")


def _add_tso(add: _Adder) -> None:
    for name, help, example in (
        (
            "profile",
            "lines of its grid above their rating, with a substation profile (I-12)",
            "hv.json substation.json",
        ),
        ("request", "what it asks below the substation (I-06), as a book of bids", "hv.json substation.json --json"),
    ):
        made = add(name, help, example)
        made.add_argument("model", type=Path, help="its grid (lightnode-transmission/1)")
        made.add_argument("substation", type=Path, help="as `lightnode grid substation --json` prints it")
        _part(made)
    _asks(made, "TSO")
    made = _add_order(add, "TSO")
    made.add_argument("--model", type=Path, help="its grid (with --substation)")
    made.add_argument("--substation", type=Path, help="a newer profile: order what is still needed")
    _part(made)


def _part(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--part", choices=("before", "after"), default="after", help="of the profile's two states (after)"
    )


def _asks(made: argparse.ArgumentParser, buyer: str) -> None:
    made.add_argument("--id", default=buyer, help=f"what its requests' ids begin with ({buyer})")
    made.add_argument(
        "--price-cap", type=int, default=300_000_000, metavar="UEUR_PER_MWH", help="the most it pays (300000000)"
    )


def _add_dso(add: _Adder) -> None:
    made = add("request", "what `lightnode grid request` found, as a book of bids (I-06)", "requests.json --json")
    made.add_argument("requests", type=Path, help="as `lightnode grid request --json` prints it")
    _asks(made, "DSO")
    _add_order(add, "DSO")


def _add_order(add: _Adder, buyer: str) -> argparse.ArgumentParser:
    made = add("order", "orders (I-09) on what it was awarded", "outcome.json requests.json --json")
    made.add_argument("outcome", type=Path, help="as `lightnode market publish` prints it")
    made.add_argument("requests", type=Path, help=f"the {buyer}'s own book of bids")
    made.add_argument("--id", default="", help=f"what its orders' ids begin with ({buyer} and the session)")
    return made


def run(options: argparse.Namespace, now_ms: Callable[[], int] | None = None) -> int:
    """Calls the command; its exit code. now_ms: UTC ms, None for the machine's clock."""
    from backend.actor_commands.said import say

    return say(lambda: _command(options)(options, now_ms or _system_ms), options.json)


def _command(options: argparse.Namespace) -> Any:
    if options.actor in ("tso", "dso"):
        from backend.actor_commands import buyer

        return (buyer.TSO if options.actor == "tso" else buyer.DSO)[options.command]
    if options.actor == "cast":
        from backend.actor_commands import cast

        return cast.cast
    from backend.actor_commands import aggregator, brp, owner

    return {"owner": owner, "aggregator": aggregator, "brp": brp}[options.actor].COMMANDS[options.command]


def _system_ms() -> int:
    return time.time_ns() // 1_000_000
