"""The words of `lightnode market baselines`."""

from datetime import time
from pathlib import Path
from typing import Any

from backend.argument import number


def add_words(parser: Any) -> None:
    """Its options."""
    parser.add_argument("profiles", type=Path, help="CSV of quarter-hours: time in UTC, a column of W per POD")
    parser.add_argument("--schedules", type=Path, help="the same with what the BRPs had forecast (I-03)")
    parser.add_argument(
        "--from", type=time.fromisoformat, default=time(17), dest="begin", help="of the window, local time (17:00)"
    )
    parser.add_argument("--to", type=time.fromisoformat, default=time(20), dest="end", help="its end (20:00)")
    parser.add_argument("--zone", default="Europe/Rome", help="the market's clock (Europe/Rome)")
    parser.add_argument("--mid", type=number(1, 400), default=8, metavar="X", help="X of the mid X of Y (8)")
    parser.add_argument("--high", type=number(1, 400), default=5, metavar="X", help="X of the high X of Y (5)")
    parser.add_argument("--of", type=number(1, 400), default=10, metavar="Y", help="Y of both (10)")
    parser.add_argument("--look-back-days", type=number(1, 400), default=45, help="how far they look (45)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
