"""One self-contained HTML page of the day: no script, no network, prints well."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from hil.demo.plots import element_panels, pod_panels
from hil.demo.story import Story

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2330;max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.4rem;border-bottom:1px solid #d9d9e3}
.lead{color:#4c5566;max-width:70ch}.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:.8rem}
.figures div{background:#f5f6fa;border-radius:6px;padding:.6rem .8rem}.figures b{display:block;font-size:1.25rem}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:#4c5566;font-weight:600}
td,th{padding:.28rem .5rem;border-bottom:1px solid #eceef3;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.accepted{color:#20733c}.cut{color:#8a6100}.rejected{color:#8a8f98}svg{width:100%;height:auto}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}svg,table{break-inside:avoid}}
"""


def write_report(story: Story, path: Path) -> None:
    """Writes the page; the pictures are drawn now (about a second)."""
    path.write_text(page(story), encoding="utf-8")


def page(story: Story) -> str:
    """The page as text."""
    title = escape(story.title)
    span = f"{_clock(story.start_ms, '%A %d %B %Y, %H:%M')} to {_clock(story.end_ms, '%H:%M')} UTC"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f'<h1>{title}</h1><p class="lead">{span}. Power is positive for withdrawal from the grid. '
        "What is measured was signed by light nodes every 4 s; the plots show every fifth reading.</p>",
        _figures(story),
        "<h2>What happened</h2>"
        + _table(("time", "event"), [(_clock(e.time_ms, "%H:%M:%S"), e.what) for e in story.events]),
        "<h2>The grid: before, planned, measured</h2>" + element_panels(story.elements) if story.elements else "",
        "<h2>The customers</h2>" + pod_panels(story.pods) if story.pods else "",
        "<h2>Requests</h2>" + _table(("request", "frames", "need", "unserved"), story.requests),
        "<h2>Offers, each with its reason</h2>" + _offers(story),
        "<h2>Payments</h2>" + _payments(story),
        "<h2>Proofs</h2>"
        + _table(
            ("claim", "holds", "checked"), [(p.claim, "yes" if p.holds else "NO", p.figure) for p in story.proofs]
        ),
        "</html>",
    ]
    return "\n".join(parts)


def _clock(ms: int, form: str) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)


def _euro(ueur: int) -> str:
    sign = "-" if ueur < 0 else ""
    return f"{sign}{abs(ueur) // 1_000_000}.{abs(ueur) % 1_000_000:06d}"


def _figures(story: Story) -> str:
    shown = (
        ("readings_produced", "readings signed"),
        ("readings_lost", "readings lost"),
        ("slots_missed_named", "slots missed, each in a signed gap"),
        ("violations_forecast", "violations forecast in the day"),
        ("violations_planned", "violations left by plan in the window"),
        ("violations_measured", "violations measured in the window"),
        ("setpoints_applied", "set-points applied"),
        ("receipts_verified_on_device", "receipts checked on devices"),
        ("anchors", "anchors on chain"),
        ("bundles_verified", "bundles verified"),
        ("tampered_bundles_refused", "tampered bundles refused"),
        ("payments_balance_ueur", "micro-EUR left over"),
    )
    boxes = [f"<div><b>{escape(str(story.summary[k]))}</b>{label}</div>" for k, label in shown if k in story.summary]
    return '<div class="figures">' + "".join(boxes) + "</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if k in numbers else ''}>{escape(v)}</{tag}>" for k, v in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _offers(story: Story) -> str:
    head = ("session", "offer", "aggregator", "direction", "EUR/MWh", "offered kWh", "accepted kWh", "fate", "reason")
    rows = [
        (
            o.session,
            o.offer,
            o.aggregator,
            o.direction,
            f"{o.price_ueur_per_mwh / 1e6:.2f}",
            f"{o.offered_wh / 1000:.1f}",
            f"{o.accepted_wh / 1000:.1f}",
            o.fate,
            o.reason,
        )
        for o in story.offers
    ]
    return _table(head, rows, frozenset({4, 5, 6}))


def _payments(story: Story) -> str:
    rows = [(p.payer, p.payee, _euro(p.amount_ueur), p.what) for p in story.payments]
    balance: dict[str, int] = {}
    for p in story.payments:
        balance[p.payer] = balance.get(p.payer, 0) - p.amount_ueur
        balance[p.payee] = balance.get(p.payee, 0) + p.amount_ueur
    totals = [(party, _euro(amount)) for party, amount in sorted(balance.items())]
    totals.append(("sum of all", _euro(sum(balance.values()))))
    return (
        _table(("from", "to", "EUR", "for"), rows, frozenset({2}))
        + "<h3>Balance of each party</h3>"
        + _table(("party", "EUR"), totals, frozenset({1}))
    )
