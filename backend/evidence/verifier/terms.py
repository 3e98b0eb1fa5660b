"""The terms that orders were made on: how complete readings have to be, what missing energy costs, and the aggregators' fees.

1. Every field is there, of its type, inside its limits; the steps of a table rise, and no two tables are for the same.
2. Of the tables the one of the order's buyer and of active power counts, else the buyer's, else that of active power, else the
   one for all; where there is none, nothing is paid for what is missing.
3. A step is on what is missing from its part of the ordered energy up to the next one's; what went the wrong way is missing
   beyond the whole. Money is rounded once for each step, half to even.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.sheet import number, record, rows, word

FIELDS = ("tables", "fee_ppm", "completeness_ppm", "emergency_ueur_per_mwh", "reconcile_ppm", "reconcile_ws")
TABLE_FIELDS, STEP_FIELDS = ("buyer", "product", "steps"), ("from_ppm", "part_ppm")
PPM, WS_PER_MWH = 1_000_000, 3_600_000_000
_MOST_PPM, _MOST_UEUR, _MOST_STEPS = 100 * PPM, 10**15, 20


@dataclass(frozen=True, slots=True)
class Terms:
    """Steps (from which missing part, on which part of the price; 1e-6) by buyer and product, fees in 1e-6 by aggregator;
    document: as it stands in the orders."""

    tables: Mapping[tuple[str, str], Sequence[tuple[int, int]]]
    fee_ppm: Mapping[str, int]
    completeness_ppm: int
    document: Mapping[str, Any]

    def charged(self, buyer: str, ordered_ws: int, delivered_ws: int) -> list[tuple[int, int]] | None:
        """(Ws, part of the price in 1e-6) of what is missing, by step (rule 3); None without a table (rule 2)."""
        wanted = ((buyer, "active"), (buyer, ""), ("", "active"), ("", ""))
        steps = next((self.tables[key] for key in wanted if key in self.tables), None)
        if steps is None:
            return None
        found, missing_ws = [], ordered_ws - delivered_ws
        for k, (from_ppm, part_ppm) in enumerate(steps):
            low = ordered_ws * from_ppm // PPM
            high = missing_ws if k + 1 == len(steps) else min(missing_ws, ordered_ws * steps[k + 1][0] // PPM)
            if high > low:
                found.append((high - low, part_ppm))
        return found


def penalty_ueur(charged: Sequence[tuple[int, int]], price_ueur_per_mwh: int) -> int:
    """Money of what is charged (rule 3)."""
    return sum(round(Fraction(value_ueur(ws, price_ueur_per_mwh) * part, PPM)) for ws, part in charged)


def value_ueur(energy_ws: int, price_ueur_per_mwh: int) -> int:
    """Money of an energy."""
    return round(Fraction(energy_ws * price_ueur_per_mwh, WS_PER_MWH))


def read_terms(value: object, where: str) -> Terms:
    """The terms in a document (rule 1)."""
    table = record(value, FIELDS, where)
    number(table["reconcile_ppm"], f"{where}, reconcile_ppm", 0, PPM)
    number(table["reconcile_ws"], f"{where}, reconcile_ws", 0, 10**15)
    _by_name(table["emergency_ueur_per_mwh"], f"{where}, emergency_ueur_per_mwh", _MOST_UEUR)
    tables: dict[tuple[str, str], Sequence[tuple[int, int]]] = {}
    for k, row in enumerate(rows(table["tables"], f"{where}, tables")):
        key, steps = _table(row, f"{where}, tables[{k}]")
        if key in tables:
            raise NotValid(f"{where}, tables[{k}]", "is a second one for the same buyer and product")
        tables[key] = steps
    return Terms(
        tables,
        _by_name(table["fee_ppm"], f"{where}, fee_ppm", PPM),
        number(table["completeness_ppm"], f"{where}, completeness_ppm", 1, PPM),
        table,
    )


def _table(value: object, where: str) -> tuple[tuple[str, str], Sequence[tuple[int, int]]]:
    row = record(value, TABLE_FIELDS, where)
    if row["buyer"] not in ("", "DSO", "TSO") or row["product"] not in ("", "active", "reactive"):
        raise NotValid(where, "is not for DSO or TSO, active or reactive, or all")
    steps = []
    for k, one in enumerate(rows(row["steps"], f"{where}, steps")):
        place = f"{where}, steps[{k}]"
        step = record(one, STEP_FIELDS, place)
        steps.append((number(step["from_ppm"], f"{place}, from_ppm", 0, _MOST_PPM),
                      number(step["part_ppm"], f"{place}, part_ppm", 0, _MOST_PPM)))  # fmt: skip
        if k and steps[k][0] <= steps[k - 1][0]:
            raise NotValid(f"{place}, from_ppm", "does not rise from step to step")
    if not 1 <= len(steps) <= _MOST_STEPS:
        raise NotValid(f"{where}, steps", f"are {len(steps)}, not 1 to {_MOST_STEPS}")
    return (row["buyer"], row["product"]), steps


def _by_name(value: object, where: str, most: int) -> dict[str, int]:
    if not isinstance(value, dict):
        raise NotValid(where, "is not an object")
    return {word(name, where): number(one, f"{where}, {name}", 0, most) for name, one in value.items()}
