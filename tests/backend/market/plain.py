"""The guarded merit order once more, one offer after the other, in fractions: what the fast one is held to.

It shares the records and the splitting of watts with the market, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from backend.domain.bids import Buyer, Direction, Offer, Request
from backend.domain.constraint import Constraint
from backend.domain.quantity import PPM, split
from backend.domain.trade import Award, Fate, Outcome, Reason, Result

NEARNESS = [
    Reason.NO_NEED, Reason.OTHER_PRODUCT, Reason.WRONG_DIRECTION, Reason.NO_EFFECT, Reason.NOT_AT_NODE, Reason.PRICE_CAP,
    Reason.LINKED, Reason.NEED_MET, Reason.MINIMUM, Reason.OTHER_WAY, Reason.GUARD,
]  # fmt: skip


class Plain:
    """One clearing. A unit is (offer, its quarter-hours, price step): one quarter-hour, or all of a linked offer."""

    def __init__(self, offers: Sequence[Offer], constraints: Sequence[Constraint], moves, caps, node_of) -> None:
        self.offers = {o.id: o for o in offers}
        self.table: dict[int, list[Constraint]] = {}
        for one in constraints:
            self.table.setdefault(one.frame, []).append(one)
        self.moves, self.caps, self.node_of = dict(moves or {}), caps or {}, node_of or {}
        self.delta: dict[int, dict[str, int]] = {}
        self.taken: dict[tuple[str, int, int], int] = {}
        self.awards: list[tuple[tuple, Award]] = []
        self.stopped: dict[tuple, tuple[tuple, str]] = {}
        self.why: dict[str, tuple[int, tuple, str]] = {}

    def note(self, offer: Offer, reason: Reason, turn=(), element: str = "") -> None:
        level = NEARNESS.index(reason)
        before = self.why.get(offer.id)
        if before is None or level > before[0] or (reason is Reason.GUARD and turn < before[1]):
            self.why[offer.id] = (level, turn, element)

    def margin(self, one: Constraint) -> int:
        return one.margin_after(self.delta.get(one.frame, {}))

    def asked(self, request: Request, frame: int) -> Constraint | None:
        return next((c for c in self.table.get(frame, ()) if c.element == request.element), None)

    def need(self, request: Request, frame: int, reserve_ppm: int) -> int:
        need = request.need[frame] + -(-request.need[frame] * reserve_ppm // PPM)
        if request.by_volume:
            return need - sum(a.volume_w for _, a in self.awards if (a.request, a.frame) == (request.id, frame))
        one = self.asked(request, frame)
        return need if one is None else need - (self.margin(one) - one.margin_ppt)

    def rate(self, offer: Offer, one: Constraint) -> Fraction:
        """Head-room gained per W."""
        sign = 1 if offer.direction is Direction.UP else -1
        points = offer.points
        return Fraction(sum(sign * one.effect_ppt_per_w.get(p, 0) * w for p, w in points.items()), sum(points.values()))

    def relief(self, request: Request, offer: Offer, frame: int) -> Fraction:
        if request.by_volume:
            return Fraction(1)
        one = self.asked(request, frame)
        return Fraction(0) if one is None else self.rate(offer, one)

    def slack(self, offer: Offer, one: Constraint | None) -> int:
        return 0 if one is None else sum(abs(one.effect_ppt_per_w.get(p, 0)) for p in offer.points)

    def volume(self, offer: Offer, frame: int, step: int) -> int:
        """W of a step below the cap."""
        volumes = [s.volume_w for s in offer.steps_of(frame)]
        cap = self.caps.get((offer.id, frame), sum(volumes))
        return max(0, min(volumes[step], cap - sum(volumes[:step])))

    def left(self, offer: Offer, frame: int, step: int) -> int:
        return self.volume(offer, frame, step) - self.taken.get((offer.id, frame, step), 0)

    def refusal(self, request: Request, offer: Offer, frames: Sequence[int], step: int) -> Reason | None:
        if offer.product is not request.product:
            return Reason.OTHER_PRODUCT
        if offer.direction is not request.direction:
            return Reason.WRONG_DIRECTION
        if request.nodes and any(self.node_of.get(p, p) not in request.nodes for p in offer.shares_w):
            return Reason.NOT_AT_NODE
        if any(offer.steps_of(f)[step].price_ueur_per_mwh > request.price_cap_ueur_per_mwh for f in frames):
            return Reason.PRICE_CAP
        if any(self.relief(request, offer, f) <= 0 for f in frames):
            return Reason.NO_EFFECT
        if any(self.moves.get((p, f), offer.direction) is not offer.direction for p in offer.points for f in frames):
            return Reason.OTHER_WAY
        return None

    def units(self, request: Request):
        """What stands for a request, in order of merit."""
        found = []
        for offer in self.offers.values():
            frames = sorted(f for f in offer.volume_w if f in request.need)
            if frames and offer.linked and len(frames) < len(offer.volume_w):
                self.note(offer, Reason.LINKED)
                continue
            for group in [frames] if offer.linked and frames else [[f] for f in frames]:
                for step in range(len(offer.steps_of(group[0]))):
                    reason = self.refusal(request, offer, group, step)
                    if reason is not None:
                        self.note(offer, reason)
                        continue
                    if any(self.left(offer, f, step) <= 0 for f in group):
                        continue
                    if offer.linked and any(self.taken.get((offer.id, f, 0)) for f in group):
                        continue
                    price, relief = Fraction(0), Fraction(0)
                    for f in group:
                        one = offer.steps_of(f)[step]
                        price += one.volume_w * one.price_ueur_per_mwh
                        relief += one.volume_w * self.relief(request, offer, f)
                    found.append(((price / relief, offer.received_ms, offer.id, group[0], step), offer, group, step))
        return sorted(found, key=lambda row: row[0])

    def serve(self, request: Request, turn: tuple, reserve_ppm: int) -> None:
        for _, offer, frames, step in self.units(request):
            if any(self.need(request, f, reserve_ppm) <= 0 for f in frames):
                self.note(offer, Reason.NEED_MET)
                continue
            if step and any(
                self.taken.get((offer.id, f, step - 1), 0) < offer.steps_of(f)[step - 1].volume_w for f in frames
            ):
                continue
            self.take(request, offer, frames, step, turn, reserve_ppm)

    def take(self, request: Request, offer: Offer, frames, step: int, turn, reserve_ppm: int) -> None:
        wanted = min(self.wanted(request, offer, f, step, reserve_ppm) for f in frames)
        least = self.least(offer, frames, step)
        if wanted < least:
            return self.note(offer, Reason.MINIMUM)
        fits, element, at = self.fits(offer, frames, step, wanted)
        key = (*turn, self.alike(offer, frames, step, least))
        before = self.stopped.get(key)
        if fits < wanted:
            place = (*turn, at if at in request.need else frames[0])
            self.note(offer, Reason.GUARD, place, element)
            self.stopped.setdefault(key, (place, element))
        if fits < max(1, least):
            return None
        if before is not None:
            return self.note(offer, Reason.GUARD, *before)
        for f in frames:
            watts = offer.volume_w[f] * fits // PPM if offer.linked else fits
            self.award(request, offer, f, step, watts, bool(reserve_ppm), turn)
        return None

    def alike(self, offer: Offer, frames, step: int, least: int):
        """What is the same for offers that differ in nothing but price and name."""
        left = tuple((f, self.left(offer, f, step)) for f in frames)
        coupled = offer.linked or bool(offer.rebound_ppm)
        points = offer.points
        shares = dict.fromkeys(points, 1) if len(points) == 1 else points
        if coupled:
            return (
                True,
                offer.linked,
                left,
                least,
                tuple(sorted(offer.rebound_ppm.items())),
                tuple(sorted(shares.items())),
            )
        effects = sorted(
            (tuple(c.effect_ppt_per_w.get(p, 0) for c in self.table.get(frames[0], ())), w) for p, w in shares.items()
        )
        return False, left, least, tuple(effects)

    def least(self, offer: Offer, frames, step: int) -> int:
        if offer.linked:
            return max(offer.minimum_ppm, -(-PPM // min(offer.volume_w.values())))
        return 0 if step else max(0, offer.least_w(frames[0]) - self.taken.get((offer.id, frames[0], 0), 0))

    def roundings(self, offer: Offer, frame: int, frames) -> int:
        own = 2 if offer.linked else int(len(offer.shares_w) > 1)
        return own * (frame in frames) + 3 * sum(f + d == frame for f in frames for d in offer.rebound_ppm)

    def wanted(self, request: Request, offer: Offer, frame: int, step: int, reserve_ppm: int) -> int:
        one = None if request.by_volume else self.asked(request, frame)
        own = 2 if offer.linked else int(len(offer.shares_w) > 1)
        rounding = own + 3 * sum(frame - d in offer.volume_w and offer.linked for d in offer.rebound_ppm)
        need = self.need(request, frame, reserve_ppm) + rounding * self.slack(offer, one)
        watts = min(-(-need // self.relief(request, offer, frame)), self.left(offer, frame, step))
        return int(watts * PPM // offer.volume_w[frame] if offer.linked else watts)

    def fits(self, offer: Offer, frames, step: int, wanted: int):
        fits, element, at = wanted, "", 0
        touched = sorted({*frames, *(f + d for f in frames for d in offer.rebound_ppm)})
        for frame in touched:
            moved = Fraction(0)
            for f in frames:
                size = Fraction(offer.volume_w[f], PPM) if offer.linked else Fraction(1)
                moved += size * (f == frame) - size * Fraction(offer.rebound_ppm.get(frame - f, 0), PPM)
            for one in self.table.get(frame, ()):
                eaten = -self.rate(offer, one) * moved
                room = max(0, self.margin(one) - self.roundings(offer, frame, frames) * self.slack(offer, one))
                if eaten > 0 and room // eaten < fits:
                    fits, element, at = int(room // eaten), one.element, frame
        moved = self.moved(offer, {f: offer.volume_w[f] * fits // PPM if offer.linked else fits for f in frames})
        for frame in touched:
            for one in self.table.get(frame, ()):
                margin, gained = self.margin(one), one.margin_after(moved.get(frame, {})) - one.margin_ppt
                if margin + gained < min(margin, 0):
                    return 0, one.element, frame
        return fits, element, at

    def moved(self, offer: Offer, watts: Mapping[int, int]) -> dict[int, dict[str, int]]:
        """Change of withdrawal by quarter-hour and point when an offer is taken with these W."""
        sign, found = -1 if offer.direction is Direction.UP else 1, {}
        for frame, total in watts.items():
            parts = split(total, dict(sorted(offer.shares_w.items())))
            for point, pod in zip(offer.points, offer.shares_w, strict=True):
                moved = [(frame, sign * parts[pod])]
                moved += [(frame + d, -sign * (parts[pod] * p // PPM)) for d, p in offer.rebound_ppm.items()]
                for f, w in moved:
                    found.setdefault(f, {})[point] = found.get(f, {}).get(point, 0) + w
        return found

    def award(self, request: Request, offer: Offer, frame: int, step: int, watts: int, reserve: bool, turn) -> None:
        parts = split(watts, dict(sorted(offer.shares_w.items())))
        for f, here in self.moved(offer, {frame: watts}).items():
            for point, w in here.items():
                self.delta.setdefault(f, {})[point] = self.delta.get(f, {}).get(point, 0) + w
        for point, pod in zip(offer.points, offer.shares_w, strict=True):
            if parts[pod]:
                self.moves[point, frame] = offer.direction
        key = (offer.id, frame, step)
        self.taken[key] = self.taken.get(key, 0) + watts
        price = offer.steps_of(frame)[step].price_ueur_per_mwh if offer.steps else None
        place = (*turn, frame, len(self.awards))
        self.awards.append((place, Award(offer.id, request.id, frame, watts, parts, step, reserve, price)))

    def shared_out(self, asked: Sequence[Request]):
        """Moves what awards of an offer take of a POD beyond its part of the whole to its others; what that may not."""
        given: dict[tuple[str, int], dict[str, int]] = {}
        self.awards.sort(key=lambda row: row[0])
        for k, (place, award) in enumerate(self.awards):
            offer, frame = self.offers[award.offer], award.frame
            shares = dict(sorted(offer.shares_w.items()))
            before = given.setdefault((offer.id, frame), dict.fromkeys(shares, 0))
            most = split(offer.volume_w[frame], shares)
            kept = {p: min(w, most[p] - before[p]) for p, w in award.parts_w.items()}
            over = award.volume_w - sum(kept.values())
            if over:
                spare = split(over, {p: most[p] - before[p] - w for p, w in kept.items()})
                moved = {p: w + spare[p] for p, w in kept.items()}
                if (why := self.forbids(offer, frame, award.parts_w, moved, asked)) is not None:
                    return offer.id, frame, sum(before.values()), over, why
                self.awards[k] = (place, replace(award, parts_w=moved))
            for p, w in self.awards[k][1].parts_w.items():
                before[p] += w
        return None

    def forbids(self, offer: Offer, frame: int, parts, moved, asked) -> str | None:
        """The limit that other parts break or take relief from, "" for a POD that moves the other way; else they are so."""
        sign = -1 if offer.direction is Direction.UP else 1
        after, point = (
            {f: dict(of) for f, of in self.delta.items()},
            dict(zip(offer.shares_w, offer.points, strict=True)),
        )
        for pod, w in moved.items():
            if w > parts[pod] and self.moves.get((point[pod], frame), offer.direction) is not offer.direction:
                return ""
            for later, p in ((0, None), *offer.rebound_ppm.items()):
                more = w - parts[pod] if p is None else parts[pod] * p // PPM - w * p // PPM
                here = after.setdefault(frame + later, {})
                here[point[pod]] = here.get(point[pod], 0) + sign * more
        for f in (frame, *(frame + later for later in sorted(offer.rebound_ppm))):
            for one in self.table.get(f, ()):
                least = min(0, self.margin(one))
                for r in asked:
                    if not r.by_volume and r.element == one.element and f in r.need:
                        least = max(least, min(self.margin(one), one.margin_ppt + r.need[f]))
                if one.margin_after(after.get(f, {})) < least:
                    return one.element
        self.delta = after
        return None

    def result(self, offer: Offer) -> Result:
        offered = sum(offer.volume_w.values())
        by_frame = {
            f: sum(self.taken.get((offer.id, f, k), 0) for k in range(len(offer.steps_of(f)))) for f in offer.volume_w
        }
        accepted = sum(by_frame.values())
        level, _, element = self.why.get(offer.id, (0, (), ""))
        reason = NEARNESS[level]
        if accepted and all(w in (0, offer.volume_w[f]) for f, w in by_frame.items()):
            return Result(offer.id, Fate.ACCEPTED, Reason.TAKEN, offered, accepted)
        if accepted:
            return Result(offer.id, Fate.CUT, reason if level else Reason.NEED_MET, offered, accepted, element)
        return Result(offer.id, Fate.REJECTED, reason, offered, 0, element)


def clear(
    session: str, requests: Sequence[Request], offers: Sequence[Offer], constraints: Sequence[Constraint],
    moves: Mapping | None = None, reserve_ppm: int = 0, caps: Mapping | None = None, node_of: Mapping | None = None,
) -> Outcome:  # fmt: skip
    """As market.clearing.clear, settled as bid."""
    caps, stopped = dict(caps or {}), {}
    asked = sorted(requests, key=lambda r: (r.buyer is not Buyer.DSO, r.priority, r.id))
    while True:
        plain = Plain(offers, constraints, moves, caps, node_of)
        for number, request in enumerate(asked):
            plain.serve(request, (number, 0), 0)
            if reserve_ppm:
                plain.serve(request, (number, 1), reserve_ppm)
        found = plain.shared_out(asked)
        if found is None:
            break
        id, frame, least, over, why = found
        tries = stopped.setdefault((id, frame), [])
        taken = sum(w for (o, f, _), w in plain.taken.items() if (o, f) == (id, frame))
        caps[id, frame] = max(least, taken - over * 2 ** len(tries))
        tries.append(why)
    for (id, _), (why, *_) in stopped.items():
        plain.note(plain.offers[id], *((Reason.GUARD, (-1,), why) if why else (Reason.OTHER_WAY,)))
    left = {(r.id, f): n for r in asked for f in r.need if (n := plain.need(r, f, 0)) > 0}
    results = tuple(plain.result(plain.offers[id]) for id in sorted(plain.offers))
    return Outcome(session, tuple(a for _, a in sorted(plain.awards, key=lambda row: row[0])), results, left)
