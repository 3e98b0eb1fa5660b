"""Quantiles of loads and generators as states of the grid to work on (document lightnode-states/1).

1. A level is one of net withdrawal: loads stand at the level, generators at its mirror, so that a high level is the evening
   that breaks a rating and a low one the noon that lifts a voltage. A load's var stand at the middle level.
2. The document says which quarter-hour was the first that was not known.
"""

from backend.errors import Rejected
from backend.grid.quantile import Quantiles

FORMAT = "lightnode-states/1"
_PPM = 1_000_000
_FIELDS = {"load": "load_w", "var": "load_var", "generator": "generator_w"}


def states_document(made: Quantiles) -> dict[str, object]:
    """The document. Raises Rejected for columns that are no load:ID, generator:ID or var:ID, or levels without a mirror."""
    levels = list(made.levels_ppm)
    if [_PPM - level for level in reversed(levels)] != levels:
        raise Rejected(f"levels {levels}: states need each level's mirror too, as 50000 and 950000")
    rows: list[dict[str, object]] = []
    for n, level in enumerate(levels):
        row: dict[str, dict[str, list[int]]] = {"load_w": {}, "load_var": {}, "generator_w": {}}
        at = {"load": n, "var": len(levels) // 2, "generator": len(levels) - 1 - n}
        for k, name in enumerate(made.names):
            kind, _, id = name.partition(":")
            if kind not in _FIELDS or not id:
                raise Rejected(f"column {name!r}: expected load:ID, generator:ID or var:ID")
            row[_FIELDS[kind]][id] = made.values[at[kind], :, k].tolist()
        rows.append({"level_ppm": level, **row})
    return {"format": FORMAT, "frames": list(made.frames), "known_before_frame": made.gate, "levels": rows}
