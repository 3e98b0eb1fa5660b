"""Every fault of the rig's meters on every model, RTU and TCP: a true value, a named gap, or a flag that says so."""

from itertools import combinations
from random import Random

import pytest
from lightwire import records

from hil.meters.catalogue import models
from tests.lightnode.metered import TOLD, MeteredNode, Slot, virtually

FAULTS = [
    "silent", "silent~50", "slow:150", "late:600", "late:600~50", "late:2500~60", "late:4300~50", "late:9000~50",
    "noise:before~50", "noise:after",
    "noise:inside~50", "noise:broken~50", "noise~60", "other_unit~50", "other_unit", "word_order", "word_order~50",
    "phantom:zero~50", "phantom:ffff~50", "phantom:absent~50", "phantom:spike~50", "phantom~70", "phantom:zero", "phantom:spike",
    "reboot:2", "register_reset",
]  # fmt: skip
OVER_TCP = [
    "silent~50",
    "late:600~50",
    "noise~60",
    "other_unit~50",
    "word_order~50",
    "phantom~70",
    "reboot:2",
    "register_reset",
]
FALSIFYING = [f for f in FAULTS if f.startswith(("word_order", "phantom"))] + [
    "sign_swap",
    "sign_swap~50",
    "register_reset",
]
STEADY = [600_000] * 60
CHANGING = [int(x) for x in (Random(3).randrange(500_000, 620_000) for _ in range(60))]
SIGN_SLOTS = 12  # in which a turned sign may pass, at 100 Wh and CT 20: two steps of 2 kWh, at 600 kW three slots each


def untold(node: MeteredNode, slots: list[Slot]) -> list[str]:
    """What readings say falsely without a flag that says so."""
    return [
        f"slot {k}: {wrong}"
        for k, slot in enumerate(slots)
        if slot.reading is not None and not slot.reading.flags & TOLD and (wrong := node.wrong(slot))
    ]


async def day(model: str, fault: str, over_tcp: bool, powers_w: list[int]) -> tuple[MeteredNode, list[str]]:
    """Honest, struck for 12 slots, honest again: what was not told, the end being sound."""
    node = MeteredNode(model, over_tcp)
    honest = await node.run(powers_w[:20])
    assert untold(node, honest) == [] and honest[-1].reading and honest[-1].reading.flags == 0
    struck = await node.run(powers_w[20:32], fault)
    after = await node.run(powers_w[32:])
    last = after[-1].reading
    assert last is not None and not last.flags & TOLD and not node.wrong(after[-1])
    readings, gaps = node.account()
    assert readings + gaps == len(node.slots) and max(node.asked) <= 3
    return node, untold(node, [*struck, *after])


ALWAYS = ("sdm630", "em340", "sunspec203")
CASES = [pytest.param(m, marks=() if m in ALWAYS else (pytest.mark.long,)) for m in models()]


@pytest.mark.parametrize(
    ("fault", "over_tcp"), [(f, False) for f in FAULTS] + [(f, True) for f in OVER_TCP],
    ids=[f"{f}-rtu" for f in FAULTS] + [f"{f}-tcp" for f in OVER_TCP],
)  # fmt: skip
@pytest.mark.parametrize("model", CASES)
def test_no_fault_of_a_meter_makes_a_false_value_without_a_flag(model: str, fault: str, over_tcp: bool) -> None:
    assert virtually(day(model, fault, over_tcp, CHANGING))[1] == []


@pytest.mark.parametrize("fault", FALSIFYING)
@pytest.mark.parametrize("model", CASES)
def test_nor_does_a_meter_that_lies_from_the_first_reading_of_a_new_device_on(model: str, fault: str) -> None:
    async def first_day() -> None:
        node = MeteredNode(model, over_tcp=False)
        assert untold(node, await node.run(CHANGING[:20], fault)) == []

    virtually(first_day())


async def two_at_once(model: str, one: str, other: str) -> list[str]:
    """What was not told of two faults at once, all slots being a reading or named."""
    node = MeteredNode(model, over_tcp=False)
    await node.run(CHANGING[:20])
    slots = await node.run(CHANGING[20:32], one, other) + await node.run(CHANGING[32:])
    readings, gaps = node.account()
    assert readings + gaps == len(node.slots) and max(node.asked) <= 3
    return untold(node, slots)


@pytest.mark.parametrize("beside", ["late:2500~60", "noise~60", "phantom~70"])
@pytest.mark.parametrize("model", ["sdm630", "em340"])
def test_nor_does_a_sign_that_was_lost_while_another_fault_kept_the_meter_from_being_read(
    model: str, beside: str
) -> None:
    assert virtually(two_at_once(model, beside, "sign_swap~50")) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("model", models())
def test_nor_do_any_two_faults_at_once(model: str) -> None:
    pairs = [p for p in combinations([*FAULTS, "sign_swap~50"], 2) if p[0].split("~")[0] != p[1].split("~")[0]]
    found = {pair: virtually(two_at_once(model, *pair)) for pair in pairs}
    assert {pair: wrong for pair, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("fault", ["sign_swap", "sign_swap~50"])
@pytest.mark.parametrize("model", CASES)
def test_a_lost_sign_is_told_at_once_while_the_load_is_steady(model: str, fault: str) -> None:
    assert virtually(day(model, fault, False, STEADY))[1] == []


@pytest.mark.parametrize("model", CASES)
def test_a_lost_sign_is_told_within_two_steps_of_the_register_while_the_load_changes(model: str) -> None:
    turning = [w if k % 2 else w // 3 for k, w in enumerate(CHANGING)]
    node, missed = virtually(day(model, "sign_swap", False, turning))
    coarse = node.model.quantity("import").resolution * node.model.quantity("import").factor > 10
    assert len(missed) <= (SIGN_SLOTS if coarse else 3), missed


@pytest.mark.parametrize(
    ("fault", "flag"),
    [
        ("noise:broken~40", records.RETRIED),
        ("phantom:spike", records.SUSPECT),
        ("register_reset", records.REGISTER_RESET),
    ],
)
def test_the_flag_of_a_fault_is_the_one_that_says_it(fault: str, flag: int) -> None:
    async def struck() -> set[int]:
        node = MeteredNode("sunspec213", over_tcp=False)
        await node.run(CHANGING[:20])
        return {s.reading.flags & flag for s in await node.run(CHANGING[20:40], fault) if s.reading is not None}

    assert flag in virtually(struck())


def test_a_meter_that_is_never_polled_fast_does_not_restart() -> None:
    async def hours() -> None:
        node = MeteredNode("sdm630", over_tcp=False)
        slots = await node.run([600_000] * 100, "reboot:5", "noise:broken~30")
        assert max(node.asked) <= 3 and untold(node, slots) == []

    virtually(hours())
