"""What a simulated customer delivers, by hand: 600 W base load, orders of 400 W, quarter-hours of 900 s."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from backend.campaign.delivery import Chance, Delivered, Imperfections, available_w, delivered, present
from backend.demo.customer import Customer
from backend.domain.trade import Order

F = 1_993_108
FRAMES = range(F, F + 12)
PERFECT = Imperfections(0, 0, 0, 0, 0)
ALWAYS = 1_000_000
PUMP = Customer("pod", 1, "load", 1_000_000, "owner", "A", "BRP", "heat_pump", 1_000, 500, 300, 1, 1, False)
BATTERY = replace(PUMP, kind="battery", up_w=1_000, down_w=1_000)
CHANCE = Chance(1, date(2026, 1, 5))


def order(frame: int, watts: int, direction: str = "up") -> Order:
    return Order(f"o-{frame}-{watts}", "offer", "request", "DSO", frame, {"pod": watts}, direction, 50)


def done(
    orders: Sequence[Order], how: Imperfections = PERFECT, who: Customer = PUMP, chance: Chance = CHANCE
) -> Delivered:
    return delivered([who], FRAMES, {"pod": [600] * 12}, orders, chance, how)


def test_without_an_order_a_customer_is_at_its_load() -> None:
    found = done([])
    assert {m.readings_ws for m in found.measured.values()} == {600 * 900} and found.response_s == {}


def test_rule_2_a_device_acts_some_seconds_late_and_goes_on_without_a_break() -> None:
    found = done([order(F, 400), order(F + 1, 400), order(F + 2, 100)])
    late_s = found.response_s["pod", F]
    assert 2 <= late_s <= 40 and found.response_s["pod", F + 1] == 0 and found.response_s["pod", F + 2] == late_s
    assert [found.measured["pod", F + k].readings_ws for k in range(3)] == [
        600 * 900 - 400 * (900 - late_s), 200 * 900, 600 * 900 - 100 * (900 - late_s),
    ]  # fmt: skip


def test_two_orders_of_a_quarter_hour_add_up_and_down_is_more() -> None:
    both = done([order(F, 100), order(F, 200)])
    down = done([order(F, 200, "down")])
    late_s = down.response_s["pod", F]
    assert both.measured["pod", F].readings_ws == 600 * 900 - 300 * (900 - late_s)
    assert down.measured["pod", F].readings_ws == 600 * 900 + 200 * (900 - late_s)


def test_rule_1_a_silent_one_does_nothing_and_a_weak_one_its_part() -> None:
    silent, weak = (
        done([order(F, 400)], replace(PERFECT, silent_ppm=ALWAYS)),
        done([order(F, 400)], replace(PERFECT, weak_ppm=ALWAYS)),
    )
    assert (silent.silent, weak.weak) == (("pod",), ("pod",))
    assert silent.measured["pod", F].readings_ws == 600 * 900 and silent.response_s == {}
    given_w = (600 * 900 - weak.measured["pod", F].readings_ws) // (900 - weak.response_s["pod", F])
    assert 200 <= given_w <= 380


def test_rule_1_who_is_absent_does_not_offer() -> None:
    assert present([PUMP], CHANCE, replace(PERFECT, absent_ppm=ALWAYS)) == () and present([PUMP], CHANCE, PERFECT) == (
        PUMP,
    )


def test_rule_3_what_only_reduces_stops_at_its_load_and_at_what_it_can() -> None:
    assert (available_w(PUMP, 600), available_w(PUMP, 200), available_w(PUMP, -5)) == (500, 200, 0)
    found = delivered([PUMP], [F], {"pod": [200]}, [order(F, 400)], CHANCE, PERFECT)
    assert found.mean_w["pod", F] >= 0
    assert done([order(F, 900)]).mean_w["pod", F] >= 100
    assert done([order(F, 900, "down")]).mean_w["pod", F] <= 900


def test_rule_3_a_battery_runs_empty_and_fills_up_again() -> None:
    hours = range(F, F + 40)
    orders = [order(f, 1_000) for f in hours]
    found = delivered([BATTERY], hours, {"pod": [0] * 40}, orders, CHANCE, PERFECT)
    given_ws = [-found.measured["pod", f].readings_ws for f in hours]
    assert sum(given_ws) == 1_000 * 4 * 3600, "half of eight hours"
    assert given_ws[-1] == 0 < given_ws[0]
    back = [*orders[:20], *(order(f, 1_000, "down") for f in hours[20:])]
    held = delivered([BATTERY], hours, {"pod": [0] * 40}, back, CHANCE, PERFECT)
    assert held.measured["pod", hours[-1]].readings_ws == 1_000 * 900


@pytest.mark.parametrize(
    ("how", "readings_ws", "complete_ppm", "registers_ws"),
    [("registers_ppm", 600 * 900, 600_000, 600 * 900), ("missing_ppm", None, 0, None)],
)
def test_rule_4_lost_readings_leave_the_registers_or_nothing(
    how: str, readings_ws: int | None, complete_ppm: int, registers_ws: int | None
) -> None:
    found = done([], replace(PERFECT, **{how: ALWAYS}))
    assert {(m.readings_ws, m.completeness_ppm, m.registers_ws) for m in found.measured.values()} == {
        (readings_ws, complete_ppm, registers_ws)
    }
    assert set(found.mean_w.values()) == {600}, "what is not proven happened all the same"


def test_rule_5_the_same_seed_and_day_give_the_same_and_another_does_not() -> None:
    orders = [order(F + k, 400) for k in range(12)]
    how = Imperfections(registers_ppm=300_000, missing_ppm=100_000, weak_ppm=ALWAYS)
    assert done(orders, how) == done(orders, how)
    assert done(orders, how) != done(orders, how, chance=Chance(2, date(2026, 1, 5)))
    assert done(orders, how) != done(orders, how, chance=Chance(1, date(2026, 1, 6)))


def test_chances_come_as_often_as_they_say() -> None:
    times = sum(CHANCE.happens(120_000, "x", k) for k in range(10_000))
    assert 1_100 < times < 1_300
    assert {CHANCE.between(2, 4, k) for k in range(200)} == {2, 3, 4}
