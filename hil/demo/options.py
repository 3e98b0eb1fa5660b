"""What the demo may be told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from hil.argument import whole_number


@dataclass(frozen=True, slots=True)
class Options:
    """speed: virtual seconds per wall second, None as fast as it goes. nodes: customers with a light node."""

    out: Path
    speed: float | None
    nodes: int
    seed: int
    keep_running: bool
    quarters: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's options."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo-output"), help="folder for the results (default demo-output)"
    )
    parser.add_argument("--speed", type=_speed, default=None, help="virtual seconds per second, or 'max' (default)")
    parser.add_argument(
        "--nodes", type=whole_number(12, 16), default=12, help="customers with a light node, 12 to 16 (default 12)"
    )
    parser.add_argument(
        "--seed", type=whole_number(1, 10**6), default=1, help="of POD codes, prices and loads (default 1)"
    )
    parser.add_argument("--keep-running", action="store_true", help="afterwards keep the chain readable until Ctrl-C")


def options_of(parsed: argparse.Namespace) -> Options:
    """Checked options."""
    return Options(parsed.out, parsed.speed, parsed.nodes, parsed.seed, parsed.keep_running, 8)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 <= speed <= 10_000:
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 to 10000, or 'max'")
    return speed
