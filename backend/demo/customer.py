"""The invented customers of the example day: who they are, where they connect, what their flexible device can do."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import Rejected

KINDS = ("battery", "charging", "heat_pump")


@dataclass(frozen=True, slots=True)
class Customer:
    """One POD with one flexible device (I-02).

    ``up_w``: how much less it can withdraw (or more inject) than its base load; ``down_w``: how much more it can
    withdraw; both W, 0 or more, at most ``nameplate_w``. ``share_ppm``: part of the load ``load_name`` that is this
    customer's base load. ``ct_ratio`` and ``vt_ratio`` belong to the POD's meter.
    """

    pod: str
    node: int
    load_name: str
    share_ppm: int
    owner: str
    aggregator: str
    brp: str
    kind: str
    nameplate_w: int
    up_w: int
    down_w: int
    ct_ratio: int
    vt_ratio: int
    medium_voltage: bool


def pod_code(seed: int, number: int) -> str:
    """A POD code in the Italian form (IT, distributor, E, eight digits): the same for the same seed, never a real one."""
    digest = hashlib.sha256(f"pod/{seed}/{number}".encode()).digest()
    return f"IT001E{int.from_bytes(digest[:8], 'big') % 10**8:08d}"


def customers_of(rows: list[Mapping[str, Any]], node_of_load: Mapping[str, int], seed: int) -> tuple[Customer, ...]:
    """The customers of the day file, in its order. Raises Rejected for a wrong field or two equal POD codes."""
    found = tuple(_customer(row, node_of_load, pod_code(seed, number)) for number, row in enumerate(rows, 1))
    if len({c.pod for c in found}) != len(found):
        raise Rejected(f"seed {seed}: two customers get one POD code, choose another seed")
    return found


def _customer(row: Mapping[str, Any], node_of_load: Mapping[str, int], pod: str) -> Customer:
    load = row["load"]
    if load not in node_of_load:
        raise Rejected(f"customer {row['owner']!r}: load = {load!r}, expected the name of a load of the grid")
    customer = Customer(
        pod=pod,
        node=node_of_load[load],
        load_name=load,
        share_ppm=row["share_ppm"],
        owner=row["owner"],
        aggregator=row["aggregator"],
        brp=row["brp"],
        kind=row["kind"],
        nameplate_w=row["nameplate_w"],
        up_w=row["up_w"],
        down_w=row["down_w"],
        ct_ratio=row["ct_ratio"],
        vt_ratio=row["vt_ratio"],
        medium_voltage=row["vt_ratio"] > 1,
    )
    if customer.kind not in KINDS:
        raise Rejected(f"customer {customer.owner!r}: kind = {customer.kind!r}, expected one of {', '.join(KINDS)}")
    for field in ("up_w", "down_w"):
        if not 0 <= getattr(customer, field) <= customer.nameplate_w:
            raise Rejected(
                f"customer {customer.owner!r}: {field} = {getattr(customer, field)}, expected 0 to {customer.nameplate_w}"
            )
    if not 0 < customer.share_ppm <= 1_000_000:
        raise Rejected(f"customer {customer.owner!r}: share_ppm = {customer.share_ppm}, expected 1 to 1000000")
    return customer
