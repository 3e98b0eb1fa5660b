"""The label: what it says, that its code says the same, and that nothing secret is on it."""

import hashlib
import io
from datetime import date
from xml.etree import ElementTree

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as some
from lightflash import label as labels
from lightflash.errors import FlashError
from lightflash.label import Box, Label, Text, label, parse
from PIL import Image

from tests.lightflash.commissioned import DEVICE_KEY, facts

MADE = label(DEVICE_KEY.public, facts().device, "esp32-s3", date(2032, 12, 31))
FORMS = [labels.svg, labels.png, labels.pdf]


def test_the_code_is_as_a_person_would_write_it() -> None:
    fingerprint = hashlib.sha256(DEVICE_KEY.public).hexdigest().upper()
    assert MADE.code == f"LN1:{fingerprint[:16]}:{fingerprint}:ESP32-S3:20321231"


@given(
    some.binary(min_size=8, max_size=8),
    some.binary(min_size=32, max_size=32),
    some.from_regex(r"[a-z0-9-]{1,16}", fullmatch=True),
    some.dates(min_value=date(1000, 1, 1)),
)
def test_what_is_scanned_is_what_was_printed(device: bytes, fingerprint: bytes, model: str, end: date) -> None:
    """Rule 2."""
    made = Label(device, fingerprint, model, end)
    assert parse(made.code) == made


@pytest.mark.parametrize(
    "code",
    ["", "LN1", MADE.code.lower(), MADE.code + " ", MADE.code + "\n", MADE.code.replace("LN1", "LN2"),
     MADE.code.replace("20321231", "20321331"), MADE.code.replace("2032", "٢٠٣٢"), "x" * 100_000],
)  # fmt: skip
def test_any_other_text_is_refused_in_one_line(code: str) -> None:
    with pytest.raises(FlashError) as refused:
        parse(code)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("device", "fingerprint", "model"),
    [(bytes(7), bytes(32), "m"), (bytes(8), bytes(31), "m"), (bytes(8), bytes(32), ""), (bytes(8), bytes(32), "M<b>")],
)
def test_what_is_no_label_cannot_be_made(device: bytes, fingerprint: bytes, model: str) -> None:
    with pytest.raises(FlashError):
        Label(device, fingerprint, model, date(2032, 1, 1))


def test_the_text_says_id_key_model_and_end_of_support() -> None:
    texts = [part.text for part in labels.drawing(MADE) if isinstance(part, Text)]
    said = "".join(texts).replace(" ", "")
    assert MADE.device.hex() in said
    assert MADE.fingerprint.hex() in said
    assert "esp32-s3" in texts
    assert "supported until 2032-12-31" in texts


def test_everything_lies_on_the_label_and_nothing_on_the_code() -> None:
    parts = labels.drawing(Label(bytes(8), bytes(32), "m" * 16, date(2032, 12, 31)))
    boxes = [part for part in parts if isinstance(part, Box)]
    right = max(box.x_mm + box.width_mm for box in boxes)
    for part in parts:
        assert 0 <= part.x_mm < labels.WIDTH_MM
        assert 0 <= part.y_mm < labels.HEIGHT_MM
        if isinstance(part, Text):
            assert part.x_mm > right + 4 * 24 / 45, "the code needs four modules of quiet"
            assert part.x_mm + len(part.text) * 0.6 * part.size_pt * 25.4 / 72 < labels.WIDTH_MM


@pytest.mark.parametrize("form", FORMS)
def test_the_same_label_gives_the_same_bytes(form) -> None:  # type: ignore[no-untyped-def]
    """Rule 3."""
    assert form(MADE) == form(MADE)


def test_the_picture_has_the_size_of_the_tape() -> None:
    picture = Image.open(io.BytesIO(labels.png(MADE)))
    assert picture.size == (732, 343)
    assert picture.mode == "1"
    assert round(picture.info["dpi"][0]) == 300


def test_the_dots_of_the_picture_are_those_of_the_code() -> None:
    """Each module's middle, against a code made by itself."""
    picture = Image.open(io.BytesIO(labels.png(MADE)))
    rows = [bytes(row) for row in segno.make_qr(MADE.code, error="m", boost_error=False).matrix]
    module = 24.0 / len(rows) * 300 / 25.4
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            at = (int(2.5 * 300 / 25.4 + (x + 0.5) * module), int(2.5 * 300 / 25.4 + (y + 0.5) * module))
            assert (picture.getpixel(at) == 0) == bool(dark), (x, y)


def test_the_drawing_is_well_formed_and_of_its_size() -> None:
    root = ElementTree.fromstring(labels.svg(MADE))
    assert (root.get("width"), root.get("height")) == ("62mm", "29mm")
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "LIGHTNODE" in texts


@pytest.mark.parametrize("form", FORMS)
def test_no_secret_is_on_it(form) -> None:  # type: ignore[no-untyped-def]
    """Rule 1."""
    secret = hashlib.sha256(b"a device of the tests").digest()
    assert secret not in form(MADE)
    assert secret.hex().encode() not in form(MADE).lower()
