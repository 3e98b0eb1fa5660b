"""A settlement input from its text and as its one text; see settled_input.py for what belongs together."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

from backend.domain.bids import MOST_REBOUND_FRAMES, MOST_UEUR_PER_MWH, MOST_W, Buyer, Direction, Product
from backend.domain.quantity import PPM
from backend.domain.trade import OrderKind
from backend.market import canonical
from backend.market.baseline import Adjustment, Kind, Method
from backend.market.settled_input import (
    FORMAT,
    BaselineRow,
    Called,
    MeasuredRow,
    NotAvailable,
    OtherOrder,
    PodRow,
    Reserved,
    SetPointRow,
    SettlementInput,
    Told,
)
from backend.market.settled_terms import terms_of
from backend.market.strict import Fields, parse

MOST_ROWS, MOST_PODS, MOST_FRAME = 2_000_000, 100_000, 1 << 28
MOST_WS, MOST_DAYS = 10**16, 400
_Row = TypeVar("_Row")


def input_of(text: str) -> SettlementInput:
    """The input in a text; Rejected with the first thing that is wrong."""
    fields = parse(text, "settlement input", FORMAT)
    made = SettlementInput(
        session=fields.name("session"),
        outcome_sha256=fields.digest("outcome_sha256"),
        outcome_version=fields.whole("outcome_version", 1, 1_000_000),
        terms=terms_of(fields.part("terms", fields.take("terms"))),
        awards=_all(fields, "awards", "award", _reserved),
        orders=_all(fields, "orders", "order", _called),
        pods=_all(fields, "pods", "POD", pod_of),
        baselines=_all(fields, "baselines", "baseline", _baseline),
        measured=_all(fields, "measured", "measurement", _measured),
        unavailable=_all(fields, "unavailable", "unavailability", not_available_of),
        setpoints=_all(fields, "setpoints", "set-point", _setpoint) if fields.has("setpoints") else (),
        others=_all(fields, "others", "other order", _other) if fields.has("others") else (),
        watched_frames=watched_of(fields),
    )
    fields.end()
    return in_order(made)


def input_text(made: SettlementInput) -> str:
    """The one text of an input (rule 5)."""
    return canonical.text_of(FORMAT, in_order(made))


def in_order(made: SettlementInput) -> SettlementInput:
    """The same input, its rows in their one order."""
    tables = tuple(sorted(made.terms.tables, key=lambda one: (one.buyer, one.product)))
    return replace(
        made,
        terms=replace(made.terms, tables=tables),
        awards=tuple(sorted(made.awards, key=lambda one: one.key)),
        orders=tuple(sorted(made.orders, key=lambda one: one.id)),
        pods=tuple(sorted(made.pods, key=lambda one: one.pod)),
        baselines=tuple(sorted(made.baselines, key=lambda one: (one.pod, one.frame))),
        measured=tuple(sorted(made.measured, key=lambda one: (one.pod, one.frame))),
        unavailable=tuple(sorted(made.unavailable, key=lambda one: (one.pod, one.frame))),
        setpoints=tuple(sorted(made.setpoints, key=lambda one: (one.pod, one.frame))),
        others=tuple(sorted(made.others, key=lambda one: one.id)),
    )


def _all(fields: Fields, field: str, what: str, read: Callable[[Fields], _Row]) -> tuple[_Row, ...]:
    found = []
    for row in fields.objects(field, f"{fields.where}: {what}", MOST_ROWS):
        found.append(read(row))
        row.end()
    return tuple(found)


def _bought(row: Fields, empty: bool) -> dict[str, Any]:
    """What award and order both say."""
    return {
        "offer": row.name("offer", empty),
        "request": row.name("request", empty),
        "frame": row.whole("frame", 1, MOST_FRAME),
        "step": row.whole("step", 0, 1000),
        "reserve": row.flag("reserve"),
        "buyer": row.choice("buyer", Buyer),
        "aggregator": row.party("aggregator"),
        "direction": row.choice("direction", Direction),
        "product": row.choice("product", Product),
        "parts_w": row.numbers("parts_w", 1, MOST_W, MOST_PODS),
        "price_ueur_per_mwh": row.whole("price_ueur_per_mwh", 0, MOST_UEUR_PER_MWH),
    }


def _reserved(row: Fields) -> Reserved:
    price = row.whole("availability_ueur_per_mw_h", 0, MOST_UEUR_PER_MWH)
    rebound = _rebound(row) if row.has("rebound") else ()
    return Reserved(**_bought(row, False), availability_ueur_per_mw_h=price, rebound=rebound)


def _rebound(row: Fields) -> tuple[tuple[int, int], ...]:
    """Pairs of quarter-hours later and part, the earlier first."""
    found = row.rows("rebound", MOST_REBOUND_FRAMES)
    for one in found:
        pair = isinstance(one, list) and [type(value) for value in one] == [int, int]
        if not (pair and 1 <= one[0] <= MOST_REBOUND_FRAMES and 1 <= one[1] <= PPM):
            row.refuse("rebound", one, f"[quarter-hours later, ppm]: 1 to {MOST_REBOUND_FRAMES} and 1 to {PPM}")
    if any(b[0] <= a[0] for a, b in pairwise(found)):
        row.refuse("rebound", found, "each quarter-hour once, the earlier first")
    return tuple((later, part) for later, part in found)


def watched_of(fields: Fields) -> int:
    """How many quarter-hours behind an order are watched; may be left out."""
    return fields.whole("watched_frames", 0, MOST_REBOUND_FRAMES) if fields.has("watched_frames") else 0


def _called(row: Fields) -> Called:
    kind = row.choice("kind", OrderKind)
    return Called(row.name("id"), kind, **_bought(row, kind is OrderKind.EMERGENCY))


def pod_of(row: Fields) -> PodRow:
    """Whose a POD is, and how its baseline is made."""
    reactive = row.take("reactive_method") if row.has("reactive_method") else None
    return PodRow(
        row.name("pod"), row.party("owner"), row.party("brp"), method_of(row.part("method", row.take("method"))),
        None if reactive is None else method_of(row.part("reactive_method", reactive)),
    )  # fmt: skip


def method_of(row: Fields) -> Method:
    """A baseline's method."""
    adjustment = row.take("adjustment")
    made = Method(
        row.choice("kind", Kind), row.whole("keep", 1, MOST_DAYS), row.whole("of", 1, MOST_DAYS),
        row.whole("look_back_days", 1, MOST_DAYS), None if adjustment is None else _adjustment(row, adjustment),
        row.whole("before", 1, 1000), row.whole("gap", 0, 1000),
    )  # fmt: skip
    row.end()
    return made


def _adjustment(row: Fields, value: object) -> Adjustment:
    one = row.part("adjustment", value)
    made = Adjustment(one.whole("frames", 1, 1000), one.whole("gap", 0, 1000), one.whole("cap_ppm", 0, PPM))
    one.end()
    return made


def _baseline(row: Fields) -> BaselineRow:
    return BaselineRow(
        row.point("pod"), row.whole("frame", 1, MOST_FRAME), row.whole_or_none("power_w", -MOST_W, MOST_W), row.words("reason"),
        tuple(row.day("days", day) for day in row.rows("days", MOST_DAYS)), row.whole("adjustment_w", -MOST_W, MOST_W),
    )  # fmt: skip


def _measured(row: Fields) -> MeasuredRow:
    return MeasuredRow(
        row.point("pod"), row.whole("frame", 1, MOST_FRAME), row.whole_or_none("readings_ws", -MOST_WS, MOST_WS),
        row.whole("completeness_ppm", 0, PPM), row.whole_or_none("registers_ws", -MOST_WS, MOST_WS),
    )  # fmt: skip


def not_available_of(row: Fields) -> NotAvailable:
    """A POD that its owner said cannot deliver."""
    return NotAvailable(row.name("pod"), row.whole("frame", 1, MOST_FRAME), row.words("reason"))


def _setpoint(row: Fields) -> SetPointRow:
    return SetPointRow(
        row.point("pod"), row.whole("frame", 1, MOST_FRAME), row.whole_or_none("target_w", -MOST_W, MOST_W),
        row.choice("told", Told),
    )  # fmt: skip


def _other(row: Fields) -> OtherOrder:
    return OtherOrder(
        row.name("session"), row.name("id"), row.choice("kind", OrderKind), row.whole("frame", 1, MOST_FRAME),
        row.choice("direction", Direction), row.numbers("parts_w", 1, MOST_W, MOST_PODS),
        _rebound(row) if row.has("rebound") else (),
    )  # fmt: skip
