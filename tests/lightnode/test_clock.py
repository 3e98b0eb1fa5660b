"""Trusted time, its floor, and slots that are absolute; the numbers are those of the module's rules."""

from lightnode.clock import BUILD_MS, RENEW_MS, Clock

from tests.lightnode.parts import T0, Source


def clock(now: int = 0, floor_ms: int = 0) -> tuple[Clock, Source]:
    source = Source(now)
    nonces = iter(range(1, 99))
    return Clock(source, floor_ms, lambda count: bytes([next(nonces)]) * count), source


def test_1_an_answer_to_the_nonce_is_trusted_with_half_the_round_trip_as_error() -> None:
    made, source = clock(1000)
    nonce = made.ask()
    source.now = 1300
    assert made.answer(nonce, T0)
    assert (made.trusted, made.error_ms, made.utc_ms()) == (True, 150, T0 + 150)


def test_1_another_nonce_a_used_one_and_none_at_all_are_not_trusted() -> None:
    made, _ = clock()
    assert not made.answer(b"", T0)
    nonce = made.ask()
    assert not made.answer(bytes(16), T0)
    assert made.answer(nonce, T0)
    assert not made.answer(nonce, T0 + 10_000)
    assert made.utc_ms() == T0


def test_1_an_answer_that_was_two_seconds_on_its_way_is_asked_for_again() -> None:
    made, source = clock()
    nonce = made.ask()
    source.now = 2002
    assert not made.answer(nonce, T0) and not made.trusted and made.wants_answer


def test_3_an_answer_below_the_floor_is_not_trusted() -> None:
    for floor_ms in (0, T0):
        made, _ = clock(floor_ms=floor_ms)
        assert not made.answer(made.ask(), max(floor_ms, BUILD_MS) - 1)
        assert made.utc_ms() == max(floor_ms, BUILD_MS)


def test_3_utc_never_falls_when_trust_is_renewed() -> None:
    made, source = clock()
    made.answer(made.ask(), T0)
    source.now = RENEW_MS + 1
    before = made.utc_ms()
    assert not made.answer(made.ask(), T0)
    made.answer(made.ask(), before + 5)
    assert made.utc_ms() >= before


def test_4_slots_are_multiples_of_4_s_of_monotonic_time_then_of_utc_and_none_is_done_twice() -> None:
    made, source = clock(1500)
    assert made.next_slot() == 4000
    assert made.begin_slot(4000) == 4000
    source.now = 4500
    made.answer(made.ask(), T0 + 300)
    mark = made.next_slot()
    assert (mark + made.utc_ms() - source.now) % 4000 == 0 and mark == 4500 + 3700
    assert made.begin_slot(mark) == T0 + 4000
    source.now = mark + 10
    assert made.next_slot() == mark + 4000
    assert made.begin_slot(mark) == T0 + 8000  # asked twice for one mark, the slot still moves on


def test_4_the_last_slot_before_trust_is_not_done_again_in_utc() -> None:
    for early_ms in (0, 1999, 2001, 3999):
        made, source = clock(8000)
        assert made.begin_slot(made.next_slot()) == 8000
        made.answer(made.ask(), T0 - early_ms)
        placed = (T0 - early_ms + 2000) // 4000 * 4000  # where the back end puts the slot of monotonic 8000
        mark = made.next_slot()
        assert made.begin_slot(mark) > placed and mark >= source.now


def test_4_slots_that_went_by_are_skipped_not_caught_up() -> None:
    made, source = clock()
    made.answer(made.ask(), T0)
    made.begin_slot(made.next_slot())
    source.now = 21_000
    assert made.next_slot() == 20_000


def test_5_trust_is_renewed_and_holdover_said() -> None:
    made, source = clock()
    assert made.wants_answer
    made.answer(made.ask(), T0)
    assert not made.wants_answer and not made.in_holdover
    source.now = RENEW_MS + 1
    assert made.wants_answer and not made.in_holdover
    source.now = 24 * 3_600_000
    assert made.in_holdover


def test_4_the_first_slot_stays_when_the_board_wakes_a_little_late() -> None:
    made, source = clock(1)
    assert made.next_slot() == 4000
    source.now = 4001
    assert made.next_slot() == 4000
