"""The report of a run or a soak: one self-contained HTML page, plots with their limits, one part per device under test."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2330;max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d9d9e3}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:#4c5566}
td,th{padding:.25rem .5rem;border-bottom:1px solid #eceef3;vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right}
.passed{color:#20733c}.failed{color:#b3261e;font-weight:600}.skipped{color:#8a8f98}.missed{color:#8a6100}
code{background:#f5f6fa;padding:0 .2rem}svg{width:100%;height:auto}.lead{color:#4c5566}
"""
_WITHIN, _MISSED, _LIMIT = "#1f5fa8", "#c8553d", "#7a1f2b"


def write_page(record: Mapping[str, Any], path: Path) -> None:
    """Writes report.html of a record (see hil.rig.record, hil.rig.soak)."""
    path.write_text(page(record), encoding="utf-8")


def page(record: Mapping[str, Any]) -> str:
    """The page as text."""
    began = datetime.fromtimestamp(record["began"], UTC).strftime("%d %B %Y, %H:%M UTC")
    bad = sum(device["failed"] for device in record["devices"]) + sum(row["grown"] for row in record.get("budgets", []))
    verdict = (
        "<span class=passed>everything held</span>" if not bad else f"<span class=failed>{bad} did not hold</span>"
    )
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Lightnode rig</title><style>{_STYLE}</style>',
        f"<h1>Lightnode rig: {verdict}</h1>",
        f'<p class="lead">{began}, {record["seconds"]:.0f} s on {escape(record["machine"])}.</p>',
        _summary(record["devices"]),
        _soak(record["soak"]) if "soak" in record else "",
        _budgets(record.get("budgets", [])),
        *[_device(device) for device in record["devices"]],
        "</html>",
    ]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    """Cells are HTML already."""

    def line(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if k in numbers else ''}>{cell}</{tag}>" for k, cell in enumerate(row))

    return f"<table><tr>{line('th', head)}</tr>" + "".join(f"<tr>{line('td', row)}</tr>" for row in rows) + "</table>"


def _summary(devices: Sequence[Mapping[str, Any]]) -> str:
    rows = [[escape(d["name"]), *[_count(d, outcome) for outcome in ("passed", "failed", "skipped")]] for d in devices]
    return _table(("device under test", "passed", "failed", "skipped"), rows, frozenset({1, 2, 3}))


def _count(device: Mapping[str, Any], outcome: str) -> str:
    return f"<span class={outcome if device[outcome] else 'skipped'}>{device[outcome]}</span>"


def _device(device: Mapping[str, Any]) -> str:
    rows = []
    for one in device["scenarios"]:
        again = f"<br><code>{escape(one['repeat'])}</code>" if "repeat" in one else ""
        state = f"<span class={one['outcome']}>{one['outcome']}</span>"
        rows.append([escape(one["scenario"]), state, f"{one['seconds']:.2f}", escape(one["reason"]) + again])
    title = f"<h2>{escape(device['name'])}</h2>"
    return title + _table(("scenario", "outcome", "s", "reason"), rows, frozenset({2}))


def _budgets(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    cells = []
    for row in rows:
        state = "<span class=failed>grown</span>" if row["grown"] else "<span class=passed>holds</span>"
        aim = "" if row["target"] is None else f"{row['target']:,}"
        missed = " <span class=missed>target missed</span>" if row["missed"] else ""
        was = "" if row["was"] is None else f"{row['was']:,}"
        cells.append([escape(row["name"]), f"{row['now']:,}", was, aim, state + missed])
    table = _table(("figure", "now", "ratchet", "target", ""), cells, frozenset({1, 2, 3}))
    return "<h2>Budgets on the emulated Cortex-M3</h2>" + _budget_plot([r for r in rows if r["target"]]) + table


def _budget_plot(rows: Sequence[Mapping[str, Any]]) -> str:
    names = [row["name"] for row in rows]
    with _Figure(10, 0.5 * len(rows) + 0.8) as (axes, out):
        parts = [100 * row["now"] / row["target"] for row in rows]
        axes.barh(names, parts, color=[_MISSED if row["missed"] else _WITHIN for row in rows], height=0.5)
        axes.axvline(100, color=_LIMIT, ls=":")
        axes.set_xlabel("percent of the target")
    return out[0]


def _soak(soak: Mapping[str, Any]) -> str:
    hours = [point["virtual_s"] / 3600 for point in soak["points"]]
    with _Figure(10, 3.0) as (axes, out):
        axes.plot(hours, [point["produced"] for point in soak["points"]], color=_WITHIN, label="readings produced")
        axes.plot(hours, [point["stored"] for point in soak["points"]], color=_MISSED, ls="--", label="readings stored")
        for fault in soak["faults"]:
            axes.axvline(fault["virtual_s"] / 3600, color="#d9d9e3", lw=0.8)
        axes.set_xlabel("virtual hours")
        axes.legend(frameon=False)
    with _Figure(10, 2.2) as (axes, waiting):
        axes.plot(hours, [point["pending"] for point in soak["points"]], color=_WITHIN)
        axes.axhline(soak["pending_limit"], color=_LIMIT, ls=":")
        axes.set_xlabel("virtual hours")
        axes.set_ylabel("unacknowledged")
    rows = [[f"{f['virtual_s']:,}", escape(f["what"])] for f in soak["faults"]]
    return "<h2>Soak</h2>" + out[0] + waiting[0] + _table(("virtual s", "fault"), rows, frozenset({0}))


class _Figure:
    """One inline SVG."""

    def __init__(self, width: float, height: float) -> None:
        import matplotlib

        matplotlib.use("svg")
        import matplotlib.pyplot as plt

        self._figure, self._axes = plt.subplots(figsize=(width, height), constrained_layout=True)
        self._out: list[str] = []

    def __enter__(self) -> tuple[Any, list[str]]:
        return self._axes, self._out

    def __exit__(self, *_error: object) -> None:
        import matplotlib.pyplot as plt

        text = StringIO()
        self._figure.savefig(text, format="svg", metadata={"Date": None})
        plt.close(self._figure)
        self._out.append(text.getvalue()[text.getvalue().index("<svg") :])
