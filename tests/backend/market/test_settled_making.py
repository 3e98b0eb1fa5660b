"""A settlement input made of what is known: which quarter-hours are asked for, which baselines follow, what is left out."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from backend.domain.bids import Product
from backend.domain.local_day import Calendar
from backend.errors import Rejected
from backend.market.baseline import Adjustment, Kind, Known, Method, baseline, looks_at
from backend.market.canonical import text
from backend.market.settled import settled
from backend.market.settled_document import input_of, input_text
from backend.market.settled_input import MeasuredRow, NotAvailable, PodRow, SetPointRow, Told
from backend.market.settled_making import (
    Knowledge,
    Settings,
    Traded,
    made_input,
    schedule_of,
    schedules_of,
    settings_of,
    unavailable_of,
)
from tests.backend.market.settlement_case import TERMS, award, order

ROME = Calendar()
DAY = date(2026, 11, 26)  # a Thursday
F = ROME.frames(DAY)[72]  # 18:00
MID = Method(Kind.MID, 3, 4, 20, Adjustment(4, 1, 200_000))


def settings(method: Method) -> Settings:
    return Settings(TERMS, ROME, {"a": PodRow("a", "ann", "X", method)})


def traded(*frames: int, **more: Any) -> Traded:
    awards = tuple(award(f"A-{frame}", "DSO", {"a": 1_000}, 120, frame=frame, **more) for frame in frames)
    return Traded("s", "00" * 32, 1, awards, tuple(order(f"o{one.frame}", one) for one in awards))


class Meter:
    """Every quarter-hour at 2 kW, but for those given; None is not known. What was asked for is counted."""

    def __init__(self, given: dict[int, int | None] | None = None) -> None:
        self.given, self.asked = given or {}, set[int]()

    def measured(self, pod: str, frame: int) -> MeasuredRow:
        self.asked.add(frame)
        watts = self.given.get(frame, 2_000)
        return MeasuredRow(pod, frame, None if watts is None else watts * 900, 1_000_000, None)


def test_rule_2_each_run_of_a_day_has_its_own_baseline_by_the_pod_s_method() -> None:
    """The hour before each run decides a meter-before baseline; the two runs have different hours."""
    meter = Meter({F - 1: 3_000, F + 7: 5_000})
    method = Method(Kind.BEFORE, before=1)
    made = made_input(traded(F, F + 1, F + 8), settings(method), Knowledge(meter.measured))
    assert [(row.frame - F, row.power_w) for row in made.baselines] == [(0, 3_000), (1, 3_000), (8, 5_000)]
    assert [row.frame - F for row in made.measured] == [0, 1, 8]


def test_rule_2_a_run_ends_with_its_market_day() -> None:
    last = ROME.frames(DAY)[-1]
    made = made_input(
        traded(last, last + 1), settings(Method(Kind.BEFORE, before=1)), Knowledge(Meter({last: 7_000}).measured)
    )
    assert [row.power_w for row in made.baselines] == [2_000, 7_000]


def test_rule_2_a_day_that_is_not_whole_or_had_an_order_is_replaced_and_too_few_hold_the_order() -> None:
    yesterday = F - 96
    gap = made_input(traded(F), settings(MID), Knowledge(Meter({yesterday: None}).measured))
    assert gap.baselines[0].power_w == 2_000 and date(2026, 11, 25) not in gap.baselines[0].days
    called = frozenset({("a", yesterday)})
    assert (
        date(2026, 11, 25)
        not in made_input(traded(F), settings(MID), Knowledge(Meter().measured, called)).baselines[0].days
    )
    blind = Meter({F - 96 * k: None for k in range(1, 21)})
    held = made_input(traded(F), settings(MID), Knowledge(blind.measured))
    assert held.baselines[0].power_w is None and "4 are needed" in held.baselines[0].reason
    assert settled(held).lines[0].code == "held-no-baseline"


def test_a_baseline_that_could_not_be_adjusted_is_flagged_and_pays_as_it_is() -> None:
    blind = Meter({F - k: None for k in range(1, 9)})
    blind.given[F] = 1_000
    made = made_input(traded(F), settings(MID), Knowledge(blind.measured))
    found = settled(made)
    assert found.lines[0].code == "delivered" and [flag.code.value for flag in found.flags] == ["baseline-note"]


@pytest.mark.parametrize(
    "method", [MID, Method(Kind.HIGH, 2, 3, 30), Method(Kind.BEFORE, before=3, gap=2), Method(Kind.SCHEDULE)]
)
@pytest.mark.parametrize("first", [F, ROME.frames(date(2026, 10, 26))[6], ROME.frames(date(2026, 3, 30))[9]])
def test_looks_at_names_every_quarter_hour_that_a_baseline_needs(method: Method, first: int) -> None:
    """With only these known the baseline is the one made of all that is known; also past the days of 92 and 100."""
    frames = range(first, first + 3)
    every = {at: at * 7_919 % 10_007 for at in range(first - 96 * 40, first)}
    wanted = looks_at(method, list(frames), ROME)
    some = {at: w for at, w in every.items() if at in wanted}
    schedule_w = dict.fromkeys(frames, 5)
    whole = baseline(method, list(frames), Known(every, frozenset(), schedule_w), ROME)
    assert baseline(method, list(frames), Known(some, frozenset(), schedule_w), ROME) == whole and whole.frame_w
    assert len(wanted) <= 96 * 30 and all(at < first for at in wanted)


def test_only_what_a_method_needs_is_asked_of_the_meter() -> None:
    meter = Meter()
    made_input(traded(F), settings(Method(Kind.SCHEDULE)), Knowledge(meter.measured, schedule_w={("a", F): 1}))
    assert meter.asked == {F}


def test_of_what_is_ordered_the_set_points_are_asked_for_where_somebody_keeps_them() -> None:
    def told(pod: str, frame: int) -> SetPointRow:
        return SetPointRow(pod, frame, 1_000, Told.ACCEPTED)

    ready = replace(traded(F, F + 1, held_eur=4), orders=traded(F).orders)
    made = made_input(ready, settings(Method(Kind.SCHEDULE)), Knowledge(Meter().measured, told=told))
    assert made.setpoints == (SetPointRow("a", F, 1_000, Told.ACCEPTED),)
    assert made_input(ready, settings(Method(Kind.SCHEDULE)), Knowledge(Meter().measured)).setpoints == ()


def test_rule_1_what_is_only_held_ready_is_measured_too_and_needs_no_baseline() -> None:
    one = replace(traded(F, held_eur=4), orders=())
    made = made_input(one, settings(Method(Kind.SCHEDULE)), Knowledge(Meter().measured))
    assert [row.frame for row in made.measured] == [F] and made.baselines == ()
    assert settled(made).availability[0].code == "available"


def test_rule_3_the_reactive_power_of_a_pod_has_a_method_of_its_own_and_is_in_the_document() -> None:
    """a is on its BRP's schedule, which says nothing of var: they are what they were in the hour before."""
    rows = {"a": PodRow("a", "ann", "X", Method(Kind.SCHEDULE), Method(Kind.BEFORE, before=2))}
    known = Knowledge(lambda pod, frame: MeasuredRow(pod, frame, 500 * 900, 1_000_000, None), schedule_w={("a", F): 9})
    for product, watts in ((Product.REACTIVE, 500), (Product.ACTIVE, 9)):
        made = made_input(traded(F, product=product), Settings(TERMS, ROME, rows), known)
        assert [row.power_w for row in made.baselines] == [watts]
        assert input_of(input_text(made)).pods == (rows["a"],)
    same = replace(rows["a"], reactive_method=None)
    assert same.method_of("a/var") == same.method and "reactive_method" not in text(same)


def test_reactive_energy_is_not_taken_from_a_meter_of_active_energy() -> None:
    def measure(pod: str, frame: int) -> MeasuredRow:
        assert pod == "a/var"
        return MeasuredRow(pod, frame, None, 0, None)

    made = made_input(traded(F, product=Product.REACTIVE), settings(Method(Kind.BEFORE)), Knowledge(measure))
    assert made.baselines[0].power_w is None and settled(made).lines[0].held


def test_a_pod_without_settings_is_refused_and_what_concerns_no_traded_pod_left_out() -> None:
    gone = (NotAvailable("z", F, ""), NotAvailable("a", F, "away"))
    known = Knowledge(Meter().measured, unavailable=gone)
    assert made_input(traded(F), settings(Method(Kind.SCHEDULE)), known).unavailable == gone[1:]
    with pytest.raises(Rejected, match="POD a is traded in s and not among them"):
        made_input(traded(F), Settings(TERMS, ROME, {}), known)


METHOD = {"kind": "schedule", "keep": 8, "of": 10, "look_back_days": 45, "adjustment": None, "before": 4, "gap": 0}
SETTINGS: dict[str, Any] = {
    "format": "lightnode-settlement-settings/1", "zone": "Europe/Rome",
    "terms": {
        "tables": [], "fee_ppm": {}, "completeness_ppm": 900_000, "emergency_ueur_per_mwh": {}, "reconcile_ppm": 0,
        "reconcile_ws": 0,
    },
    "pods": [{"pod": "a", "owner": "ann", "brp": "X", "method": METHOD}],
}  # fmt: skip


def test_rule_3_settings_are_read() -> None:
    assert settings_of(json.dumps(SETTINGS)).pods == {"a": PodRow("a", "ann", "X", Method(Kind.SCHEDULE))}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(zone="Europe/Rom"), "time zone"),
        (lambda d: d.update(zone=""), "1 to 64"),
        (lambda d: d["pods"].append(d["pods"][0]), "POD a stands twice"),
        (lambda d: d["pods"][0].update(owner=""), "1 to 96"),
        (lambda d: d["pods"][0]["method"].update(kind="best"), "expected schedule or"),
        (lambda d: d["pods"][0]["method"].update(adjustment={"frames": 0, "gap": 0, "cap_ppm": 0}), "frames = 0"),
        (lambda d: d["terms"].update(completeness_ppm=0), "completeness_ppm = 0"),
        (lambda d: d["terms"].pop("tables"), "tables is missing"),
        (lambda d: d.update(format="x"), "format, expected"),
    ],
)
def test_settings_that_are_none_are_refused_in_one_line(change: Callable[[Any], Any], reason: str) -> None:
    document = json.loads(json.dumps(SETTINGS))
    change(document)
    with pytest.raises(Rejected, match=reason):
        settings_of(json.dumps(document))


def test_profiles_of_pods_that_the_settings_do_not_name_are_no_harm() -> None:
    row = {"pod": "z", "brp": "Q", "version": 1, "received_ms": 0, "frames": {str(F): -5}}
    body = {"format": "lightnode-baselines/1", "session": "s", "frozen": True, "frozen_ms": 0, "baselines": [row]}
    assert schedule_of(json.dumps(body), "s", settings_of(json.dumps(SETTINGS))) == {("z", F): -5}


def test_what_the_session_s_own_profiles_do_not_say_is_taken_from_those_of_others_in_order() -> None:
    def profiles(session: str, **frames: int) -> str:
        row = {
            "pod": "z",
            "brp": "Q",
            "version": 1,
            "received_ms": 0,
            "frames": {str(F + int(k[1:])): w for k, w in frames.items()},
        }
        return json.dumps(
            {"format": "lightnode-baselines/1", "session": session, "frozen": True, "frozen_ms": 0, "baselines": [row]}
        )

    others = profiles("t", f0=1, f1=2), profiles("u", f1=3, f2=4)
    one = settings_of(json.dumps(SETTINGS))
    assert schedules_of([*others, profiles("s", f0=9)], "s", one) == {("z", F): 9, ("z", F + 1): 2, ("z", F + 2): 4}
    with pytest.raises(Rejected, match="expected those of s, frozen"):
        schedules_of(others, "s", one)


def test_what_is_no_list_of_the_unavailable_is_refused() -> None:
    with pytest.raises(Rejected, match="unavailability 1 frame = 0"):
        unavailable_of('{"format":"lightnode-unavailable/1","unavailable":[{"pod":"a","frame":0,"reason":""}]}')
