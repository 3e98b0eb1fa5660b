"""What rules becomes commands: when, how many, and what happens when the energy manager fails."""

from typing import Any

import pytest
from lightwire import decision, records

from edge_agent.actuator import Actuator, Done
from edge_agent.ems import Command
from tests.edge_agent.parts import FRAME_MS, SLOT_MS, T0, MemoryEms, set_point


def ruling(mode: int = decision.RULES_WINDOW, value: int | None = 10_000, **changed: Any) -> decision.Ruling:
    return decision.Ruling(mode, set_point(**changed), value)


def run(actuator: Actuator, what: decision.Ruling, slots: int, start_ms: int = T0) -> list[Done | None]:
    return [actuator.act(what, start_ms + k * SLOT_MS) for k in range(slots)]


def test_a_target_is_commanded_and_read_back_at_once() -> None:
    ems = MemoryEms(load_w=30_000)
    actuator = Actuator(ems)
    assert actuator.act(ruling(), T0) == Done(0, -20_000, -20_000)
    assert ems.commands == [Command(-20_000, 900, None)] and actuator.commanded_w == -20_000


def test_rule_1_then_after_one_slot_and_every_third() -> None:
    ems = MemoryEms()
    assert [d is not None for d in run(Actuator(ems), ruling(), 9)] == [
        True, True, False, False, True, False, False, True, False,
    ]  # fmt: skip


def test_rule_2_nothing_is_written_while_the_load_does_not_change() -> None:
    ems = MemoryEms()
    run(Actuator(ems), ruling(), 225)
    assert len(ems.commands) == 1 and ems.measures == 77


def test_the_target_is_tracked_while_the_load_changes() -> None:
    ems = MemoryEms(load_w=30_000)
    actuator = Actuator(ems)
    run(actuator, ruling(), 2)
    ems.load_w = 33_000
    run(actuator, ruling(), 3, T0 + 2 * SLOT_MS)
    assert ems.held == Command(-23_000, 884, None)


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        ({"fallback": records.FALLBACK_RELEASE}, Command(-20_000, 900, None)),
        ({"fallback": records.FALLBACK_HOLD}, Command(-20_000, 0, None)),
        ({"fallback": records.FALLBACK_VALUE, "fallback_value": 25_000}, Command(-20_000, 900, -5_000)),
        ({"not_after_ms": T0 + 1_500}, Command(-20_000, 2, None)),
    ],
)
def test_rule_3_the_device_reverts_alone_as_the_fallback_says(changed: dict[str, Any], command: Command) -> None:
    ems = MemoryEms(load_w=30_000)
    Actuator(ems).act(ruling(**changed), T0)
    assert ems.commands == [command]


def test_release_lets_go_once() -> None:
    ems = MemoryEms()
    actuator = Actuator(ems)
    actuator.act(ruling(), T0)
    done = run(actuator, ruling(decision.RULES_FALLBACK, None), 10, T0 + FRAME_MS)
    assert done == [Done(0, 0, 0)] + [None] * 9
    assert ems.commands[-1] is None and len(ems.commands) == 2 and actuator.commanded_w is None


def test_nothing_that_rules_means_no_request() -> None:
    ems = MemoryEms()
    nothing = decision.Ruling(decision.RULES_NOTHING, None, None)
    assert run(Actuator(ems), nothing, 5) == [None] * 5
    assert (ems.measures, ems.commands) == (0, [])


def test_rule_4_a_manager_that_is_down_is_tried_at_each_tick_and_obeys_when_it_is_back() -> None:
    ems = MemoryEms()
    actuator = Actuator(ems)
    ems.down = True
    assert run(actuator, ruling(), 3) == [Done(decision.EMS_UNREACHABLE, 0, 0)] * 3
    ems.down = False
    assert actuator.act(ruling(), T0 + 3 * SLOT_MS) == Done(0, -20_000, -20_000)


def test_rule_4_a_connection_that_went_stale_is_no_failure() -> None:
    ems = MemoryEms()
    ems.blips = 1
    assert Actuator(ems).act(ruling(), T0) == Done(0, -20_000, -20_000)
    ems.blips = 2
    assert Actuator(ems).act(ruling(), T0) == Done(decision.EMS_UNREACHABLE, 0, 0)


def test_rule_4_a_manager_that_holds_something_else_has_refused() -> None:
    ems = MemoryEms()
    ems.deaf = True
    assert Actuator(ems).act(ruling(), T0) == Done(decision.EMS_REFUSED, -20_000, 0)


def test_rule_4_the_switches_at_the_device_outrank_us() -> None:
    ems = MemoryEms(own_w=4_000)
    actuator = Actuator(ems)
    ems.local_switch = True
    assert actuator.act(ruling(), T0) == Done(decision.LOCAL_SWITCH, 0, 4_000)
    ems.emergency_stop = True
    assert actuator.act(ruling(), T0 + SLOT_MS) == Done(decision.EMERGENCY_STOP, 0, 4_000)
    assert ems.commands == []
    ems.local_switch = ems.emergency_stop = False
    assert actuator.act(ruling(), T0 + 2 * SLOT_MS) == Done(0, -20_000, -20_000)


def test_a_ramp_moves_at_each_slot_until_it_has_arrived() -> None:
    ems = MemoryEms(load_w=30_000)
    run(Actuator(ems), ruling(ramp_w_per_s=2_000), 5)
    assert [c.der_w for c in ems.commands if c] == [-8_000, -16_000, -20_000]


def test_a_limit_intervenes_only_while_it_must() -> None:
    ems = MemoryEms(load_w=30_000, own_w=10_000)
    actuator = Actuator(ems)
    limit = ruling(value=35_000, control=records.MAX_WITHDRAWAL)
    actuator.act(limit, T0)
    assert ems.held is not None and ems.held.der_w == 5_000
    ems.load_w = 20_000
    actuator.act(limit, T0 + SLOT_MS)
    assert ems.held is None and actuator.commanded_w is None
    assert run(actuator, limit, 4, T0 + 2 * SLOT_MS) == [Done(0, 10_000, 10_000)] * 4
    assert len(ems.commands) == 2
