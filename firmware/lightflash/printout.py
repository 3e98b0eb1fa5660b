"""A commissioning record for people: a page in HTML and the same in PDF, A4, to be signed by hand and kept.

1. Both show every fact and every check with its limits, and the digest and the signature that tie the paper to the file.
2. Both stand alone: no font, picture or script is loaded from anywhere; every text is escaped.
3. The PDF's fonts have the Latin letters of western Europe; a page on which another letter was replaced says so.
"""

import io
import unicodedata
from collections.abc import Iterator
from html import escape
from typing import Any

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from lightflash.instant import day
from lightflash.label import Box, Label, grouped, qr_boxes
from lightflash.record import FAILED, NOT_DONE, YES_NO, Check, Facts, Record

_QR_MM = 26.0
_LETTERS = dict(zip("ŁłĐđĦħŦŧı", "LlDdHhTti", strict=True))
_STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.4 system-ui, Helvetica, Arial, sans-serif; color: #16202a; background: #fff; max-width: 180mm;
  margin: 12mm auto; padding: 0 6mm; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 8mm; border-bottom: 2px solid #16202a;
  padding-bottom: 4mm; }
h1 { font-size: 18pt; margin: 0 0 1mm; } h2 { font-size: 11.5pt; margin: 6mm 0 1.5mm; }
.result { font-weight: 600; font-size: 12.5pt; } .passed { color: #11683a; } .failed { color: #a3161b; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: 1.1mm 2mm; vertical-align: top;
  border-bottom: 1px solid #d5dbe1; } th { font-weight: 600; } .facts th { width: 46mm; font-weight: 400; color: #4b5966; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.failed, td.passed { font-weight: 600; white-space: nowrap; }
tr.open td { background: #eceff1; } tr.open td[colspan] { padding-top: 0; } small { color: #4b5966; }
code { font: 9pt/1.35 'Liberation Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.sign { display: flex; gap: 10mm; margin-top: 14mm; } .sign div { flex: 1; border-top: 1px solid #16202a; padding-top: 1mm;
  color: #4b5966; } footer { margin-top: 6mm; color: #4b5966; font-size: 9pt; }
@media print { body { margin: 0 auto; font-size: 8.2pt; line-height: 1.25; } th, td { padding: .3mm 2mm; }
  header { padding-bottom: 1mm; }
  h2 { margin: 2.5mm 0 1mm; font-size: 10pt; }
  code { font-size: 6.8pt; line-height: 1.15; } .sign { margin-top: 9mm; } footer { margin-top: 3mm; } @page { size: A4; margin: 12mm; } }
"""


def html(of: Record) -> bytes:
    """The page."""
    facts = of.facts
    groups = "".join(
        f'<h2>{escape(title)}</h2>\n<table class="facts">{"".join(_html_fact(*row) for row in rows)}</table>\n'
        for title, rows in _groups(facts)
    )
    checks = "".join(_html_check(check, said) for check, said in _told(facts))
    words, kind = result(facts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Commissioning record of {facts.device.hex()}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><div><h1>Commissioning record</h1>
<div>Light node <code>{grouped(facts.device)}</code></div>
<div class="result {kind}">{words}</div></div>{_svg(facts)}</header>
{groups}<h2>Checks</h2>
<table><thead><tr><th>check</th><th class="number">measured</th><th class="number">limits</th><th>result</th></tr></thead>
<tbody>{checks}</tbody></table>
<h2>Signatures</h2>
<table class="facts">{"".join(_html_fact(*row) for row in _seal(of))}</table>
<div class="sign"><div>{escape(facts.technician)}, technician</div><div>customer</div></div>
<footer>{_FOOT}</footer>
</body>
</html>
""".encode()


_FOOT = "The signed file record.json is what counts; this page is tied to it by its digest. It holds no secret."


def pdf(of: Record) -> bytes:
    """The same as a PDF; the same record gives the same bytes."""
    facts = of.facts
    out = io.BytesIO()
    page = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=16 * mm, rightMargin=16 * mm, topMargin=12 * mm, bottomMargin=10 * mm, invariant=1,
        title=f"Commissioning record of {facts.device.hex()}", author="lightnode-flash",
    )  # fmt: skip
    words, kind = result(facts)
    head = [
        _paragraph("Commissioning record", _TITLE),
        _paragraph(f"Light node {grouped(facts.device)}", _PLAIN),
        _paragraph(words, _RESULT[kind]),
    ]
    story: list[Any] = [Table([[head, _qr(facts)]], colWidths=[143 * mm, 30 * mm], style=_HEAD_STYLE, hAlign="LEFT")]
    for title, rows in _groups(facts):
        story += [_paragraph(title, _HEADING), _pdf_facts(rows)]
    story += [_paragraph("Checks", _HEADING), _pdf_checks(facts)]
    story += [_paragraph("Signatures", _HEADING), _pdf_facts(_seal(of)), Spacer(0, 11 * mm)]
    lines = [[_paragraph(f"{facts.technician}, technician", _GREY), "", _paragraph("customer", _GREY)]]
    story.append(Table(lines, colWidths=[79 * mm, 15 * mm, 79 * mm], style=_SIGN_STYLE, hAlign="LEFT"))
    is_spelled = _latin(facts.technician + facts.pod + facts.place) == facts.technician + facts.pod + facts.place
    note = "" if is_spelled else " Letters that this page cannot show are replaced; record.json has them."
    story += [Spacer(0, 2 * mm), _paragraph(_FOOT + note, _GREY)]
    page.build(story)
    return out.getvalue()


def _groups(facts: Facts) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Title and rows of (what, value, whether it is to be compared letter by letter)."""
    return [
        (
            "Place and meter",
            [
                ("put into service by", f"{facts.technician}, {day(facts.time_ms)}", False),
                ("POD", facts.pod, False),
                ("place", facts.place, False),
                ("meter", f"{facts.meter_model}, serial number {facts.meter_serial}, unit {facts.meter_unit}", False),
                ("transformer ratios", f"current {facts.ct_ratio}:1, voltage {facts.vt_ratio}:1", False),
            ],
        ),
        (
            "Device",
            [
                ("device id", grouped(facts.device), True),
                ("signing key, SHA-256", grouped(facts.key_fingerprint), True),
                ("key generation", str(facts.generation), False),
                ("TLS certificate, SHA-256", grouped(facts.tls_fingerprint), True),
                ("board", f"{facts.board}, class {facts.hardware}", False),
                ("versions", f"lightnode {facts.firmware}, MicroPython {facts.micropython}", False),
                ("image, SHA-256", grouped(facts.image_sha256), True),
                ("settings, SHA-256", grouped(facts.settings_sha256), True),
                ("supported until", facts.support_end.isoformat(), False),
            ],
        ),
    ]


def _seal(of: Record) -> list[tuple[str, str, bool]]:
    return [
        ("public key of the kit", of.kit_key.hex(), True),
        ("digest of the facts", grouped(of.digest), True),
        ("signature of the kit", of.signature.hex(), True),
        (
            "signature of the device",
            of.device_signature.hex() or "none: it was not on the cable",
            bool(of.device_signature),
        ),
    ]


def result(facts: Facts) -> tuple[str, str]:
    """(the result in words, "passed" or "failed")."""
    if facts.is_commissioned:
        return f"commissioned: all {len(facts.checks)} checks passed", "passed"
    counts = [(sum(check.result == one for check in facts.checks), one) for one in (FAILED, NOT_DONE)]
    words = ", ".join(f"{count} {one}" for count, one in counts if count)
    return f"not commissioned: {words or 'none done'}, of {len(facts.checks)} checks", "failed"


def measured(check: Check) -> str:
    """With its unit; - if it was not done."""
    if check.value is None:
        return "-"
    return _yes_no(check.value) if check.unit == YES_NO else f"{check.value} {check.unit}".strip()


def limits_of(check: Check) -> str:
    """In words."""
    if check.unit == YES_NO and check.low is not None:
        return _yes_no(check.low)
    if check.low is None and check.high is None:
        return "the installer's"
    if check.low is None or check.high is None:
        word, number = ("at least", check.low) if check.high is None else ("at most", check.high)
        return f"{word} {number} {check.unit}".strip()
    span = f"exactly {check.low}" if check.low == check.high else f"{check.low} to {check.high}"
    return f"{span} {check.unit}".strip()


def _yes_no(value: int) -> str:
    return "yes" if value else "no"


def _html_fact(what: str, value: str, is_exact: bool) -> str:
    shown = f"<code>{escape(value)}</code>" if is_exact else escape(value)
    return f"<tr><th>{escape(what)}</th><td>{shown}</td></tr>\n"


def _html_check(check: Check, said: str) -> str:
    words = escape(said)
    name = escape(check.name) + (f" <small>{words}</small>" if words and check.passed else "")
    cells = f'<td class="number">{escape(measured(check))}</td><td class="number">{escape(limits_of(check))}</td>'
    if check.passed:
        return f'<tr><td>{name}</td>{cells}<td class="passed">{check.result}</td></tr>\n'
    below = f'<tr class="open"><td colspan="4"><small>{words}</small></td></tr>\n' if words else ""
    return f'<tr class="open"><td>{name}</td>{cells}<td class="failed">{check.result}</td></tr>\n{below}'


def _told(facts: Facts) -> Iterator[tuple[Check, str]]:
    """Each check with what is said of it: cause and cure, or what was found; not again where it repeats."""
    before = ""
    for check in facts.checks:
        said = "; ".join(text for text in (check.detail, check.cure) if text)
        yield check, "" if said == before and not check.passed else said
        before = said


def _boxes(facts: Facts) -> list[Box]:
    code = Label(facts.device, facts.key_fingerprint, facts.hardware, facts.support_end).code
    return list(qr_boxes(code, 0, 0, _QR_MM))


def _svg(facts: Facts) -> str:
    path = "".join(
        f"M{b.x_mm:.4g} {b.y_mm:.4g}h{b.width_mm:.4g}v{b.height_mm:.4g}h-{b.width_mm:.4g}z" for b in _boxes(facts)
    )
    size = f'width="{_QR_MM:g}mm" height="{_QR_MM:g}mm" viewBox="0 0 {_QR_MM:g} {_QR_MM:g}"'
    return (
        f'<svg {size} role="img" aria-label="device id and key" shape-rendering="crispEdges"><path d="{path}"/></svg>'
    )


def _qr(facts: Facts) -> Drawing:
    """The label's QR code."""
    side = _QR_MM * mm
    found = Drawing(side, side)
    for box in _boxes(facts):
        lower = side - (box.y_mm + box.height_mm) * mm
        found.add(Rect(box.x_mm * mm, lower, box.width_mm * mm, box.height_mm * mm, strokeWidth=0, strokeColor=None))
    return found


_PLAIN = ParagraphStyle("plain", fontName="Helvetica", fontSize=8.5, leading=10.5)
_GREY = ParagraphStyle("grey", parent=_PLAIN, textColor=colors.HexColor("#4b5966"))
_EXACT = ParagraphStyle("exact", parent=_PLAIN, fontName="Courier", fontSize=7.2, leading=10.5, wordWrap="CJK")
_TITLE = ParagraphStyle("title", parent=_PLAIN, fontName="Helvetica-Bold", fontSize=17, leading=21)
_HEADING = ParagraphStyle(
    "heading", parent=_PLAIN, fontName="Helvetica-Bold", fontSize=10.5, leading=12, spaceBefore=6, spaceAfter=1
)
_RESULT = {
    kind: ParagraphStyle(
        kind, parent=_PLAIN, fontName="Helvetica-Bold", fontSize=12, leading=16, textColor=colors.HexColor(c)
    )
    for kind, c in (("passed", "#11683a"), ("failed", "#a3161b"))
}
_CELL = {
    kind: ParagraphStyle(f"cell {kind}", parent=style, fontSize=8.5, leading=10.5) for kind, style in _RESULT.items()
}
_GREY_RIGHT = ParagraphStyle("grey right", parent=_GREY, alignment=2)
_RIGHT = ParagraphStyle("right", parent=_PLAIN, alignment=2)
_SMALL = ParagraphStyle("small", parent=_GREY, fontSize=7, leading=8.5)
_GROUND = colors.HexColor("#eceff1")
_LINE = colors.HexColor("#d5dbe1")
_HEAD_STYLE = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
_SIGN_STYLE = TableStyle(
    [
        ("LINEABOVE", (0, 0), (0, 0), 0.8, colors.black),
        ("LINEABOVE", (2, 0), (2, 0), 0.8, colors.black),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ]
)
_ROWS_STYLE = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 0.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.6),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("RIGHTPADDING", (1, 0), (1, -1), 2),
    ]
)


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_latin(text)), style)


def _latin(text: str) -> str:
    """With the letters that the page's fonts have."""
    return "".join(_latin_letter(letter) for letter in text)


def _latin_letter(letter: str) -> str:
    for candidate in (letter, unicodedata.normalize("NFKD", letter)[0], _LETTERS.get(letter, "?")):
        try:
            candidate.encode("cp1252")
            return candidate
        except UnicodeEncodeError:
            continue
    return "?"


def _pdf_facts(rows: list[tuple[str, str, bool]]) -> Table:
    cells = [[_paragraph(what, _GREY), _paragraph(value, _EXACT if exact else _PLAIN)] for what, value, exact in rows]
    return Table(cells, colWidths=[44 * mm, 129 * mm], style=_ROWS_STYLE, hAlign="LEFT")


def _pdf_checks(facts: Facts) -> Table:
    """One row for each check; one that did not pass is grey, with cause and cure below, once where they repeat."""
    styles = (_GREY, _GREY_RIGHT, _GREY_RIGHT, _GREY)
    rows = [[_paragraph(word, s) for word, s in zip(("check", "measured", "limits", "result"), styles, strict=True)]]
    extra: list[tuple[Any, ...]] = []
    for check, told in _told(facts):
        said, at = escape(_latin(told)), len(rows)
        kind = "passed" if check.passed else "failed"
        small = f"<font size=7 color='#4b5966'>{said}</font>"
        name = Paragraph(escape(_latin(check.name)) + (f" {small}" if said and check.passed else ""), _PLAIN)
        figures = [_paragraph(measured(check), _RIGHT), _paragraph(limits_of(check), _RIGHT)]
        rows.append([name, *figures, _paragraph(check.result, _CELL[kind])])
        if said and not check.passed:
            rows.append([Paragraph(small, _SMALL), "", "", ""])
            row = ((0, at + 1), (-1, at + 1))
            extra += [("SPAN", *row), ("LEADING", *row, 7), ("LINEBELOW", (0, at), (-1, at), 0, _GROUND)]
        if not check.passed:
            extra.append(("BACKGROUND", (0, at), (-1, len(rows) - 1), _GROUND))
    style = TableStyle([*_ROWS_STYLE.getCommands(), *extra])
    return Table(rows, colWidths=[89 * mm, 26 * mm, 40 * mm, 18 * mm], style=style, hAlign="LEFT", repeatRows=1)
