"""From what was played to the story: series for the plots, rows for the tables, the summary."""

from collections.abc import Sequence

from lightwire import envelope, records
from lightwire.decision import BAD_SIGNATURE, REASONS

from backend.domain.quantity import FRAME_MS
from backend.domain.trade import Fate, Order, Outcome
from backend.evidence.anchoring import ANCHORED, FINAL
from backend.flows.market_day import Session
from backend.grid.congestion import Violation
from backend.grid.series import series, with_measured
from backend.market.canonical import outcome_hash
from backend.market.settled_order import Source
from hil.demo.played import Played
from hil.demo.results import violations_measured
from hil.demo.story import ElementSeries, Event, OfferRow, PodSeries, Proof, Story
from hil.demo.story import Payment as StoryPayment

SLOTS_PER_FRAME = 225
SLOT_MS = 4000
EVERY = 5


def tell(played: Played) -> Story:
    """The story of a played day."""
    frames = played.live.frames
    story = Story(
        f"A market day on a rural grid: {played.day.day.isoformat()}", frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS
    )  # fmt: skip
    left = _grid(played, story)
    for pod in played.bench.nodes:
        story.pods.append(_pod(played, pod))
    for session in (played.trades.day_ahead, played.trades.near_real_time):
        _session(played, session, story)
    story.payments = [StoryPayment(p.payer, p.payee, p.amount_ueur, p.what.value) for p in played.settled.day.payments]
    story.summary = summary(played, left)
    found = [*played.live.events, *_from_records(played), *_short(played)]
    story.events = sorted(found, key=lambda event: event.time_ms)
    story.events.append(Event(story.end_ms, f"settled, anchored and checked after {played.wall_s:.0f} s of wall time"))
    _proofs(played, story)
    return story


def _grid(played: Played, story: Story) -> tuple[Violation, ...]:
    market, trades = played.market, played.trades
    actual = market.actual(trades.day_ahead.scenarios)
    frames = played.live.frames
    rows = list(range(len(frames)))
    actual = actual.rows(rows)
    found, base, mean = violations_measured(market, played.day, actual, played.settled.measured, frames)
    measured = with_measured(played.day.network, actual, base, mean)
    before, planned = trades.expected.rows(rows), trades.planned.rows(rows)
    named = {"before": before, "planned": planned, "measured": measured}
    for trace in series(market.flow, named, frames, played.day.limits, count=4):
        loading = (trace.unit != "micro-pu" and "line" in trace.element) or "transformer" in trace.element
        nearest = min((abs(v - limit), limit) for v in trace.values["before"] for limit in (trace.low, trace.high))[1]
        story.elements.append(
            ElementSeries(
                f"{trace.element} {trace.name}".strip(), "loading" if loading else "voltage",
                trace.high if loading else nearest, trace.frames[0],
                trace.values["before"], trace.values["planned"], trace.values["measured"],
            )
        )  # fmt: skip
    return found


def _pod(played: Played, pod: str) -> PodSeries:
    frames, trades = played.live.frames, played.trades
    customer = next(c for c in played.day.customers if c.pod == pod)
    targets = {p.frame: p.target_w for made in played.live.plans_made.values() for p in made if p.pod == pod}
    baseline = [trades.baseline_w[pod, f] for f in frames]
    device = played.bench.nodes[pod].device
    store = played.bench.backend.store
    readings = store.readings(device, frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS)
    return PodSeries(
        pod, customer.owner, customer.aggregator, f"{customer.owner} ({customer.kind.replace('_', ' ')})", frames[0],
        tuple(baseline), tuple(targets.get(f) for f in frames), tuple(targets.get(f) for f in frames),
        tuple(b if f in targets else None for f, b in zip(frames, baseline, strict=True)),
        tuple((t, w) for t, w, _, _ in readings[::EVERY]), tuple(_gaps(played, device)),
    )  # fmt: skip


def _session(played: Played, session: Session, story: Story) -> None:
    name = session.outcome.session
    first = played.day.first_frame
    for request in session.requests:
        quarters = ", ".join(str(f - first) for f in sorted(request.need))
        unit = 10**10 if request.element != "substation" else 1000
        need = ", ".join(f"{n / unit:.1f}" for _, n in sorted(request.need.items()))
        left = {f: n for (r, f), n in session.outcome.unserved.items() if r == request.id}
        what = f"{need} {'% of ' + request.element if request.element != 'substation' else 'kW below the substation'}"
        story.requests.append(
            (request.id, quarters, what, ", ".join(f"quarter {f - first}: {n}" for f, n in left.items()) or "none")
        )
    offers = {o.id: o for o in session.offers}
    for result in session.outcome.results:
        offer = offers[result.offer]
        reason = result.reason.value + (f" ({result.element})" if result.element else "")
        story.offers.append(
            OfferRow(
                name, offer.id, offer.aggregator, offer.direction.value, offer.price_ueur_per_mwh,
                result.offered_w // 4, result.accepted_w // 4, result.fate.value, reason,
            )
        )  # fmt: skip


def _from_records(played: Played) -> list[Event]:
    """What the light nodes themselves signed about it: set-points refused, slots without a reading."""
    store, found = played.bench.backend.store, []
    for pod, node in played.bench.nodes.items():
        for said in _decisions(played, node.device):
            if said.outcome == records.REFUSED:
                what = f"{pod}: the light node refuses a set-point of {said.setpoint.hex()[:8]}: {REASONS[said.reason]}"
                found.append(Event(said.time_ms, what))
        for kept in store.of_kind(node.device, records.GAP):
            gap = envelope.peek(kept.sealed)
            found.append(Event(gap.end_ms, f"{pod}: {gap.slots} slots without a reading are named in a signed gap"))
    return found


def _decisions(played: Played, device: bytes) -> list[records.Decision]:
    return [envelope.peek(kept.sealed) for kept in played.bench.backend.store.of_kind(device, records.DECISION)]


def _short(played: Played) -> list[Event]:
    """Who delivered less than ordered, and what was settled from registers."""
    found = []
    for pod in played.bench.nodes:
        mine = [line for line in played.settled.day.lines if line.pod == pod]
        ordered, paid = sum(x.ordered_ws for x in mine), sum(x.paid_ws for x in mine)
        if ordered and paid * 100 < ordered * 95:
            what = f"{pod}: delivered {100 * paid // ordered} % of what was ordered; the rest is unpaid and penalised"
            found.append(Event(played.live.frames[-1] * FRAME_MS, what))
        for line in mine:
            if line.source is Source.REGISTERS:
                what = f"{pod}: settled from the meter's registers, the readings of the quarter-hour are incomplete"
                found.append(Event((line.frame + 1) * FRAME_MS, what))
                break
    return sorted(found, key=lambda e: e.time_ms)


def _count(outcomes: Sequence[Outcome], fate: Fate) -> int:
    return sum(result.fate is fate for outcome in outcomes for result in outcome.results)


def summary(played: Played, left: tuple[Violation, ...]) -> dict[str, object]:
    """summary.json."""
    trades, settled, store = played.trades, played.settled.day, played.bench.backend.store
    outcomes = [trades.day_ahead.outcome, trades.near_real_time.outcome]
    frames, first = played.live.frames, played.day.first_frame
    live = [
        store.readings(n.device, frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS) for n in played.bench.nodes.values()
    ]
    rows = store.setpoints()
    return {
        "nodes": len(played.bench.nodes),
        "slots_expected": len(frames) * SLOTS_PER_FRAME * len(played.bench.nodes),
        "slots_with_reading": sum(len(r) for r in live),
        "readings_produced": played.produced,
        "readings_stored": played.produced - played.lost,
        "readings_lost": played.lost,
        "slots_missed_named": _missed_in_gaps(played, live),
        "receipts_verified_on_device": sum(played.live.receipts.values()),
        "anchors": sum(state in (ANCHORED, FINAL) for _, _, _, state, _ in store.epochs()),
        "violations_forecast": len(trades.forecast_violations),
        "violations_after_own_remedies": len(trades.after_remedy),
        "violations_planned": len(trades.planned_violations),
        "violations_planned_named": [_named(v, first) for v in trades.planned_violations],
        "unserved": [
            {"request": request, "quarter": frame - first, "need": need}
            for outcome in outcomes
            for (request, frame), need in sorted(outcome.unserved.items())
        ],
        "violations_measured": len(left),
        "violations_measured_named": [_named(v, first) for v in left],
        "offers": sum(len(outcome.results) for outcome in outcomes),
        "offers_accepted": _count(outcomes, Fate.ACCEPTED),
        "offers_cut": _count(outcomes, Fate.CUT),
        "offers_rejected": _count(outcomes, Fate.REJECTED),
        "orders": len(trades.orders),
        "awarded_but_not_ordered_w": _not_ordered(outcomes, trades.orders),
        "setpoints_sent": len(rows),
        "setpoints_applied": sum(_applied(row.execution) for row in rows),
        "setpoints_forged_refused": sum(
            said.outcome == records.REFUSED and said.reason == BAD_SIGNATURE
            for node in played.bench.nodes.values()
            for said in _decisions(played, node.device)
        ),
        "energy_ordered_ws": sum(line.ordered_ws for line in settled.lines),
        "energy_delivered_ws": sum(line.delivered_ws for line in settled.lines),
        "energy_paid_ws": sum(line.paid_ws for line in settled.lines),
        "payments_balance_ueur": settled.unbalanced_ueur,
        "bundles_verified": played.verified,
        "tampered_bundles_refused": len(played.refused),
        "outcome_hash": outcome_hash(outcomes),
        "settlement_hash": settled.sha256,
        "seed": played.options.seed,
        "wall_s": round(played.wall_s, 1),
    }


def _named(violation: Violation, first_frame: int) -> dict[str, object]:
    quarter = violation.frame - first_frame
    return {"element": violation.element, "quarter": quarter, "amount_ppm": violation.amount_ppt // 10**6}


def _not_ordered(outcomes: Sequence[Outcome], orders: Sequence[Order]) -> int:
    """What the revalidation of the set that is really active took away from the awards [W]."""
    awarded = sum(award.volume_w for outcome in outcomes for award in outcome.awards)
    return awarded - sum(sum(order.parts_w.values()) for order in orders)


def _gaps(played: Played, device: bytes) -> list[tuple[int, int]]:
    """[start, end) of every signed gap of a device, in UTC ms."""
    kept = played.bench.backend.store.of_kind(device, records.GAP)
    gaps = [records.decode(envelope.split(one.sealed)[0]) for one in kept]
    return [(gap.start_ms, gap.end_ms) for gap in gaps if isinstance(gap, records.Gap)]


def _missed_in_gaps(played: Played, live: Sequence[Sequence[tuple[int, int, int, int]]]) -> int:
    """Slots of the window that have no reading and lie in a signed gap, as the store has them."""
    frames, found = played.live.frames, 0
    window = range(frames[0] * FRAME_MS, (frames[-1] + 1) * FRAME_MS, SLOT_MS)
    for node, rows in zip(played.bench.nodes.values(), live, strict=True):
        missing = set(window) - {row[0] for row in rows}
        gaps = _gaps(played, node.device)
        found += sum(any(start <= slot < end for start, end in gaps) for slot in missing)
    return found


def _applied(execution: bytes) -> bool:
    if not execution:
        return False
    record = records.decode(envelope.split(execution)[0])
    return isinstance(record, records.Execution | records.EmsReport) and record.state == records.APPLIED


def _proofs(played: Played, story: Story) -> None:
    s = story.summary
    nodes, slots = int(str(s["nodes"])), int(str(s["slots_with_reading"])) + int(str(s["slots_missed_named"]))
    accounted = sum(int(str(s[f"offers_{fate}"])) for fate in ("accepted", "cut", "rejected"))
    epochs = played.bench.backend.store.epochs()
    story.proofs = [
        Proof(
            "Every journalled reading reached the store", s["readings_lost"] == 0,
            f"{s['readings_produced']} produced, {s['readings_lost']} lost",
        ),
        Proof(
            "Every 4 s slot is a signed reading or lies in a signed gap", slots == s["slots_expected"],
            f"{s['slots_with_reading']} of {s['slots_expected']}, {s['slots_missed_named']} in gaps",
        ),
        Proof(
            "Every offer has one fate and its reason", accounted == s["offers"],
            f"{s['offers']} offers: {s['offers_accepted']} accepted, {s['offers_cut']} cut, {s['offers_rejected']} rejected",
        ),
        Proof(
            "What the plan leaves violated is published as unserved", not s["violations_planned"] or bool(s["unserved"]),
            f"{s['violations_planned']} violations planned",
        ),
        Proof("The forged set-point was refused", s["setpoints_forged_refused"] == 1, f"{s['setpoints_forged_refused']} refused"),
        Proof("The money of all parties is what the lines say", s["payments_balance_ueur"] == 0, "to the micro-euro"),
        Proof(
            "Devices checked their receipts against the log key", _receipts_complete(played),
            f"{s['receipts_verified_on_device']} receipts",
        ),
        Proof("Every epoch's commitment is final on chain", all(row[3] == FINAL for row in epochs), f"{s['anchors']} epochs"),
        Proof(
            "Each customer's bundle verifies against anchors from outside", s["bundles_verified"] == nodes,
            f"{s['bundles_verified']} of {nodes} bundles",
        ),
        Proof("A bundle with one changed byte is refused", len(played.refused) == nodes, f"{len(played.refused)} of {nodes}"),
        *[Proof("One byte was changed", True, reason) for reason in played.refused],
    ]  # fmt: skip


def _receipts_complete(played: Played) -> bool:
    """Whether each running device has a checked receipt for all its statements but the youngest."""
    return all(int(facts["awaiting"]) <= 1 for facts in played.bench.facts.values())
