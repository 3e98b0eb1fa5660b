"""A settlement from its input, both as one canonical document: ``lightnode-settlement/1``.

1. The settlement is a pure function of the input: whoever has the input's text makes the settlement's text to the byte.
2. Every order has a line at each of its PODs and every award with an availability price too, each with its reason in words and
   code; nothing is settled that is not in a line.
3. Payments sum to zero over all parties; what is held or missing is flagged and moves no money.
4. Beside the lines stand the totals of each order and of each offer and quarter-hour, what moved back behind them, the
   correction of each BRP's position, and how far 4 s energy and registers are apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend.market import canonical
from backend.market.settled_availability import AvailabilityLine, availability
from backend.market.settled_document import in_order, input_of, input_text
from backend.market.settled_energy import EnergyLine, OrderTotal, energy, points_of
from backend.market.settled_evidence import Evidence, Flag, Reconciled, differing
from backend.market.settled_input import SettlementInput
from backend.market.settled_money import BrpAdjustment, Paid, adjustments, gained_ueur, paid
from backend.market.settled_rebound import ReboundLine, rebounds

FORMAT = "lightnode-settlement/1"


@dataclass(frozen=True, slots=True)
class OfferTotal:
    """What an offer delivered and earned in a quarter-hour over all its orders (Ws, micro-EUR); held: orders that are."""

    offer: str
    frame: int
    ordered_ws: int
    delivered_ws: int
    paid_ws: int
    payment_ueur: int
    penalty_ueur: int
    held: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """I-16. Of one session; input_sha256: of the text of what it was made of; gained_ueur: by party, the sum is zero."""

    session: str
    outcome_sha256: str
    outcome_version: int
    input_sha256: str
    lines: tuple[EnergyLine, ...]
    availability: tuple[AvailabilityLine, ...]
    orders: tuple[OrderTotal, ...]
    offers: tuple[OfferTotal, ...]
    payments: tuple[Paid, ...]
    gained_ueur: Mapping[str, int]
    adjustments: tuple[BrpAdjustment, ...]
    reconciliation: tuple[Reconciled, ...]
    flags: tuple[Flag, ...]
    rebounds: tuple[ReboundLine, ...] = field(default=(), metadata={"written": "if set"})


def settled(made: SettlementInput) -> Settlement:
    """The settlement of an input (rule 1); the order of its rows does not matter."""
    made = in_order(made)
    evidence = Evidence(made)
    done = energy(made, evidence)
    held_ready = availability(made, done.totals, evidence)
    moved_back, undeclared = rebounds(made, done, evidence)
    payments = paid(done.lines, held_ready)
    reconciled = evidence.reconciled()
    reserved = [
        (one.point(pod), one.frame) for one in made.awards if one.availability_ueur_per_mw_h for pod in one.parts_w
    ]
    flags = [*evidence.flags(points_of(made.orders), reserved), *done.flags, *undeclared, *differing(reconciled)]
    return Settlement(
        session=made.session,
        outcome_sha256=made.outcome_sha256,
        outcome_version=made.outcome_version,
        input_sha256=canonical.digest_of_text(input_text(made)),
        lines=done.lines,
        availability=held_ready,
        orders=done.totals,
        offers=_by_offer(done.totals),
        payments=payments,
        gained_ueur=gained_ueur(payments),
        adjustments=adjustments(done.lines, moved_back),
        reconciliation=tuple(reconciled),
        flags=tuple(sorted(flags, key=lambda one: (one.pod, one.frame, one.code))),
        rebounds=moved_back,
    )


def settlement_text(one: Settlement) -> str:
    """The one text of a settlement."""
    return canonical.text_of(FORMAT, one)


def settled_text(text: str) -> str:
    """The settlement's text from the input's; Rejected in one line for what is no input."""
    return settlement_text(settled(input_of(text)))


def _by_offer(totals: Iterable[OrderTotal]) -> tuple[OfferTotal, ...]:
    """By offer and quarter-hour; emergency orders stand on none."""
    sums: dict[tuple[str, int], list[int]] = {}
    for one in totals:
        if one.offer:
            here = sums.setdefault((one.offer, one.frame), [0] * 6)
            more = one.ordered_ws, one.delivered_ws, one.paid_ws, one.payment_ueur, one.penalty_ueur, int(one.held)
            for k, value in enumerate(more):
                here[k] += value
    return tuple(OfferTotal(*key, *sums[key]) for key in sorted(sums))
