"""An aggregator's offers from the availability of its customers (I-13): deterministic for a seed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from backend.domain.bids import Direction, Offer
from backend.market.register import Resource

__all__ = ["Resource", "build_offers"]
EUR = 1_000_000


def build_offers(
    resources: Iterable[Resource], frames: Sequence[int], seed: int, received_ms: int
) -> tuple[Offer, ...]:
    """One upward offer per POD in two price steps, small PODs of an aggregator as one group, and one downward offer each."""
    offers: list[Offer] = []
    groups: dict[str, dict[str, int]] = {}
    for resource in sorted(resources, key=lambda r: r.pod):
        if resource.up_w < 12_000:
            groups.setdefault(resource.aggregator, {})[resource.pod] = resource.up_w
            continue
        first_w = resource.up_w * 6 // 10
        share = {resource.pod: resource.up_w}
        price = _price(seed, resource.pod)
        base = f"{resource.aggregator[-1]}-{resource.pod[-4:]}"
        offers.append(_offer(f"{base}-1", resource.aggregator, frames, first_w, share, price, received_ms, 0))
        dear = price * 14 // 10 if _draw(seed, resource.pod, "dear") % 8 else 340 * EUR
        minimum = 1_000_000 if _draw(seed, resource.pod, "block") % 6 == 0 else 0
        rest_w = resource.up_w - first_w
        offers.append(
            _offer(f"{base}-2", resource.aggregator, frames, rest_w, share, dear, received_ms + 1000, minimum)
        )
        if resource.down_w and _draw(seed, resource.pod, "down") % 5 == 0:
            down = {resource.pod: resource.down_w}
            offers.append(
                Offer(
                    f"{base}-D",
                    resource.aggregator,
                    Direction.DOWN,
                    dict.fromkeys(frames, resource.down_w),
                    down,
                    price,
                    received_ms,
                )
            )
    for aggregator, shares in sorted(groups.items()):
        price = _price(seed, aggregator)
        offers.append(
            _offer(f"{aggregator[-1]}-group", aggregator, frames, sum(shares.values()), shares, price, received_ms, 0)
        )
    return tuple(offers)


def _offer(
    id: str,
    aggregator: str,
    frames: Sequence[int],
    watts: int,
    shares: Mapping[str, int],
    price: int,
    received_ms: int,
    minimum: int,
) -> Offer:
    return Offer(id, aggregator, Direction.UP, dict.fromkeys(frames, watts), shares, price, received_ms, minimum)


def _draw(seed: int, *words: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join((str(seed), *words)).encode()).digest()[:4], "big")


def _price(seed: int, name: str) -> int:
    """70 to 170 EUR/MWh, in steps of 0.50."""
    return 70 * EUR + _draw(seed, name, "price") % 201 * (EUR // 2)
