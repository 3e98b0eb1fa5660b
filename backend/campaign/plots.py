"""The pictures of a campaign's report, one PNG each: what a day cost, moved and healed. Units on every axis.

Needs matplotlib; the same document gives the same bytes under the same version of it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY, RED, YELLOW, GREEN, DARK = "#1f5fa8", "#8a8f98", "#c8553d", "#f2c14e", "#4f8f5b", "#7a1f2b"
_STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.titlesize": 10,
}  # fmt: skip
_WS_PER_MWH = 3_600_000_000
_UEUR = 1_000_000
_PPM = 1_000_000
Document = dict[str, Any]


def draw_all(kpi: Document, folder: Path) -> tuple[tuple[str, str], ...]:
    """Writes every picture; their file names and what each shows."""
    for name in PICTURES:
        draw(name, kpi, folder)
    return tuple((f"{name}.png", says) for name, (says, _) in PICTURES.items())


def draw(name: str, kpi: Document, folder: Path) -> None:
    """Writes the picture of this name."""
    with _figure(folder / f"{name}.png") as axes:
        PICTURES[name][1](axes, kpi["by_day"])


@contextmanager
def _figure(path: Path) -> Iterator["Axes"]:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(9.5, 3.4), constrained_layout=True)
        axes.grid(axis="y", color="#e6e6ec", linewidth=0.7)
        yield axes
        figure.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(figure)


def _days(axes: "Axes", days: Sequence[Document]) -> list[int]:
    """Places of the days, with weekday and date under every second or third."""
    places = list(range(len(days)))
    step = max(1, len(days) // 10)
    names = [date.fromisoformat(day["day"]).strftime("%a\n%d %b") for day in days]
    axes.set_xticks(places[::step], names[::step])
    axes.set_xlim(-0.7, len(days) - 0.3)
    return places


def _legend(axes: "Axes", columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2)


def _bars(axes: "Axes", places: Sequence[int], groups: Sequence[tuple[str, Sequence[float], str]]) -> None:
    """Bars side by side."""
    width = 0.84 / len(groups)
    for k, (label, values, colour) in enumerate(groups):
        shift = (k - (len(groups) - 1) / 2) * width
        axes.bar([x + shift for x in places], values, width, color=colour, label=label)
    _legend(axes, len(groups))


def _volumes(axes: "Axes", days: Sequence[Document]) -> None:
    def mwh(of: Callable[[Document], int]) -> list[float]:
        return [of(day) / _WS_PER_MWH for day in days]

    places = _days(axes, days)
    groups = [
        ("requested day-ahead", mwh(lambda d: sum(d["requested_day_ahead_ws"].values())), GREY),
        ("awarded", mwh(lambda d: d["awarded_ws"]), YELLOW),
        ("ordered", mwh(lambda d: d["ordered_ws"]), RED),
        ("delivered", mwh(lambda d: d["delivered_ws"]), BLUE),
    ]
    _bars(axes, places, groups)
    axes.set_ylabel("energy per day [MWh]")


def _violated(axes: "Axes", days: Sequence[Document]) -> None:
    places = _days(axes, days)
    names = (
        ("devices as they stood", "real_standing", GREY), ("after own remedies", "real_after_remedy", YELLOW),
        ("all orders delivered", "real_as_ordered", GREEN), ("as it was", "real_after_market", BLUE),
    )  # fmt: skip
    _bars(axes, places, [(label, [d["violations"][name] for d in days], colour) for label, name, colour in names])
    axes.set_ylabel("violations per day\n[elements x quarter-hours]")


def _money(axes: "Axes", days: Sequence[Document]) -> None:
    places = _days(axes, days)
    axes.bar(places, [d["payments_ueur"] / _UEUR for d in days], 0.7, color=BLUE, label="paid for delivery")
    axes.bar(
        places, [-d["penalties_ueur"] / _UEUR for d in days], 0.7, color=RED, label="penalties for what is missing"
    )
    axes.axhline(0, color="#333333", linewidth=0.8)
    axes.set_ylabel("buyers pay [EUR per day]")
    _legend(axes, 2)


def _lines(
    axes: "Axes", days: Sequence[Document], rows: Sequence[tuple[str, Sequence[float | None], str, str]]
) -> None:
    places = _days(axes, days)
    for label, values, colour, style in rows:
        there = [float("nan") if value is None else value for value in values]
        axes.plot(places, there, style, color=colour, label=label, linewidth=1.5, markersize=4)
    _legend(axes, len(rows))


def _percent(value: int | None) -> float | None:
    return None if value is None else value / _PPM * 100


def _forecast(axes: "Axes", days: Sequence[Document]) -> None:
    styles = (("day-ahead", "o--"), ("near-real-time", "o-"))
    rows = [
        (f"{what}, {horizon}", [_percent(d["forecast_error_ppm"][f"{horizon} {what}"]) for d in days], colour, style)
        for what, colour in (("load", BLUE), ("generation", GREEN))
        for horizon, style in styles
    ]
    _lines(axes, days, rows)
    axes.set_ylabel("forecast error [% of the day's energy]")
    axes.set_ylim(bottom=0)


def _accuracy(axes: "Axes", days: Sequence[Document]) -> None:
    rows = [
        ("delivery accuracy", [_percent(d["accuracy_ppm"]) for d in days], BLUE, "o-"),
        ("needs served", [_percent(d["served_ppm"]) for d in days], GREEN, "o-"),
        ("participation (PODs offering)", [_percent(d["participation_ppm"]) for d in days], GREY, "o--"),
    ]
    _lines(axes, days, rows)
    axes.set_ylabel("share [%]")


def _renewable(axes: "Axes", days: Sequence[Document]) -> None:
    places = _days(axes, days)
    groups = [
        (
            "curtailed without the market",
            [d["renewable"]["curtailed_without_market_ws"] / _WS_PER_MWH for d in days],
            GREY,
        ),
        ("curtailed with it", [d["renewable"]["curtailed_ws"] / _WS_PER_MWH for d in days], RED),
    ]
    _bars(axes, places, groups)
    axes.set_ylabel("renewable energy [MWh per day]")


def _unserved(axes: "Axes", days: Sequence[Document]) -> None:
    places = _days(axes, days)
    served = [d["needs"] - d["needs_unserved"] for d in days]
    axes.bar(places, served, 0.7, color=GREEN, label="needs served")
    axes.bar(
        places, [d["needs_unserved"] for d in days], 0.7, bottom=served, color=DARK, label="needs left, each named"
    )
    axes.set_ylabel("needs per day\n[requests x quarter-hours]")
    _legend(axes, 2)


PICTURES: dict[str, tuple[str, Callable[["Axes", Sequence[Document]], None]]] = {
    "violations": ("Limits broken in reality, four times: from the grid as it stood to the grid as it was.", _violated),
    "volumes": ("What was asked for the day before, bought, ordered and delivered.", _volumes),
    "needs": ("Of each request's quarter-hours those that were served, and those whose rest is named.", _unserved),
    "money": ("What the buyers paid for delivery, and what came back as penalties.", _money),
    "accuracy": ("How well deliveries met orders, needs were met, and customers took part.", _accuracy),
    "forecast": ("How far forecasts of the whole grid were off.", _forecast),
    "renewable": ("What plants had to withhold so that the limits hold.", _renewable),
}
