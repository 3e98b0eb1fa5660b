"""A day's settlement of a given size: groups of ten PODs ordered in each of 96 quarter-hours, most of it delivered."""

import random
import time

from backend.domain.bids import Buyer, Direction, Product
from backend.domain.trade import OrderKind
from backend.market.baseline import Kind, Method
from backend.market.settled import settled_text
from backend.market.settled_document import input_text
from backend.market.settled_input import BaselineRow, Called, MeasuredRow, PodRow, Reserved, SettlementInput
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms
from hil.benches.figure import Figure

_FIRST, _FRAMES, _GROUP = 1_993_108, 96, 10
_EUR = 1_000_000


def day(pods: int, seed: int) -> SettlementInput:
    """The input of a day."""
    chance = random.Random(seed)
    names = [f"IT{k:06}" for k in range(pods)]
    frames = range(_FIRST, _FIRST + _FRAMES)
    awards = [_award(frame, names[k : k + _GROUP]) for frame in frames for k in range(0, pods, _GROUP)]
    points = [(pod, frame) for pod in names for frame in frames]
    steps = PenaltyTable((PenaltyStep(50_000, 500_000), PenaltyStep(500_000, 1_000_000)))
    return SettlementInput(
        "bench", "00" * 32, 1, SettlementTerms((steps,), {"A": 100_000}), tuple(awards), tuple(map(_order, awards)),
        tuple(PodRow(pod, f"owner of {pod}", f"BRP {k % 7}", Method(Kind.SCHEDULE)) for k, pod in enumerate(names)),
        tuple(BaselineRow(pod, frame, 5_000) for pod, frame in points),
        tuple(MeasuredRow(pod, frame, 900 * chance.randint(3_500, 5_000), 1_000_000, None) for pod, frame in points),
    )  # fmt: skip


def _award(frame: int, pods: list[str]) -> Reserved:
    return Reserved(
        f"A-{pods[0]}", "r", frame, 0, False, Buyer.DSO, "A", Direction.UP, Product.ACTIVE, dict.fromkeys(pods, 1_000), 120 * _EUR, 0,
    )  # fmt: skip


def _order(of: Reserved) -> Called:
    return Called(
        f"{of.offer}.{of.frame}", OrderKind.MARKET, of.offer, of.request, of.frame, of.step, of.reserve, of.buyer,
        of.aggregator, of.direction, of.product, of.parts_w, of.price_ueur_per_mwh,
    )  # fmt: skip


def measure(pods: int, seed: int) -> dict[str, Figure]:
    """CPU seconds from the input's text to the settlement's."""
    text = input_text(day(pods, seed))
    begin = time.process_time()
    made = settled_text(text)
    took = time.process_time() - begin
    lines = pods * _FRAMES
    return {
        f"settlement.{lines}": Figure(round(took, 2), "s from text to text"),
        f"settlement.{lines}.bytes": Figure(round(len(made) / lines), "bytes per line"),
    }
