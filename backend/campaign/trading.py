"""One day's sessions in a campaign: what the actors bring to the market day, and what of it is kept.

1. The day-ahead session is about the whole local day; a near-real-time session about each hour, its gate a quarter-hour
   before them. The TSO asks day-ahead only.
2. Customers that are there offer what they can in each quarter-hour by their schedule, up and, where their device can, down;
   the draws of the day set prices.
3. Violations stand with the near-real-time session of their quarter-hour, the last that could do something about them.
4. A need that stays is named, and so is what no customer could relieve.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from backend.adapters.power_grid import PowerGridFlow
from backend.campaign.delivery import Chance, available_w
from backend.campaign.record import Named, SessionRecord
from backend.demo.customer import Customer
from backend.demo.season import Season, SeasonDay
from backend.domain.bids import Buyer, Direction, Offer
from backend.domain.quantity import FRAME_MS, FRAME_S
from backend.flows.market_day import DayTrades, MarketDay, Session, Slot, Trading
from backend.grid.congestion import Limits, Violation
from backend.grid.flow import PowerFlow
from backend.grid.forecast import day_scenarios
from backend.grid.need import Capability
from backend.grid.transmission import parse_transmission, transmission_request
from backend.market.indicators import Campaign
from backend.market.portfolio import Resource, build_offers
from backend.market.settled_day import Sold
from backend.market.settled_energy import EnergyLine

NEAR_FRAMES = 4
NEAR_LEAD = 1
_HOUR_MS = 3_600_000
_DOWN_EUR = (40, 120)  # per MWh
Schedules = Mapping[str, Sequence[int]]


def trades_of(
    season: Season, day: SeasonDay, flow: PowerFlow, here: Sequence[Customer], chance: Chance, baseline_w: Schedules
) -> DayTrades:
    """The day's sessions and orders (rules 1 and 2); here: the customers that offer, baseline_w: of each POD."""
    model = parse_transmission(season.hv_text)
    one = MarketDay(
        flow,
        day.frames,
        lambda gate: day_scenarios(season.network, day.expected(gate)),
        lambda profile: transmission_request(model, profile, PowerGridFlow),
        _trading(season, day, here, chance, baseline_w),
    )
    name = season.calendar.day(day.frames[0]).isoformat()
    near = [
        Slot(f"{name}-rt-{k // NEAR_FRAMES + 1}", day.frames[k : k + NEAR_FRAMES], day.frames[k] - NEAR_LEAD)
        for k in range(0, len(day.frames), NEAR_FRAMES)
    ]
    return one.trade(Slot(f"{name}-da", day.frames, day.day_ahead_gate, tso_asks=True), near)


def _trading(
    season: Season, day: SeasonDay, here: Sequence[Customer], chance: Chance, baseline_w: Schedules
) -> Trading:
    resources = [Resource(c.pod, c.aggregator, c.up_w, c.down_w) for c in here]
    received_ms = day.day_ahead_gate * FRAME_MS - _HOUR_MS
    offers = build_offers(resources, day.frames, chance.draw("offers"), received_ms)
    offers += downward(here, offers, day.frames, chance, received_ms)
    return Trading(
        season.margin_kept,
        Limits(),
        tuple(Capability(c.pod, c.up_w, c.down_w) for c in here),
        {c.pod: c.aggregator for c in season.customers},
        as_available(offers, here, day.frames, baseline_w),
        season.prices["dso_cap_ueur_per_mwh"],
        season.prices["tso_cap_ueur_per_mwh"],
    )


def downward(
    here: Sequence[Customer], offers: Sequence[Offer], frames: Sequence[int], chance: Chance, received_ms: int
) -> tuple[Offer, ...]:
    """An offer to withdraw more of each customer that can and has none yet."""
    there = {pod for offer in offers if offer.direction is Direction.DOWN for pod in offer.shares_w}
    return tuple(
        Offer(
            f"{c.aggregator[-1]}-{c.pod[-4:]}-D", c.aggregator, Direction.DOWN, dict.fromkeys(frames, c.down_w),
            {c.pod: c.down_w}, chance.between(*_DOWN_EUR, "down", c.pod) * 1_000_000, received_ms,
        )
        for c in here
        if c.down_w and c.pod not in there
    )  # fmt: skip


def as_available(
    offers: Sequence[Offer], here: Sequence[Customer], frames: Sequence[int], baseline_w: Schedules
) -> tuple[Offer, ...]:
    """The offers with as much in each quarter-hour as their customers' schedules leave to reduce."""
    by_pod = {c.pod: c for c in here}
    found = []
    for offer in offers:
        if offer.direction is Direction.UP:
            whole_w = sum(by_pod[pod].up_w for pod in offer.shares_w)
            can_w = {
                frame: sum(available_w(by_pod[pod], baseline_w[pod][k]) for pod in offer.shares_w)
                for k, frame in enumerate(frames)
            }
            volume_w = {f: w * can_w[f] // whole_w for f, w in offer.volume_w.items()}
            offer = replace(offer, volume_w={f: w for f, w in volume_w.items() if w} or {frames[0]: 1})
        found.append(offer)
    return tuple(found)


def session_records(
    trades: DayTrades,
    lines: Sequence[EnergyLine],
    registered: frozenset[str],
    before: Sequence[Violation],
    after: Sequence[Violation],
) -> tuple[SessionRecord, ...]:
    """What is kept of each session; before and after: violations without and with the market (rule 3)."""
    found = []
    for frames, session in _sessions(trades):
        mine = {request.id for request in session.requests}
        what = Campaign(
            session.requests,
            session.offers,
            session.outcome,
            tuple(line for line in lines if line.request in mine),
            registered,
            sum(v.frame in frames for v in before),
            sum(v.frame in frames for v in after),
        )
        found.append(SessionRecord(session.outcome.session, what, session.rounds, _requested_ws(session)))
    return tuple(found)


def sold_of(trades: DayTrades) -> list[Sold]:
    """What each session sold."""
    return [Sold(session.outcome, session.offers, session.requests) for _, session in _sessions(trades)]


def _sessions(trades: DayTrades) -> Iterator[tuple[frozenset[int], Session]]:
    """Each with the quarter-hours it has the last word about."""
    yield frozenset(), trades.day_ahead
    for stage in trades.stages:
        yield frozenset(stage.frames), stage.session


def _requested_ws(session: Session) -> dict[str, int]:
    least_w = sum(abs(w) for row in session.sizing.least_w.values() for w in row)
    tso_w = sum(w for r in session.requests if r.buyer is Buyer.TSO for w in r.need.values())
    return {"DSO": least_w * FRAME_S, "TSO": tso_w * FRAME_S}


def unserved_of(trades: DayTrades) -> Iterator[Named]:
    """Rule 4: of each session, the requests' rest and the elements that nobody could relieve."""
    for _, session in _sessions(trades):
        name, requests = session.outcome.session, {r.id: r for r in session.requests}
        for (id, frame), amount in session.outcome.unserved.items():
            yield Named(name, id, requests[id].element, frame, amount, "W" if requests[id].by_volume else "ppt")
        for v in session.sizing.unserved:
            yield Named(name, "", v.element, v.frame, v.amount_ppt, "ppt")
