"""What the report tells, as plain records: filled by the play, drawn by the report, written as story.json.

Powers in W with withdrawal positive, instants in UTC ms, money in micro-EUR, per-unit values in millionths (ppm).
"""

from dataclasses import dataclass, field

FRAME_MS = 900_000


@dataclass(frozen=True, slots=True)
class PodSeries:
    """One customer in the live window; lists by quarter-hour from first_frame (epoch number), None where nothing holds."""

    pod: str
    owner: str
    aggregator: str
    kind: str
    first_frame: int
    baseline_w: tuple[int | None, ...]
    setpoint_w: tuple[int | None, ...]
    ordered_from_w: tuple[int | None, ...]
    ordered_to_w: tuple[int | None, ...]
    readings: tuple[tuple[int, int], ...]
    gaps_ms: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ElementSeries:
    """One monitored element; quantity "voltage" (ppm of rated) or "loading" (ppm of rating)."""

    element: str
    quantity: str
    limit_ppm: int
    first_frame: int
    before_ppm: tuple[int | None, ...]
    planned_ppm: tuple[int | None, ...]
    measured_ppm: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One offer of one session and what became of it."""

    session: str
    offer: str
    aggregator: str
    direction: str
    price_ueur_per_mwh: int
    offered_wh: int
    accepted_wh: int
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that moved."""

    payer: str
    payee: str
    amount_ueur: int
    what: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something a reader should know happened, at a virtual instant."""

    time_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class Proof:
    """One claim, whether it holds, and the figures it was checked with."""

    claim: str
    holds: bool
    figure: str


@dataclass(slots=True)
class Story:
    """The whole day."""

    title: str
    start_ms: int
    end_ms: int
    pods: list[PodSeries] = field(default_factory=list)
    elements: list[ElementSeries] = field(default_factory=list)
    requests: list[tuple[str, str, str, str]] = field(default_factory=list)
    offers: list[OfferRow] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    summary: dict[str, object] = field(default_factory=dict)
