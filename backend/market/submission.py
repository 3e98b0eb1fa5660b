"""Books of offers and requests from files, JSON or CSV, with one answer for each row. See README.md for the fields.

1. A row that holds becomes an Offer or a Request; one that does not gets refusals: row, id, field, reason code and what is
   expected, every wrong field of it. No row changes the fate of another, but for an id that stands twice: both are
   refused, since nobody can tell which was meant.
2. Numbers are whole and in the unit of their name; text "10", 10.0 and true are not the number 10 in JSON.
3. A quarter-hour is its number (utc_ms // 900000) or its begin with an offset, "2026-11-27T18:00+01:00".
4. In CSV the rows with one id make one offer or request: a row for each quarter-hour and price step; other columns must
   say the same in all of them. PODs and nodes stand as "IT001E1=4000;IT001E2=2500" and "12;34". Empty lines say nothing.
5. Who submits it and when is not in a file: the session says it (`received_ms` is 0 here).
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backend.domain.bids import Offer, Request
from backend.errors import Rejected
from backend.market.row_field import Code, FieldRefused
from backend.market.submission_field import offer_of, request_of
from backend.nesting import too_deep

FORMAT = "lightnode-bids/1"
MOST_CHARACTERS = 64 << 20
_MARK = "\ufeff"  # some programs begin a text with it
BROKEN = ""
_ONCE = {"frame", "volume_w", "price_ueur_per_mwh", "need"}
_NUMBERS = {
    "volume_w", "price_ueur_per_mwh", "need", "price_cap_ueur_per_mwh", "priority", "minimum_ppm", "lead_s",
    "ramp_w_per_min", "availability_ueur_per_mw_h",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row is not in the book. row: in JSON its number in its list, in CSV its line, from 1."""

    row: int
    id: str
    field: str
    code: Code
    reason: str

    def __str__(self) -> str:
        return f"row {self.row} {self.id}: {self.field}: {self.reason} ({self.code})"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a file holds: by id, and the refusals by row."""

    offers: tuple[Offer, ...]
    requests: tuple[Request, ...]
    refusals: tuple[Refusal, ...]


def parse_json(text: str) -> Submission:
    """The book in a JSON text; Rejected if it is none at all."""
    if len(text) > MOST_CHARACTERS:
        raise Rejected(f"bids: {len(text)} characters, at most {MOST_CHARACTERS}")
    if too_deep(text):
        raise Rejected("bids: nested too deep for bids")
    try:
        document = json.loads(text.removeprefix(_MARK), parse_constant=_no_number, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"bids: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Rejected(f"bids: format, expected {FORMAT!r}")
    unknown = sorted(set(document) - {"format", "offers", "requests"})
    if unknown:
        raise Rejected(f"bids: {unknown[0][:60]}: no such field")
    rows = []
    for key in ("offers", "requests"):
        part = document.get(key, [])
        if not isinstance(part, list):
            raise Rejected(f"bids: {key}: expected a list")
        rows += [(number, key == "offers", row) for number, row in enumerate(part, 1)]
    return _book(rows)


def parse_csv(text: str) -> Submission:
    """The book in a CSV text, offers (column "aggregator") or requests (column "buyer"); Rejected if it is neither."""
    if len(text) > MOST_CHARACTERS:
        raise Rejected(f"bids: {len(text)} characters, at most {MOST_CHARACTERS}")
    try:
        lines = list(csv.reader(io.StringIO(text.removeprefix(_MARK)), strict=True))
    except csv.Error as error:
        raise Rejected(f"bids: not CSV: {error}") from error
    names = [name.strip() for name in lines[0]] if lines else []
    if "id" not in names or ("aggregator" in names) == ("buyer" in names) or len(set(names)) < len(names):
        raise Rejected(
            "bids: line 1, expected columns once each, parted by commas, with 'id' and either 'aggregator' or 'buyer'"
        )
    groups: dict[str, list[tuple[int, dict[str, str]]]] = {}
    short = []
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        if len(cells) != len(names):
            short.append(Refusal(number, "", "", Code.MALFORMED, f"{len(cells)} cells, expected {len(names)}"))
            continue
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
        groups.setdefault(row["id"], []).append((number, row))
    made = _book([(rows[0][0], "aggregator" in names, _Joined(rows).row()) for rows in groups.values()])
    return Submission(made.offers, made.requests, tuple(sorted((*made.refusals, *short), key=lambda r: r.row)))


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; under the name BROKEN a field that stands twice in it."""
    made = dict(pairs)
    if len(made) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        made[BROKEN] = FieldRefused(name[:60], Code.DUPLICATE, "stands twice")
    return made


def _book(rows: Iterable[tuple[int, bool, object]]) -> Submission:
    rows = list(rows)
    ids = Counter((is_offer, _id(row)) for _, is_offer, row in rows)
    offers: dict[str, Offer] = {}
    requests: dict[str, Request] = {}
    refusals: list[Refusal] = []
    for number, is_offer, row in rows:
        found = list(_refused(row, is_offer, offers, requests, twice=ids[is_offer, _id(row)] > 1))
        refusals += [Refusal(number, _shown(_id(row)), _shown(f.field), f.code, _shown(f.reason, 300)) for f in found]
    return Submission(
        tuple(offers[k] for k in sorted(offers)), tuple(requests[k] for k in sorted(requests)), tuple(refusals)
    )


def _id(row: object) -> str:
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) else ""


def _shown(text: str, most: int = 64) -> str:
    """A name from outside in one line that any terminal can print."""
    return (text if text.isprintable() else ascii(text))[:most]


def _refused(
    row: object, is_offer: bool, offers: dict[str, Offer], requests: dict[str, Request], twice: bool
) -> Iterator[FieldRefused]:
    """Puts the row into its book, or yields why not."""
    if not isinstance(row, dict):
        yield FieldRefused("", Code.MALFORMED, "expected an object")
        return
    if twice and _id(row):
        yield FieldRefused("id", Code.DUPLICATE, "stands twice in this book")
        return
    broken = [part[BROKEN] for part in (row, *row.values()) if isinstance(part, dict) and BROKEN in part]
    if broken and isinstance(broken[0], FieldRefused):
        yield broken[0]
        return
    if is_offer:
        offer, found = offer_of(row)
        if offer is not None:
            offers[offer.id] = offer
    else:
        request, found = request_of(row)
        if request is not None:
            requests[request.id] = request
    yield from found


class _Joined:
    """Lines of a CSV with one id as the row that JSON would have (rule 4)."""

    def __init__(self, rows: list[tuple[int, dict[str, str]]]) -> None:
        self._rows = rows
        self._first = rows[0][1]

    def row(self) -> dict[str, Any]:
        """The row; under the name BROKEN what keeps it from being one."""
        try:
            return self._checked()
        except FieldRefused as refused:
            return {"id": self._first["id"], BROKEN: refused}

    def _checked(self) -> dict[str, Any]:
        for number, row in self._rows[1:]:
            for name in sorted(set(row) - _ONCE):
                if row[name] != self._first[name]:
                    reason = (
                        f"line {number} says {row[name][:60]!r}, line {self._rows[0][0]} {self._first[name][:60]!r}"
                    )
                    raise FieldRefused(name, Code.CONTRADICTION, reason)
        made: dict[str, Any] = {}
        for name, cell in self._first.items():
            if name not in _ONCE and cell != "":
                made[name] = _cell(name, cell)
        if "aggregator" in self._first:
            made["frames"] = self._frames()
        else:
            made["need"] = self._need()
        return made

    def _frames(self) -> dict[str, Any]:
        """Quarter-hour to its price steps, in order of price."""
        steps: dict[str, list[list[int]]] = {}
        for _, row in self._rows:
            step = [_number(name, row.get(name, "")) for name in ("volume_w", "price_ueur_per_mwh")]
            steps.setdefault(row.get("frame", ""), []).append(step)
        return {frame: sorted(rows, key=lambda step: step[1]) for frame, rows in steps.items()}

    def _need(self) -> dict[str, int]:
        need: dict[str, int] = {}
        for number, row in self._rows:
            frame = row.get("frame", "")
            if frame in need:
                raise FieldRefused("frame", Code.DUPLICATE, f"line {number}: {frame[:60]!r} stands twice")
            need[frame] = _number("need", row.get("need", ""))
        return need


def _cell(name: str, cell: str) -> Any:
    if name in _NUMBERS:
        return _number(name, cell)
    if name == "linked":
        if cell not in ("true", "false"):
            raise FieldRefused(name, Code.WRONG_KIND, f"{cell[:60]!r}, expected true or false")
        return cell == "true"
    if name == "nodes":
        return cell.split(";")
    if name in ("pods", "rebound_ppm"):
        return _pairs(name, cell)
    return cell


def _pairs(name: str, cell: str) -> Mapping[str, int]:
    pairs: dict[str, int] = {}
    for pair in cell.split(";"):
        key, equals, value = pair.partition("=")
        if not equals:
            raise FieldRefused(name, Code.MALFORMED, f"{pair[:60]!r}, expected NAME=NUMBER;NAME=NUMBER")
        if key.strip() in pairs:
            raise FieldRefused(name, Code.DUPLICATE, f"{key.strip()[:60]!r} stands twice")
        pairs[key.strip()] = _number(name, value.strip())
    return pairs


def _number(name: str, cell: str) -> int:
    digits = cell.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise FieldRefused(name, Code.WRONG_KIND, f"{cell[:60]!r}, expected a whole number")
    return int(cell)
