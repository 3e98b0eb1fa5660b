"""Holdover: the stated bound holds for every crystal within its tolerance, and slots stay absolute and rise. Rules 3 to 7."""

from hypothesis import given
from hypothesis import strategies as st
from lightnode.clock import DRIFT_PPM, ERROR_MAX_MS, HOLDOVER_ERROR_MS, RENEW_ERROR_MS, RENEW_MS, SLOT_MS, Clock

from tests.lightnode.parts import T0, Source

HOUR_MS = 3_600_000


class Crystal(Source):
    """True UTC beside a board's monotonic time that runs so many ppm fast; `pass_ms` lets true time pass."""

    def __init__(self, ppm: int) -> None:
        super().__init__(0)
        self.ppm = ppm
        self.true_ms = 0

    def pass_ms(self, elapsed_ms: int) -> None:
        self.true_ms += elapsed_ms
        self.now = self.true_ms + self.true_ms * self.ppm // 1_000_000


def made(ppm: int) -> tuple[Clock, Crystal]:
    source = Crystal(ppm)
    return Clock(source, 0, lambda count: bytes([7]) * count), source


def ask(clock: Clock, source: Crystal, there_ms: int, back_ms: int) -> bool:
    """The back end stamps true UTC when the question arrives."""
    nonce = clock.ask()
    source.pass_ms(there_ms)
    stamped = T0 + source.true_ms
    source.pass_ms(back_ms)
    return clock.answer(nonce, stamped)


def test_5_the_bound_grows_by_50_ppm() -> None:
    clock, source = made(0)
    assert clock.error_ms == 0 and not clock.in_holdover
    assert ask(clock, source, 100, 100) and clock.error_ms == 100
    source.pass_ms(HOUR_MS)
    assert clock.error_ms == 100 + 180


def test_5_trust_is_renewed_before_the_bound_is_half_a_slot() -> None:
    clock, source = made(0)
    ask(clock, source, 1000, 1000)
    source.pass_ms((RENEW_ERROR_MS - 1000) * 1_000_000 // DRIFT_PPM)
    assert not clock.wants_answer
    source.pass_ms(20_000)
    assert clock.wants_answer and not clock.in_holdover


def test_6_holdover_begins_where_a_reading_may_belong_to_the_slot_beside() -> None:
    clock, source = made(0)
    ask(clock, source, 0, 0)
    source.pass_ms(HOLDOVER_ERROR_MS * 1_000_000 // DRIFT_PPM)
    assert clock.error_ms == HOLDOVER_ERROR_MS == SLOT_MS // 2 and not clock.in_holdover
    source.pass_ms(20_000)
    assert clock.in_holdover
    assert ask(clock, source, 10, 10) and not clock.in_holdover


def test_7_an_answer_that_knows_less_is_not_taken() -> None:
    clock, source = made(0)
    ask(clock, source, 10, 10)
    before = clock.utc_ms()
    assert not ask(clock, source, 0, 1000) and clock.utc_ms() == before + 1000
    source.pass_ms(RENEW_MS + 1)
    assert clock.error_ms > ERROR_MAX_MS  # so that any answer within rule 1 is better
    assert ask(clock, source, 0, 1000)


def lived(ppm: int, days: int) -> tuple[Clock, Crystal, int]:
    """Clock and source after days with a broker that is 20 ms away, and how often it was asked."""
    clock, source = made(ppm)
    ask(clock, source, 20, 20)
    asked = 0
    for _ in range(days * 24 * 60):
        source.pass_ms(60_000)
        before = clock.utc_ms()
        if clock.wants_answer:
            asked += 1
            ask(clock, source, 20, 20)
            assert clock.utc_ms() >= before
        assert not clock.in_holdover, f"{ppm} ppm: in holdover beside a back end that answers"
    return clock, source, asked


def test_3_5_trust_is_renewed_whether_the_crystal_is_fast_or_slow() -> None:
    for ppm in (-DRIFT_PPM + 1, -20, 0, 20, DRIFT_PPM - 1):
        clock, source, asked = lived(ppm, 3)
        assert asked <= 13 and abs(clock.utc_of(source.now) - (T0 + source.true_ms)) <= clock.error_ms


def test_3_a_crystal_twice_as_fast_as_its_maker_says_is_still_put_right() -> None:
    clock, source, asked = lived(2 * DRIFT_PPM - 2, 3)
    assert asked <= 13 and abs(clock.utc_of(source.now) - (T0 + source.true_ms)) <= 2 * clock.error_ms


def test_3_an_answer_from_before_what_the_clock_may_be_is_not_trusted() -> None:
    clock, source = made(0)
    ask(clock, source, 20, 20)
    source.pass_ms(RENEW_MS)
    before, bound = clock.utc_ms(), clock.error_ms
    assert not clock.answer(clock.ask(), before - 2 * bound - 1) and clock.error_ms == bound
    assert clock.answer(clock.ask(), before - 2 * bound) and clock.utc_ms() == before
    source.pass_ms(2 * bound + 1)
    assert clock.utc_ms() == before + 1  # it stands until UTC has come up with it


def test_3_no_slot_of_the_boot_before_is_done_again() -> None:
    source = Crystal(0)
    clock = Clock(source, T0, lambda count: bytes([7]) * count)  # the last reading was of this slot
    clock.next_slot()
    source.pass_ms(1500)
    assert clock.answer(clock.ask(), T0)
    assert clock.begin_slot(clock.next_slot()) == T0 + SLOT_MS


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 12 * HOUR_MS), st.just(0)),
        st.tuples(st.just("ask"), st.integers(0, 1500), st.integers(0, 1500)),
        st.tuples(st.just("slots"), st.integers(1, 5), st.integers(0, 9000)),
    ),
    max_size=12,
)


@given(st.integers(-DRIFT_PPM + 1, DRIFT_PPM - 1), STEPS)
def test_4_5_whatever_the_crystal_and_the_answers_the_bound_holds_and_no_slot_comes_twice(
    ppm: int, steps: list[tuple[str, int, int]]
) -> None:
    clock, source = made(ppm)
    shown, slots = 0, list[tuple[bool, int]]()
    for kind, first, second in steps:
        if kind == "pass":
            source.pass_ms(first)
        elif kind == "ask":
            ask(clock, source, first, second)
        else:
            for _ in range(first):
                mark = clock.next_slot()
                source.pass_ms(max(0, mark - source.now) + second)
                slots.append((clock.trusted, clock.begin_slot(mark)))
        if clock.trusted:
            utc = clock.utc_of(source.now)
            assert abs(utc - (T0 + source.true_ms)) <= clock.error_ms + 2
            assert clock.utc_ms() >= shown
            shown = clock.utc_ms()
    assert all(slot % SLOT_MS == 0 for _, slot in slots)
    for before, after in zip(slots, slots[1:], strict=False):
        assert after[0] != before[0] or after[1] > before[1]
