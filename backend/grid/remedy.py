"""The operator's own devices first: on-load taps and capacitor banks, by trying all of their positions (I-11).

1. Only on-load tap changers, of two or three windings, and switchable banks move; an off-circuit tap stays. Transformers
   between the same busbars move together, by the same steps: what they stand apart, they stay apart.
2. Every combination of positions is solved for every frame by full power flow, in batches. With more combinations than
   ``MOST_TRIED`` the devices are tried one after the other, twice.
3. A frame leaves its standing position only for one that breaks no limit that held and worsens none that is broken.
4. Of the schedules with no more operations than allowed the one with the least violation is taken, then the nearest to
   where the devices stand. An operation is one device going to another position, by any number of steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from backend.errors import Rejected
from backend.grid.congestion import Limits, margins
from backend.grid.element import ThreeWinding, Transformer
from backend.grid.flow import Booleans, Integers, PowerFlow, Scenarios
from backend.grid.network import Network
from backend.grid.radial import busbars

MOST_OPERATIONS = 24
MOST_TRIED = 200
_MOST_ROWS = 12_000
_PPT_PER_PPM = 1_000_000
_NO_STATE_PPM = 10**9
_NEVER = 2**61
_FINER = 2**20
_TABLE = {"tap": "tap", "three_winding_tap": "three_winding_tap", "bank": "shunt_step"}


@dataclass(frozen=True, slots=True)
class Device:
    """What may be moved: kind "tap", "three_winding_tap" or "bank", ids of its elements, and of the first of them where it
    stands and all its positions."""

    kind: str
    ids: tuple[int, ...]
    standing: int
    positions: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its kind and the first of its elements."""
        return f"{self.kind}:{self.ids[0]}"


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """Positions of each device per frame, and how many limits each frame broke before and after."""

    frames: tuple[int, ...]
    devices: tuple[Device, ...]
    positions: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def position(self) -> tuple[int, ...]:
        """Positions of the first tap changer; zeros if there is none."""
        taps = [row for device, row in zip(self.devices, self.positions, strict=True) if device.kind == "tap"]
        return taps[0] if taps else (0,) * len(self.frames)

    def table(self, frames: Sequence[int]) -> Integers:
        """frames x devices, copied. Raises Rejected unless these frames stand in the plan, one after the other."""
        first = self.frames.index(frames[0]) if frames and frames[0] in self.frames else 0
        if self.frames[first : first + len(frames)] != tuple(frames):
            raise Rejected("plan: of other frames than the states, expected them all, one after the other")
        every = np.array(self.positions, dtype=np.int64).reshape(len(self.devices), len(self.frames)).T
        return every[first : first + len(frames)].copy()

    def operations(self) -> tuple[tuple[int, str, int, int], ...]:
        """What is done: frame, device, from, to; in order of frames."""
        done = []
        for device, row in zip(self.devices, self.positions, strict=True):
            places = zip(self.frames, (device.standing, *row), row, strict=False)
            done += [(frame, device.name, before, now) for frame, before, now in places if before != now]
        return tuple(sorted(done))


def devices_of(network: Network) -> tuple[Device, ...]:
    """The devices that may be moved, taps first, in the network's order."""
    groups: dict[tuple[int, int], list[int]] = {}
    joined = busbars(network)
    for k, t in enumerate(network.transformers):
        if t.on_load and t.closed:
            groups.setdefault((joined.find(t.from_node), joined.find(t.to_node)), []).append(k)
    found = []
    for places in groups.values():
        units = [network.transformers[k] for k in places]
        found.append(_tap_device("tap", units))
    three: dict[tuple[int, ...], list[ThreeWinding]] = {}
    for unit in network.three_windings:
        if unit.on_load and unit.closed_1:
            ends = tuple(joined.find(node) for node in (unit.node_1, unit.node_2, unit.node_3))
            three.setdefault(ends, []).append(unit)
    found += [_tap_device("three_winding_tap", units) for units in three.values()]
    for shunt in network.shunts:
        if shunt.switchable:
            found.append(Device("bank", (shunt.id,), shunt.steps, tuple(range(shunt.steps_max + 1))))
    return tuple(found)


def _tap_device(kind: str, units: Sequence[Transformer] | Sequence[ThreeWinding]) -> Device:
    """Of units that move together: the positions of the first at which each is within its own."""
    first = units[0].tap_position
    low = max(min(t.tap_min, t.tap_max) - t.tap_position for t in units) + first
    high = min(max(t.tap_min, t.tap_max) - t.tap_position for t in units) + first
    return Device(kind, tuple(t.id for t in units), first, tuple(range(low, high + 1)))


def apart(network: Network, device: Device) -> tuple[int, ...]:
    """By how many steps each of its elements stands beside the first (rule 1)."""
    if device.kind == "bank":
        return (0,) * len(device.ids)
    stands = {t.id: t.tap_position for t in _elements(network)[device.kind]}
    return tuple(stands[id] - stands[device.ids[0]] for id in device.ids)


def own_remedy(
    flow: PowerFlow,
    scenarios: Scenarios,
    frames: Sequence[int],
    limits: Limits,
    most_operations: int = MOST_OPERATIONS,
    devices: Sequence[Device] | None = None,
) -> tuple[Scenarios, DevicePlan]:
    """The scenarios with the best positions, and the plan. Cost: combinations x frames power flows.

    devices: where they stand before the first frame, if not as in the network.
    """
    devices = devices_of(flow.network) if devices is None else devices
    table = np.tile(np.array([d.standing for d in devices], dtype=np.int64), (scenarios.count, 1))
    combinations = 1
    for device in devices:
        combinations *= len(device.positions)
    places = range(len(devices))
    turns = [list(places)] if combinations <= MOST_TRIED else [[k] for _ in range(2) for k in places]
    for turn in turns:
        table = _moved(flow, scenarios, limits, devices, table, turn, most_operations)
    best = with_positions(flow.network, scenarios, devices, table)
    before, after = _broken(flow, scenarios, limits), _broken(flow, best, limits)
    rows = tuple(tuple(int(p) for p in table[:, k]) for k in places)
    return best, DevicePlan(tuple(frames), tuple(devices), rows, before, after)


def with_positions(network: Network, scenarios: Scenarios, devices: Sequence[Device], table: Integers) -> Scenarios:
    """The scenarios with each device (columns of ``table``) where it says; rows are the scenarios."""
    kinds = {"tap", *(device.kind for device in devices)}
    moved: dict[str, Any] = {kind: array.copy() for kind, array in _stand(network, scenarios).items() if kind in kinds}
    place = {kind: {e.id: k for k, e in enumerate(every)} for kind, every in _elements(network).items()}
    for column, device in enumerate(devices):
        for id, steps in zip(device.ids, apart(network, device), strict=True):
            moved[device.kind][:, place[device.kind][id]] = table[:, column] + steps
    return replace(scenarios, **{_TABLE[kind]: array for kind, array in moved.items()})


def _elements(network: Network) -> dict[str, Sequence[Any]]:
    return {"tap": network.transformers, "three_winding_tap": network.three_windings, "bank": network.shunts}


def _stand(network: Network, scenarios: Scenarios) -> dict[str, Integers]:
    """Where all elements of each kind of device stand in these scenarios."""
    found = {"tap": scenarios.tap}
    for kind, stands in (
        ("three_winding_tap", [t.tap_position for t in network.three_windings]),
        ("bank", [s.steps for s in network.shunts]),
    ):
        said: Integers | None = getattr(scenarios, _TABLE[kind])
        found[kind] = np.tile(np.array(stands, dtype=np.int64), (scenarios.count, 1)) if said is None else said
    return found


def lacking_ppm(flow: PowerFlow, scenarios: Scenarios, limits: Limits) -> int:
    """By how much all limits of all states are broken, 1e-6 of rated each."""
    found = margins(flow.network, flow.solve(scenarios), limits)
    return int(_lacking_ppm(found.margin_ppt, found.solved).sum())


def _lacking_ppm(margin_ppt: Integers, solved: Booleans) -> Integers:
    lacks = -(np.minimum(margin_ppt, 0) // _PPT_PER_PPM).sum(axis=-1)
    return np.where(solved, lacks, _NO_STATE_PPM)


def _broken(flow: PowerFlow, scenarios: Scenarios, limits: Limits) -> tuple[int, ...]:
    found = margins(flow.network, flow.solve(scenarios), limits)
    return tuple(int(n) for n in np.where(found.solved, (found.margin_ppt < 0).sum(axis=1), 1))


def _moved(
    flow: PowerFlow,
    scenarios: Scenarios,
    limits: Limits,
    devices: Sequence[Device],
    table: Integers,
    turn: list[int],
    most: int,
) -> Integers:
    """The table with the devices of this turn at their best, the others where they are."""
    if not turn:
        return table
    standing = np.array([devices[k].standing for k in turn], dtype=np.int64)
    every = np.array(list(product(*(devices[k].positions for k in turn))), dtype=np.int64)
    far = np.abs(every - standing).sum(axis=1)
    order = np.lexsort((*every.T[::-1], far))
    every, far = every[order], far[order]
    missing, allowed = _tried(flow, scenarios, limits, devices, table, turn, every)
    cost = np.where(allowed, missing * _FINER + far[:, None], _NEVER)
    spent = sum(
        int((np.diff(table[:, k], prepend=devices[k].standing) != 0).sum())
        for k in range(len(devices))
        if k not in turn
    )
    chosen = _schedule(cost.T, every, max(0, most - spent))
    moved = table.copy()
    moved[:, turn] = every[chosen]
    return moved


def _tried(
    flow: PowerFlow,
    scenarios: Scenarios,
    limits: Limits,
    devices: Sequence[Device],
    table: Integers,
    turn: list[int],
    every: Integers,
) -> tuple[Integers, Booleans]:
    """What each combination leaves broken (ppm, rounded up) and whether it is allowed: combinations x frames."""
    count = scenarios.count
    first = margins(flow.network, flow.solve(with_positions(flow.network, scenarios, devices, table)), limits)
    floor = np.where(first.solved[:, None], np.minimum(first.margin_ppt, 0), np.iinfo(np.int64).min)
    missing, allowed = [], []
    together = max(1, _MOST_ROWS // max(1, count))
    for start in range(0, len(every), together):
        part = every[start : start + together]
        positions = np.tile(table, (len(part), 1))
        positions[:, turn] = np.repeat(part, count, axis=0)
        rows = scenarios.rows(np.tile(np.arange(count), len(part)))
        found = margins(flow.network, flow.solve(with_positions(flow.network, rows, devices, positions)), limits)
        free = found.margin_ppt.reshape(len(part), count, -1)
        solved = found.solved.reshape(len(part), count)
        missing.append(_lacking_ppm(free, solved))
        here = (part[:, None, :] == table[None, :, turn]).all(axis=2)
        allowed.append(((free >= floor).all(axis=2) & solved) | here)
    return np.concatenate(missing), np.concatenate(allowed)


def _schedule(cost: Integers, every: Integers, most: int) -> Integers:
    """Index of the combination in each frame: the least sum of costs with at most ``most`` operations.

    cost: frames x combinations; the first combination is where the devices stand.
    """
    moves = (every[:, None, :] != every[None, :, :]).sum(axis=2)
    best = np.full((most + 1, len(every)), _NEVER, dtype=np.int64)
    best[0, 0] = 0
    came: list[Integers] = []
    for row in cost:
        reached = np.full_like(best, _NEVER)
        origin = np.zeros((*best.shape, 2), dtype=np.int64)
        for number in range(min(int(moves.max(initial=0)), most) + 1):
            before = np.where(moves[None] == number, best[: most + 1 - number, :, None], _NEVER)
            place = before.argmin(axis=1)
            value = np.take_along_axis(before, place[:, None, :], axis=1)[:, 0, :]
            better = value < reached[number:]
            reached[number:] = np.where(better, value, reached[number:])
            origin[number:, :, 0] = np.where(better, place, origin[number:, :, 0])
            origin[number:, :, 1] = np.where(better, number, origin[number:, :, 1])
        best = np.minimum(reached + np.minimum(row, _NEVER), _NEVER)
        came.append(origin)
    spent, at = divmod(int(best.argmin()), best.shape[1])
    chosen = [at]
    for origin in came[:0:-1]:
        at, number = int(origin[spent, at, 0]), int(origin[spent, at, 1])
        spent -= number
        chosen.append(at)
    return np.array(chosen[::-1], dtype=np.int64)
