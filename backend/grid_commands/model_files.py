"""What `lightnode grid` does: reads a grid of either format, checks, solves its nominal state, writes or draws."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from backend.adapters.planner.network import import_grid, network_of
from backend.adapters.planner.table import read_tables
from backend.adapters.power_grid import PowerGridFlow
from backend.errors import Rejected
from backend.grid.congestion import Limits, margins
from backend.grid.document import parse_network, written
from backend.grid.flow import States, nominal_scenario
from backend.grid.network import Network
from backend.nesting import once_each

MAX_BYTES = 200_000_000
PPT = 10**12


def run(options: argparse.Namespace) -> dict[str, Any]:
    """What there is to say. Rejected, Unavailable, OSError."""
    if options.command == "import":
        return _import(options)
    network, notes = _read(options.file)
    if options.command == "show":
        from backend.adapters.one_line import draw

        states = PowerGridFlow(network).nominal()
        draw(network, states, options.out)
        return {"picture": str(options.out), **_facts(network, states), "notes": notes}
    if options.pods is not None:
        network = _connected(network, options.pods)
    flow = PowerGridFlow(network)
    facts = {"valid": True, **_facts(network, flow.nominal()), "notes": notes}
    if options.phases:
        facts.update(_phases(network, flow))
    return facts


def _import(options: argparse.Namespace) -> dict[str, Any]:
    path = Path(options.source)
    if path.exists():
        text = _text(path)
    else:
        from backend.adapters.simbench import simbench_text

        text = simbench_text(options.source)
    tables = read_tables(text)
    imported = network_of(tables, options.name)
    states = PowerGridFlow(imported.network).nominal()
    if tables.results("bus") and not states.solved[0]:
        raise Rejected(unsolved(imported.network, len(tables.rows("gen"))))
    options.out.write_text(written(imported.network))
    return {"network": str(options.out), **_facts(imported.network, states), "notes": list(imported.notes)}


def unsolved(network: Network, controlled: int) -> str:
    """What is said of a grid that the file's own power flow solves and the engine does not; controlled: voltage-holding generators."""
    return (
        f"grid file: {network.name!r} power flow = no solution, expected the state that the file's own power flow has: its"
        f" {controlled} generators that hold a voltage are P and Q here, which is for distribution grids"
    )


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Rejected(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Rejected(f"{path}: not UTF-8 text: {error}") from error


def _read(path: Path) -> tuple[Network, list[str]]:
    text = _text(path)
    if '"pandapowerNet"' in text:
        imported = import_grid(text)
        return imported.network, list(imported.notes)
    return parse_network(text), []


def _connected(network: Network, path: Path) -> Network:
    try:
        table = json.loads(_text(path), object_pairs_hook=lambda pairs: once_each(pairs, str(path)))
    except ValueError as error:
        raise Rejected(f"{path}: not JSON: {error}") from error
    pods: dict[str, int] = {}
    phases: dict[str, str] = {}
    for pod, place in table.items() if isinstance(table, dict) else [("", None)]:
        node, at = place if isinstance(place, list) and len(place) == 2 else (place, "abc")
        if type(node) is not int or not isinstance(at, str):
            raise Rejected(f'{path}: POD {pod!r}: expected the id of a node, or [node, "phases"]')
        pods[pod], phases[pod] = node, at
    return network.connected(pods, phases)


def _facts(network: Network, states: States) -> dict[str, Any]:
    counts = {name: len(rows) for name in lists() if (rows := getattr(network, name))}
    facts: dict[str, Any] = {"name": network.name, "elements": counts, "solved": bool(states.solved[0])}
    if not states.solved[0]:
        return facts
    volts = [
        (int(v), n) for v, n, on in zip(states.voltage_ppt[0], network.nodes, states.energized[0], strict=True) if on
    ]
    low, high = min(volts, key=lambda p: p[0]), max(volts, key=lambda p: p[0])
    facts["lowest_voltage"] = {"node": low[1].id, "name": low[1].name, "pu": low[0] / PPT}
    facts["highest_voltage"] = {"node": high[1].id, "name": high[1].name, "pu": high[0] / PPT}
    facts["most_loaded"] = _most_loaded(network, states)
    free = margins(network, states, Limits())
    facts["limits_broken"] = [name for name, left in zip(free.elements, free.margin_ppt[0], strict=True) if left < 0]
    return facts


def lists() -> tuple[str, ...]:
    """The lists of a network."""
    return (
        "nodes", "lines", "transformers", "three_windings", "links", "sources", "loads", "generators", "storages", "shunts",
        "connections", "measuring_points",
    )  # fmt: skip


def _most_loaded(network: Network, states: States) -> dict[str, Any] | None:
    rows: list[tuple[int, str, Any]] = []
    for kind, elements, values in (
        ("line", network.lines, states.line_ppt),
        ("transformer", network.transformers, states.transformer_ppt),
        ("three_winding", network.three_windings, states.three_winding_ppt),
    ):
        rows += [(int(v), kind, e) for v, e in zip(values[0], elements, strict=True)]
    if not rows:
        return None
    value, kind, element = max(rows, key=lambda row: row[0])
    return {"element": f"{kind}:{element.id}", "name": element.name, "percent": value * 100 / PPT}


def _phases(network: Network, flow: PowerGridFlow) -> dict[str, Any]:
    states = flow.solve_phases(nominal_scenario(network))
    if not states.solved[0]:
        return {"phases_solved": False}
    on = states.voltage_ppt[0].max(axis=1) > 0
    unbalance = np.where(on, np.ptp(states.voltage_ppt[0], axis=1), 0)
    worst = network.nodes[int(unbalance.argmax())]
    lowest = {p: int(states.voltage_ppt[0, on, k].min()) / PPT for k, p in enumerate("abc")}
    spread = {"node": worst.id, "name": worst.name, "pu": int(unbalance.max()) / PPT}
    return {"phases_solved": True, "lowest_voltage_of_phase": lowest, "widest_spread": spread}
