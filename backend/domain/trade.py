"""What the market decided: awards, the fate of every offer (I-08), orders (I-09) and plans (I-14)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """What became of an offer. Accepted: whole in every quarter-hour in which it was taken at all; cut: less in some."""

    ACCEPTED = "accepted"
    CUT = "cut"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why an offer was not taken, or not wholly."""

    TAKEN = "taken whole where it was needed"
    NEED_MET = "the need was met by better offers"
    NO_NEED = "nobody asked in its quarter-hours"
    WRONG_DIRECTION = "nobody asked in its direction"
    NO_EFFECT = "does not help the constrained element"
    PRICE_CAP = "dearer than the price cap"
    GUARD = "would break a limit of the grid"
    MINIMUM = "its minimum does not fit the need"
    OTHER_WAY = "its POD already moves the other way in that quarter-hour"
    NOT_VALIDATED = "refused by the operator's power flow"
    VALIDATED_IN_PART = "cut by the operator's power flow"
    OTHER_PRODUCT = "nobody asked for its product"
    NOT_AT_NODE = "not at the nodes that were asked for"
    LINKED = "its linked quarter-hours were not all asked for"


@dataclass(frozen=True, slots=True)
class Award:
    """W of one offer for one request in one quarter-hour, split over its PODs (W, all positive).

    step: the price step, 0 is the first. reserve: taken beyond the need, for the case that others fail.
    price_ueur_per_mwh: what it is settled at; None is the offer's one price. The last three are written only where they
    differ from this, see market.canonical.
    """

    offer: str
    request: str
    frame: int
    volume_w: int
    parts_w: Mapping[str, int]
    step: int = field(default=0, metadata={"written": "if set"})
    reserve: bool = field(default=False, metadata={"written": "if set"})
    price_ueur_per_mwh: int | None = field(default=None, metadata={"written": "if set"})


@dataclass(frozen=True, slots=True)
class Result:
    """The fate of one offer; element: the limit that stopped it, if it was a limit."""

    offer: str
    fate: Fate
    reason: Reason
    offered_w: int
    accepted_w: int
    element: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """I-08. One session: its awards, one result per offer, and what stays unserved by (request, frame)."""

    session: str
    awards: tuple[Award, ...]
    results: tuple[Result, ...]
    unserved: Mapping[tuple[str, int], int]


class OrderKind(StrEnum):
    """market: a call on an award. emergency: outside the market, paid by rule (market.settled), never penalised."""

    MARKET = "market"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class Order:
    """I-09. A buyer's call on awarded volume: W per POD in one quarter-hour (positive, in the offer's direction).

    An emergency order stands on no award: its offer and request are empty. kind is written only where it is not "market".
    """

    id: str
    offer: str
    request: str
    buyer: str
    frame: int
    parts_w: Mapping[str, int]
    direction: str
    price_ueur_per_mwh: int
    kind: OrderKind = field(default=OrderKind.MARKET, metadata={"written": "if set"})


@dataclass(frozen=True, slots=True)
class Plan:
    """I-14. What a POD shall do in one quarter-hour: W at the POD, withdrawal positive, for the orders named."""

    pod: str
    frame: int
    target_w: int
    orders: tuple[str, ...]
