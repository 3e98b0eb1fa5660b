"""The fast merit order gives what one offer after the other gives, to the last reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.bids import Direction
from backend.market import clearing
from backend.market.rules import Rules
from tests.backend.market.books import F, books, grids, requests
from tests.backend.market.plain import clear as plain

RESERVE = st.sampled_from((0, 0, 200_000))
MOVED = st.dictionaries(st.tuples(st.sampled_from("ab"), st.just(F)), st.sampled_from(Direction), max_size=1)
CAPS = st.dictionaries(st.tuples(st.sampled_from(("o0", "o1")), st.just(F)), st.integers(0, 3_000), max_size=1)
NODES = {"c": "n", "d": "n"}


def same(asked, offers, table, moved, reserve, caps) -> None:
    fast = clearing.clear("s", asked, offers, table, moved, Rules(reserve_ppm=reserve), caps, NODES)
    assert fast == plain("s", asked, offers, table, moved, reserve, caps, NODES)


@settings(max_examples=60)
@given(requests(), books(), grids(), MOVED, RESERVE, CAPS)
def test_the_fast_order_is_the_plain_one(asked, offers, table, moved, reserve, caps) -> None:
    same(asked, offers, table, moved, reserve, caps)


@pytest.mark.long
@settings(max_examples=20_000)
@given(requests(), books(16), grids(), MOVED, RESERVE, CAPS)
def test_the_fast_order_is_the_plain_one_often(asked, offers, table, moved, reserve, caps) -> None:
    same(asked, offers, table, moved, reserve, caps)
