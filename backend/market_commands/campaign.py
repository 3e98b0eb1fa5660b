"""`lightnode market campaign`: many market days on published data, their indicators, a report with pictures.

Exit codes: 0 done, 1 refused (a day that is not in the published weeks) or another engine found something else, 3 another
engine was asked for and is not there.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from backend.argument import number
from backend.errors import BackendError, Unavailable

DONE, REFUSED, UNAVAILABLE = 0, 1, 3
_MOST_DAYS, _MOST_WORKERS = 35, 64


def add_command(market: Any) -> None:
    """Adds it to the group `market`."""
    made = market.add_parser(
        "campaign",
        help="plays many market days on published data and writes their indicators and a report",
        description="Each day: forecast from the days before, own remedies, a day-ahead session, an hourly session near real "
        "time, orders, what simulated customers deliver, settlement, and the grid as it then was.",
        epilog="example: lightnode market campaign --days 30 --first 2026-01-05 --seed 1 --out campaign",
    )
    made.add_argument("--days", type=number(1, _MOST_DAYS), default=30, help="how many, one after the other (30)")
    made.add_argument("--first", type=date.fromisoformat, default=date(2026, 1, 5), help="the first (2026-01-05)")
    made.add_argument(
        "--seed", type=number(0, 10**9), default=1, help="of PODs, offers, and what customers deliver (1)"
    )
    made.add_argument("--out", type=Path, required=True, help="folder for kpi.json, report.html and its pictures")
    made.add_argument("--workers", type=number(1, _MOST_WORKERS), help="processes (as many as processors); same result")
    made.add_argument(
        "--check", choices=("pandapower", "none"), help="another engine looks at every state (pandapower if installed)"
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """The exit code; what was done on stdout, progress and refusals on stderr."""
    try:
        facts = _played(options)
    except (BackendError, OSError) as error:
        print(
            json.dumps({"done": False, "reason": str(error)}) if options.json else "", end="\n" if options.json else ""
        )
        if not options.json:
            print(f"lightnode: {error}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, Unavailable | OSError) else REFUSED
    print(json.dumps({"done": True, **facts}) if options.json else _words(facts))
    return REFUSED if facts["differs"] else DONE


def _played(options: argparse.Namespace) -> dict[str, Any]:
    from backend.adapters.pandapower import is_installed
    from backend.campaign.delivery import Imperfections
    from backend.campaign.kpi import check_document, kpi_document
    from backend.campaign.play import Play, played_all
    from backend.campaign.plots import draw_all
    from backend.campaign.report import page

    check = options.check or ("pandapower" if is_installed() else "none")
    if check == "pandapower" and not is_installed():
        raise Unavailable("pandapower", "is not installed; pip install 'lightnode[import]', or --check none")
    days = [options.first + timedelta(days=k) for k in range(options.days)]
    play = Play(options.seed, Imperfections(), check == "pandapower")
    workers = min(options.workers or os.cpu_count() or 1, len(days))
    if workers == 1:
        records = list(played_all(play, days, None, _Progress(len(days))))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            records = list(played_all(play, days, executor, _Progress(len(days))))
    kpi, looked = kpi_document(records, options.seed), check_document(records)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "kpi.json").write_text(json.dumps(kpi, indent=1, sort_keys=True) + "\n")
    (out / "check.json").write_text(json.dumps(looked, indent=1, sort_keys=True) + "\n")
    (out / "report.html").write_text(page(kpi, looked, draw_all(kpi, out)), encoding="utf-8")
    return {"out": str(out), "campaign": kpi["campaign"], "differs": len(looked["differs"]) if looked else 0,
            "checked_states": looked["states"] if looked else 0}  # fmt: skip


class _Progress:
    """One line a day on a terminal, none in a pipe."""

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0

    def __call__(self, record: Any) -> None:
        self._done += 1
        if sys.stderr.isatty():
            print(f"{record.day}: day {self._done} of {self._count}", file=sys.stderr)


def _words(facts: dict[str, Any]) -> str:
    found = facts["campaign"]
    v, mwh = found["violations"], 3_600_000_000
    lines = [
        f"violations: {v['real_standing']} as the grid stood, {v['real_after_remedy']} after own remedies,"
        f" {v['real_after_market']} after the market; {v['planned']} left by plan, {found['needs_unserved_named']} needs named",
        f"energy: {found['ordered_ws'] / mwh:.2f} MWh ordered, {found['delivered_ws'] / mwh:.2f} MWh delivered",
        f"money: {found['payments_ueur'] / 1e6:.2f} EUR paid, {found['penalties_ueur'] / 1e6:.2f} EUR of penalties,"
        f" {found['unbalanced_ueur']} micro-EUR left over",
        f"renewable energy saved: {found['renewable']['saved_ws'] / mwh:.2f} MWh",
        f"checked: {facts['checked_states']} states by pandapower, {facts['differs']} differences"
        if facts["checked_states"]
        else "not checked by another engine",
        f"report: {facts['out']}/report.html",
    ]
    return "\n".join(lines)
