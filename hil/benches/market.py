"""The market: both engines on books of 1,000 to 100,000 offers in 96 quarter-hours, and what the merit order costs more.

Times are CPU seconds of one core. The guarded order is timed to its decisions, in columns; writing them out as records is a
figure of its own. ASSUME, the simulator a user could install, clears the same orders in a process of its own where it
is installed: it has no network and no volumes over several quarter-hours, so one quarter-hour's orders are all it gets.
Its licence is AGPL: it is no dependency of ours, and ASSUME_PYTHON names a Python that has it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version

from backend.market.clearing import Moves, clear, decide, outcome_of
from backend.market.merit_order import in_turn
from backend.market.optimal import cost_ueur, optimise_book
from backend.market.pod_parts import within_parts
from backend.market.rules import Pricing, Rules
from hil.benches import published, settling
from hil.benches.assume_peer import SCRIPT, orders
from hil.benches.figure import Figure
from hil.benches.order_book import OrderBook, order_book

WHAT = "the market: both engines on up to 100,000 offers x 96 quarter-hours, cost against the optimum, beside ASSUME"
_SIZES = (1_000, 10_000, 100_000)
_SEED = 1
_MOST_S = 2
_TIMES_ASSUME = 100
_LIMITED_FROM, _LIMIT_S = 100_000, 5
_SETTLED_PODS = 100
_NOTHING: Moves = {}
_EUR = 1_000_000
_IS_THERE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('assume') is None)"


def measure() -> dict[str, Figure]:
    """Every figure of the area, in one run."""
    figures: dict[str, Figure] = {}
    for size in _SIZES:
        figures |= _engines(size)
    return figures | published.measure(_SEED) | settling.measure(_SETTLED_PODS, _SEED) | _beside_assume()


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    begin = time.process_time()
    done = work()
    return round(time.process_time() - begin, 3), done


def _engines(size: int) -> dict[str, Figure]:
    one = order_book(size, _SEED)
    asked = in_turn(one.requests)
    begin = time.process_time()
    state, parts = within_parts(one.book, asked, lambda book: decide(asked, book, one.limits, _NOTHING))
    decided = time.process_time()
    outcome = outcome_of("bench", state, asked, Pricing.AS_BID, parts)
    written = time.process_time()
    cost = cost_ueur(state)
    found = {
        f"guarded.{size}": Figure(round(decided - begin, 3), "s", target=_MOST_S),
        f"guarded.{size}.records": Figure(round(written - decided, 3), "s"),
        f"guarded.{size}.awards": Figure(len(outcome.awards), "awards"),
        f"guarded.{size}.unserved": Figure(len(outcome.unserved), "needs"),
    }
    return found | _optimum(size, one, cost)


def _optimum(size: int, one: OrderBook, guarded_ueur: int) -> dict[str, Figure]:
    limit_s = _LIMIT_S if size >= _LIMITED_FROM else 0
    begin = time.process_time()
    outcome, report = optimise_book("bench", one.requests, one.book, one.limits, _NOTHING, Rules(time_limit_s=limit_s))
    took = round(time.process_time() - begin, 3)
    more = guarded_ueur - report.cost_ueur
    return {
        f"optimal.{size}": Figure(took, "s"),
        f"optimal.{size}.proven": Figure(int(report.proven), "0 or 1"),
        f"optimal.{size}.gap": Figure(report.gap_ppm, "ppm of the cost"),
        f"optimal.{size}.unserved": Figure(len(outcome.unserved), "needs"),
        f"cost.{size}.optimal": Figure(round(report.cost_ueur / _EUR, 2), "EUR"),
        f"cost.{size}.guarded_beyond": Figure(round(100 * more / max(1, report.cost_ueur), 2), "% of the optimum"),
    }


def _beside_assume() -> dict[str, Figure]:
    """The same single orders in both; nothing where ASSUME is not installed, and that is said."""
    asked, offers, rows = orders()
    python = os.environ.get("ASSUME_PYTHON", sys.executable)
    ours, _ = _timed(lambda: clear("bench", asked, offers, []))
    if subprocess.run([python, "-c", _IS_THERE], check=False).returncode:
        print(
            "bench market: ASSUME is not installed, skipped; ASSUME_PYTHON names a Python that has it", file=sys.stderr
        )
        return {f"orders.{len(offers)}": Figure(ours, "s")}
    with tempfile.TemporaryDirectory() as its_log:
        done = subprocess.run(
            [python, "-c", SCRIPT], input=json.dumps(rows), capture_output=True, text=True, check=True, cwd=its_log
        )
    theirs = float(done.stdout.split()[-1])
    return {f"orders.{len(offers)}": Figure(ours, "s", "ASSUME, pay as bid", theirs, _TIMES_ASSUME)}


def versions() -> dict[str, str]:
    """What it was measured with."""
    return {name: version(name) for name in ("numpy", "highspy")}
