"""A session's settlement input, made of what the market published, the settings, and what was measured.

1. Measurements are those of every POD and quarter-hour that is ordered, in which an order may rebound or whose rebound falls
   on one of these, or that is paid for being there.
2. Baselines are those of the same but the last, each run of quarter-hours
   of a market day by the POD's method. What it was not measured for, or had an order in it, does not count (baseline.py, rule
   4); where that leaves too little there is none, with the reason.
3. Settings are ``lightnode-settlement-settings/1``: terms, time zone, and owner, BRP and method of each POD, and where it differs
   the method of its reactive power; a POD that is traded and not among them is refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from backend.domain.bids import MOST_W
from backend.domain.local_day import Calendar
from backend.domain.quantity import FRAME_S, half_even
from backend.errors import Rejected
from backend.market.baseline import Known, baseline, looks_at
from backend.market.settled_awards import others_of
from backend.market.settled_delivered import looked_at, sold_by
from backend.market.settled_document import MOST_PODS, MOST_ROWS, not_available_of, pod_of, watched_of
from backend.market.settled_evidence import Point, chosen
from backend.market.settled_input import (
    BaselineRow,
    Called,
    MeasuredRow,
    NotAvailable,
    OtherOrder,
    PodRow,
    Reserved,
    SetPointRow,
    SettlementInput,
)
from backend.market.settled_order import Source
from backend.market.settled_terms import SettlementTerms, terms_of
from backend.market.strict import parse

SETTINGS, BASELINES = "lightnode-settlement-settings/1", "lightnode-baselines/1"
UNAVAILABLE = "lightnode-unavailable/1"


@dataclass(frozen=True, slots=True)
class Settings:
    """Rule 3; watched_frames: see settled_rebound.py."""

    terms: SettlementTerms
    calendar: Calendar
    pods: Mapping[str, PodRow]
    watched_frames: int = 0


@dataclass(frozen=True, slots=True)
class Traded:
    """What the market published of a session (settled_awards.py); elsewhere: the orders of all other sessions."""

    session: str
    outcome_sha256: str
    outcome_version: int
    awards: tuple[Reserved, ...]
    orders: tuple[Called, ...]
    elsewhere: Sequence[OtherOrder] = ()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """measure: what a POD (or POD/var) measured in a quarter-hour; told: its set-point, None where nobody keeps them;
    ordered: POD and quarter-hour of every order of any session; schedule_w: the BRPs' profiles (I-03); unavailable: I-13."""

    measure: Callable[[str, int], MeasuredRow]
    ordered: frozenset[Point] = frozenset()
    schedule_w: Mapping[Point, int] = field(default_factory=dict)
    unavailable: tuple[NotAvailable, ...] = ()
    told: Callable[[str, int], SetPointRow] | None = None


def settings_of(text: str) -> Settings:
    """Rule 3; Rejected in one line."""
    fields = parse(text, "settlement settings", SETTINGS)
    calendar = Calendar(fields.words("zone", 64, 1))
    terms = terms_of(fields.part("terms", fields.take("terms")))
    pods: dict[str, PodRow] = {}
    for row in fields.objects("pods", "settlement settings: POD", MOST_PODS):
        one = pod_of(row)
        row.end()
        if one.pod in pods:
            raise Rejected(f"settlement settings: POD {one.pod} stands twice")
        pods[one.pod] = one
    watched = watched_of(fields)
    fields.end()
    return Settings(terms, calendar, pods, watched)


def schedule_of(text: str, session: str, settings: Settings) -> dict[Point, int]:
    """W by POD and quarter-hour of the BRPs' profiles (I-03), as ``lightnode-baselines/1`` has them; Rejected unless they are the
    session's and frozen, and each is of the BRP that the settings name."""
    fields = parse(text, "baselines", BASELINES)
    if fields.name("session") != session or not fields.flag("frozen"):
        raise Rejected(f"baselines: expected those of {session}, frozen")
    fields.whole("frozen_ms", 0, 1 << 62)
    found: dict[Point, int] = {}
    for row in fields.objects("baselines", "baseline", MOST_PODS):
        pod, brp = row.point("pod"), row.party("brp")
        row.whole("version", 1, 1 << 31)
        row.whole("received_ms", 0, 1 << 62)
        known = settings.pods.get(pod)
        if known is not None and known.brp != brp:
            raise Rejected(f"{row.where}: POD {pod} is of BRP {brp}, the settings say {known.brp}")
        for frame, watts in row.numbers("frames", -MOST_W, MOST_W, 1000).items():
            if not (frame.isascii() and frame.isdigit()) or (pod, int(frame)) in found:
                raise Rejected(f"{row.where}: {pod}, quarter-hour {frame}: is none, or stands twice")
            found[pod, int(frame)] = watts
        row.end()
    fields.end()
    return found


def schedules_of(texts: Sequence[str], session: str, settings: Settings) -> dict[Point, int]:
    """The same of several sessions: what the session's own do not say, as behind its quarter-hours, is taken from those of
    others, in their order. Rejected unless its own are among them."""
    named = [(parse(text, "baselines", BASELINES).name("session"), text) for text in texts]
    if session not in dict(named):
        raise Rejected(f"baselines: expected those of {session}, frozen")
    found: dict[Point, int] = {}
    for name, text in sorted(named, key=lambda one: one[0] != session):
        found = {**schedule_of(text, name, settings), **found}
    return found


def unavailable_of(text: str) -> tuple[NotAvailable, ...]:
    """What owners said cannot deliver (I-13): ``lightnode-unavailable/1``."""
    fields = parse(text, "unavailable", UNAVAILABLE)
    found = []
    for row in fields.objects("unavailable", "unavailability", MOST_ROWS):
        found.append(not_available_of(row))
        row.end()
    fields.end()
    return tuple(found)


def made_input(traded: Traded, settings: Settings, known: Knowledge) -> SettlementInput:
    """The input (rules 1 and 2); Rejected for a POD that is not among the settings."""
    ordered = {(pod, one.frame) for one in traded.orders for pod in one.points}
    own = traded.session, traded.awards, traded.orders
    others = others_of(*own, traded.elsewhere, settings.watched_frames)
    back = looked_at(sold_by(*own), others, settings.watched_frames) - ordered
    reserved = {
        (one.point(pod), one.frame) for one in traded.awards if one.availability_ueur_per_mw_h for pod in one.parts_w
    }
    pods = sorted({pod for of in (traded.awards, traded.orders) for one in of for pod in one.parts_w})
    for pod in pods:
        if pod not in settings.pods:
            raise Rejected(f"settlement settings: POD {pod} is traded in {traded.session} and not among them")
    known_gone = [one for one in known.unavailable if one.pod in set(pods)]
    return SettlementInput(
        traded.session, traded.outcome_sha256, traded.outcome_version, settings.terms, traded.awards, traded.orders,
        tuple(settings.pods[pod] for pod in pods), (*_baselines(ordered, settings, known), *_baselines(back, settings, known)),
        tuple(known.measure(*point) for point in sorted(ordered | reserved | back)), tuple(known_gone),
        () if known.told is None else tuple(known.told(*point) for point in sorted(ordered)), others,
        settings.watched_frames,
    )  # fmt: skip


def _baselines(points: Iterable[Point], settings: Settings, known: Knowledge) -> list[BaselineRow]:
    """Rule 2, by POD and quarter-hour."""
    found = []
    for pod, of in groupby(sorted(points), key=lambda point: point[0]):
        for run in _runs([frame for _, frame in of], settings.calendar):
            found += _of_run(pod, run, settings, known)
    return found


def _runs(frames: list[int], calendar: Calendar) -> list[list[int]]:
    """Quarter-hours one behind the other, of one market day."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][-1] + 1 and calendar.day(frame) == calendar.day(runs[-1][-1]):
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def _of_run(pod: str, run: list[int], settings: Settings, known: Knowledge) -> list[BaselineRow]:
    method = settings.pods[pod.removesuffix("/var")].method_of(pod)
    measured_w = {}
    for frame in looks_at(method, run, settings.calendar):
        seen = chosen(known.measure(pod, frame), settings.terms)
        if seen.source is not Source.MISSING:
            measured_w[frame] = half_even(seen.energy_ws, FRAME_S)
    under_order = frozenset(frame for of, frame in known.ordered if of == pod)
    schedule_w = {frame: known.schedule_w[pod, frame] for frame in run if (pod, frame) in known.schedule_w}
    made = baseline(method, run, Known(measured_w, under_order, schedule_w), settings.calendar)
    return [
        BaselineRow(pod, frame, made.frame_w.get(frame), made.reason, made.days, made.adjustment_w) for frame in run
    ]
