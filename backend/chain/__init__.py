"""The commands of `lightnode chain`: arguments in, one flow called, text or JSON out.

Exit codes: 0 done, 1 refused (with the reason), 2 wrong usage, 3 the chain or the database is unavailable, 4 not yet.
"""

import argparse
import json
import sqlite3
import sys
from typing import Any

from backend.adapters.admin import NotYet
from backend.chain import change, state
from backend.chain.option import DONE, GIVEN, OVERRULES, PENDING, REFUSED, UNAVAILABLE
from backend.errors import BackendError, Unavailable
from backend.settings import load


def add_commands(groups: Any) -> None:
    """Adds the group `chain`."""
    commands = groups.add_parser("chain", help="the contract that holds the commitments").add_subparsers(
        dest="command", required=True
    )
    change.add_commands(commands)
    state.add_commands(commands)


def run(options: argparse.Namespace) -> int:
    """Calls the command; every refusal and outage is one line."""
    try:
        given = {OVERRULES.get(name, name): getattr(options, name) for name in GIVEN}
        code, facts, text = options.chain(options, load(options.settings, given))
    except NotYet as error:
        facts = {"done": None, "reason": str(error), "transaction": "0x" + error.transaction.hex()}
        code, text = PENDING, f"{error}; it may still be: ask for the status"
    except Unavailable as error:
        code, facts, text = UNAVAILABLE, {"done": None, "reason": str(error)}, str(error)
    except sqlite3.Error as error:
        text = f"database: {options.db or 'of the settings'}: {error}"
        code, facts = UNAVAILABLE, {"done": None, "reason": text}
    except (BackendError, OSError) as error:
        code, facts, text = REFUSED, {"done": False, "reason": str(error)}, str(error)
    if options.json:
        print(json.dumps(facts))
    elif code in (DONE, PENDING):
        print(text)
    else:
        print(f"lightnode: {text}", file=sys.stderr)
    return int(code)
