"""What an outcome (I-08) means for an owner: what is reserved of its PODs and at what price, and the planning (I-14).

1. Of each award an owner sees its own PODs' part: when, which way, W, whether for the need or as its reserve, and the price it
   is paid for what it delivers: the award's less the aggregator's fee, rounded down.
2. The planning is the POD's power (W, withdrawal positive) in each quarter-hour if all that is reserved is ordered: baseline
   plus the changes of its awards, rebounds included, on top of the planning of earlier sessions: of several the last one
   that has the quarter-hour, since it has those before it. Without an order the POD stands at its baseline.
3. Every part of an award of the aggregator's offers is in one owner's document; a POD without owner or baseline is named.
4. An owner holds what it gets against what it declared: more W than declared, a quarter-hour or a POD that was not, is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from backend.domain.bids import Direction, Offer, Product
from backend.domain.quantity import PPM
from backend.domain.trade import Award, Outcome, Plan
from backend.errors import Rejected
from backend.market import form
from backend.market.availability import Availability
from backend.market.awarded import changes

FORMAT = "lightnode-reservation/1"


@dataclass(frozen=True, slots=True)
class Reserved:
    """A POD's part of an award: W in a direction, the price the buyer pays and what of it is the owner's (micro-EUR/MWh)."""

    pod: str
    frame: int
    direction: Direction
    offer: str
    request: str
    volume_w: int
    reserve: bool
    price_ueur_per_mwh: int
    owner_ueur_per_mwh: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one owner is told after a session. plans (I-14): see rule 2; baseline_w: by POD and quarter-hour, of the plans."""

    session: str
    aggregator: str
    owner: str
    fee_ppm: int
    reserved: tuple[Reserved, ...]
    plans: tuple[Plan, ...]
    baseline_w: Mapping[tuple[str, int], int]


def reservations(
    outcome: Outcome,
    offers: Iterable[Offer],
    owner_of: Mapping[str, str],
    baseline_w: Mapping[tuple[str, int], int],
    fee_ppm: int,
    earlier: Iterable[Reservation] = (),
) -> tuple[Reservation, ...]:
    """One for each owner whose PODs were awarded something, by owner; offers: the aggregator's own, of which awards count;
    earlier: what other sessions reserved, in their order."""
    mine = {offer.id: offer for offer in offers if offer.product is Product.ACTIVE}
    aggregators = {offer.aggregator for offer in mine.values()}
    if len(aggregators) > 1:
        raise Rejected(f"offers: of {', '.join(sorted(aggregators))}, expected those of one aggregator")
    if not 0 <= fee_ppm <= PPM:
        raise Rejected(f"fee_ppm = {fee_ppm}, expected 0 to {PPM}")
    awards = [award for award in outcome.awards if award.offer in mine]
    rows = [row for award in awards for row in _rows(award, mine[award.offer], fee_ppm)]
    before_w = {
        (plan.pod, plan.frame): plan.target_w - one.baseline_w[plan.pod, plan.frame]
        for one in earlier
        for plan in one.plans
    }
    plans, of_plans = _plans(changes(mine.values(), awards), baseline_w, before_w)
    pods = sorted({row.pod for row in rows} | {plan.pod for plan in plans})
    unknown = [pod for pod in pods if pod not in owner_of]
    if unknown:
        raise Rejected(f"reservation of {unknown[0]}: no owner has declared it")
    found = []
    for owner in sorted({owner_of[pod] for pod in pods}):
        own = {pod for pod in pods if owner_of[pod] == owner}
        found.append(
            Reservation(
                outcome.session, min(aggregators), owner, fee_ppm, tuple(sorted((r for r in rows if r.pod in own), key=_place)),
                tuple(plan for plan in plans if plan.pod in own), {key: w for key, w in of_plans.items() if key[0] in own},
            )
        )  # fmt: skip
    return tuple(found)


def _place(row: Reserved) -> tuple[object, ...]:
    return row.pod, row.frame, row.offer, row.request, row.reserve, row.price_ueur_per_mwh, row.volume_w


def _rows(award: Award, offer: Offer, fee_ppm: int) -> list[Reserved]:
    price = offer.price_ueur_per_mwh if award.price_ueur_per_mwh is None else award.price_ueur_per_mwh
    net = price * (PPM - fee_ppm) // PPM
    return [
        Reserved(pod, award.frame, offer.direction, award.offer, award.request, w, award.reserve, price, net)
        for pod, w in award.parts_w.items()
        if w
    ]


def _plans(
    change: Mapping[int, Mapping[str, int]],
    baseline_w: Mapping[tuple[str, int], int],
    before_w: Mapping[tuple[str, int], int],
) -> tuple[list[Plan], dict[tuple[str, int], int]]:
    """Rule 2, by POD and quarter-hour."""
    plans, of_plans = [], {}
    for pod, frame, watts in sorted((pod, frame, w) for frame, row in change.items() for pod, w in row.items() if w):
        if (pod, frame) not in baseline_w:
            raise Rejected(f"planning of {pod}: no baseline in quarter-hour {frame}")
        of_plans[pod, frame] = baseline_w[pod, frame]
        plans.append(Plan(pod, frame, baseline_w[pod, frame] + before_w.get((pod, frame), 0) + watts, ()))
    return plans, of_plans


def reserved_w(made: Iterable[Reservation]) -> dict[tuple[str, int, Direction], int]:
    """W that is not there again, by POD, quarter-hour and direction."""
    found: dict[tuple[str, int, Direction], int] = {}
    for one in made:
        for row in one.reserved:
            key = row.pod, row.frame, row.direction
            found[key] = found.get(key, 0) + row.volume_w
    return found


def beyond(one: Reservation, declared: Sequence[Availability]) -> list[str]:
    """What of a reservation the owner has not declared (rule 4), by POD and quarter-hour."""
    able: dict[tuple[str, int, Direction], int] = {}
    for row in declared:
        if (row.owner, row.aggregator) == (one.owner, one.aggregator):
            for direction in Direction:
                able |= {(row.pod, frame, direction): w for frame, w in row.w(direction).items()}
    found = []
    for (pod, frame, direction), w in sorted(reserved_w([one]).items()):
        most = able.get((pod, frame, direction), 0)
        if w > most:
            found.append(f"{pod} {direction} in quarter-hour {frame}: {w} W are reserved, {most} were declared")
    return found


def reservation_text(one: Reservation) -> str:
    """A reservation as a document."""
    plan = [
        {"pod": p.pod, "frame": p.frame, "baseline_w": one.baseline_w[p.pod, p.frame], "target_w": p.target_w}
        for p in one.plans
    ]
    rows = [{f.name: getattr(row, f.name) for f in fields(row)} for row in one.reserved]
    return form.written(
        {
            "format": FORMAT, "session": one.session, "aggregator": one.aggregator, "owner": one.owner,
            "fee_ppm": one.fee_ppm, "reserved": rows, "plan": plan,
        }
    )  # fmt: skip


def reservation_of(text: str) -> Reservation:
    """The same read; Rejected in one line, too where its numbers do not follow from each other."""
    kinds = {
        "format": str, "session": str, "aggregator": str, "owner": str, "fee_ppm": int, "reserved": list, "plan": list,
    }  # fmt: skip
    document = form.fields(form.read(text, FORMAT, "reservation"), "reservation", kinds)
    reserved = []
    for number, row in enumerate(form.rows(document, "reserved"), 1):
        reserved.append(_reserved(row, f"reservation {number}", document["fee_ppm"]))
    plans: list[Plan] = []
    baseline_w: dict[tuple[str, int], int] = {}
    of_plan = {"pod": str, "frame": int, "baseline_w": int, "target_w": int}
    for number, row in enumerate(form.rows(document, "plan"), 1):
        taken = form.fields(row, f"plan {number}", of_plan)
        if (taken["pod"], taken["frame"]) in baseline_w:
            raise Rejected(f"plan {number}: {taken['pod']} in quarter-hour {taken['frame']} stands twice")
        baseline_w[taken["pod"], taken["frame"]] = taken["baseline_w"]
        plans.append(Plan(taken["pod"], taken["frame"], taken["target_w"], ()))
    return Reservation(
        document["session"], document["aggregator"], document["owner"], document["fee_ppm"], tuple(reserved), tuple(plans),
        baseline_w,
    )  # fmt: skip


def _reserved(row: object, where: str, fee_ppm: int) -> Reserved:
    kinds = {
        "pod": str, "frame": int, "direction": str, "offer": str, "request": str, "volume_w": int, "reserve": bool,
        "price_ueur_per_mwh": int, "owner_ueur_per_mwh": int,
    }  # fmt: skip
    taken = form.fields(row, where, kinds)
    if taken["direction"] not in list(Direction):
        raise Rejected(f"{where} direction = {taken['direction']!r:.60}, expected up or down")
    if taken["volume_w"] < 1:
        raise Rejected(f"{where} volume_w = {taken['volume_w']}, expected 1 or more")
    net = taken["price_ueur_per_mwh"] * (PPM - fee_ppm) // PPM
    if taken["owner_ueur_per_mwh"] != net:
        raise Rejected(f"{where} owner_ueur_per_mwh = {taken['owner_ueur_per_mwh']}, the price less the fee is {net}")
    return Reserved(**taken | {"direction": Direction(taken["direction"])})
