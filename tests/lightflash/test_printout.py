"""The printed record: complete, alone, harmless whatever the texts say, and the same each time."""

import base64
import hashlib
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from lightflash import printout
from lightflash.label import grouped
from lightflash.record import Record, record

from tests.lightflash.commissioned import CHECKS, KIT, facts

MADE = record(facts(technician="Nicolò D'Amico"), KIT)


class Reader(HTMLParser):
    """The texts and tags of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            f"{name}={value}" for name, value in attrs if name in ("src", "href", "action", "onload", "style")
        ]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.text += data + "\n"


def pdf_text(data: bytes) -> str:
    """What the pages show, in the order it is drawn."""
    shown = []
    for stream in re.findall(rb"ASCII85Decode.*?stream\r?\n(.*?)~>", data, re.DOTALL):
        content = zlib.decompress(base64.a85decode(stream.strip()))
        for piece in re.findall(rb"\(((?:\\.|[^\\()])*)\) Tj", content):
            plain = re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]), piece)
            shown.append(re.sub(rb"\\(.)", rb"\1", plain).decode("cp1252"))
    return "\n".join(shown)


def texts(of: Record) -> list[str]:
    return [Reader(printout.html(of)).text, pdf_text(printout.pdf(of))]


def test_both_forms_show_every_fact() -> None:
    """Rule 1."""
    of = MADE.facts
    for text in texts(MADE):
        flat = re.sub(r"\s", "", text)
        for wanted in (
            of.pod, of.place, of.meter_model, of.meter_serial, "current 40:1, voltage 1:1", "Nicolò D'Amico", "esp32-s3",
            "2026-11-30 12:00:00 UTC", "2032-12-31", of.firmware, of.micropython, "commissioned: all 9 checks passed",
            of.device.hex(), of.key_fingerprint.hex(), of.tls_fingerprint.hex(), of.image_sha256.hex(),
            of.settings_sha256.hex(), MADE.kit_key.hex(), MADE.digest.hex(), MADE.signature.hex(),
        ):  # fmt: skip
            assert re.sub(r"\s", "", wanted) in flat, wanted


def test_both_forms_show_every_check_with_measure_limits_and_result() -> None:
    for text in texts(MADE):
        flat = " ".join(text.split())
        for wanted in ("2412 W", "-17250 to 17250 W", "at most 100 ms", "at least 15", "exactly 10 of 10 readings"):
            assert wanted in flat
        for check in CHECKS:
            assert check.name in flat
            assert check.detail in flat
        assert flat.count("passed") == len(CHECKS) + 1
        assert "failed" not in flat


def test_what_failed_is_said_first_and_at_its_check() -> None:
    made = record(
        facts(
            checks=(
                replace(CHECKS[0], value=7),
                replace(CHECKS[4], value=None, cure="look at the network"),
                *CHECKS[5:],
            )
        ),
        KIT,
    )
    for text in texts(made):
        flat = " ".join(text.split())
        assert "not commissioned: 1 failed, 1 not done, of 6 checks" in flat
        assert "7 of 10 readings exactly 10 of 10 readings failed" in flat
        assert "clock error - at most 100 ms not done look at the network" in flat


def test_cause_and_cure_are_said_once_where_they_repeat() -> None:
    checks = tuple(replace(check, value=None, detail="offline", cure="go online") for check in CHECKS)
    for text in texts(record(facts(checks=checks), KIT)):
        assert " ".join(text.split()).count("offline; go online") == 1


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a & b < c", '"><img src=x onerror=y>', "'); DROP", "<para>"]
)
def test_a_text_is_only_ever_a_text(text: str) -> None:
    """Rule 2: whatever a name or a detail contains."""
    made = record(
        facts(technician=text, pod=text, checks=(replace(CHECKS[0], name=text, detail=text, unit=text),)), KIT
    )
    page = Reader(printout.html(made))
    assert page.tags.count("script") == 0
    assert page.tags.count("img") == 0
    assert text in page.text
    assert "".join(text.split()) in "".join(pdf_text(printout.pdf(made)).split())


def test_the_page_loads_nothing() -> None:
    """Rule 2."""
    page = printout.html(MADE)
    assert Reader(page).links == []
    assert b"http" not in page
    assert b"url(" not in page
    assert b"@import" not in page


def test_the_same_record_gives_the_same_bytes() -> None:
    assert printout.pdf(MADE) == printout.pdf(MADE)
    assert printout.html(MADE) == printout.html(MADE)


def test_nine_checks_fit_on_one_page_and_many_go_on_to_the_next() -> None:
    assert len(re.findall(rb"/Type /Page\b", printout.pdf(MADE))) == 1
    many = record(facts(checks=CHECKS * 7), KIT)
    assert len(re.findall(rb"/Type /Page\b", printout.pdf(many))) > 1
    assert pdf_text(printout.pdf(many)).count("clock error") == 7


def test_letters_that_the_page_lacks_are_replaced_and_it_says_so() -> None:
    """Rule 3."""
    shown = pdf_text(printout.pdf(record(facts(technician="Łukasz Żółć 李"), KIT)))
    assert "Lukasz Zólc ?" in shown
    assert "Letters that this page cannot show are replaced" in " ".join(shown.split())
    assert "cannot show" not in pdf_text(printout.pdf(MADE))
    assert "Łukasz Żółć 李" in Reader(printout.html(record(facts(technician="Łukasz Żółć 李"), KIT))).text


def test_no_secret_is_printed() -> None:
    for secret in (hashlib.sha256(b"a kit of the tests").digest(), hashlib.sha256(b"a device of the tests").digest()):
        for text in (*texts(MADE), MADE.encode().decode()):
            assert secret.hex() not in text
            assert grouped(secret) not in text
