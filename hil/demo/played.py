"""What a played day leaves behind, for the one who tells it."""

from dataclasses import dataclass

from backend.demo.day import ExampleDay
from hil.bench import Bench
from hil.demo.cast import Mishaps
from hil.demo.live import Live
from hil.demo.market import Market, Trades
from hil.demo.options import Options
from hil.demo.results import Settlement


@dataclass(slots=True)
class Played:
    """Everything the story is told from; refused: one line per tampered bundle."""

    options: Options
    day: ExampleDay
    market: Market
    trades: Trades
    trouble: Mishaps
    bench: Bench
    live: Live
    settled: Settlement
    produced: int
    lost: int
    verified: int
    refused: list[str]
    wall_s: float
