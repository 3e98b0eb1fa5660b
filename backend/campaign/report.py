"""The report of a campaign: one HTML page beside its pictures, no script, no network, made from the KPI document alone."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2330;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.4rem;border-bottom:1px solid #d9d9e3}
.lead{color:#4c5566;max-width:75ch}.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(175px,1fr));gap:.8rem}
.figures div{background:#f5f6fa;border-radius:6px;padding:.6rem .8rem}.figures b{display:block;font-size:1.25rem}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:#4c5566;font-weight:600}
td,th{padding:.28rem .5rem;border-bottom:1px solid #eceef3;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}img{width:100%;height:auto}figure{margin:1.2rem 0}
figcaption{color:#4c5566;font-size:13px}@media print{body{margin:0;max-width:none}figure,tr{break-inside:avoid}}
"""
_MOST_ROWS = 60
Document = dict[str, Any]


def page(kpi: Document, check: Document | None, pictures: Iterable[tuple[str, str]]) -> str:
    """The page as text; pictures: file names beside it, and what each shows."""
    title = f"Campaign of {kpi['days']} market days from {kpi['first']}"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f'<h1>{title}</h1><p class="lead">Published grid and profiles, invented customers (seed {kpi["seed"]}). '
        f"{kpi['quarter_hours']} quarter-hours, {len(kpi['by_session'])} sessions. Every forecast was made from what was "
        "known at its gate; violations are of the grid as it then was, by full power flow.</p>",
        _figures(kpi["campaign"]),
        "<h2>Checked independently</h2>" + _check(check),
        "<h2>Day by day</h2>",
        *(
            f'<figure><img src="{name}" alt="{escape(says)}"><figcaption>{escape(says)}</figcaption></figure>'
            for name, says in pictures
        ),
        _by_day(kpi["by_day"]),
        "<h2>Sessions that decided something</h2>" + _sessions(kpi["by_session"]),
        "<h2>Needs that stay</h2>" + _unserved(kpi["unserved"]),
        "<h2>Payments</h2>" + _payments(kpi),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _mwh(energy_ws: int) -> str:
    return f"{energy_ws / 3_600_000_000:.2f}"


def _euro(ueur: int) -> str:
    return f"{'-' if ueur < 0 else ''}{abs(ueur) // 1_000_000}.{abs(ueur) % 1_000_000 // 10_000:02d}"


def _share(ppm: int | None) -> str:
    return "-" if ppm is None else f"{ppm / 10_000:.1f} %"


def _figures(c: Document) -> str:
    v, r, e = c["violations"], c["renewable"], c["forecast_error_ppm"]
    rows = (
        (f"{v['real_standing']} → {v['real_after_remedy']}", "violations before and after own remedies"),
        (f"{v['real_after_remedy']} → {v['real_after_market']}", "violations before and after the market"),
        (f"{v['planned']}", "violations left by plan, each need named"),
        (f"{v['unexpected']}", "violations left that no plan expected"),
        (_share(c["served_ppm"]), "of the needs served"),
        (f"{c['needs_unserved']} of {c['needs']}", "needs not wholly served"),
        (f"{_mwh(sum(c['requested_day_ahead_ws'].values()))} MWh", "requested day-ahead"),
        (f"{_mwh(c['offered_day_ahead_ws'])} MWh", "offered day-ahead"),
        (f"{_mwh(c['awarded_ws'])} MWh", "awarded"),
        (f"{_mwh(c['ordered_ws'])} MWh", "ordered, settled"),
        (f"{_mwh(c['delivered_ws'])} MWh", "delivered"),
        (_share(c["accuracy_ppm"]), "delivery accuracy"),
        (f"{c['response']['median_s']} s / {c['response']['p95_s']} s", "response, median / 95 %"),
        (f"{_euro(sum(c['cost_ueur'].values()))} EUR", "cost to the buyers, penalties off"),
        (f"{_euro(c['mean_price_ueur_per_mwh'] or 0)} EUR", "mean price of a MWh"),
        (f"{c['held_lines']}", "lines held for want of evidence"),
        (_share(c["participation_ppm"]), "of the PODs took part"),
        (
            f"{_share(e['day-ahead load'])} / {_share(e['near-real-time load'])}",
            "load forecast error, day-ahead / last",
        ),
        (f"{_mwh(r['saved_ws'])} MWh", "renewable energy saved"),
        (f"{_mwh(r['curtailed_ws'])} MWh", "renewable energy curtailed"),
        (f"{c['unbalanced_ueur']}", "micro-EUR left over"),
    )
    return '<div class="figures">' + "".join(f"<div><b>{escape(b)}</b>{escape(t)}</div>" for b, t in rows) + "</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """The first `words` columns are words, the others numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if k >= words else ''}>{escape(v)}</{tag}>" for k, v in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _check(check: Document | None) -> str:
    if check is None:
        return "<p>Not checked by another engine.</p>"
    differs = check["differs"]
    said = f"{check['states']} states solved by {escape(check['engine'])}: {check['violations_found_by_both']} violations found"
    if not differs:
        return f"<p>{said} by both, none by one only.</p>"
    rows = [(d["day"], d["state"], d["element"], d["said_by"], str(d["frame"])) for d in differs[:_MOST_ROWS]]
    return f"<p>{said} by both, {len(differs)} by one only.</p>" + _table(
        ("day", "state", "element", "said by", "quarter-hour"), rows, 4
    )


def _by_day(days: Sequence[Document]) -> str:
    head = (
        "day", "violations stood", "own remedies", "market", "needs", "left", "awarded MWh", "ordered MWh", "delivered MWh",
        "cost EUR", "accuracy", "saved MWh",
    )  # fmt: skip
    rows = [
        (
            d["day"], str(d["violations"]["real_standing"]), str(d["violations"]["real_after_remedy"]),
            str(d["violations"]["real_after_market"]), str(d["needs"]), str(d["needs_unserved"]), _mwh(d["awarded_ws"]),
            _mwh(d["ordered_ws"]), _mwh(d["delivered_ws"]), _euro(sum(d["cost_ueur"].values())), _share(d["accuracy_ppm"]),
            _mwh(d["renewable"]["saved_ws"]),
        )
        for d in days
    ]  # fmt: skip
    return _table(head, rows, 1)


def _sessions(sessions: Sequence[Document]) -> str:
    told = [s for s in sessions if s["needs"] or s["awarded_ws"]]
    rows = [
        (
            s["session"], str(s["needs"]), _share(s["served_ppm"]), _mwh(sum(s["requested_ws"].values())),
            _mwh(s["awarded_ws"]), _mwh(s["delivered_ws"]), _euro(sum(s["cost_ueur"].values())), str(s["rounds"]),
        )
        for s in told[:_MOST_ROWS]
    ]  # fmt: skip
    head = ("session", "needs", "served", "requested MWh", "awarded MWh", "delivered MWh", "cost EUR", "rounds")
    return _table(head, rows, 1) + _rest(len(told))


def _unserved(named: Sequence[Document]) -> str:
    rows = [
        (n["session"], n["request"] or "nobody could help", n["element"], _amount(n), str(n["frame"]))
        for n in named[:_MOST_ROWS]
    ]
    return _table(("session", "request", "element", "left", "quarter-hour"), rows, 3) + _rest(len(named))


def _amount(named: Document) -> str:
    if named["unit"] == "W":
        return f"{named['amount'] / 1000:.1f} kW"
    return f"{named['amount'] / 10**10:.3f} % of rated"


def _rest(count: int) -> str:
    return f"<p>{count - _MOST_ROWS} more in kpi.json.</p>" if count > _MOST_ROWS else ""


def _payments(kpi: Document) -> str:
    rows = [(p["payer"], p["payee"], p["what"], _euro(p["amount_ueur"])) for p in kpi["payments"]]
    totals = [(party, _euro(amount)) for party, amount in kpi["balance_ueur"].items()]
    totals.append(("sum of all", _euro(kpi["sum_ueur"])))
    return (
        _table(("from", "to", "for", "EUR"), rows, 3)
        + "<h3>Balance of each party</h3>"
        + _table(("party", "EUR"), totals, 1)
    )
