"""Rows of orders: there and back, each wrong field with its reason code, and anything at all answered."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Buyer, Direction, Product
from backend.errors import Rejected
from backend.market.order_row import BuyerOrder, EmergencyOrder, emergencies_of, order_row, orders_of
from backend.market.row_field import Code

F = 1_993_108
ROW: dict[str, Any] = {"id": "o", "buyer": "TSO", "offer": "A-1", "request": "T-1", "frames": {str(F): 5}}
HELP: dict[str, Any] = {
    "id": "e", "buyer": "DSO", "direction": "up", "frames": {str(F): 5}, "pods": {"a": 3, "b": 2}, "reason": "a line fell",
}  # fmt: skip
FULL = BuyerOrder("o", Buyer.TSO, "A-1", "T-1", {F: 5, F + 1: 6}, Product.REACTIVE, True, "n")
EMERGENCY = EmergencyOrder("e", Buyer.DSO, Direction.UP, {F: 5}, {"a": 3, "b": 2}, "a line fell")


def written(*rows: Any, format: str = "lightnode-orders/1") -> str:
    return json.dumps({"format": format, "orders": rows})


def test_an_order_reads_back_from_its_row() -> None:
    assert orders_of(written(order_row(FULL))).orders == (FULL,)
    assert orders_of(written(ROW)).orders == (BuyerOrder("o", Buyer.TSO, "A-1", "T-1", {F: 5}),)
    emergency = written(order_row(EMERGENCY), format="lightnode-emergency-orders/1")
    assert emergencies_of(emergency).orders == (EMERGENCY,)


def test_a_quarter_hour_is_its_number_or_its_begin() -> None:
    (one,) = orders_of(written({**ROW, "frames": {"2026-11-27T18:00+01:00": 5}})).orders
    assert one.volume_w == {1_995_332: 5}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"id": "a/b"}, "id", Code.OUT_OF_RANGE),
        ({"buyer": "BRP"}, "buyer", Code.OUT_OF_RANGE),
        ({"offer": 3}, "offer", Code.WRONG_KIND),
        ({"frames": {}}, "frames", Code.OUT_OF_RANGE),
        ({"frames": {str(F): 0}}, f"frames.{F}", Code.OUT_OF_RANGE),
        ({"frames": {str(F): True}}, f"frames.{F}", Code.WRONG_KIND),
        ({"frames": {"x": 1}}, "frames", Code.NOT_A_QUARTER_HOUR),
        ({"frames": {str(F): 1, "0" + str(F): 1}}, "frames", Code.DUPLICATE),
        ({"reserve": 1}, "reserve", Code.WRONG_KIND),
        ({"supersedes": ""}, "supersedes", Code.OUT_OF_RANGE),
        ({"price": 1}, "price", Code.UNKNOWN),
    ],
)
def test_rule_1_each_wrong_field_has_its_code(change: dict[str, Any], field: str, code: Code) -> None:
    handed = orders_of(written({**ROW, **change}, {**ROW, "id": "good"}))
    assert [(r.number, r.field, r.code) for r in handed.refused] == [(1, field, code)]
    assert [one.id for one in handed.orders] == ["good"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"frames": {str(F): 6}}, Code.CONTRADICTION), ({"reason": " "}, Code.OUT_OF_RANGE), ({"reason": 1}, Code.WRONG_KIND),
        ({"reason": "a\nb"}, Code.OUT_OF_RANGE), ({"pods": {}}, Code.OUT_OF_RANGE), ({"offer": "A-1"}, Code.UNKNOWN),
    ],
)  # fmt: skip
def test_rule_3_each_wrong_field_of_an_emergency_has_its_code(change: dict[str, Any], code: Code) -> None:
    handed = emergencies_of(written({**HELP, **change}, format="lightnode-emergency-orders/1"))
    assert [r.code for r in handed.refused] == [code] and handed.orders == ()


def test_a_missing_field_a_row_that_is_none_and_an_id_that_stands_twice() -> None:
    short = {key: value for key, value in ROW.items() if key != "frames"}
    codes = [r.code for r in orders_of(written(short, [], {**ROW, "id": "t"}, {**ROW, "id": "t"})).refused]
    assert codes == [Code.MISSING, Code.MALFORMED, Code.DUPLICATE, Code.DUPLICATE]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"format": "lightnode-bids/1", "orders": []}', '{"format": "lightnode-orders/1"}',
     '{"format": "lightnode-orders/1", "orders": [], "more": 1}', '{"format": "lightnode-orders/1", "orders": {}}',
     '{"format": "lightnode-orders/1", "orders": [], "orders": []}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_file_of_orders_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(Rejected, match=r"^orders: ") as refused:
        orders_of(text)
    assert "\n" not in refused.value.reason


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=7), inner, max_size=3), max_leaves=5,
)  # fmt: skip


@settings(max_examples=150)
@given(st.sampled_from([*ROW, "product", "reserve", "supersedes", "more"]), VALUES)
def test_whatever_a_field_holds_the_row_is_an_order_or_has_a_reason_code(field: str, value: Any) -> None:
    handed = orders_of(written({**ROW, field: value}))
    assert len(handed.orders) + min(1, len(handed.refused)) == 1
    assert all(isinstance(r.code, Code) and r.reason and r.id.isprintable() for r in handed.refused)
