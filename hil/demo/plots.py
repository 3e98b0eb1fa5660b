"""The pictures of the report: inline SVG, one function a picture, values in the units of the story (see story.py)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from io import StringIO
from typing import TYPE_CHECKING, Any

from hil.demo.story import FRAME_MS, ElementSeries, PodSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURED, BASELINE, SETPOINT, BAND, GAP, LIMIT = "#1f5fa8", "#8a8f98", "#c8553d", "#f2c14e", "#d9d9e3", "#7a1f2b"


def _instant(ms: int) -> float:
    """Days since 1970, matplotlib's number of an instant."""
    return ms / 86_400_000


@contextmanager
def _figure(rows: int, columns: int, size: tuple[float, float]) -> Iterator[tuple["Figure", list["Axes"], list[str]]]:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    style: Any = {"svg.hashsalt": "lightnode", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    with plt.rc_context(style):
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)
        out: list[str] = []
        yield figure, list(axes.flat), out
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        plt.close(figure)
        out.append(text.getvalue()[text.getvalue().index("<svg") :])


def _hours(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=6))
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=UTC))
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6)


def _steps(start_frame: int, values: Sequence[int | None], scale: float) -> tuple[list[float], list[float]]:
    """A step line with one more point, so that the last quarter-hour has its width; None leaves a hole."""
    times = [_instant((start_frame + k) * FRAME_MS) for k in range(len(values) + 1)]
    heights = [float("nan") if v is None else v / scale for v in values]
    return times, [*heights, heights[-1]]


def pod_panels(pods: Sequence[PodSeries]) -> str:
    """Power at each POD [kW], withdrawal positive: every fifth reading, baseline, set-point, the band that was ordered, gaps."""
    columns = 3
    rows = -(-len(pods) // columns)
    with _figure(rows, columns, (11.5, 2.3 * rows)) as (figure, panels, out):
        for axes, pod in zip(panels, pods, strict=False):
            _pod_panel(axes, pod)
        for axes in panels[len(pods) :]:
            axes.set_visible(False)
        named = {
            label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(named.values(), named, loc="outside upper center", ncols=5, frameon=False)
    return out[0]


def _pod_panel(axes: "Axes", pod: PodSeries) -> None:
    for start, end in pod.gaps_ms:
        axes.axvspan(_instant(start), _instant(end), color=GAP, linewidth=0)
    for k, (low, high) in enumerate(zip(pod.ordered_from_w, pod.ordered_to_w, strict=True)):
        if low is not None and high is not None:
            span = [_instant((pod.first_frame + k + edge) * FRAME_MS) for edge in (0, 1)]
            axes.fill_between(span, low / 1000, high / 1000, color=BAND, alpha=0.45, linewidth=0, label="ordered")
    axes.plot(
        [_instant(t) for t, _ in pod.readings],
        [w / 1000 for _, w in pod.readings],
        color=MEASURED,
        linewidth=0.7,
        label="measured",
    )
    axes.step(
        *_steps(pod.first_frame, pod.baseline_w, 1000), where="post", color=BASELINE, ls="--", lw=1.1, label="baseline"
    )
    axes.step(*_steps(pod.first_frame, pod.setpoint_w, 1000), where="post", color=SETPOINT, lw=1.2, label="set-point")
    axes.set_title(f"{pod.pod}  {pod.kind}", fontsize=8, loc="left")
    axes.set_ylabel("kW")
    _hours(axes)


def element_panels(elements: Sequence[ElementSeries]) -> str:
    """Voltages [per unit] and loadings [%] of the elements that mattered: before, planned, measured, and the limit."""
    columns = 2
    rows = -(-len(elements) // columns)
    with _figure(rows, columns, (11.5, 2.5 * rows)) as (figure, panels, out):
        for axes, element in zip(panels, elements, strict=False):
            _element_panel(axes, element)
        for axes in panels[len(elements) :]:
            axes.set_visible(False)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return out[0]


def _element_panel(axes: "Axes", element: ElementSeries) -> None:
    loading = element.quantity == "loading"
    scale = 1e4 if loading else 1e6
    for values, colour, style, label in (
        (element.before_ppm, BASELINE, "--", "forecast, before"),
        (element.planned_ppm, SETPOINT, "-", "planned"),
        (element.measured_ppm, MEASURED, "-", "measured"),
    ):
        axes.step(
            *_steps(element.first_frame, values, scale), where="post", color=colour, ls=style, lw=1.2, label=label
        )
    axes.axhline(element.limit_ppm / scale, color=LIMIT, lw=1, ls=":", label="limit")
    axes.set_title(element.element, fontsize=8, loc="left")
    axes.set_ylabel("% of rating" if loading else "per unit")
    _hours(axes)
