"""Books: one worked file of each form, every reason code, and ten thousand rows that are wrong."""

import json
import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Offer, Product, Request, Step
from backend.errors import Rejected
from backend.market.row_field import Code
from backend.market.submission import FORMAT, Refusal, Submission, parse_csv, parse_json

F = 1_993_108  # 2026-11-04T14:00+01:00
OFFER: dict[str, Any] = {
    "id": "A-1", "aggregator": "A", "direction": "up", "frames": {str(F): 4000, str(F + 1): 2500}, "pods": {"IT1": 3000, "IT2": 1000},
    "price_ueur_per_mwh": 90_000_000,
}  # fmt: skip
REQUEST: dict[str, Any] = {
    "id": "D-1", "buyer": "DSO", "direction": "up", "element": "line:12", "need": {str(F): 5},
    "price_cap_ueur_per_mwh": 200_000_000,
}  # fmt: skip


def book(offers: list[Any] | None = None, requests: list[Any] | None = None) -> Submission:
    return parse_json(json.dumps({"format": FORMAT, "offers": offers or [], "requests": requests or []}))


def refusal(row: Any) -> Refusal:
    found = book([row]) if not isinstance(row, dict) or "buyer" not in row else book([], [row])
    assert not found.offers and not found.requests
    return found.refusals[0]


def test_rule_1_a_book_by_hand() -> None:
    found = book([OFFER], [REQUEST])
    assert found.offers == (
        Offer("A-1", "A", Direction.UP, {F: 4000, F + 1: 2500}, {"IT1": 3000, "IT2": 1000}, 90_000_000, 0),
    )
    assert found.requests == (Request("D-1", Buyer.DSO, Direction.UP, "line:12", {F: 5}, 200_000_000),)
    assert found.refusals == ()


def test_every_field_that_may_be_left_out() -> None:
    more = {
        "minimum_ppm": 100, "product": "reactive", "linked": True, "rebound_ppm": {"4": 500_000}, "lead_s": 300,
        "ramp_w_per_min": 50, "availability_ueur_per_mw_h": 7,
    }  # fmt: skip
    (offer,) = book([{**OFFER, **more}]).offers
    assert (offer.minimum_ppm, offer.product, offer.linked, offer.rebound_ppm) == (
        100,
        Product.REACTIVE,
        True,
        {4: 500_000},
    )
    assert (offer.lead_s, offer.ramp_w_per_min, offer.availability_ueur_per_mw_h) == (300, 50, 7)
    (request,) = book(
        [], [{**REQUEST, "element": "", "nodes": ["12", "34"], "priority": 3, "product": "active"}]
    ).requests
    assert (request.element, request.nodes, request.priority) == ("", ("12", "34"), 3)


def test_price_steps_replace_the_one_price() -> None:
    row = {k: v for k, v in OFFER.items() if k != "price_ueur_per_mwh"}
    (offer,) = book([{**row, "frames": {str(F): [[3000, 50], [1000, 80]]}}]).offers
    assert offer.steps == {F: (Step(3000, 50), Step(1000, 80))} and offer.volume_w == {F: 4000}


def test_rule_3_a_quarter_hour_is_its_number_or_its_begin() -> None:
    (offer,) = book([{**OFFER, "frames": {"2026-11-04T14:00+01:00": 10, "2026-11-04T13:15Z": 20}}]).offers
    assert offer.volume_w == {F: 10, F + 1: 20}
    twice = refusal({**OFFER, "frames": {str(F): 1, "2026-11-04T14:00+01:00": 1}})
    assert (twice.field, twice.code) == ("frames", Code.DUPLICATE)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"id": ""}, "id", Code.OUT_OF_RANGE),
        ({"id": "x" * 65}, "id", Code.OUT_OF_RANGE),
        ({"id": 7}, "id", Code.WRONG_KIND),
        ({"aggregator": None}, "aggregator", Code.WRONG_KIND),
        ({"direction": "UP"}, "direction", Code.OUT_OF_RANGE),
        ({"direction": 1}, "direction", Code.WRONG_KIND),
        ({"colour": "red"}, "colour", Code.UNKNOWN),
        ({"price_ueur_per_mwh": 1.0}, "price_ueur_per_mwh", Code.WRONG_KIND),
        ({"price_ueur_per_mwh": "1"}, "price_ueur_per_mwh", Code.WRONG_KIND),
        ({"price_ueur_per_mwh": True}, "price_ueur_per_mwh", Code.WRONG_KIND),
        ({"price_ueur_per_mwh": -1}, "price_ueur_per_mwh", Code.OUT_OF_RANGE),
        ({"frames": []}, "frames", Code.WRONG_KIND),
        ({"frames": {}}, "frames", Code.OUT_OF_RANGE),
        ({"frames": {str(F): 0}}, f"frames.{F}", Code.OUT_OF_RANGE),
        ({"frames": {str(F): [[1]]}}, f"frames.{F}", Code.WRONG_KIND),
        ({"frames": {"2026-11-04T14:00": 1}}, "frames", Code.NOT_A_QUARTER_HOUR),
        ({"frames": {"2026-11-04T14:01Z": 1}}, "frames", Code.NOT_A_QUARTER_HOUR),
        ({"frames": {"soon": 1}}, "frames", Code.NOT_A_QUARTER_HOUR),
        ({"frames": {"99999999999": 1}}, "frames", Code.OUT_OF_RANGE),
        ({"frames": {str(F): 4001}}, "", Code.CONTRADICTION),
        ({"frames": {str(F): [[1000, 80], [1000, 50]]}}, "", Code.CONTRADICTION),
        ({"pods": {}}, "pods", Code.OUT_OF_RANGE),
        ({"pods": {"IT 1": 5000}}, "pods", Code.OUT_OF_RANGE),
        ({"pods": {"IT1": 0}}, "pods.IT1", Code.OUT_OF_RANGE),
        ({"minimum_ppm": 1_000_001}, "minimum_ppm", Code.OUT_OF_RANGE),
        ({"linked": 1}, "linked", Code.WRONG_KIND),
        ({"rebound_ppm": {"0": 1}}, "rebound_ppm", Code.OUT_OF_RANGE),
    ],
)
def test_rule_1_a_wrong_field_is_named_with_its_code(change: dict[str, Any], field: str, code: Code) -> None:
    found = refusal({**OFFER, **change})
    assert (found.row, found.field, found.code) == (1, field, code), found


def test_rule_1_all_wrong_fields_of_a_row_are_named() -> None:
    found = book([{"id": "A-1", "direction": 1, "more": 2}])
    assert [r.field for r in found.refusals] == ["aggregator", "direction", "frames", "pods", "more"]


def test_rule_1_an_id_that_stands_twice_is_refused_both_times_and_the_others_stay() -> None:
    found = book([OFFER, {**OFFER, "price_ueur_per_mwh": 1}, {**OFFER, "id": "A-2"}, 7])
    assert [o.id for o in found.offers] == ["A-2"]
    assert [(r.row, r.code) for r in found.refusals] == [(1, Code.DUPLICATE), (2, Code.DUPLICATE), (4, Code.MALFORMED)]


@pytest.mark.parametrize("text", ['{"id": "A", "id": "B"}', '{"id": "A", "frames": {"5": 1, "5": 2}}'])
def test_a_field_that_stands_twice_is_refused(text: str) -> None:
    found = parse_json(f'{{"format": "{FORMAT}", "offers": [{text}]}}')
    assert [r.code for r in found.refusals] == [Code.DUPLICATE]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "format"),
        ('{"format": "other/1"}', "format"),
        (f'{{"format": "{FORMAT}", "offers": 5}}', "expected a list"),
        (f'{{"format": "{FORMAT}", "orders": []}}', "orders: no such field"),
        (f'{{"format": "{FORMAT}", "offers": [NaN]}}', "NaN is not a number"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_file_that_is_no_book_is_refused_whole(text: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        parse_json(text)


CSV = """id,aggregator,direction,frame,volume_w,price_ueur_per_mwh,pods,linked
A-1,A,up,2026-11-04T14:00+01:00,4000,90000000,IT1=3000;IT2=1000,
A-1,A,up,2026-11-04T14:15+01:00,2500,90000000,IT1=3000;IT2=1000,
A-2,A,down,{f},1000,80,IT1=3000,
A-2,A,down,{f},500,50,IT1=3000,
"""


def test_rule_4_a_byte_order_mark_and_empty_lines_change_nothing() -> None:
    text = CSV.replace("{f}", str(F))
    assert parse_csv("\ufeff" + text.replace("\n", "\r\n\r\n")) == parse_csv(text)
    assert parse_json(f'\ufeff{{"format": "{FORMAT}"}}') == parse_json(f'{{"format": "{FORMAT}"}}')
    with pytest.raises(Rejected, match="parted by commas"):
        parse_csv(text.replace(",", ";"))


def test_rule_4_a_csv_by_hand() -> None:
    found = parse_csv(CSV.replace("{f}", str(F)))
    assert found.refusals == ()
    assert found.offers[0] == book([OFFER]).offers[0]
    assert found.offers[1].steps == {F: (Step(500, 50), Step(1000, 80))}
    asked = (
        "id,buyer,direction,nodes,frame,need,price_cap_ueur_per_mwh\nT-1,TSO,up,1;2,{0},5,9\nT-1,TSO,up,1;2,{1},6,9\n"
    )
    (request,) = parse_csv(asked.format(F, F + 1)).requests
    assert request.nodes == ("1", "2") and request.need == {F: 5, F + 1: 6}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("A-1,B,up,{f},1,1,IT1=5,", Code.CONTRADICTION),
        ("A-3,A,up,{f},one,1,IT1=5,", Code.WRONG_KIND),
        ("A-3,A,up,{f},1,,IT1=5,", Code.WRONG_KIND),
        ("A-3,A,up,{f},1,1,IT1,", Code.MALFORMED),
        ("A-3,A,up,{f},1,1,IT1=1;IT1=2,", Code.DUPLICATE),
        ("A-3,A,up,{f},1,1,IT1=5,yes", Code.WRONG_KIND),
        ("A-3,A,up,,1,1,IT1=5,", Code.NOT_A_QUARTER_HOUR),
        ("A-3,A,,{f},1,1,IT1=5,", Code.MISSING),
        ("A-3,A,up", Code.MALFORMED),
    ],
)
def test_rule_4_a_wrong_line_is_named_and_the_others_stay(row: str, code: Code) -> None:
    found = parse_csv((CSV + row + "\n").replace("{f}", str(F)))
    assert [r.code for r in found.refusals] == [code]
    assert len(found.offers) == (1 if row.startswith("A-1") else 2)


@pytest.mark.parametrize("text", ["", "id\n1\n", "id,aggregator,buyer\n", "id,id,buyer\n", 'id,buyer\n"a\n'])
def test_a_table_that_is_no_book_is_refused_whole(text: str) -> None:
    with pytest.raises(Rejected, match="bids: "):
        parse_csv(text)


BAD: list[Any] = [
    None, True, -1, 10**30, 0.5, "", " ", "x" * 100, "é", "\0", [], {}, [[]], {"": 1}, {"a": {}}, "+1", [0, 0],
]  # fmt: skip


def wrong_row(source: random.Random) -> tuple[bool, Any]:
    """An offer or a request with something wrong; whether it is an offer."""
    is_offer = source.random() < 0.5
    row = dict(OFFER if is_offer else REQUEST)
    name = source.choice(sorted(row))
    kind = source.randrange(5)
    if kind == 0:
        del row[name]
    elif kind == 1:
        row["".join(source.choices(string.printable, k=source.randrange(1, 9)))] = source.choice(BAD)
    elif kind == 2 and isinstance(row[name], dict):
        row[name] = {str(source.choice(BAD)): source.choice(BAD), **row[name]}
    elif kind == 3:
        return is_offer, source.choice(BAD)
    else:
        row[name] = source.choice(BAD)
    return is_offer, row


def test_ten_thousand_malformed_rows_each_get_a_reason_code() -> None:
    source = random.Random(8)
    for _ in range(10_000):
        is_offer, row = wrong_row(source)
        found = book([row] if is_offer else [], [] if is_offer else [row])
        assert not found.offers and not found.requests, row
        assert found.refusals and all(isinstance(r.code, Code) and str(r).isprintable() for r in found.refusals), row
        assert all(len(str(r)) < 400 for r in found.refusals)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_any_json_is_a_refusal_or_refused_whole(value: Any) -> None:
    text = json.dumps({"format": FORMAT, "offers": [value]})
    try:
        found = parse_json(text)
    except Rejected:
        return
    assert not found.offers and found.refusals


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    for start in ("", "id,buyer\n", "id,aggregator,frame\n"):
        try:
            assert not parse_csv(start + text).offers
        except Rejected:
            continue
