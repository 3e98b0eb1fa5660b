"""Everything a settlement is made of, in one document: ``lightnode-settlement-input/1``.

1. An award, order, POD, baseline or measurement stands once; an order names its award by offer, request, quarter-hour, step
   and reserve, or is an emergency order and names none.
2. A market order has its award's buyer, aggregator, direction, product and price; the orders on an award take of each POD at
   most what was awarded of it.
3. Each POD has an owner, a BRP and the method of its baseline; nothing is said of a POD that is not among them. No id of an
   order is of two sessions.
4. A baseline without a power, and a measurement without energies, are knowledge too: somebody looked, and there is none.
   Of the reactive product the energies are var·s, under the name POD/var.
5. The text of an input is canonical: the same input in another order of rows has the same text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from backend.domain.bids import Buyer, Direction, Product
from backend.domain.constraint import reactive
from backend.domain.trade import OrderKind
from backend.errors import Rejected
from backend.market.baseline import Method
from backend.market.settled_terms import SettlementTerms

FORMAT = "lightnode-settlement-input/1"
Key = tuple[str, str, int, int, bool]


@dataclass(frozen=True, slots=True)
class Reserved:
    """An award (I-08) with what its offer and request say: W per POD at an energy price, held at an availability price; rebound:
    (quarter-hours later, part in 1e-6 of what was taken that moves the other way then)."""

    offer: str
    request: str
    frame: int
    step: int
    reserve: bool
    buyer: Buyer
    aggregator: str
    direction: Direction
    product: Product
    parts_w: Mapping[str, int]
    price_ueur_per_mwh: int
    availability_ueur_per_mw_h: int
    rebound: tuple[tuple[int, int], ...] = field(default=(), metadata={"written": "if set"})

    @property
    def key(self) -> Key:
        """By what an order names it."""
        return self.offer, self.request, self.frame, self.step, self.reserve

    def point(self, pod: str) -> str:
        """What moves of a POD: its active or its reactive power."""
        return pod if self.product is Product.ACTIVE else reactive(pod)


@dataclass(frozen=True, slots=True)
class Called:
    """An order (I-09) in force at the end, of a kind; of an emergency order offer and request are empty."""

    id: str
    kind: OrderKind
    offer: str
    request: str
    frame: int
    step: int
    reserve: bool
    buyer: Buyer
    aggregator: str
    direction: Direction
    product: Product
    parts_w: Mapping[str, int]
    price_ueur_per_mwh: int

    @property
    def key(self) -> Key:
        """Of its award."""
        return self.offer, self.request, self.frame, self.step, self.reserve

    @property
    def points(self) -> dict[str, int]:
        """parts_w by what moves: the POD, or its reactive power."""
        return (
            dict(self.parts_w) if self.product is Product.ACTIVE else {reactive(p): w for p, w in self.parts_w.items()}
        )


@dataclass(frozen=True, slots=True)
class PodRow:
    """Whose a POD is, who balances it, and how its baseline is made; reactive_method: that of its reactive power, which no BRP
    schedules; None is the same."""

    pod: str
    owner: str
    brp: str
    method: Method
    reactive_method: Method | None = field(default=None, metadata={"written": "if set"})

    def method_of(self, point: str) -> Method:
        """How the baseline of POD or POD/var is made."""
        return self.method if point == self.pod or self.reactive_method is None else self.reactive_method


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """W (var) of a POD in a quarter-hour by its POD's method; None with the reason if none can be made; days: those it is the
    mean of; reason beside a power: what was left out."""

    pod: str
    frame: int
    power_w: int | None
    reason: str = ""
    days: tuple[date, ...] = ()
    adjustment_w: int = 0


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """Ws (var·s, withdrawal positive) of a POD in a quarter-hour: by verified 4 s readings with their completeness (1e-6),
    by the quarter-hour registers; None where there are none."""

    pod: str
    frame: int
    readings_ws: int | None
    completeness_ppm: int
    registers_ws: int | None


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """I-13: a POD whose owner said that it cannot deliver in a quarter-hour."""

    pod: str
    frame: int
    reason: str


class Told(StrEnum):
    """What became of the set-point by which a POD was told of its orders: as its light node signed it, or nothing came back."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class SetPointRow:
    """The latest set-point of a POD in a quarter-hour: W at the POD (withdrawal positive), None where none was sent."""

    pod: str
    frame: int
    target_w: int | None
    told: Told


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """An order of another session on a POD that is ordered here too, W by POD (or POD/var): it has a part in what the POD
    delivered, and is settled there; rebound: as of its award."""

    session: str
    id: str
    kind: OrderKind
    frame: int
    direction: Direction
    parts_w: Mapping[str, int]
    rebound: tuple[tuple[int, int], ...] = field(default=(), metadata={"written": "if set"})


_OfPod = BaselineRow | MeasuredRow | NotAvailable | SetPointRow


@dataclass(frozen=True, slots=True)
class SettlementInput:
    """Of one session; outcome_sha256 and outcome_version: of the published outcome whose awards these are; setpoints: of what
    was ordered, none where nobody keeps them."""

    session: str
    outcome_sha256: str
    outcome_version: int
    terms: SettlementTerms
    awards: tuple[Reserved, ...]
    orders: tuple[Called, ...]
    pods: tuple[PodRow, ...]
    baselines: tuple[BaselineRow, ...]
    measured: tuple[MeasuredRow, ...]
    unavailable: tuple[NotAvailable, ...] = field(default=())
    setpoints: tuple[SetPointRow, ...] = field(default=(), metadata={"written": "if set"})
    others: tuple[OtherOrder, ...] = field(default=(), metadata={"written": "if set"})
    watched_frames: int = field(default=0, metadata={"written": "if set"})

    def __post_init__(self) -> None:
        _each_once("award", (_words(one.key) for one in self.awards))
        _each_once("order", (one.id for of in (self.orders, self.others) for one in of))
        _each_once("POD", (one.pod for one in self.pods))
        _each_once("baseline", map(_point, self.baselines))
        _each_once("measurement", map(_point, self.measured))
        _each_once("unavailability", map(_point, self.unavailable))
        _each_once("set-point", map(_point, self.setpoints))
        known = {one.pod for one in self.pods}
        bids: list[Reserved | Called] = [*self.awards, *self.orders]
        for bid in bids:
            _known(f"{bid.offer or 'emergency'}, quarter-hour {bid.frame}", bid.parts_w, known)
        for one in self.others:
            if one.session == self.session:
                raise Rejected(f"settlement input: order {one.id} of another session is of {one.session} too")
            _known(f"order {one.id}", [pod.removesuffix("/var") for pod in one.parts_w], known)
        rows: list[_OfPod] = [*self.baselines, *self.measured, *self.unavailable, *self.setpoints]
        for row in rows:
            _known(f"quarter-hour {row.frame}", [row.pod.removesuffix("/var")], known)
        check_orders("settlement input", self.awards, self.orders)


def _point(row: _OfPod) -> str:
    return f"{row.pod}, quarter-hour {row.frame}"


def _words(key: Key) -> str:
    offer, request, frame, step, reserve = key
    return f"{offer} for {request}, quarter-hour {frame}, step {step}{', reserve' if reserve else ''}"


def _each_once(what: str, ids: Iterable[str]) -> None:
    for id, count in Counter(ids).items():
        if count > 1:
            raise Rejected(f"settlement input: {what} {id} stands {count} times")


def _known(where: str, pods: Iterable[str], known: set[str]) -> None:
    for pod in pods:
        if pod not in known:
            raise Rejected(f"settlement input: {where}: POD {pod} is not among the PODs")


def check_orders(what: str, awards: Iterable[Reserved], orders: Iterable[Called]) -> None:
    """Rejected, in the name of what holds them, unless the orders stand on the awards (rules 1 and 2)."""
    by_key = {one.key: one for one in awards}
    left = {one.key: dict(one.parts_w) for one in awards}
    for one in orders:
        where = f"{what}: order {one.id}"
        if one.kind is OrderKind.EMERGENCY:
            if one.key != ("", "", one.frame, 0, False):
                raise Rejected(f"{where}: an emergency order names no offer, request, step or reserve")
            continue
        award = by_key.get(one.key)
        if award is None:
            raise Rejected(f"{where}: nothing was awarded of {_words(one.key)}")
        for name in ("buyer", "aggregator", "direction", "product", "price_ueur_per_mwh"):
            if getattr(one, name) != getattr(award, name):
                raise Rejected(f"{where}: {name} = {getattr(one, name)}, its award says {getattr(award, name)}")
        for pod, watts in one.parts_w.items():
            left[one.key][pod] = left[one.key].get(pod, 0) - watts
            if left[one.key][pod] < 0:
                raise Rejected(f"{where}: {pod} is ordered {-left[one.key][pod]} W more than was awarded of it")
