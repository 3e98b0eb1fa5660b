"""An aggregator's book: the sum of its PODs' baselines, and offers (I-05) made from what they can do.

1. A POD is offered in the quarter-hours of the session that it is declared for and has a baseline in; in no other.
2. Never more is offered than is declared, in whole lots; what is less than a lot is not offered.
3. A POD that can do `group_below_w` or more in some quarter-hour has offers of its own: one for each direction. The others
   form groups, one for each set of quarter-hours in which the same PODs can do the same: their shares are what each can do.
4. The price of a step is the settings' price of the direction times the step's factor, or what a POD's owner asks divided
   by what the fee leaves, if that is more; in a group the dearest of its PODs.
5. A quarter-hour's volume is offered in the price steps of the settings, each its part, the last one the rest; a step of less
   than a lot, or at no higher price than the one before, is left to the next one. What has a least part has the first step.
6. The order of the input never matters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backend.domain.bids import MOST_STEPS, MOST_UEUR_PER_MWH, Direction, Offer, Step
from backend.domain.quantity import PPM
from backend.errors import Rejected
from backend.market.availability import Availability
from backend.market.form import fields, numbers, read, rows

FORMAT = "lightnode-offering/1"
MOST_ID = 64


@dataclass(frozen=True, slots=True)
class Offering:
    """The aggregator's settings. steps: (part of the volume, factor of the price) in 1e-6; fee_ppm: its part of what is paid."""

    price_ueur_per_mwh: Mapping[Direction, int]
    fee_ppm: int = 0
    group_below_w: int = 0
    lot_w: int = 1
    steps: tuple[tuple[int, int], ...] = ((PPM, PPM),)
    minimum_ppm: int = 0
    lead_s: int = 0
    ramp_w_per_min: int = 0
    availability_ueur_per_mw_h: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("fee_ppm", 0, PPM - 1), ("group_below_w", 0, 10**12), ("lot_w", 1, 10**12), ("minimum_ppm", 0, PPM),
            ("lead_s", 0, 86_400), ("ramp_w_per_min", 0, 10**12), ("availability_ueur_per_mw_h", 0, MOST_UEUR_PER_MWH),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise Rejected(f"offering {name} = {getattr(self, name)}, expected {least} to {most}")
        for direction, price in self.price_ueur_per_mwh.items():
            if not 0 <= price <= MOST_UEUR_PER_MWH:
                raise Rejected(f"offering price {direction} = {price}, expected 0 to {MOST_UEUR_PER_MWH}")
        parts, factors = [part for part, _ in self.steps], [factor for _, factor in self.steps]
        if not 1 <= len(parts) <= MOST_STEPS or min(parts) < 1 or sum(parts) != PPM:
            raise Rejected(f"offering steps: parts {parts}, expected 1 to {MOST_STEPS} that add up to {PPM}")
        if factors[0] < 1 or any(b <= a for a, b in pairwise(factors)) or factors[-1] > 1000 * PPM:
            raise Rejected(f"offering steps: factors {factors}, expected 1 or more, rising, at most {1000 * PPM}")


def offering_of(text: str) -> Offering:
    """The settings written in a text; Rejected in one line."""
    plain = {
        "fee_ppm": int, "group_below_w": int, "lot_w": int, "minimum_ppm": int, "lead_s": int, "ramp_w_per_min": int,
        "availability_ueur_per_mw_h": int,
    }  # fmt: skip
    document = read(text, FORMAT, "offering")
    otherwise: dict[str, object] = {**dict.fromkeys(plain, 0), "lot_w": 1, "steps": [[PPM, PPM]]}
    kinds = {"format": str, "price_ueur_per_mwh": dict, "steps": list, **plain}
    taken = fields(document, "offering", kinds, otherwise)
    for step in rows(taken, "steps"):
        if not isinstance(step, list) or len(step) != 2 or any(type(one) is not int for one in step):
            raise Rejected(f"offering steps: {step!r:.60}, expected [part in 1e-6, factor in 1e-6]")
    prices = numbers(taken["price_ueur_per_mwh"], "offering price_ueur_per_mwh")
    if not prices or not set(prices) <= set(Direction):
        raise Rejected(f"offering price_ueur_per_mwh: {sorted(prices)}, expected up, down or both")
    taken["price_ueur_per_mwh"] = {Direction(word): price for word, price in prices.items()}
    taken["steps"] = tuple((part, factor) for part, factor in taken["steps"])
    return Offering(**{key: value for key, value in taken.items() if key != "format"})


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An aggregator's PODs in a quarter-hour each: sum of their baselines, what they can do (W), and who has no baseline."""

    aggregator: str
    baseline_w: Mapping[int, int]
    up_w: Mapping[int, int]
    down_w: Mapping[int, int]
    pods: tuple[str, ...]
    without: tuple[str, ...]


def portfolio(
    aggregator: str, able: Iterable[Availability], frames: Sequence[int], baseline_w: Mapping[tuple[str, int], int]
) -> Portfolio:
    """The sum over the PODs that have a baseline in all quarter-hours; the others are named and in no sum."""
    mine = sorted((one for one in able if one.aggregator == aggregator), key=lambda one: (one.pod, one.frames[:1]))
    pods = sorted({one.pod for one in mine})
    without = tuple(pod for pod in pods if any((pod, frame) not in baseline_w for frame in frames))
    counted = [one for one in mine if one.pod not in without]
    return Portfolio(
        aggregator,
        {frame: sum(baseline_w[pod, frame] for pod in pods if pod not in without) for frame in frames},
        {frame: sum(one.up_w.get(frame, 0) for one in counted) for frame in frames},
        {frame: sum(one.down_w.get(frame, 0) for one in counted) for frame in frames},
        tuple(pod for pod in pods if pod not in without),
        without,
    )


def offers(
    aggregator: str,
    able: Iterable[Availability],
    frames: Sequence[int],
    baseline_w: Mapping[tuple[str, int], int],
    rule: Offering,
) -> tuple[Offer, ...]:
    """The offers, by id; able: what may be offered of each POD (market.availability.offerable)."""
    mine = sorted((one for one in able if one.aggregator == aggregator), key=lambda one: (one.pod, one.frames[:1]))
    found: list[Offer] = []
    within = set(frames)
    for direction in rule.price_ueur_per_mwh:
        asked: dict[str, int] = {}
        by_pod: dict[str, dict[int, int]] = {}
        for one in mine:
            table = {f: w for f, w in one.w(direction).items() if f in within and (one.pod, f) in baseline_w}
            by_pod.setdefault(one.pod, {}).update(table)
            asked[one.pod] = max(asked.get(one.pod, 0), one.asked_ueur_per_mwh)
        large = {pod: w for pod, w in by_pod.items() if max(w.values(), default=0) >= max(1, rule.group_below_w)}
        small = {pod: w for pod, w in by_pod.items() if pod not in large}
        for pod, volume_w in large.items():
            made = _offer(f"{pod}-{direction}", aggregator, direction, volume_w, {pod: max(volume_w.values())},
                          asked[pod], rule)  # fmt: skip
            found += made
        for number, (shares_w, together) in enumerate(_groups(small), 1):
            volume_w = dict.fromkeys(together, sum(shares_w.values()))
            dearest = max(asked[pod] for pod in shares_w)
            found += _offer(f"group-{number}-{direction}", aggregator, direction, volume_w, shares_w, dearest, rule)
    return tuple(sorted(found, key=lambda offer: offer.id))


def _groups(small: Mapping[str, Mapping[int, int]]) -> list[tuple[dict[str, int], list[int]]]:
    """(W by POD, the quarter-hours in which it is so), by first quarter-hour (rule 3)."""
    together: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for frame in sorted({frame for table in small.values() for frame in table}):
        shares = tuple((pod, table[frame]) for pod, table in sorted(small.items()) if frame in table)
        together.setdefault(shares, []).append(frame)
    return [(dict(shares), frames) for shares, frames in together.items()]


def _offer(
    name: str,
    aggregator: str,
    direction: Direction,
    able_w: Mapping[int, int],
    shares_w: Mapping[str, int],
    asked: int,
    rule: Offering,
) -> list[Offer]:
    """One offer, or none where nothing is left of it (rules 2, 4 and 5)."""
    volume_w = {frame: w // rule.lot_w * rule.lot_w for frame, w in sorted(able_w.items()) if w >= rule.lot_w}
    if not volume_w:
        return []
    id = f"{aggregator}-{name}"
    if len(id) > MOST_ID:
        raise Rejected(f"offer {id[:80]}: an id of {len(id)} characters, at most {MOST_ID}")
    least = -(-asked * PPM // (PPM - rule.fee_ppm))
    prices = [max(least, rule.price_ueur_per_mwh[direction] * factor // PPM) for _, factor in rule.steps]
    if max(prices) > MOST_UEUR_PER_MWH:
        raise Rejected(f"offer {id}: a price of {max(prices)} micro-EUR/MWh, at most {MOST_UEUR_PER_MWH}")
    parts = {frame: _steps(w, prices, rule) for frame, w in volume_w.items()}
    steps = {frame: one for frame, one in parts.items() if one != (Step(volume_w[frame], prices[0]),)}
    return [
        Offer(
            id, aggregator, direction, volume_w, shares_w, prices[0], 0, rule.minimum_ppm, steps=steps, lead_s=rule.lead_s,
            ramp_w_per_min=rule.ramp_w_per_min, availability_ueur_per_mw_h=rule.availability_ueur_per_mw_h,
        )
    ]  # fmt: skip


def _steps(volume_w: int, prices: Sequence[int], rule: Offering) -> tuple[Step, ...]:
    """Rule 5."""
    if rule.minimum_ppm:
        return (Step(volume_w, prices[0]),)
    found: list[Step] = []
    left = before_w = 0
    for number, ((part, _), price) in enumerate(zip(rule.steps, prices, strict=True), 1):
        left += volume_w * part // PPM // rule.lot_w * rule.lot_w
        if number == len(prices):
            left = volume_w - before_w
        if left and not (found and price <= found[-1].price_ueur_per_mwh):
            found.append(Step(left, price))
            before_w, left = before_w + left, 0
    if left:
        found[-1] = Step(found[-1].volume_w + left, found[-1].price_ueur_per_mwh)
    return tuple(found)
