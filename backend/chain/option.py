"""What every command of `lightnode chain` takes, and what is made of it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.adapters.keys import open_key
from backend.adapters.ledger import Account, ContractLedger, Place
from backend.adapters.rpc import Endpoints
from backend.errors import Rejected
from backend.flows.anchor import Terms
from backend.settings import ChainSettings

DONE, REFUSED, USAGE, UNAVAILABLE, PENDING = range(5)
OVERRULES = {"rpc": "endpoints", "key": "key_file", "db": "database"}
GIVEN = ("rpc", "chain_id", "contract", "operator", "key", "confirmations", "max_fee_gwei", "first_block", "db")
_WAIT_S, _WAIT_MOST_S = 120.0, 86_400.0

Answer = tuple[int, dict[str, Any], str]


def command(
    commands: Any, name: str, call: Callable[[argparse.Namespace, ChainSettings], Answer], help: str, example: str
) -> argparse.ArgumentParser:
    example = f"lightnode chain {name} {example}".rstrip() + " --settings backend.toml"
    made: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help, epilog=f"example: {example}")
    made.set_defaults(chain=call)
    made.add_argument("--settings", type=Path, help="TOML file with a table [chain]; the options below go before it")
    made.add_argument(
        "--rpc", action="append", metavar="URL", help="an endpoint of the chain; more than one for fail-over"
    )
    made.add_argument("--chain-id", type=int, help="the chain it must be")
    made.add_argument("--contract", help="address of the contract")
    made.add_argument("--operator", help="the operator's id (16 hexadecimal digits) or its log on chain (64)")
    made.add_argument("--key", type=Path, help="file with the account's key, made if there is none")
    made.add_argument("--confirmations", type=int, help="blocks above one until it counts as final (12)")
    made.add_argument("--max-fee-gwei", type=float, help="the most that is offered per unit of gas (500)")
    made.add_argument("--first-block", type=int, help="where the contract's events begin (0)")
    made.add_argument("--db", type=Path, help="the back end's database")
    made.add_argument("--wait", type=_seconds, default=_WAIT_S, help=f"seconds to wait for the chain ({_WAIT_S:g})")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def endpoints(settings: ChainSettings) -> Endpoints:
    if not settings.endpoints:
        raise Rejected("no endpoint: give --rpc or endpoints in the settings")
    return Endpoints(settings.endpoints, settings.chain_id)


def account(settings: ChainSettings) -> Account:
    if settings.key_file is None:
        raise Rejected("no key: give --key or key_file in the settings")
    return Account(open_key(settings.key_file))


def needed(value: bytes, name: str) -> bytes:
    if not value:
        raise Rejected(f"no {name}: give --{name} or {name} in the settings")
    return value


def ledger_of(settings: ChainSettings) -> ContractLedger:
    place = Place(needed(settings.contract, "contract"), needed(settings.operator, "operator"), settings.first_block)
    return ContractLedger(endpoints(settings), account(settings), place)


def terms(settings: ChainSettings) -> Terms:
    return Terms(settings.confirmations, settings.max_fee_wei)


def _seconds(text: str) -> float:
    """A wait that ends."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= _WAIT_MOST_S:
        raise argparse.ArgumentTypeError(f"{text}: seconds from 0 to {_WAIT_MOST_S:g} belong here")
    return found
