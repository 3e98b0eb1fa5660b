"""A network drawn as one-line picture, coloured by voltage and loading (SVG or PNG, by the file's name).

1. A node's colour is its voltage within its own band: blue at the lower limit, white in the middle, red at the upper.
2. A branch's colour is its loading: grey at 0, over yellow, to red at 100 %; beyond the limit it is thick.
3. The worst elements carry numbers that the list below explains, with value and limit; what breaks a limit is ringed.
4. The same network gives the same bytes of SVG.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import Rejected
from backend.grid.flow import States
from backend.grid.layout import Edge, Layout, layout
from backend.grid.network import Network

PPT = 1e12
MOST_NAMED = 10
_VOLTAGE = ("#1f5fbf", "#9cc3ea", "#ffffff", "#f2b0a0", "#b5172c")
_LOADING = ("#b9bec6", "#7fb27f", "#f0c33c", "#e0791f", "#b5172c")


@dataclass(frozen=True, slots=True)
class Worst:
    """One line of the list: where it is in the picture, what it is, and whether it breaks its limit."""

    x: float
    y: float
    text: str
    broken: bool


def draw(network: Network, states: States, path: Path) -> None:
    """Writes the picture of the first state. Rejected for another kind of file or a state without a solution."""
    if path.suffix not in (".svg", ".png"):
        raise Rejected(f"{path}: a picture is .svg or .png")
    if not states.solved[0]:
        raise Rejected(f"network {network.name!r}: no power flow with these loads; nothing to colour")
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "lightnode"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot

    figure = _figure(pyplot, network, states)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else {})
    pyplot.close(figure)


def _figure(pyplot: Any, network: Network, states: States) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    at = layout(network)
    worst = _worst(network, states, at)
    broken = sum(w.broken for w in worst)
    wide = min(max(11.0, 0.42 * (max(at.column) + 1) + 3), 48.0)
    high = min(max(4.0, 0.36 * (max(at.row) + 1) + 1), 60.0)
    listed = 0.24 * (len(worst) + 1) + 0.3
    figure, (axes, words) = pyplot.subplots(
        2, 1, figsize=(wide, high + listed), height_ratios=[high, listed], layout="constrained"
    )
    colours = [LinearSegmentedColormap.from_list("", c) for c in (_VOLTAGE, _LOADING)]
    _branches(axes, network, states, at, colours[1])
    _nodes(axes, network, states, at, colours[0])
    _numbers(axes, words, worst)
    _legend(figure, axes, colours)
    shown = f"{broken} limit{'s' if broken != 1 else ''} broken among the worst shown" if broken else "no limit broken"
    axes.set_title(
        f"{network.name}: {len(network.nodes)} nodes, {len(network.lines)} lines, {shown}", loc="left", fontsize=12
    )
    axes.invert_yaxis()
    axes.axis("off")
    words.axis("off")
    return figure


def _loading(edge: Edge, states: States) -> float:
    table = {
        "line": states.line_ppt,
        "transformer": states.transformer_ppt,
        "three_winding": states.three_winding_ppt,
    }.get(edge.kind)
    return 0.0 if table is None else float(table[0, edge.index]) / PPT


def _branches(axes: Any, network: Network, states: States, at: Layout, colours: Any) -> None:
    for edge in at.edges:
        xs, ys = _path(edge, at)
        if not edge.closed:
            axes.plot(xs, ys, color="#8a8f98", linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
            continue
        loading = _loading(edge, states)
        colour = colours(min(loading, 1.0))
        axes.plot(xs, ys, color=colour, linewidth=4.5 if loading > 1 else 2.2, solid_capstyle="round", zorder=2)
        if edge.kind in ("transformer", "three_winding"):
            x = (xs[-2] + xs[-1]) / 2
            for shift in (-0.09, 0.09):
                axes.plot([x + shift], [ys[-1]], "o", markersize=11, markerfacecolor="none", color=colour, zorder=3)


def _path(edge: Edge, at: Layout) -> tuple[list[float], list[float]]:
    """An elbow: down at the place nearer to the source, then along; a tie is a straight line."""
    a, b = (edge.a, edge.b) if at.column[edge.a] <= at.column[edge.b] else (edge.b, edge.a)
    xa, ya, xb, yb = at.column[a], at.row[a], at.column[b], at.row[b]
    if edge.tie:
        return [xa, xb], [ya, yb]
    return [xa, xa, xb], [ya, yb, yb]


def _nodes(axes: Any, network: Network, states: States, at: Layout, colours: Any) -> None:
    first: dict[int, int] = {}
    for k, node in enumerate(network.nodes):
        place = at.place_of[node.id]
        if place not in first or states.energized[0, k] > states.energized[0, first[place]]:
            first[place] = k
    for place, k in first.items():
        node, x, y = network.nodes[k], at.column[place], at.row[place]
        if not states.energized[0, k]:
            axes.plot([x], [y], "x", color="#8a8f98", markersize=6, zorder=4)
            continue
        u = float(states.voltage_ppt[0, k]) / 1e6
        inside = (u - node.u_min_ppm) / (node.u_max_ppm - node.u_min_ppm)
        out = not 0 <= inside <= 1
        shape = "s" if place in at.roots else "o"
        edge = {"markeredgecolor": "#111111" if out else "#4d535c", "markeredgewidth": 2.4 if out else 0.8}
        colour = colours(min(max(inside, 0.0), 1.0))
        axes.plot(
            [x], [y], shape, markersize=10 if out or shape == "s" else 7.5, markerfacecolor=colour, zorder=5, **edge
        )
    for place in at.roots:
        axes.text(at.column[place] - 0.3, at.row[place], "source", ha="right", va="center", fontsize=10)
    _feeder_names(axes, network, at, first)


def _feeder_names(axes: Any, network: Network, at: Layout, first: dict[int, int]) -> None:
    """The name of the last node of each row, at its right end."""
    ends: dict[int, int] = {}
    for place in first:
        row = at.row[place]
        if row not in ends or at.column[place] > at.column[ends[row]]:
            ends[row] = place
    for row, place in ends.items():
        name = network.nodes[first[place]].name
        axes.text(at.column[place] + 0.3, row, name, ha="left", va="center", fontsize=7.5, color="#4d535c")


def _numbers(axes: Any, words: Any, worst: list[Worst]) -> None:
    words.set_xlim(0, 1)
    words.set_ylim(len(worst) + 0.5, -0.5)
    for number, one in enumerate(worst, 1):
        colour = "#b5172c" if one.broken else "#22262c"
        box = {"boxstyle": "circle,pad=0.22", "facecolor": "#ffffff", "edgecolor": colour, "linewidth": 1.2}
        axes.annotate(
            str(number),
            (one.x, one.y),
            (7, 9),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            bbox=box,
            zorder=9,
        )
        words.text(0.01, number - 1, f"{number}  {one.text}", fontsize=9.5, color=colour, va="center")


def _worst(network: Network, states: States, at: Layout) -> list[Worst]:
    """The most loaded branches and the voltages nearest to their limits, worst first; at most ten of each kind broken."""
    found: list[tuple[float, Worst]] = []
    names = {"line": network.lines, "transformer": network.transformers, "three_winding": network.three_windings}
    seen = set()
    for edge in at.edges:
        if edge.kind in names and edge.closed and (edge.kind, edge.index) not in seen:
            seen.add((edge.kind, edge.index))
            loading = _loading(edge, states)
            element: Any = names[edge.kind][edge.index]
            xs, ys = _path(edge, at)
            called = element.name or f"{edge.kind}:{element.id}"
            text = f"{edge.kind.replace('_', '-')} {called}: loaded {loading:.1%}, limit 100%"
            found.append((loading - 1, Worst((xs[-2] + xs[-1]) / 2, (ys[-2] + ys[-1]) / 2, text, loading > 1)))
    branches = _first(found)
    found = []
    for k, node in enumerate(network.nodes):
        if states.energized[0, k]:
            u, place = float(states.voltage_ppt[0, k]) / 1e6, at.place_of[node.id]
            over = max(node.u_min_ppm - u, u - node.u_max_ppm) / 1e6
            band = f"band {node.u_min_ppm / 1e6:.3f} to {node.u_max_ppm / 1e6:.3f}"
            text = f"node {node.name or node.id}: {u / 1e6:.4f} of {node.u_rated_v} V, {band}"
            found.append((over, Worst(at.column[place], at.row[place], text, over > 0)))
    return branches + _first(found)


def _first(found: list[tuple[float, Worst]]) -> list[Worst]:
    ordered = sorted(found, key=lambda one: (-one[0], one[1].text))
    count = min(max(3, sum(one.broken for _, one in ordered)), MOST_NAMED)
    return [one for _, one in ordered[:count]]


def _legend(figure: Any, axes: Any, colours: list[Any]) -> None:
    from matplotlib.cm import ScalarMappable

    for colour, label, ticks, names in (
        (colours[0], "voltage of a node, in its band", (0, 0.5, 1), ("lower limit", "middle", "upper limit")),
        (colours[1], "loading of a branch", (0, 0.5, 1), ("0", "50%", "100% or more (thick)")),
    ):
        bar = figure.colorbar(ScalarMappable(cmap=colour), ax=axes, fraction=0.02, pad=0.01, aspect=26, shrink=0.9)
        bar.set_ticks(np.array(ticks), labels=list(names), fontsize=8)
        bar.set_label(label, fontsize=9)
    axes.plot([], [], linestyle=(0, (2, 3)), color="#8a8f98", label="open branch")
    axes.plot([], [], "x", color="#8a8f98", label="not supplied", linestyle="")
    axes.plot(
        [],
        [],
        "o",
        markerfacecolor="#ffffff",
        markeredgecolor="#111111",
        markeredgewidth=2.4,
        label="breaks its band",
        ls="",
    )
    axes.plot([], [], "o", markerfacecolor="none", color="#4d535c", markersize=11, label="transformer", ls="")
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9)
