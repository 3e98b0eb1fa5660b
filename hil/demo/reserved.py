"""What the aggregators hand to the owners after each session: one file for each owner, with reservation and planning (I-14)."""

import re
from collections.abc import Sequence
from pathlib import Path

from backend.demo.customer import Customer
from backend.demo.terms import TERMS
from backend.market.reservation import Reservation, reservation_text, reservations
from hil.demo.market import Trades


def hand_over(trades: Trades, customers: Sequence[Customer], out: Path) -> list[Path]:
    """The files, below out: SESSION/OWNER.json; nothing for an owner of whom nothing was bought."""
    owner_of = {customer.pod: customer.owner for customer in customers}
    written = []
    for aggregator in sorted({customer.aggregator for customer in customers}):
        earlier: list[Reservation] = []
        for session in (trades.day_ahead, trades.near_real_time):
            mine = [offer for offer in session.offers if offer.aggregator == aggregator]
            fee_ppm = TERMS.fee_ppm[aggregator]
            made = reservations(session.outcome, mine, owner_of, trades.baseline_w, fee_ppm, earlier)
            earlier += made
            for one in made:
                path = out / one.session / f"{re.sub('[^A-Za-z0-9]+', '-', one.owner)}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(reservation_text(one) + "\n")
                written.append(path)
    return written
