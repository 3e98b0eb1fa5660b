"""The rules of anchoring, by their numbers in backend.evidence.anchoring: states, what one transaction carries, fees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire.receipt import commitment_word

from backend.evidence.anchoring import (
    ANCHORED,
    BATCH,
    CONFLICT,
    EMPTY,
    FINAL,
    GWEI,
    PENDING,
    REGRESSED,
    STUCK_BLOCKS,
    Fees,
    Flight,
    Hold,
    Market,
    Picture,
    fees_for,
    gas_limit,
    is_stuck,
    spans,
    state_of,
    to_send,
)

ROOT = b"r" * 32
OURS, OTHER = commitment_word(7, 5, ROOT), b"o" * 32
CEILING = 100 * GWEI
RICH = 10**30


@pytest.mark.parametrize(
    ("latest", "confirmed", "before", "state"),
    [
        (EMPTY, EMPTY, "", PENDING),
        (EMPTY, EMPTY, PENDING, PENDING),
        (OURS, EMPTY, PENDING, ANCHORED),
        (OURS, OURS, ANCHORED, FINAL),
        (OURS, EMPTY, FINAL, ANCHORED),
        (EMPTY, EMPTY, ANCHORED, REGRESSED),
        (EMPTY, EMPTY, FINAL, REGRESSED),
        (EMPTY, EMPTY, REGRESSED, REGRESSED),
        (EMPTY, OURS, FINAL, REGRESSED),
        (OTHER, EMPTY, PENDING, CONFLICT),
        (OTHER, OURS, FINAL, CONFLICT),
        (EMPTY, EMPTY, CONFLICT, PENDING),
    ],
)
def test_rules_1_and_2_the_state_is_what_the_chain_shows(
    latest: bytes, confirmed: bytes, before: str, state: str
) -> None:
    assert state_of(7, ROOT, 5, before, Picture({7: latest}, {7: confirmed})) == state


@given(st.dictionaries(st.integers(0, 2000), st.sampled_from([PENDING, ANCHORED, FINAL, REGRESSED, CONFLICT])))
def test_rule_3_the_oldest_missing_go_first_and_within_128_numbers(states: dict[int, str]) -> None:
    desired = [(epoch, ROOT, 5) for epoch in states]
    sent = [epoch for epoch, _, _ in to_send(desired, states)]
    missing = sorted(epoch for epoch, state in states.items() if state in (PENDING, REGRESSED))
    assert sent == [epoch for epoch in missing if epoch < missing[0] + BATCH]


@given(st.sets(st.integers(0, 5000)))
def test_questions_cover_every_epoch_once_in_spans_of_at_most_128(epochs: set[int]) -> None:
    found = spans(sorted(epochs, reverse=True))
    covered = [epoch for first, count in found for epoch in range(first, first + count)]
    assert epochs <= set(covered) and len(covered) == len(set(covered))
    assert all(1 <= count <= BATCH for _, count in found)


def test_rule_4_a_first_offer_is_twice_the_base_fee_and_the_tip() -> None:
    assert fees_for(Market(10 * GWEI, GWEI, RICH), 100_000, CEILING, None) == Fees(21 * GWEI, GWEI)
    assert fees_for(Market(80 * GWEI, GWEI, RICH), 100_000, CEILING, None) == Fees(CEILING, GWEI)


def test_rule_4_a_transaction_is_stuck_after_so_many_blocks_or_below_the_base_fee() -> None:
    flight = Flight(1, b"", Fees(10, 1), 7, 7, 100)
    assert not is_stuck(flight, 100 + STUCK_BLOCKS - 1, 10) and is_stuck(flight, 100 + STUCK_BLOCKS, 10)
    assert is_stuck(flight, 100, 11) and is_stuck(flight, 3, 10), "a chain that begun anew"


FEE = st.integers(0, 10**13)


@given(FEE, FEE, st.integers(0, 10**25), st.integers(1, 10**7), FEE, st.none() | st.tuples(FEE, FEE))
def test_rules_4_to_6_no_offer_is_above_the_ceiling_the_funds_or_below_what_replaces(
    base: int, tip: int, balance: int, gas: int, ceiling: int, before: tuple[int, int] | None
) -> None:
    replaced = None if before is None else Fees(max(before), min(before))
    offer = fees_for(Market(base, tip, balance), gas, ceiling, replaced)
    if isinstance(offer, Hold):
        least = 0 if replaced is None else replaced.max_fee_wei * 9 / 8
        assert max(base, least) * gas > balance - gas or max(base, least) > ceiling - 1
        return
    assert base <= offer.max_fee_wei <= ceiling and offer.max_fee_wei * gas <= balance
    assert 0 <= offer.tip_wei <= offer.max_fee_wei
    if replaced is not None:
        assert offer.max_fee_wei * 8 >= replaced.max_fee_wei * 9 and offer.tip_wei * 8 >= replaced.tip_wei * 9


def test_rule_5_above_the_ceiling_it_is_waited_and_said() -> None:
    assert fees_for(Market(101 * GWEI, 0, RICH), 1, CEILING, None) == Hold(
        "a fee of 101 Gwei is above the ceiling of 100 Gwei"
    )
    assert isinstance(fees_for(Market(GWEI, 0, RICH), 1, CEILING, Fees(CEILING, 1)), Hold)


def test_rule_6_without_funds_nothing_is_offered() -> None:
    assert fees_for(Market(0, GWEI, 0), 100_000, CEILING, None) == Fees(0, 0)
    assert fees_for(Market(0, GWEI, 0), 100_000, CEILING, Fees(0, 0)) == Fees(0, 0)
    assert isinstance(fees_for(Market(7, 0, 0), 100_000, CEILING, None), Hold)


def test_gas_is_enough_for_what_was_measured() -> None:
    assert gas_limit([(7, ROOT, 5)]) >= 52_005 * 4 // 3
    assert gas_limit([(7, ROOT, 5), (7 + 95, ROOT, 5)]) >= 2_531_977 * 4 // 3
