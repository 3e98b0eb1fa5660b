"""Order books of any kind, small enough to be cleared one offer after the other."""

import random

from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request, Step
from backend.domain.constraint import Constraint, reactive
from backend.domain.quantity import PPM

F = 1_970_000
PODS = ("a", "b", "c", "d", "e")
ELEMENTS = ("line:1", "line:2", "node:3:low")
FRAMES = st.sampled_from((F, F + 1, F + 2))
WATTS = st.one_of(st.integers(1, 12), st.integers(1, 9_000), st.sampled_from((1_000, 2_000)))
PRICES = st.one_of(st.integers(0, 6), st.integers(0, 400))


@st.composite
def offers(draw, number: int) -> Offer:
    """One offer, any extension of it now and then."""
    pods = draw(st.lists(st.sampled_from(PODS), min_size=1, max_size=draw(st.sampled_from((1, 1, 3))), unique=True))
    volume = draw(st.dictionaries(FRAMES, WATTS, min_size=1, max_size=3))
    shares = {pod: draw(st.integers(1, 50)) for pod in pods}
    shares[pods[0]] += max(0, max(volume.values()) - sum(shares.values()))
    linked = draw(st.sampled_from((False, False, False, True)))
    steps = {}
    for frame, watts in volume.items():
        if draw(st.sampled_from((False, False, True))):
            first = watts if linked else draw(st.integers(1, watts))
            price = draw(PRICES)
            rest = (Step(watts - first, price + draw(st.integers(1, 60))),) if first < watts else ()
            steps[frame] = (Step(first, price), *rest)
    minimum = draw(st.sampled_from((0, 0, 300_000, PPM)))
    if any(-(-volume[f] * minimum // PPM) > s[0].volume_w for f, s in steps.items()):
        minimum = 0
    later = st.dictionaries(st.integers(1, 2), st.sampled_from((100_000, 500_000, PPM)), max_size=1)
    rebound = draw(st.sampled_from(({}, {}, {}, None)))
    return Offer(
        f"o{number}", "A", draw(st.sampled_from((Direction.UP, Direction.UP, Direction.DOWN))), volume, shares,
        draw(PRICES), draw(st.integers(0, 2)), minimum, draw(st.sampled_from((Product.ACTIVE,) * 5 + (Product.REACTIVE,))),
        steps, linked, draw(later) if rebound is None else rebound,
    )  # fmt: skip


@st.composite
def plain_offers(draw, number: int) -> Offer:
    """One offer of a single POD, divisible or a block."""
    watts = draw(WATTS)
    return Offer(
        f"o{number}", "A", draw(st.sampled_from((Direction.UP, Direction.UP, Direction.DOWN))), {F: watts},
        {draw(st.sampled_from(PODS)): watts}, draw(PRICES), draw(st.integers(0, 2)), draw(st.sampled_from((0, 0, PPM))),
    )  # fmt: skip


@st.composite
def books(draw, most: int = 10) -> list[Offer]:
    """Up to `most` offers of all kinds."""
    kind = draw(st.sampled_from((offers, plain_offers)))
    return [draw(kind(k)) for k in range(draw(st.integers(0, most)))]


@st.composite
def grids(draw) -> list[Constraint]:
    """Limits in some quarter-hours, broken or not, with effects either way."""
    found = []
    for frame in (F, F + 1, F + 2, F + 3):
        for element in ELEMENTS[: draw(st.integers(0, 3))]:
            names = [*PODS, reactive("a"), reactive("b")]
            effect = {pod: draw(st.integers(-4, 6)) for pod in names if draw(st.integers(0, 5))}
            found.append(Constraint(element, frame, draw(st.integers(-40_000, 30_000)), effect))
    return found


@st.composite
def requests(draw) -> list[Request]:
    """Up to three requests of both buyers, by relief, volume or nodes."""
    found = []
    for k in range(draw(st.integers(1, 3))):
        buyer = draw(st.sampled_from((Buyer.DSO, Buyer.DSO, Buyer.TSO)))
        element = "substation" if buyer is Buyer.TSO else draw(st.sampled_from((*ELEMENTS, "")))
        nodes = draw(st.sampled_from(((), ("a", "b"), PODS))) if element else ("a", "n")
        need = draw(st.dictionaries(FRAMES, st.integers(0, 30_000), min_size=1, max_size=3))
        direction = draw(st.sampled_from((Direction.UP, Direction.UP, Direction.DOWN)))
        product = draw(st.sampled_from((Product.ACTIVE,) * 5 + (Product.REACTIVE,)))
        cap = draw(st.sampled_from((100, 1_000)))
        found.append(Request(f"r{k}", buyer, direction, element, need, cap, draw(st.integers(0, 1)), product, nodes))
    return found


def large_book(seed: int, count: int, greatest_effect: int = 3_000_000):
    """(requests, offers, constraints) of a day's part: prices in whole steps, so that many merits are equal."""
    draw = random.Random(seed)
    frames = [F, F + 1]
    pods = [f"p{k}" for k in range(count // 3 + 1)]
    found = []
    for k in range(count):
        mine = draw.sample(pods, draw.choice((1, 1, 1, 1, 3)) if len(pods) > 3 else 1)
        watts = {f: draw.randrange(1, 4_000) for f in frames if draw.random() < 0.9} or {F: 7}
        shares = {pod: draw.randrange(1, 9) * 500 for pod in mine}
        shares[mine[0]] += 4_000
        steps, minimum = {}, draw.choice((0, 0, 0, 500_000, PPM))
        price = draw.randrange(1, 60)
        for f, w in watts.items():
            if minimum == 0 and draw.random() < 0.2 and w > 1:
                steps[f] = (Step(w // 2, price), Step(w - w // 2, price + draw.randrange(1, 30)))
        coupled = draw.random() < 0.04
        found.append(Offer(
            f"o{k:05}", "A", draw.choice((Direction.UP, Direction.UP, Direction.DOWN)), watts, shares, price,
            draw.randrange(3), minimum, steps=steps, linked=coupled and not steps,
            rebound_ppm={1: 300_000} if coupled and draw.random() < 0.5 else {},
        ))  # fmt: skip
    levels = [draw.randrange(-greatest_effect // 3, greatest_effect) for _ in range(7)]
    table = [
        Constraint(f"line:{m}", f, draw.choice((-1, 1)) * draw.randrange(count * greatest_effect * 20),
                   {pod: draw.choice(levels) for pod in pods})
        for f in (*frames, F + 2) for m in range(5)
    ]  # fmt: skip
    need = count * greatest_effect * draw.randrange(1, 600)
    volume = count * draw.randrange(1, 1_500)
    asked = [
        Request("d1", Buyer.DSO, Direction.UP, "line:0", dict.fromkeys(frames, need), 50),
        Request("d2", Buyer.DSO, Direction.DOWN, "line:1", dict.fromkeys(frames, need // 3), 90),
        Request(
            "t1",
            Buyer.TSO,
            draw.choice((Direction.UP, Direction.DOWN)),
            "substation",
            dict.fromkeys(frames, volume),
            80,
        ),
    ]
    return asked, found, table


def tight_case(seed: int):
    """(requests, offers, constraints, reserve_ppm) where a watt decides: small groups, limits at or near nothing, effects
    that cancel, needs of a few watts."""
    draw = random.Random(seed)
    return _tight_requests(draw), _tight_offers(draw), _tight_grid(draw), draw.choice((0, 100_000, PPM))


def _tight_offers(draw: random.Random) -> list[Offer]:
    found, most = [], draw.choice((3, 12, 60, 2_000))
    for k in range(draw.randrange(1, 10)):
        volume = {f: draw.randrange(1, most + 1) for f in draw.sample((F, F + 1, F + 2), draw.choice((1, 1, 2, 3)))}
        shares = {
            pod: draw.choice((1, 1, 2, draw.randrange(1, most + 1)))
            for pod in draw.sample(PODS, draw.choice((1, 2, 3)))
        }
        each = -(-max(0, max(volume.values()) - sum(shares.values())) // len(shares))
        linked, steps = draw.random() < 0.2, {}
        for f, w in volume.items():
            if w > 1 and not linked and draw.random() < 0.3:
                first, price = draw.randrange(1, w), draw.randrange(6)
                steps[f] = (Step(first, price), Step(w - first, price + draw.randrange(1, 6)))
        minimum = draw.choice((0, 0, 0, 300_000, PPM))
        if any(-(-volume[f] * minimum // PPM) > s[0].volume_w for f, s in steps.items()):
            minimum = 0
        found.append(Offer(
            f"o{k}", "A", draw.choice((Direction.UP, Direction.UP, Direction.DOWN)), volume,
            {pod: w + each for pod, w in shares.items()}, draw.randrange(6), draw.randrange(2), minimum,
            draw.choice((Product.ACTIVE,) * 5 + (Product.REACTIVE,)), steps, linked,
            {} if draw.random() < 0.7 else {draw.choice((1, 2)): draw.choice((100_000, 333_333, PPM))},
        ))  # fmt: skip
    return found


def _tight_grid(draw: random.Random) -> list[Constraint]:
    far, effect = draw.choice((3, 30, 300, 30_000)), draw.choice((1, 3, 6, 1_000))
    return [
        Constraint(
            element, f, draw.choice((0, draw.randint(-far, far))),
            {pod: draw.randint(-effect, effect) for pod in (*PODS, reactive("a"), reactive("b")) if draw.random() < 0.8},
        )
        for f in range(F, F + 4) for element in ELEMENTS[: draw.randrange(4)]
    ]  # fmt: skip


def _tight_requests(draw: random.Random) -> list[Request]:
    found, far = [], draw.choice((3, 30, 300, 30_000))
    for k in range(draw.randrange(1, 4)):
        buyer = draw.choice((Buyer.DSO, Buyer.DSO, Buyer.TSO))
        element = "substation" if buyer is Buyer.TSO else draw.choice((*ELEMENTS, ""))
        nodes = draw.choice(((), ("a", "b"), PODS)) if element else ("a", "b", "c")
        need = {f: draw.randrange(far) for f in draw.sample((F, F + 1, F + 2), draw.choice((1, 2, 3)))}
        direction = draw.choice((Direction.UP, Direction.UP, Direction.DOWN))
        product = draw.choice((Product.ACTIVE,) * 5 + (Product.REACTIVE,))
        found.append(Request(f"r{k}", buyer, direction, element, need, 1_000, draw.randrange(2), product, nodes))
    return found
