"""The same single orders for the market and for ASSUME, and what ASSUME's process runs. Nothing of ASSUME is imported here."""

from backend.domain.bids import Buyer, Direction, Offer, Request

_FIRST = 1_960_000
FRAMES, PER_FRAME = 256, 100
_EUR = 1_000_000
_CAP_EUR = 3_000
_NEED_W = 2_000_000

SCRIPT = """
import json, sys, time
from datetime import datetime, timedelta
from types import SimpleNamespace
from assume.markets.clearing_algorithms.simple import PayAsBidRole
rows = json.load(sys.stdin)
start = datetime(2026, 1, 1)
book, products = [], []
for frame, orders in enumerate(rows):
    begin = start + frame * timedelta(minutes=15)
    product = (begin, begin + timedelta(minutes=15), None)
    products.append(product)
    for number, (volume, price) in enumerate(orders):
        book.append({"start_time": product[0], "end_time": product[1], "only_hours": None, "volume": volume,
                     "price": price, "agent_addr": f"a{number}", "bid_id": f"{frame}/{number}"})
role = PayAsBidRole.__new__(PayAsBidRole)
begin = time.process_time()
role.clear(book, products)
print(time.process_time() - begin)
"""


def orders() -> tuple[list[Request], list[Offer], list[list[tuple[float, float]]]]:
    """25,600 offers of one quarter-hour each with one request over all; for ASSUME (MW, EUR/MWh), the demand negative."""
    offers, rows = [], []
    for k in range(FRAMES):
        mine: list[tuple[float, float]] = [(-_NEED_W / 1e6, float(_CAP_EUR))]
        for n in range(PER_FRAME):
            watts, price = 10_000 + (k * 7 + n * 131) % 90 * 1_000, 30 + (k * 31 + n * 17) % 400
            pod = f"P{n:03}"
            offers.append(
                Offer(f"O{k:03}.{n:03}", "A", Direction.UP, {_FIRST + k: watts}, {pod: watts}, price * _EUR, n)
            )
            mine.append((watts / 1e6, float(price)))
        rows.append(mine)
    need = dict.fromkeys(range(_FIRST, _FIRST + FRAMES), _NEED_W)
    return [Request("T", Buyer.TSO, Direction.UP, "substation", need, _CAP_EUR * _EUR)], offers, rows
