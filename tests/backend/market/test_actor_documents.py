"""Hostile documents between the actors: whatever stands in any place of one, it is taken or refused in one line."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.demo.day import load_day
from backend.domain.bids import Direction, Offer
from backend.domain.trade import Award, Outcome
from backend.errors import Rejected
from backend.grid.substation import parse_substation
from backend.grid.transmission import parse_transmission
from backend.market.availability import DerState, DerStatus
from backend.market.availability_form import (
    availability_of,
    availability_of_csv,
    availability_text,
    status_of,
    status_text,
)
from backend.market.calling import requests_of
from backend.market.exchange import resources_of
from backend.market.offering import offering_of
from backend.market.owner_account import accounts
from backend.market.profile import baselines_of, profiles_of
from backend.market.reservation import reservation_of, reservation_text, reservations
from backend.market.settled import settled, settlement_text
from tests.backend.market.settlement_case import worked

F = 1_995_326
JUNK = (None, True, -1, 1.5, 10**30, "", "x\n\x1b[2J", "é" * 5000, [], {}, [None], {"": None}, [[1]])
OFFER = Offer("A-a-up", "A", Direction.UP, {F: 9}, {"a": 9}, 5, 0)
RESERVATION = reservations(
    Outcome("da", (Award("A-a-up", "T", F, 9, {"a": 9}),), (), {}), [OFFER], {"a": "Dairy"}, {("a", F): 5}, 7
)
ABLE = availability_of_csv(f"pod,from,until,up_w,down_w,brp\na,{F},{F + 2},9,1,P\n", "Dairy", "A")
PART = {"frames": [F], "power_w": [1], "power_var": [2], "voltage_ppt": {"5": [1]}, "unsolved": []}
NEED = {
    "id": "D", "buyer": "DSO", "element": "line:1", "name": "n", "direction": "up", "product": "active", "nodes": [],
    "frames": [{"frame": F, "relief_ppt": 5, "volume_w": 9, "volume_var": 0}],
}  # fmt: skip
DOCUMENTS: dict[str, tuple[Callable[[str], Any], Any]] = {
    "availability": (availability_of, json.loads(availability_text(ABLE))),
    "status": (status_of, json.loads(status_text(DerStatus("a", "Dairy", DerState.OFF, 0, F, "why")))),
    "offering": (offering_of, {"format": "lightnode-offering/1", "price_ueur_per_mwh": {"up": 1}, "steps": [[1_000_000, 1]]}),
    "profiles": (profiles_of, {"format": "lightnode-profiles/1", "profiles": [{"pod": "a", "frames": {str(F): 1}}]}),
    "baselines": (
        baselines_of,
        {
            "format": "lightnode-baselines/1", "session": "da", "frozen": True, "frozen_ms": 1,
            "baselines": [{"pod": "a", "brp": "P", "version": 1, "received_ms": 0, "frames": {str(F): 1}}],
        },
    ),
    "resources": (
        resources_of,
        {
            "format": "lightnode-resources/1",
            "resources": [{"pod": "a", "aggregator": "A", "up_w": 1, "down_w": 1, "from_frame": 1, "until_frame": 2, "brp": ""}],
        },
    ),
    "reservation": (reservation_of, json.loads(reservation_text(RESERVATION[0]))),
    "requests": (
        lambda text: requests_of(text, 1, "D"),
        {"format": "lightnode-requests/1", "network": "n", "requests": [NEED], "least": {}, "unserved": []},
    ),
    "settlement": (lambda text: accounts(text, "A"), json.loads(settlement_text(settled(worked())))),
    "substation": (parse_substation, {"format": "lightnode-substation/1", "network": "n", "before": PART, "after": PART}),
    "transmission": (parse_transmission, {**json.loads(load_day().hv_text), "hourly_w": {"2": [1] * 24, "3": [1] * 24}}),
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, of a long list the first two."""
    yield path
    rows = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))[:2]
        if isinstance(value, list)
        else []
    )
    for key, one in rows:
        yield from places(one, (*path, key))


def changed(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    made = copy.deepcopy(document)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return made


@pytest.mark.parametrize("name", DOCUMENTS)
def test_junk_in_any_place_is_taken_or_refused_in_one_line(name: str) -> None:
    read, document = DOCUMENTS[name]
    read(json.dumps(document))
    every = [path for path in places(document) if path[:1] != ("network",)]  # a grid within it has its own tests
    some = every[:: max(1, len(every) // 40)]
    refused = 0
    for k, path in enumerate(some):
        for junk in JUNK if len(every) < 60 else JUNK[k % 3 :: 3]:
            try:
                read(json.dumps(changed(document, path, junk)))
            except Rejected as error:
                refused += 1
                assert error.reason.isprintable() and len(error.reason) < 600, (path, junk)
    assert refused > len(some) // 2
