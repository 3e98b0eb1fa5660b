"""What an award is settled at.

1. As bid: the price of its own step; an offer of one price needs none written.
2. As cleared: the dearest accepted price of the request's need in that quarter-hour, the same for all its awards, never
   below an award's own. Reserve is settled as bid: it sets no price.
"""

from dataclasses import dataclass, field

from backend.market.rules import Pricing
from backend.market.state import Bought, State


@dataclass(slots=True)
class Prices:
    """The uniform prices (micro-EUR/MWh) of a clearing, by request and quarter-hour."""

    pricing: Pricing
    state: State
    cleared: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pricing is Pricing.AS_CLEARED:
            for bought in self.state.bought:
                if not bought.reserve:
                    key = (bought.request, bought.frame)
                    dearest = int(self.state.book.price[bought.entry].max(initial=0))
                    self.cleared[key] = max(self.cleared.get(key, 0), dearest)


def priced(prices: Prices, bought: Bought) -> list[int | None]:
    """micro-EUR/MWh of each entry bought; None where the offer's one price says it (rule 1)."""
    book = prices.state.book
    if prices.pricing is Pricing.AS_CLEARED and not bought.reserve:
        return [prices.cleared[bought.request, bought.frame]] * len(bought.entry)
    own, stepped = book.price[bought.entry].tolist(), book.stepped[bought.entry].tolist()
    return [price if several else None for price, several in zip(own, stepped, strict=True)]
