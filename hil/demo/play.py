"""The day from the first forecast to the last payment: `play` runs it and gives back the story."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from lightwire import records

from backend.adapters.ethereum import EmbeddedChain
from backend.demo.day import ExampleDay, load_day
from backend.demo.terms import TERMS
from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_MS
from backend.market.canonical import text
from backend.market.settled import settlement_text
from backend.market.settled_day import SettledDay
from backend.market.statement import orders_document, outcome_document, totals_document
from hil.bench import Bench
from hil.demo.cast import Mishaps, cast, mishaps, site_customer
from hil.demo.live import Live
from hil.demo.market import Market, Trades
from hil.demo.options import Options
from hil.demo.played import Played
from hil.demo.proof import check_bundles
from hil.demo.reserved import hand_over
from hil.demo.results import hand_out, settle, statement
from hil.demo.story import Story
from hil.demo.tell import tell
from hil.output import own

WARM_SLOTS = 60
Progress = Callable[[str], None]


def play(options: Options, progress: Progress, finish: Callable[[Story], None]) -> Story:
    """Runs the day and writes anchors and bundles to options.out; finish is called with the story once it can be told."""
    began = time.monotonic()
    work = _clean(options.out)
    day = load_day(seed=options.seed)
    customers = cast(day, options.nodes)
    trouble = mishaps(customers)
    market = Market(day, options.seed, customers)
    progress("market: day-ahead and near-real-time sessions")
    trades = market.trade()
    hand_over(trades, customers, options.out / "reservations")
    sites = [site_customer(day, c, k, trouble) for k, c in enumerate(customers, 1)]
    start_ms = day.window_first * FRAME_MS - WARM_SLOTS * 4000
    progress(f"starting broker, chain, {len(sites)} meters, light nodes and agents")
    with Bench(
        work, start_ms=start_ms, speed=options.speed, customers=sites, seed=str(options.seed), with_agents=True
    ) as bench:
        _file_market(bench, trades, day)
        live = Live(
            bench,
            market.frames[: options.quarters],
            trades.orders,
            trades.baseline_w,
            trouble,
            lambda a, b: progress(f"live: {100 * a // b} %"),
        )
        live.say("light nodes, meters and agents are up; the market has cleared")
        bench.warm_up()
        live.run()
        story = tell(_close(options, day, market, trades, trouble, live, progress, began))
        finish(story)
        if options.keep_running:
            _keep(bench.chain, progress)
    return story


def _clean(out: Path) -> Path:
    """The output folder with nothing of an earlier run in it; its work folder. Nothing that is not ours is touched."""
    own(
        out,
        "demo",
        ("work", "bundles", "reservations", "statements", "summary.json", "story.json", "report.html", "anchors.json"),
    )
    (out / "bundles").mkdir()
    return (out / "work").resolve()


def _file_market(bench: Bench, trades: Trades, day: ExampleDay) -> None:
    """Books, outcomes and each POD's orders become evidence before the window begins."""
    trees = bench.backend.trees
    for session in (trades.day_ahead, trades.near_real_time):
        name, at = session.outcome.session, bench.conductor.now_ms
        trees.add_document(records.TREE_MARKET, "requests", name, 1, text(session.requests), at)
        trees.add_document(records.TREE_MARKET, "offers", name, 1, text(session.offers), at)
        trees.add_document(records.TREE_MARKET, "outcome", name, 1, text(session.outcome), at)
    at = bench.conductor.now_ms
    trees.add_document(records.TREE_MARKET, "orders", str(day.day), 1, text(trades.orders), at)
    aggregator_of = _aggregator_of(trades)
    for pod in sorted(bench.nodes):
        mine = text(orders_document(pod, trades.orders, aggregator_of, TERMS))
        trees.add_document(records.TREE_MARKET, "orders", pod, 1, mine, at)
        became = text(
            outcome_document(pod, [(one.outcome, one.offers) for one in (trades.day_ahead, trades.near_real_time)])
        )
        trees.add_document(records.TREE_MARKET, "outcome", pod, 1, became, at)


def _aggregator_of(trades: Trades) -> dict[str, str]:
    """By offer."""
    return {o.id: o.aggregator for session in (trades.day_ahead, trades.near_real_time) for o in session.offers}


def _receipts(bench: Bench) -> None:
    """Until the devices have checked the receipts of all statements but the youngest, which is not anchored yet."""
    for _ in range(80):
        bench.tick()
        time.sleep(0.02)
        if all(int(f["awaiting"]) <= 1 for f in bench.facts.values()):
            return
        for pod in bench.facts:
            bench.backend.send_receipts_again(bench.nodes[pod].device)
        time.sleep(0.1)


def _close(
    options: Options, day: ExampleDay, market: Market, trades: Trades, trouble: Mishaps, live: Live,
    progress: Progress, began: float,
) -> Played:  # fmt: skip
    """Settles the window, lives on until its settlement is final on chain, and hands out the bundles."""
    bench = live.bench
    progress("draining and settling")
    bench.drain()
    devices = {pod: node.device for pod, node in bench.nodes.items()}
    settled = settle(bench.backend.store, devices, day.customers, live.frames, trades, Calendar(day.zone))
    _file_statements(bench, settled.day, live.frames)
    hand_out(settled.day, options.out / "statements")
    progress("anchoring the settlement")
    epoch = live.run_out()
    _receipts(bench)
    bench.drain()
    said = {(pod, row["seq"]) for pod in devices for row in bench.produced(pod)}
    store = bench.backend.store
    kept = {(pod, row.seq) for pod, device in devices.items() for row in store.of_kind(device, records.READING)}
    progress("writing and checking bundles")
    verified, refused = _bundles(options.out, bench, devices, live.frames, epoch, bench.conductor.now_ms)
    return Played(
        options, day, market, trades, trouble, bench, live, settled, len(said | kept), len(said - kept), verified, refused,
        time.monotonic() - began,
    )  # fmt: skip


def _file_statements(bench: Bench, settled: SettledDay, frames: list[int]) -> None:
    """Each session's settlement becomes evidence, and what the customers get in hand of it."""
    period = (frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS)
    trees, at = bench.backend.trees, bench.conductor.now_ms
    for made in settled.settlements:
        trees.add_document(records.TREE_SETTLEMENT, "settlement", made.session, 1, settlement_text(made), at)
    for one in settled.orders:
        if one.members > 1:
            trees.add_document(records.TREE_SETTLEMENT, "totals", one.order, 1, text(totals_document(one)), at)
    for pod in sorted(bench.nodes):
        body = statement(bench.backend.store, pod, period, settled.lines)
        trees.add_document(records.TREE_SETTLEMENT, "statement", pod, 1, body, at)


def _bundles(
    out: Path, bench: Bench, devices: dict[str, bytes], frames: list[int], epoch: int, now_ms: int
) -> tuple[int, list[str]]:
    """Writes the anchors and one bundle per customer, and has each checked."""
    anchors = out / "anchors.json"
    anchors.write_text(json.dumps(bench.backend.anchors(), indent=1) + "\n")
    period = (frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS)
    paths = []
    for pod in sorted(devices):
        paths.append(out / "bundles" / f"{pod}.json")
        paths[-1].write_text(bench.backend.bundle(pod, period, epoch, now_ms))
    return check_bundles(paths, anchors)


def _keep(chain: EmbeddedChain, progress: Progress) -> None:
    """Serves the chain until the user has had enough."""
    progress(f"the chain answers at {chain.serve()}; Ctrl-C ends")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
