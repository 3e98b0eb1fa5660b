"""What is read in a short way is what is read in the long way: the same values, the same refusals, one encoding."""

import json
import random
from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evidence.verifier import message, sheet
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.message import parse_payload, split


@given(st.sampled_from(sorted(message._SHAPES)), st.randoms(use_true_random=False), st.integers(0, 3))
def test_what_is_read_at_once_is_what_is_read_item_by_item(kind: int, source: random.Random, changes: int) -> None:
    """Messages of fixed places, changed or not: the short way says what the long way says, fields and reasons."""
    payload = bytearray([0x82 + len(message._LAYOUT[kind]), 0x18, kind, 0x18, 1])
    for _, form in message._LAYOUT[kind]:
        mark, width = message._WIDTHS.get(form, (0, 0)) if not form.isdigit() else (0, int(form))
        payload += bytes([mark] if mark else [0x40 + width] if width < 24 else [0x58, width])
        payload += bytes([source.choice((0, 0, 1)), *(source.randrange(256) for _ in range(width - 1))])
    sealed = bytearray(cbor2.dumps(cbor2.CBORTag(18, [bytes.fromhex("a101382e"), {}, bytes(payload), bytes(64)])))
    for data in (payload, sealed):
        for _ in range(changes):
            data[source.randrange(len(data))] = source.choice((0x18, 0x19, 0x40, 0x58, source.randrange(256)))
    found = [_said(parse_payload, bytes(payload)), _said(split, bytes(sealed)), _said(split, bytes(sealed[:-1]))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message, "_SHAPES", {})
        patch.setattr(message, "_SEALED", {})
        assert [
            _said(parse_payload, bytes(payload)),
            _said(split, bytes(sealed)),
            _said(split, bytes(sealed[:-1])),
        ] == found


def _said(parse: Callable[[bytes, str], object], data: bytes) -> object:
    try:
        return parse(data, "here")
    except NotValid as finding:
        return str(finding)


NAMES = st.text('aZ0- /~\x7f"\\\n\xe9', max_size=3)
VALUES = st.recursive(
    st.integers(-9, 9) | st.integers(-(10**30), 10**30) | st.booleans() | st.none() | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(VALUES, st.data())
def test_a_text_is_taken_only_if_it_is_the_one_of_its_value(value: object, draw: st.DataObject) -> None:
    """Written otherwise, or with a character changed, put in or left out; also in the ways that need no second writing."""
    separators = draw.draw(st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")]))
    wide, in_order = draw.draw(st.booleans()), draw.draw(st.booleans())
    text = json.dumps(value, ensure_ascii=not wide, sort_keys=in_order, separators=separators)
    if draw.draw(st.booleans()):
        at = draw.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw.draw(st.sampled_from(['"a":1,', "-", "0", " ", "\\", "\x7f", "-0,", "1.0", ""]))
            + text[at + 1 :]
        )
    try:
        taken: object = sheet.parse(text.encode(), "here")
    except NotValid:
        taken = NotValid
    try:
        known = json.loads(text, parse_float=lambda _: 1 / 0)
        is_the_one = sheet.text_of(known) == text
    except (ValueError, ZeroDivisionError):
        is_the_one = False
    assert (taken is not NotValid) == is_the_one
    assert taken is NotValid or sheet.text_of(taken) == text
