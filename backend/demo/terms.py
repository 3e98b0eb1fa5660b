"""What the example's market settles by: half the price for what is missing beyond a twentieth, the aggregators' fees, every
POD on its BRP's schedule."""

from collections.abc import Iterable

from backend.demo.customer import Customer
from backend.domain.local_day import Calendar
from backend.market.baseline import Kind, Method
from backend.market.settled_input import PodRow
from backend.market.settled_making import Settings
from backend.market.settled_terms import PenaltyStep, PenaltyTable, SettlementTerms

TERMS = SettlementTerms(
    tables=(PenaltyTable((PenaltyStep(50_000, 500_000),)),),
    fee_ppm={"Aggregator A": 100_000, "Aggregator B": 120_000},
    emergency_ueur_per_mwh={"DSO": 300_000_000},
)


def settings_for(customers: Iterable[Customer], calendar: Calendar) -> Settings:
    """The settings of a settlement with these customers."""
    schedule = Method(Kind.SCHEDULE)
    return Settings(TERMS, calendar, {c.pod: PodRow(c.pod, c.owner, c.brp, schedule) for c in customers})
