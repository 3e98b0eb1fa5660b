"""`lightnode market baselines PROFILES`: error and bias of each method on profiles of one's own."""

import argparse
import json
import sys
from pathlib import Path

from backend.adapters.history import read_history
from backend.domain.local_day import Calendar
from backend.errors import BackendError
from backend.market.baseline_report import Judged, methods, report

DONE, REFUSED, UNAVAILABLE = 0, 1, 3


def run(options: argparse.Namespace) -> int:
    """The exit code; the report on stdout, a refusal in one line on stderr."""
    try:
        windows, judged = _judged(options)
    except (BackendError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(json.dumps({"done": False, "reason": reason}) if options.json else "", end="\n" if options.json else "")
        if not options.json:
            print(f"lightnode: {reason}", file=sys.stderr)
        return UNAVAILABLE if isinstance(error, OSError) else REFUSED
    if options.json:
        rows = [{"method": one.method, **_facts(one)} for one in judged]
        print(json.dumps({"done": True, "windows": windows, "methods": rows}))
    else:
        print(f"{windows} windows; error and bias in per cent of what was measured")
        for one in judged:
            print(
                f"{one.method:32} {one.accuracy.made:6} made {one.accuracy.unmade:6} not"
                f" {one.accuracy.error_ppm / 10_000:8.1f} {one.accuracy.bias_ppm / 10_000:+8.1f}"
            )
    return DONE


def _judged(options: argparse.Namespace) -> tuple[int, tuple[Judged, ...]]:
    first, last = (at.hour * 4 + at.minute // 15 for at in (options.begin, options.end))
    compared = methods(options.mid, options.high, options.of, options.look_back_days)
    schedules = {} if options.schedules is None else _table(options.schedules)
    return report(_table(options.profiles), schedules, (first, last or 96), compared, Calendar(options.zone))


def _table(path: Path) -> dict[str, dict[int, int]]:
    """W by POD and quarter-hour."""
    history = read_history(path)
    return {
        name: {history.first_frame + k: int(w) for k, w in enumerate(history.values[:, column])}
        for column, name in enumerate(history.names)
    }


def _facts(one: Judged) -> dict[str, int]:
    found = one.accuracy
    return {"made": found.made, "unmade": found.unmade, "error_ppm": found.error_ppm, "bias_ppm": found.bias_ppm}
