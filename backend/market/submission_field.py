"""One row of a book to an Offer or a Request, field by field; every wrong field is a refusal with its reason code."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from backend.domain.bids import MOST_UEUR_PER_MWH, MOST_W, Buyer, Direction, Offer, Product, Request, Step
from backend.domain.quantity import FRAME_MS, PPM
from backend.errors import Rejected

MOST_FRAMES = 400
MOST_PODS = 10_000
MOST_NEED = 10**15
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_FRAME_RANGE = range(1, 1 << 28)


class Code(StrEnum):
    """Reason codes of rows."""

    MALFORMED = "malformed"
    MISSING = "field-missing"
    UNKNOWN = "field-unknown"
    WRONG_KIND = "wrong-kind"
    OUT_OF_RANGE = "out-of-range"
    NOT_A_QUARTER_HOUR = "not-a-quarter-hour"
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"


class FieldRefused(Exception):
    """One field, why it is refused, and what is expected."""

    def __init__(self, field: str, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.field, self.code, self.reason = field, code, reason


class _Row:
    """Takes checked fields out of a row; what is wrong is collected, what is left over unknown."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = dict(row)
        self.refused: list[FieldRefused] = []

    def take(self, name: str, check: Callable[[str, Any], Any], otherwise: Any = ...) -> Any:
        """The field's value; ``otherwise`` where it may be left out; None where it is refused."""
        if name not in self._row:
            if otherwise is ...:
                self.refused.append(FieldRefused(name, Code.MISSING, "is missing"))
                return None
            return otherwise
        try:
            return check(name, self._row.pop(name))
        except FieldRefused as refused:
            self.refused.append(refused)
            return None

    def end(self) -> None:
        """Whatever was not taken has no meaning."""
        for name in sorted(self._row):
            self.refused.append(FieldRefused(str(name)[:60], Code.UNKNOWN, "no such field"))


def offer_of(row: Mapping[str, Any]) -> tuple[Offer | None, list[FieldRefused]]:
    """The offer of a row, or what is wrong with it."""
    source = _Row(row)
    identity = {"id": source.take("id", _name), "aggregator": source.take("aggregator", _name)}
    direction = source.take("direction", _one_of(Direction))
    frames: Mapping[int, int | tuple[Step, ...]] | None = source.take("frames", _frames)
    priced = frames is not None and all(isinstance(value, tuple) for value in frames.values())
    price = source.take("price_ueur_per_mwh", _whole(0, MOST_UEUR_PER_MWH), 0 if priced or frames is None else ...)
    pods = source.take("pods", _numbers_by(_pod, 1, MOST_W, MOST_PODS))
    more = {
        "minimum_ppm": source.take("minimum_ppm", _whole(0, PPM), 0),
        "product": source.take("product", _one_of(Product), Product.ACTIVE),
        "linked": source.take("linked", _true_or_false, False),
        "rebound_ppm": source.take("rebound_ppm", _numbers_by(_later, 1, PPM, 95), {}),
        "lead_s": source.take("lead_s", _whole(0, 86_400), 0),
        "ramp_w_per_min": source.take("ramp_w_per_min", _whole(0, MOST_W), 0),
        "availability_ueur_per_mw_h": source.take("availability_ueur_per_mw_h", _whole(0, MOST_UEUR_PER_MWH), 0),
    }
    source.end()
    if source.refused or frames is None:
        return None, source.refused
    steps = {frame: value for frame, value in frames.items() if isinstance(value, tuple)}
    volume_w = {f: sum(s.volume_w for s in v) if isinstance(v, tuple) else v for f, v in frames.items()}
    if priced and len({step.price_ueur_per_mwh for row in steps.values() for step in row}) == 1:
        price, steps = next(iter(steps.values()))[0].price_ueur_per_mwh, {}
    try:
        return Offer(**identity, direction=direction, volume_w=volume_w, shares_w=pods, price_ueur_per_mwh=price,
                     received_ms=0, steps=steps, **more), []  # fmt: skip
    except Rejected as rejected:
        return None, [FieldRefused("", Code.CONTRADICTION, rejected.reason)]


def request_of(row: Mapping[str, Any]) -> tuple[Request | None, list[FieldRefused]]:
    """The request of a row, or what is wrong with it."""
    source = _Row(row)
    made = {
        "id": source.take("id", _name),
        "buyer": source.take("buyer", _one_of(Buyer)),
        "direction": source.take("direction", _one_of(Direction)),
        "element": source.take("element", _element, ""),
        "nodes": source.take("nodes", _nodes, ()),
        "need": source.take("need", _need),
        "price_cap_ueur_per_mwh": source.take("price_cap_ueur_per_mwh", _whole(0, MOST_UEUR_PER_MWH)),
        "priority": source.take("priority", _whole(0, 1_000_000), 0),
        "product": source.take("product", _one_of(Product), Product.ACTIVE),
    }
    source.end()
    if source.refused:
        return None, source.refused
    try:
        return Request(**made), []
    except Rejected as rejected:
        return None, [FieldRefused("", Code.CONTRADICTION, rejected.reason)]


def frame_of(field: str, key: str) -> int:
    """A quarter-hour's number from its number or its begin with an offset."""
    if key.isascii() and key.isdigit() and len(key) < 12:
        frame = int(key)
    else:
        try:
            begin = datetime.fromisoformat(key)
        except ValueError:
            begin = datetime.min
        if begin.tzinfo is None:
            raise FieldRefused(
                field, Code.NOT_A_QUARTER_HOUR, f"{key[:60]!r}, expected a number or a begin with an offset"
            )
        frame, rest = divmod(round(begin.timestamp() * 1000), FRAME_MS)
        if rest:
            raise FieldRefused(field, Code.NOT_A_QUARTER_HOUR, f"{key[:60]!r} is within a quarter-hour")
    if frame not in _FRAME_RANGE:
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{key[:60]!r} is not of this age")
    return frame


def is_identity(text: str) -> bool:
    """Whether a text may be the id of a bid, a party or a POD."""
    return _ID.fullmatch(text) is not None


def _name(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected text")
    if not is_identity(value):
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{_shown(value)}, expected 1 to 64 of letters, digits, . _ : -")
    return value


def _element(field: str, value: Any) -> str:
    return "" if value == "" else _name(field, value)


def _pod(field: str, key: str) -> str:
    return _name(field, key)


def _later(field: str, key: str) -> int:
    if not (key.isascii() and key.isdigit() and 1 <= int(key[:4]) <= 95 and len(key) < 3):
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{key[:60]!r}, expected 1 to 95 quarter-hours later")
    return int(key)


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def check(field: str, value: Any) -> int:
        if type(value) is not int:
            raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected a whole number")
        if not low <= value <= high:
            raise FieldRefused(field, Code.OUT_OF_RANGE, f"{_shown(value)}, expected {low} to {high}")
        return value

    return check


def _true_or_false(field: str, value: Any) -> bool:
    if type(value) is not bool:
        raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected true or false")
    return value


def _one_of(words: type[StrEnum]) -> Callable[[str, Any], StrEnum]:
    def check(field: str, value: Any) -> StrEnum:
        expected = " or ".join(word.value for word in words)
        if not isinstance(value, str):
            raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected {expected}")
        if value not in {word.value for word in words}:
            raise FieldRefused(field, Code.OUT_OF_RANGE, f"{_shown(value)}, expected {expected}")
        return words(value)

    return check


def _object(field: str, value: Any, most: int) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected an object")
    if not 1 <= len(value) <= most:
        raise FieldRefused(field, Code.OUT_OF_RANGE, f"{len(value)} entries, expected 1 to {most}")
    return value


def _numbers_by(key_of: Callable[[str, str], Any], low: int, high: int, most: int) -> Callable[[str, Any], Any]:
    number = _whole(low, high)

    def check(field: str, value: Any) -> dict[Any, int]:
        return {
            key_of(field, key): number(f"{field}.{key[:60]}", one) for key, one in _object(field, value, most).items()
        }

    return check


def _frames(field: str, value: Any) -> dict[int, int | tuple[Step, ...]]:
    number = _whole(1, MOST_W)
    found: dict[int, int | tuple[Step, ...]] = {}
    for key, one in _object(field, value, MOST_FRAMES).items():
        frame, where = frame_of(field, key), f"{field}.{key[:60]}"
        if frame in found:
            raise FieldRefused(field, Code.DUPLICATE, f"{key[:60]!r} stands twice")
        found[frame] = _steps(where, one) if isinstance(one, list) else number(where, one)
    return found


def _steps(where: str, rows: list[Any]) -> tuple[Step, ...]:
    if not rows or any(not isinstance(row, list) or len(row) != 2 for row in rows):
        raise FieldRefused(where, Code.WRONG_KIND, "price steps, expected a list of [W, micro-EUR per MWh]")
    volume, price = _whole(1, MOST_W), _whole(0, MOST_UEUR_PER_MWH)
    return tuple(Step(volume(where, w), price(where, ueur)) for w, ueur in rows)


def _need(field: str, value: Any) -> dict[int, int]:
    number = _whole(0, MOST_NEED)
    found: dict[int, int] = {}
    for key, one in _object(field, value, MOST_FRAMES).items():
        frame = frame_of(field, key)
        if frame in found:
            raise FieldRefused(field, Code.DUPLICATE, f"{key[:60]!r} stands twice")
        found[frame] = number(f"{field}.{key[:60]}", one)
    return found


def _nodes(field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PODS:
        raise FieldRefused(field, Code.WRONG_KIND, f"{_shown(value)}, expected a list of 1 to {MOST_PODS} nodes")
    found = tuple(_name(field, node) for node in value)
    if len(set(found)) < len(found):
        raise FieldRefused(field, Code.DUPLICATE, "a node stands twice")
    return found


def _shown(value: Any) -> str:
    return repr(value)[:60]


def offer_row(offer: Offer) -> dict[str, Any]:
    """The row that `offer_of` makes this offer of again, but for its receipt."""
    row: dict[str, Any] = {
        "id": offer.id,
        "aggregator": offer.aggregator,
        "direction": offer.direction.value,
        "frames": {
            str(f): [[s.volume_w, s.price_ueur_per_mwh] for s in offer.steps[f]] if f in offer.steps else w
            for f, w in sorted(offer.volume_w.items())
        },
        "pods": dict(sorted(offer.shares_w.items())),
        "price_ueur_per_mwh": offer.price_ueur_per_mwh,
        "product": offer.product.value,
    }
    if offer.rebound_ppm:
        row["rebound_ppm"] = {str(later): part for later, part in sorted(offer.rebound_ppm.items())}
    for name in ("minimum_ppm", "linked", "lead_s", "ramp_w_per_min", "availability_ueur_per_mw_h"):
        if getattr(offer, name):
            row[name] = getattr(offer, name)
    return row


def request_row(request: Request) -> dict[str, Any]:
    """The row that `request_of` makes this request of again."""
    row: dict[str, Any] = {
        "id": request.id,
        "buyer": request.buyer.value,
        "direction": request.direction.value,
        "need": {str(f): n for f, n in sorted(request.need.items())},
        "price_cap_ueur_per_mwh": request.price_cap_ueur_per_mwh,
        "priority": request.priority,
        "product": request.product.value,
        "element": request.element,
    }
    if request.nodes:
        row["nodes"] = list(request.nodes)
    return row
