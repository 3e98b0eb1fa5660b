"""What a settlement is made by: the market's tables of tolerance, penalty, fee, emergency price, and its limits of evidence.

1. Missing share of an order: (ordered - delivered) / ordered. Energy that went the wrong way is the share above 1,000,000 ppm.
2. A penalty table has steps; each says from which missing share on which part of the price is paid for what is missing. A
   step counts up to where the next one begins, so nobody saves by missing more. Below the first step is the tolerance.
3. Of the tables the one that names buyer and product counts, else the one of the buyer, else of the product, else the one
   for all; where there is none, nothing is paid for what is missing.
4. An emergency order pays no penalty, and earns its own price or the buyer's emergency price, whichever is higher.
5. Fees are a part of what is paid, by aggregator; an aggregator that is not named takes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from backend.domain.bids import MOST_UEUR_PER_MWH, Buyer, Product
from backend.domain.quantity import FRAME_S, PPM, value_ueur
from backend.domain.trade import Order, OrderKind
from backend.errors import Rejected
from backend.market.settled_order import part_ueur
from backend.market.strict import Fields

MOST_PPM = 100 * PPM
MOST_STEPS = 20
ALL = ""


@dataclass(frozen=True, slots=True)
class PenaltyStep:
    """From this missing share (1e-6 of what was ordered) on this part (1e-6) of the price is paid."""

    from_ppm: int
    part_ppm: int


@dataclass(frozen=True, slots=True)
class PenaltyTable:
    """Rule 2; buyer and product: whose orders, "" is all."""

    steps: tuple[PenaltyStep, ...]
    buyer: str = ALL
    product: str = ALL

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise Rejected(f"penalty table: {len(self.steps)} steps, expected 1 to {MOST_STEPS}")
        if any(b.from_ppm <= a.from_ppm for a, b in pairwise(self.steps)):
            raise Rejected("penalty table: from_ppm must rise from step to step")

    def bands_ws(self, ordered_ws: int, delivered_ws: int) -> list[tuple[int, int]]:
        """(Ws, part in 1e-6) of what is missing, by step; no step without Ws."""
        missing_ws = ordered_ws - delivered_ws
        begins = [ordered_ws * step.from_ppm // PPM for step in self.steps]
        ends = [*begins[1:], max(missing_ws, begins[-1])]
        bands = [
            (min(missing_ws, end) - begin, step.part_ppm)
            for step, begin, end in zip(self.steps, begins, ends, strict=True)
        ]
        return [(ws, part) for ws, part in bands if ws > 0]


@dataclass(frozen=True, slots=True)
class SettlementTerms:
    """The settings. completeness_ppm: of the 4 s readings that a quarter-hour needs; emergency: micro-EUR/MWh by buyer;
    reconcile: how far 4 s energy and registers may be apart, 1e-6 of the registers' and Ws, whichever is more."""

    tables: tuple[PenaltyTable, ...]
    fee_ppm: Mapping[str, int]
    completeness_ppm: int = 900_000
    emergency_ueur_per_mwh: Mapping[str, int] = field(default_factory=dict)
    reconcile_ppm: int = 20_000
    reconcile_ws: int = 36_000

    def __post_init__(self) -> None:
        whose = [(table.buyer, table.product) for table in self.tables]
        if len(set(whose)) < len(whose):
            raise Rejected("terms: two penalty tables for the same buyer and product")
        if not 0 < self.completeness_ppm <= PPM:
            raise Rejected(f"terms: completeness_ppm = {self.completeness_ppm}, expected 1 to {PPM}")
        if any(not 0 <= part <= PPM for part in self.fee_ppm.values()):
            raise Rejected(f"terms: a fee is not within 0 to {PPM}")

    def table(self, buyer: str, product: str) -> PenaltyTable | None:
        """The table that counts (rule 3)."""
        found = {(table.buyer, table.product): table for table in self.tables}
        for key in ((buyer, product), (buyer, ALL), (ALL, product), (ALL, ALL)):
            if key in found:
                return found[key]
        return None

    def bands_ws(self, one: Order, product: str, delivered_ws: int) -> list[tuple[int, int]]:
        """(Ws, part in 1e-6) of what an order pays a penalty for (rules 2 to 4)."""
        table = None if one.kind is OrderKind.EMERGENCY else self.table(one.buyer, product)
        return [] if table is None else table.bands_ws(sum(one.parts_w.values()) * FRAME_S, delivered_ws)

    def price_ueur_per_mwh(self, one: Order) -> int:
        """What an order's energy is worth (rule 4)."""
        if one.kind is OrderKind.EMERGENCY:
            return max(one.price_ueur_per_mwh, self.emergency_ueur_per_mwh.get(one.buyer, 0))
        return one.price_ueur_per_mwh


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """The terms for orders of one product, as the settlement's rules ask for them (market.settled_order.Rates)."""

    terms: SettlementTerms
    product: str

    @property
    def fee_ppm(self) -> Mapping[str, int]:
        """Rule 5."""
        return self.terms.fee_ppm

    def penalty_ueur(self, one: Order, ordered_ws: int, delivered_ws: int) -> int:
        """Each step's energy at the order's price and its part, rounded per step."""
        return sum(
            part_ueur(value_ueur(ws, one.price_ueur_per_mwh), part)
            for ws, part in self.terms.bands_ws(one, self.product, delivered_ws)
        )


def terms_of(fields: Fields) -> SettlementTerms:
    """The terms in a document."""
    tables = tuple(_table_of(row) for row in fields.objects("tables", f"{fields.where}: penalty table", 100))
    fees = fields.numbers("fee_ppm", 0, PPM, 10_000, 0)
    emergency = fields.numbers("emergency_ueur_per_mwh", 0, MOST_UEUR_PER_MWH, 2, 0)
    found = SettlementTerms(
        tables, fees, fields.whole("completeness_ppm", 1, PPM), emergency,
        fields.whole("reconcile_ppm", 0, PPM), fields.whole("reconcile_ws", 0, 10**15),
    )  # fmt: skip
    fields.end()
    for buyer in emergency:
        if buyer not in {one.value for one in Buyer}:
            fields.refuse("emergency_ueur_per_mwh", buyer, "DSO or TSO")
    return found


def _table_of(row: Fields) -> PenaltyTable:
    steps = []
    for one in row.objects("steps", f"{row.where}, step", MOST_STEPS):
        steps.append(PenaltyStep(one.whole("from_ppm", 0, MOST_PPM), one.whole("part_ppm", 0, MOST_PPM)))
        one.end()
    buyer = _all_or(row, "buyer", {one.value for one in Buyer})
    product = _all_or(row, "product", {one.value for one in Product})
    row.end()
    return PenaltyTable(tuple(steps), buyer, product)


def _all_or(row: Fields, field: str, words: set[str]) -> str:
    value = row.take(field)
    if not isinstance(value, str) or value not in words | {ALL}:
        row.refuse(field, value, " or ".join(sorted(words)) + ' or "" for all')
    return str(value)
