"""The label of a device: who it is, the fingerprint of its key, its model, how long it is supported; as SVG, PNG and PDF.

1. Nothing secret is on it: everything is derived from the public key or printed in the documentation.
2. The QR code has the same facts as the text, `LN1:ID:FINGERPRINT:MODEL:END`, in capitals so that the code stays small;
   `parse` takes exactly what `Label.code` gives.
3. One drawing in millimetres is made for all forms; the same label gives the same bytes.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

import reportlab
import segno
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas

from lightflash.errors import FlashError

WIDTH_MM, HEIGHT_MM = 62.0, 29.0  # an endless tape of 62 mm, and most label sheets
DPI = 300
_QR_MM, _QUIET_MM = 24.0, 2.5
_TEXT_X_MM = 29.5
_POINT_MM = 25.4 / 72
_FONTS = Path(reportlab.__file__).parent / "fonts"  # come with the PDF library
_FONT_SCALE = 0.9  # they are wider than Helvetica
_MONO_PITCH = 0.6  # of the size, as Courier
_CODE = re.compile(r"LN1:([0-9A-F]{16}):([0-9A-F]{64}):([A-Z0-9-]{1,16}):([0-9]{4})([0-9]{2})([0-9]{2})")
_MODEL = re.compile(r"[a-z0-9-]{1,16}")


@dataclass(frozen=True, slots=True)
class Label:
    """device: its id, 8 bytes; fingerprint: SHA-256 of the public key that signs, 32 bytes; model: as in a Manifest."""

    device: bytes
    fingerprint: bytes
    model: str
    support_end: date

    def __post_init__(self) -> None:
        if len(self.device) != 8 or len(self.fingerprint) != 32:
            raise FlashError("label", "a device id has 8 bytes and a fingerprint 32", "take both from the enrolment")
        if not _MODEL.fullmatch(self.model):
            raise FlashError("label", f"the model is {self.model[:32]!r}, 1 to 16 of a-z, 0-9 and - belong there")

    @property
    def code(self) -> str:
        """What the QR code says."""
        return f"LN1:{self.device.hex()}:{self.fingerprint.hex()}:{self.model}:{self.support_end:%Y%m%d}".upper()


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; x_mm, y_mm: its beginning on the base line, from the upper left corner."""

    x_mm: float
    y_mm: float
    size_pt: float
    text: str
    is_bold: bool = False
    is_mono: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A black box; x_mm, y_mm: its upper left corner."""

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float


def label(public_key: bytes, device: bytes, model: str, support_end: date) -> Label:
    """The label of a device that signs with this key (33 bytes). FlashError if it cannot be one."""
    return Label(device, hashlib.sha256(public_key).digest(), model, support_end)


def parse(code: str) -> Label:
    """The label that a QR code was read from; FlashError for any other text."""
    found = _CODE.fullmatch(code) if code.isascii() else None
    if found:
        device, fingerprint, model, year, month, day = found.groups()
        try:
            end = date(int(year), int(month), int(day))
            return Label(bytes.fromhex(device), bytes.fromhex(fingerprint), model.lower(), end)
        except ValueError:
            pass  # a day that no calendar has: refused below like every other text
    raise FlashError("label", f"{code[:40]!r} is not the code of a label", "scan the code again")


def grouped(data: bytes) -> str:
    """Hex in groups of four, as a person compares it."""
    digits = data.hex()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def drawing(of: Label) -> list[Text | Box]:
    """Everything on the label, in its order."""
    rows = [of.fingerprint[at : at + 8] for at in range(0, 32, 8)]
    x = _TEXT_X_MM
    return [
        *qr_boxes(of.code, _QUIET_MM, _QUIET_MM, _QR_MM),
        Text(x, 5.0, 8, "LIGHTNODE", is_bold=True),
        Text(x, 8.2, 6, of.model),
        Text(x, 12.2, 5, "device"),
        Text(x, 15.0, 7.5, grouped(of.device), is_bold=True, is_mono=True),
        Text(x, 18.0, 5, "key, SHA-256"),
        *(Text(x, 20.0 + 1.85 * k, 5, grouped(row), is_mono=True) for k, row in enumerate(rows)),
        Text(x, 28.0, 5, f"supported until {of.support_end.isoformat()}"),
    ]


def qr_boxes(code: str, x_mm: float, y_mm: float, size_mm: float) -> Iterator[Box]:
    """The dark parts of a QR code of this size, one box for each run in a row."""
    rows = [bytes(row) for row in segno.make_qr(code, error="m", boost_error=False).matrix]
    module = size_mm / len(rows)
    for k, row in enumerate(rows):
        for run in re.finditer(rb"\x01+", row):
            yield Box(x_mm + run.start() * module, y_mm + k * module, len(run.group()) * module, module)


def svg(of: Label) -> bytes:
    """A scalable picture in its real size."""
    parts = [_svg_part(part) for part in drawing(of)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM:g}mm" height="{HEIGHT_MM:g}mm" '
        f'viewBox="0 0 {WIDTH_MM:g} {HEIGHT_MM:g}" role="img" aria-label="label of device {of.device.hex()}">'
    )
    ground = f'<rect width="{WIDTH_MM:g}" height="{HEIGHT_MM:g}" fill="#fff"/>'
    return "\n".join([head, ground, *parts, "</svg>", ""]).encode()


def png(of: Label) -> bytes:
    """A picture of 300 dots per inch, black and white, for label printers."""
    scale = DPI / 25.4
    picture = Image.new("L", (round(WIDTH_MM * scale), round(HEIGHT_MM * scale)), 255)
    pen = ImageDraw.Draw(picture)
    for part in drawing(of):
        if isinstance(part, Box):
            right, lower = part.x_mm + part.width_mm, part.y_mm + part.height_mm
            corners = [
                round(part.x_mm * scale),
                round(part.y_mm * scale),
                round(right * scale) - 1,
                round(lower * scale) - 1,
            ]
            pen.rectangle(corners, fill=0)
        else:
            _write(pen, part, scale)
    out = io.BytesIO()
    picture.point(lambda grey: 255 if grey > 127 else 0).convert("1").save(out, "PNG", dpi=(DPI, DPI))
    return out.getvalue()


def pdf(of: Label) -> bytes:
    """One page in its real size."""
    out = io.BytesIO()
    canvas = Canvas(out, (WIDTH_MM / _POINT_MM, HEIGHT_MM / _POINT_MM), invariant=1)
    canvas.setTitle(f"Label of device {of.device.hex()}")
    draw(canvas, drawing(of), HEIGHT_MM)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def draw(canvas: Canvas, parts: list[Text | Box], height_mm: float) -> None:
    """The parts on a page of this height."""
    for part in parts:
        if isinstance(part, Box):
            lower = (height_mm - part.y_mm - part.height_mm) / _POINT_MM
            size = part.width_mm / _POINT_MM, part.height_mm / _POINT_MM
            canvas.rect(part.x_mm / _POINT_MM, lower, *size, stroke=0, fill=1)
        else:
            canvas.setFont(
                ("Courier" if part.is_mono else "Helvetica") + ("-Bold" if part.is_bold else ""), part.size_pt
            )
            canvas.drawString(part.x_mm / _POINT_MM, (height_mm - part.y_mm) / _POINT_MM, part.text)


def _write(pen: ImageDraw.ImageDraw, part: Text, scale: float) -> None:
    size = part.size_pt * DPI / 72
    font = ImageFont.truetype(_FONTS / ("VeraBd.ttf" if part.is_bold else "Vera.ttf"), round(size * _FONT_SCALE))
    x, y = part.x_mm * scale, part.y_mm * scale
    if not part.is_mono:
        pen.text((x, y), part.text, fill=0, font=font, anchor="ls")
        return
    for k, letter in enumerate(part.text):
        pen.text((x + (k + 0.5) * _MONO_PITCH * size, y), letter, fill=0, font=font, anchor="ms")


def _svg_part(part: Text | Box) -> str:
    if isinstance(part, Box):
        size = f'width="{part.width_mm:.4g}" height="{part.height_mm:.4g}"'
        return f'<rect x="{part.x_mm:.5g}" y="{part.y_mm:.5g}" {size} shape-rendering="crispEdges"/>'
    family = "'Liberation Mono', 'Courier New', monospace" if part.is_mono else "Helvetica, Arial, sans-serif"
    weight = ' font-weight="bold"' if part.is_bold else ""
    return (
        f'<text x="{part.x_mm:g}" y="{part.y_mm:g}" font-size="{part.size_pt * _POINT_MM:.4g}" '
        f'font-family="{family}"{weight}>{escape(part.text)}</text>'
    )
