"""What the commands of `lightnode tso` and `lightnode dso` do: a need found by power flow, requests (I-06), orders (I-09)."""

import argparse
from collections.abc import Callable, Mapping

from backend.actor_commands.said import REFUSED, Said
from backend.adapters.bounded import read_text
from backend.adapters.power_grid import PowerGridFlow
from backend.domain.bids import Buyer, Direction, Request
from backend.errors import Rejected
from backend.grid.answer import plain, text_of
from backend.grid.substation import SubstationProfile, parse_substation
from backend.grid.transmission import (
    TransmissionModel,
    TransmissionRequest,
    parse_transmission,
    transmission_problems,
    transmission_requests,
)
from backend.market.calling import called, orders_on, orders_text, requests_of, short_w
from backend.market.exchange import bids_text, outcome_of
from backend.market.form import identity
from backend.market.submission import parse_json

PROBLEMS = "lightnode-transmission-problems/1"
_SHOWN = 12
_PPM = 10**6


def _grid(options: argparse.Namespace) -> tuple[TransmissionModel, SubstationProfile]:
    profile = parse_substation(read_text(options.substation), options.part)
    return parse_transmission(read_text(options.model)), profile


def profile(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """Every line of the transmission grid above its rating with this substation profile (I-12)."""
    model, seen = _grid(options)
    found = transmission_problems(model, seen, PowerGridFlow)
    lines = [
        f"quarter-hour {p.frame}: {p.name}{f' without {p.without}' if p.without else ''} at {p.loading_ppt // _PPM} ppm"
        for p in found
    ]
    more = [f"and {len(lines) - _SHOWN} more: --json names them all"] if len(lines) > _SHOWN else []
    document = text_of({"format": PROBLEMS, "problems": plain(found), "unsolved": list(seen.unsolved)})
    return Said(document, "\n".join([*lines[:_SHOWN], *more]) or "no line is above its rating", notes=_unsolved(seen))


def _unsolved(seen: SubstationProfile) -> tuple[str, ...]:
    return tuple(f"quarter-hour {frame}: the profile has no power, nothing is asked in it" for frame in seen.unsolved)


def request(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The TSO's requests as a book of bids, one for each direction that is needed."""
    model, seen = _grid(options)
    asked = transmission_requests(model, seen, PowerGridFlow)
    cap = options.price_cap
    made = tuple(
        Request(identity(f"{options.id}-{one.direction}", "--id"), Buyer.TSO, Direction(one.direction), "substation",
                dict(zip(one.frames, one.volume_w, strict=True)), cap)
        for one in asked if one.frames
    )  # fmt: skip
    helpless = tuple(f"quarter-hour {f}: an overload that this substation cannot help with" for f in asked[0].unserved)
    lines = [line for one in asked for line in _said_of(one)]
    return Said(bids_text(made, ()), "\n".join(lines) or "nothing is to be bought", notes=(*_unsolved(seen), *helpless))


def _said_of(one: TransmissionRequest) -> list[str]:
    rows = zip(one.frames, one.volume_w, one.reason, strict=True)
    return [f"quarter-hour {frame}: {watts} W {one.direction} for {why}" for frame, watts, why in rows]


def local_request(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """The DSO's requests as a book of bids, from what `lightnode grid request --json` found."""
    made = requests_of(read_text(options.requests), options.price_cap, identity(options.id, "--id"))
    lines = [f"{one.id}: {one.direction} for {one.element} in {len(one.need)} quarter-hours" for one in made]
    return Said(bids_text(made, ()), "\n".join(lines) or "nothing is to be bought")


def order(options: argparse.Namespace, now_ms: Callable[[], int]) -> Said:
    """Orders on what the buyer was awarded; the TSO's with a newer profile as much as it still needs."""
    buyer = Buyer(options.actor.upper())
    outcome = outcome_of(read_text(options.outcome))
    requests = _own(options, buyer)
    needed = _needed(options)
    parts = called(outcome, requests, needed)
    prefix = identity(options.id or f"{buyer}-{outcome.session}", "--id")
    made = orders_on(parts, buyer, prefix)
    short = {} if needed is None else short_w(parts, requests, needed)
    notes = tuple(f"quarter-hour {frame}: {w} W {direction} are needed beyond what was awarded" for (frame, direction), w
                  in short.items())  # fmt: skip
    lines = [
        f"{one.id}: {max(one.volume_w.values())} W of {one.offer} in {len(one.volume_w)} quarter-hours" for one in made
    ]
    return Said(orders_text(made), "\n".join(lines) or "nothing is ordered", REFUSED if short else 0, notes)


def _own(options: argparse.Namespace, buyer: Buyer) -> tuple[Request, ...]:
    book = parse_json(read_text(options.requests))
    if book.refusals:
        raise Rejected(f"{options.requests}: {book.refusals[0]}")
    foreign = [one.id for one in book.requests if one.buyer is not buyer]
    if foreign:
        raise Rejected(f"{options.requests}: {foreign[0]} is not the {buyer}'s")
    return book.requests


def _needed(options: argparse.Namespace) -> Mapping[tuple[int, Direction], int] | None:
    """W by quarter-hour and direction from a newer profile; None without one."""
    if getattr(options, "substation", None) is None:
        return None
    if options.model is None:
        raise Rejected("--substation needs --model: the grid that it is seen from")
    asked = transmission_requests(*_grid(options), PowerGridFlow)
    return {
        (frame, Direction(one.direction)): w for one in asked for frame, w in zip(one.frames, one.volume_w, strict=True)
    }


TSO = {"profile": profile, "request": request, "order": order}
DSO = {"request": local_request, "order": order}
