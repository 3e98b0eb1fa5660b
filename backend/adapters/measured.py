"""What the shared customer database knows of the grid at one moment, as measurements.

1. Per POD the mean of its 4 s readings of the last minute (I-04): active power; its var are taken for 0, known to a third of
   the power. The load that carries the POD's name stands for it, else the POD itself where it is connected.
2. Field devices: the newest message of the last five minutes. One that is not heard in them is named.
3. Quarter-hours (I-01) of loads and generators: the row of the moment's own quarter-hour, or the last one before it; if that
   began an hour ago or more, it is said.
"""

from collections.abc import Iterator
from pathlib import Path

from backend.adapters.field_store import FieldStore
from backend.adapters.history import FRAME_S
from backend.adapters.readings import Selection, exported
from backend.adapters.sqlite import SqliteStore
from backend.domain.quantity import half_even
from backend.errors import Rejected
from backend.grid.candidate import History
from backend.grid.measured_document import of_field
from backend.grid.measurement import (
    PSEUDO_LEAST_W,
    PSEUDO_PPM,
    READING_LEAST_W,
    READING_PPM,
    Measurement,
    Origin,
    Quantity,
    power,
)
from backend.grid.network import Network

READING_MS = 60_000
FIELD_MS = 300_000
_PPM = 1_000_000
_OLD_MINUTES = 60


def from_readings(path: Path, pods: dict[bytes, str], network: Network, at_ms: int) -> Iterator[Measurement]:
    """Rule 1; pods: POD by light node."""
    sums: dict[str, list[int]] = {}
    for line in exported(path, Selection(None, at_ms - READING_MS, at_ms)):
        pod = pods.get(bytes.fromhex(str(line["device"])))
        if pod is not None:
            sums.setdefault(pod, []).append(int(str(line["power_w"])))
    loads = {load.name: load.id for load in network.loads}
    connected = {connection.pod: k for k, connection in enumerate(network.connections)}
    for pod, watts in sorted(sums.items()):
        kind, element = ("load", loads[pod]) if pod in loads else ("pod", connected.get(pod, -1))
        if element < 0:
            raise Rejected(f"POD {pod}: neither a load nor a connection of grid {network.name!r} has its name")
        mean = half_even(sum(watts), len(watts))
        sigma = max(READING_LEAST_W, abs(mean) * READING_PPM // _PPM)
        of_var = max(PSEUDO_LEAST_W, abs(mean) * PSEUDO_PPM // _PPM)
        yield Measurement(pod, Quantity.POWER, kind, element, mean, sigma, 0, of_var, "", Origin.READING)


def from_field(
    store: FieldStore, network: Network, at_ms: int
) -> tuple[tuple[Measurement, ...], tuple[str, ...], list[str]]:
    """Rule 2: (measurements, opened branches, what is not used and why)."""
    names = {sensor.id: sensor.name for sensor in store.sensors().values()}
    heard = store.latest(at_ms, at_ms - FIELD_MS)
    made, opened, notes = of_field(network, names, heard)
    here = {point.name for point in network.measuring_points}
    silent = sorted(id for id in set(names) - {one.sensor for one in heard} if names[id] in here)
    return made, opened, sorted([*notes, *(_silent(store, id, names[id], at_ms) for id in silent)], key=_device)


def _silent(store: FieldStore, id: str, name: str, at_ms: int) -> str:
    last = store.last(id, at_ms)
    if last is None:
        return f"field device {id} ({name}): not heard before, not used"
    breaker = f", its breaker {last.breaker}" if last.breaker else ""
    return f"field device {id} ({name}): last heard {(at_ms - last.time_ms) // 1000} s before{breaker}, not used"


def _device(note: str) -> str:
    return note.partition(": ")[0]


def from_quarters(history: History, at_ms: int) -> Iterator[Measurement]:
    """Rule 3. Raises Rejected if nothing is known before the moment, or for a column that is no load:ID, var:ID, generator:ID."""
    frame = min(at_ms // (FRAME_S * 1000), history.end_frame - 1)
    row = {name: int(value) for name, value in zip(history.names, history.rows([frame])[0], strict=True)}
    for name, watts in row.items():
        kind, _, id = name.partition(":")
        if kind not in ("load", "generator", "var") or not id.isdigit():
            raise Rejected(f"quarter-hours: column {name!r}, expected load:ID, generator:ID or var:ID")
        if kind != "var":
            var = row.get(f"var:{id}", 0) if kind == "load" else 0
            yield power(name, kind, int(id), (watts, var), Origin.QUARTER)


def old_quarters(history: History, at_ms: int) -> str:
    """That the row which stands for the moment is an old one (rule 3), in words; "" if it is not."""
    minutes = at_ms // 60_000 - (history.end_frame - 1) * FRAME_S // 60
    if minutes < _OLD_MINUTES:
        return ""
    return (
        f"quarter-hours: the last one began {minutes // 60} h {minutes % 60} min before --at, its values stand for now"
    )


def pods_of(store: SqliteStore) -> dict[bytes, str]:
    """POD by light node."""
    return {party.id: party.pod for party in store.parties() if party.role == "node"}
